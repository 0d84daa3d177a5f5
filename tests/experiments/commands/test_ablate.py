"""run.py ablate, end to end on a small simulated cohort: values, rows, resuming, selection, variants and errors."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datamodules.phantom
import datamodules.sources  # noqa: F401  (registers)
from datamodules.phantom import best_accuracy
from experiments.commands.ablate import Ablate
from experiments.commands.ablate.design import AGREES, DISAGREES, UNDECIDED, reachable, verdict
from experiments.reporting.check import check_result
from zoo.errors import SpecError, UnknownNameError, ZooError
from zoo.evaluation.resampling import Interval
from zoo.results import Result, load_result

CONFIG = """
seed_everything: 0
threads: 1
trainer: {accelerator: cpu, max_epochs: 1}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    sampling: {batch_size: 32}
    processing: {augment: false}
    sources:
      - class_path: datamodules.phantom.PhantomCohort
        init_args:
          n: 60
          size: 16
          presence: PRESENCE
          modalities: [ct, xray, genomics, question]
          tasks: [radiographic_findings, response, vqa, expression]
model:
  class_path: zoo.MultitaskModule
  init_args:
    encoders:
      image: {class_path: zoo.ViTEncoder, init_args: {dim: 8, depth: 1, heads: 1, patch_size: 8}}
      dna: {class_path: zoo.DNABERTEncoder, init_args: {dim: 8, depth: 1, heads: 1, conv: false}}
      text: {class_path: zoo.BERTEncoder, init_args: {dim: 8, depth: 1, heads: 1}}
    fusion: {class_path: zoo.ConcatFusion, init_args: {dim: 8}}
"""
Call = Callable[..., Result]


@pytest.fixture(scope="module")
def ablate(tmp_path_factory: pytest.TempPathFactory) -> Call:
    """ablate("--tasks", ..., presence=1.0): run the command in one folder, and read what it saved."""
    folder = tmp_path_factory.mktemp("ablate")

    def call(*arguments: str, presence: float = 1.0) -> Result:
        config = folder / f"small{presence}.yaml"
        config.write_text(CONFIG.replace("PRESENCE", str(presence)))
        out = folder / f"out{presence}"
        fixed = ["--config", str(config), "--seeds", "0", "--workers", "1", "--resamples", "30", "--out", str(out)]
        assert Ablate().main([*fixed, *arguments]) == 0
        result = load_result(out)
        check_result(result)
        return result

    return call


def rows(result: Result, table: str) -> list[dict[str, Any]]:
    return next((t.rows for t in result.tables if t.name == table), [])


@pytest.fixture(scope="module")
def both(ablate: Call) -> Result:
    return ablate("--tasks", "radiographic_findings", "response", "--order", "1", "--design")


def test_every_subset_on_the_same_rows(both: Result) -> None:
    """Masks try every subset; trainings those of one modality, and all."""
    found = rows(both, "combinations")
    for task, masked, exact in (("radiographic_findings", 3, 3), ("response", 7, 4)):
        for mode, n in (("masked", masked), ("exact", exact)):
            mine = [r for r in found if (r["task"], r["mode"]) == (task, mode)]
            assert len(mine) == n
            assert len({r["n"] for r in mine}) == 1
            assert sum(r["chosen"] for r in mine) == sum(r["luckiest"] for r in mine) == 1
            best = max(mine, key=lambda r: (r["validation"], -r["size"]))
            assert best["chosen"]
            assert [r["value"] for r in mine] == sorted((r["value"] for r in mine), reverse=True)
            for r in mine:
                assert r["data"] == "simulated"
                assert r["low" if "low" in r else "value_low"] <= r["value"] + 1e-9
                assert r["metric"] == "accuracy"
                assert r["reachable"] == pytest.approx(best_accuracy(task, r["modalities"].split(" + ")))


def test_shapley_values_sum_to_the_gain(both: Result) -> None:
    combined, found = rows(both, "combinations"), rows(both, "contributions")
    for task, mode, full in (
        ("radiographic_findings", "exact", "ct + xray"),
        ("response", "masked", "ct + xray + genomics"),
    ):
        gain = next(r["gain"] for r in combined if (r["task"], r["mode"], r["modalities"]) == (task, mode, full))
        mine = [r["shapley"] for r in found if (r["task"], r["mode"]) == (task, mode)]
        assert len(mine) == len(full.split(" + "))
        assert sum(mine) == pytest.approx(gain)
    assert not [r for r in found if (r["task"], r["mode"]) == ("response", "exact")]
    assert any("no Shapley values" in s for s in both.summary)


def test_pairs_information_and_design(both: Result) -> None:
    pair = next(r for r in rows(both, "pairs") if r["mode"] == "exact" and r["pair"] == "ct + xray")
    assert pair["synergy"] == pytest.approx(pair["both"] - max(pair["alone_a"], pair["alone_b"]))
    for r in rows(both, "information"):
        assert r["redundant"] + r["unique_a"] + r["unique_b"] + r["synergistic"] == pytest.approx(r["both"], abs=1e-9)
    note = next(t.note for t in both.tables if t.name == "information")
    assert "I_min" in note
    checks = rows(both, "design")
    assert {r["check"] for r in checks} == {"order", "synergy", "interaction"}
    assert {r["verdict"] for r in checks} <= {AGREES, UNDECIDED, DISAGREES}
    assert sum(r["check"] == "order" for r in checks if r["task"] == "response" and r["mode"] == "masked") == 21
    assert both.data == "simulated"


def test_figures(both: Result) -> None:
    groups = {f.group for f in both.figures}
    assert groups == {"combinations", "synergy", "shapley", "information"}
    (figure,) = [f for f in both.figures if f.name == "combinations_response"]
    assert figure.panel == "response"
    assert set(figure.references) == {"chance", "best constant"}
    assert [s.name for s in figure.series][-1] == "best reachable by design"
    assert all(f.data == "simulated" for f in both.figures)


def test_nothing_is_trained_twice(ablate: Call, both: Result, capsys: pytest.CaptureFixture[str]) -> None:
    again = ablate("--tasks", "radiographic_findings", "response", "--order", "1", "--design")
    assert "- 0 training(s) made now" in capsys.readouterr().out
    assert [t.rows for t in again.tables] == [t.rows for t in both.tables]
    with (Path(again.folder or "") / "combinations.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows(both, "combinations"))


def test_selection(ablate: Call) -> None:
    found = ablate("--tasks", "response", "--mode", "masked", "--greedy")
    steps = rows(found, "selection")
    assert [r["step"] for r in steps] == [1, 2, 3]
    assert {r["added"] for r in steps} == {"ct", "xray", "genomics"}
    assert steps[-1]["modalities"] == "ct + xray + genomics"


def test_what_a_task_reads_is_kept(ablate: Call) -> None:
    found = ablate("--tasks", "vqa", "--mode", "masked", "--companions")
    assert {r["modalities"] for r in rows(found, "combinations")} == {
        "question", "question + ct", "question + xray", "question + ct + xray"
    }  # fmt: skip
    assert any("reads 'question', which is kept" in s for s in found.summary)
    alone = next(r for r in rows(found, "combinations") if r["modalities"] == "question")
    assert alone["gain"] == 0.0
    assert "given question alone" in next(t.note for t in found.tables if t.name == "information")


def test_rows_with_any_modality(ablate: Call) -> None:
    every = ablate("--tasks", "radiographic_findings", "--mode", "masked", presence=0.6)
    some = ablate("--tasks", "radiographic_findings", "--mode", "masked", "--rows", "any", presence=0.6)
    assert rows(some, "combinations")[0]["n"] > rows(every, "combinations")[0]["n"] > 0


def test_another_metric_and_one_network_for_all(ablate: Call) -> None:
    found = ablate("--mode", "masked", "--joint", "--metric", "balanced_accuracy", "--dropout", "0")
    metrics = {r["task"]: r["metric"] for r in rows(found, "combinations")}
    assert metrics == {"radiographic_findings": "auroc", "response": "balanced_accuracy", "vqa": "accuracy"}
    assert any("out of its habit" in s for s in found.summary)
    assert any("'expression' has nothing to ablate" in s for s in found.summary)


def test_the_masked_network_may_train_longer(ablate: Call) -> None:
    found = ablate("--tasks", "response", "--mode", "masked", "--epochs", "2", "--dropout", "0.25")
    assert any("0.25 in training, 2 epochs" in s for s in found.summary)
    jobs = [json.loads(p.read_text()) for p in (Path(found.folder or "") / "jobs").glob("*/job.json")]
    steps = {
        c["steps"]
        for c in jobs
        if c["job"]["changes"] == ["model.training.modality_dropout=0.25", "trainer.max_epochs=2"]
    }
    once = {c["steps"] for c in jobs if c["job"]["changes"] == ["model.training.modality_dropout=0.5"]}
    assert {2 * n for n in once} >= steps
    assert len(steps) == 1


def test_variants(ablate: Call) -> None:
    found = ablate(
        "--mode", "none", "--tasks", "response", "--fusions", "LateFusion", "--lambdas", "response=2",
        "--vary", "model.encoders.image.init_args.depth=2", "model.heads.hidden=4",
    )  # fmt: skip
    mine = rows(found, "variants")
    assert [r["variant"] for r in mine] == ["as configured", "LateFusion", "lambda[response] = 2", "2", "4"]
    assert mine[0]["difference"] == mine[0]["difference_low"] == 0.0
    assert [f.group for f in found.figures] == ["variants"]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (["--tasks", "respons"], UnknownNameError, "did you mean 'response'"),
        (["--modalities", "ctt"], UnknownNameError, "did you mean 'ct'"),
        (["--tasks", "expression"], SpecError, "nothing to ablate"),
        (["--tasks", "response", "--modalities", "ct"], SpecError, "nothing to ablate"),
        (["--modalities", "genomics"], SpecError, "nothing to ablate"),
        (["--mode", "none"], SpecError, "leaves nothing to do"),
        (["--order", "-1"], SpecError, "--order"),
        (["--dropout", "1"], SpecError, "below 1"),
        (["--epochs", "-1"], SpecError, "--epochs"),
        (["--metric", "aurco"], UnknownNameError, "did you mean 'auroc'"),
        (["--fusions", "LateFusoin"], UnknownNameError, "did you mean 'LateFusion'"),
        (["--lambdas", "respons=1"], UnknownNameError, "did you mean 'response'"),
        (["--lambdas", "response"], SpecError, "TASK=0.1,1,10"),
        (["--vary", "fusion=LateFusion"], SpecError, "model.KEY"),
    ],
)
def test_errors(ablate: Call, arguments: list[str], error: type[ZooError], match: str) -> None:
    with pytest.raises(error, match=match):
        ablate(*arguments)


def test_design_needs_the_simulated_cohort(ablate: Call) -> None:
    real = '[{"class_path": "datamodules.sources.WisconsinBreastCancer"}]'
    with pytest.raises(SpecError, match="'WisconsinBreastCancer'"):
        ablate("--design", "--data.sources", real)


def test_reachable_answers() -> None:
    """With all images everything is answered; with none, each kind of question by its most frequent answer."""
    everything = reachable("vqa", ["question", "ct", "xray", "mri"])
    assert everything == pytest.approx(best_accuracy("vqa", ["question", "ct", "xray", "mri"]))
    alone = reachable("vqa", ["question"])
    assert alone < reachable("vqa", ["question", "mri"]) < reachable("vqa", ["question", "ct"]) <= everything


@pytest.mark.parametrize(
    ("expected", "low", "high", "said"),
    [
        (0.3, 0.1, 0.4, AGREES), (0.3, -0.1, 0.4, UNDECIDED), (0.3, -0.4, -0.1, DISAGREES),
        (-0.3, -0.4, -0.1, AGREES), (-0.3, 0.1, 0.2, DISAGREES),
        (0.0, -0.1, 0.1, AGREES), (0.0, 0.01, 0.1, AGREES), (0.0, 0.03, 0.1, DISAGREES), (0.0, -0.2, -0.1, DISAGREES),
    ],
)  # fmt: skip
def test_verdicts(expected: float, low: float, high: float, said: str) -> None:
    assert verdict(expected, Interval((low + high) / 2, low, high)) == said
