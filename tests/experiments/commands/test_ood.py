"""``run.py ood`` end to end on a small phantom: hold-outs, tables, resuming, and what it refuses."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import experiments.core.runner
from experiments.commands.ood import OutOfDistribution
from experiments.commands.ood.plan import HoldOut, Labelled, Plan
from experiments.commands.ood.scores import inside_rows, score_line
from experiments.core.job import Finished, TrainingJob
from zoo.contract import TaskSpec
from zoo.errors import SpecError, UnknownNameError
from zoo.models.predict import Predicted
from zoo.results import Result, load_result
from zoo.training.collector import Evaluated

CONFIG = """
seed_everything: 0
trainer: {accelerator: cpu, devices: 1, max_epochs: 1, logger: false}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    sampling: {batch_size: 32}
    processing: {augment: false}
    sources:
      - class_path: datamodules.phantom.PhantomCohort
        init_args: {n: 70, size: 16, presence: 0.9, modalities: [scrna], tasks: [cell_type]}
model:
  class_path: zoo.MultitaskModule
  init_args:
    encoders:
      expression: {class_path: zoo.SCBERTEncoder, init_args: {dim: 16, depth: 1, heads: 2, latents: 2}}
"""
Ood = Callable[..., Result]


@pytest.fixture
def ood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ood:
    """ood("--group", "organ", ...): run the command on one network a hold-out, and read its result."""
    (tmp_path / "small.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments.core.runner, "quiet", lambda: None)  # its filters outlive the test

    def call(*arguments: str, kinds: tuple[str, ...] = ("network",)) -> Result:
        fixed = ("--config", "small.yaml", "--seeds", "0", "--workers", "1", "--resamples", "20", "--kinds", *kinds)
        assert OutOfDistribution().main([*fixed, "--out", "out", *arguments]) == 0
        return load_result(tmp_path / "out")

    return call


def table(result: Result, name: str) -> list[dict[str, Any]]:
    return next(t.rows for t in result.tables if t.name == name)


def test_each_value_in_turn_is_resumed_and_reported(ood: Ood, tmp_path: Path) -> None:
    pytest.importorskip("pytorch_ood")
    result = ood("--group", "organ", "--max-groups", "2", "--min-rows", "5", kinds=("network", "classical"))
    rows = table(result, "groups")
    held = sorted({r["group"] for r in rows} - {"mean over groups", "all held-out rows"})
    assert len(held) == 2
    assert len(rows) == 2 * (2 + 2)
    for row in rows:
        assert row["data"] == "simulated"
        assert row["metric"] == "accuracy"
        if row["group"] in held:
            assert row["gap"] == pytest.approx(row["in"] - row["out"])
            for name in ("in", "out", "sensitivity_in", "specificity_out"):
                assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
            assert 0 < row["chance_out"] < 1
            assert row["test_groups_trained"] is True
    network = [r for r in rows if r["model"] == "network"]
    mean = next(r for r in network if r["group"] == "mean over groups")
    assert mean["out"] == pytest.approx(np.mean([r["out"] for r in network if r["group"] in held]))
    together = next(r for r in network if r["group"] == "all held-out rows")
    n = {r["group"]: r["n_out"] for r in network}
    assert together["out"] == pytest.approx(
        sum(r["out"] * n[r["group"]] for r in network[:2]) / sum(n[g] for g in held)
    )
    assert {r["detector"] for r in table(result, "detection")} == {"msp", "energy", "knn", "mahalanobis", "input_knn"}
    assert {r["class"] for r in table(result, "classes")}
    assert {f.kind for f in result.figures} == {"bars"}
    assert {f.panel for f in result.figures if f.group == "ood cell_type"} == {
        "accuracy",
        "sensitivity",
        "specificity",
    }
    assert all(f.data == "simulated" for f in result.figures)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", f.name) for f in result.figures)
    assert any("--max-groups 2" in line for line in result.summary)
    assert "4 training(s) made now, 0 finished before." in result.summary
    with (tmp_path / "out" / "groups.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    again = ood("--group", "organ", "--max-groups", "2", "--min-rows", "5", kinds=("network", "classical"))
    assert "0 training(s) made now, 4 finished before." in again.summary
    assert [t.rows for t in again.tables] == [t.rows for t in result.tables]


def test_values_held_out_together(ood: Ood) -> None:
    result = ood("--group", "organ", "--values", "lung", "kidney", "--list", "--no-detection")
    rows = table(result, "groups")
    assert [r["group"] for r in rows] == ["lung+kidney"]
    assert [t.name for t in result.tables] == ["groups", "classes"]


def test_a_group_that_is_the_label_leaves_only_the_detection(ood: Ood) -> None:
    pytest.importorskip("pytorch_ood")
    result = ood("--group", "cell_type", "--max-groups", "1", "--min-rows", "5")
    (row,) = table(result, "groups")
    assert row["out"] is None
    assert row["gap_low"] is None
    assert row["in"] is not None
    assert row["unseen_class"] == row["n_out"] > 0
    assert any("0 by construction" in line for line in result.summary)
    assert len(table(result, "detection")) == 5


def test_small_values_are_named_and_the_budget_is_told(ood: Ood, tmp_path: Path) -> None:
    result = ood("--group", "organ", "--values", "lung", "--no-detection")
    n = table(result, "groups")[0]["n_out"]
    with pytest.raises(SpecError, match=rf"'lung': {n} labelled rows, fewer than --min-rows {n + 1}"):
        ood("--group", "organ", "--values", "lung", "--no-detection", "--min-rows", str(n + 1))
    for path in (tmp_path / "out" / "jobs").glob("*/job.json"):  # as if it had taken long
        path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 1e6}))
    later = ood("--group", "organ", "--values", "lung", "brain", "--no-detection", "--budget", "60s")
    told = (
        "The budget left out 1 of 2 trainings; run the command again to go on with them: network all tasks from all"
    )
    assert f"{told} modalities without organ brain seed 0" in later.summary
    assert [r["group"] for r in table(later, "groups")] == ["lung"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--group", "organs"), UnknownNameError, "unknown group 'organs'; did you mean 'organ'"),
        (("--group", "organ", "--values", "Kidney"), UnknownNameError, "did you mean 'kidney'"),
        (("--group", "organ", "--values", "lung", "lung"), SpecError, "twice"),
        (("--group", "organ", "--task", "cell_typ"), UnknownNameError, "did you mean 'cell_type'"),
        (("--group", "organ", "--list"), SpecError, "--values"),
        (("--group", "organ", "--leave-one-out", "--values", "lung"), SpecError, "--leave-one-out"),
        (("--group", "organ", "--min-rows", "0"), SpecError, "--min-rows"),
        (("--group", "organ", "--max-groups", "-1"), SpecError, "--max-groups"),
        (("--group", "organ", "--min-rows", "1000"), SpecError, "nothing can be held out by 'organ'"),
        (
            ("--group", "organ", "--values", "brain", "kidney", "liver", "lung", "--list"),
            SpecError,
            "leaves 0 training",
        ),
    ],
)
def test_wrong_input(ood: Ood, arguments: tuple[str, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ood(*arguments)


def test_an_unknown_kind_is_refused(ood: Ood) -> None:
    with pytest.raises(SpecError, match="kinds: network, classical"):
        ood("--group", "organ", kinds=("networks",))


# -- scoring, without training ----------------------------------------------------------------------------------

TASK = TaskSpec("t", "classification", 3, ("a", "b", "c"))


def evaluated(choice: list[int], target: list[int], ids: list[str]) -> Evaluated:
    prediction = torch.nn.functional.one_hot(torch.tensor(choice), 3).float()
    return Evaluated(prediction, torch.tensor(target), torch.zeros(len(ids)).long(), ids)


def finished(seed: int, test: Evaluated, out: Evaluated, classes: tuple[str, ...] = ("a", "b", "c")) -> Finished:
    told = {"name": "t", "kind": "classification", "num_outputs": 3, "classes": list(classes)}
    words = {s: {"t": "real"} for s in ("test", "ood")}
    both = {s: {"t": {"chance": 1 / 3, "constant": 0.5}} for s in ("test", "ood")}
    info = {"tasks": {"t": told}, "references": both, "data": words, "chosen": {"t": [{"baseline": "X"}]}}
    parts = {s: Predicted({"t": e}, torch.zeros(0, 1), []) for s, e in (("test", test), ("ood", out))}
    return Finished(TrainingJob("classical", seed, holdout=("organ", "k")), Path(), info, parts)


def plan(train: list[tuple[str, str]], seeds: tuple[int, ...] = (0,)) -> Plan:
    groups = {"p": "l", "q": "k", "r": "", "s": "m", "u": "k"}
    rows = Labelled([g for g, _ in train], [c for _, c in train])
    return Plan("organ", [TASK], [HoldOut("k", ("k",))], {}, groups, {(s, "t"): rows for s in seeds})


def test_rows_of_groups_without_training_rows_are_not_in_distribution() -> None:
    made = plan([("l", "a"), ("l", "b"), ("k", "c")])
    mask, new = inside_rows(made, made.holdouts[0], 0, "t", ["p", "r", "s"])
    assert (mask.tolist(), new) == ([True, True, False], False)
    mask, new = inside_rows(made, made.holdouts[0], 0, "t", ["s"])
    assert (mask.tolist(), new) == ([True], True)


def test_classes_without_training_rows_are_told_apart() -> None:
    made = plan([("l", "a"), ("l", "b"), ("k", "c")])
    job = finished(0, evaluated([0, 1], [0, 1], ["p", "r"]), evaluated([0, 1], [0, 2], ["q", "u"]))
    line = score_line(made, made.holdouts[0], TASK, "classical", {0: job}, 10)
    assert line is not None
    assert (line.unseen, line.impossible, line.chosen) == (1, False, ["X"])
    assert line.metrics["accuracy"].outside.value == 0.5
    assert line.known is not None
    assert line.known["accuracy"].outside.value == 1.0
    assert line.trained_classes == 2


def test_seeds_of_other_classes_are_pooled_by_name() -> None:
    made = plan([("l", "a"), ("l", "b"), ("l", "c"), ("l", "d")], (0, 1))
    first = finished(0, evaluated([0], [0], ["p"]), evaluated([1], [1], ["q"]))
    second = finished(1, evaluated([0], [0], ["p"]), evaluated([0, 2], [1, 2], ["q", "u"]), ("b", "d", "a"))
    line = score_line(made, made.holdouts[0], TASK, "classical", {0: first, 1: second}, 10)
    assert line is not None
    assert line.classes == ("a", "b", "c", "d")
    assert line.outside.target.tolist() == [1, 3, 0]
    assert line.outside.prediction.argmax(-1).tolist() == [1, 1, 0]
    assert line.metrics["accuracy"].outside.value == pytest.approx(2 / 3)
    assert line.known is None
    assert not math.isnan(line.metrics["sensitivity"].outside.value)


def test_a_hold_out_without_rows_of_the_task_is_no_line() -> None:
    made = plan([("l", "a"), ("l", "b")])
    job = finished(0, evaluated([0], [0], ["p"]), evaluated([0], [0], ["q"]))
    del job.predicted["ood"].results["t"]
    assert score_line(made, made.holdouts[0], TASK, "classical", {0: job}, 10) is None
