"""``run.py fewshot`` end to end on a small phantom: held-out classes, a held-out task, wrong input, a rerun."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from experiments.commands.fewshot import scores as fewshot_scores
from experiments.commands.fewshot import spaces as fewshot_spaces
from experiments.commands.fewshot.spaces import CLASSICAL, MODEL, UNTRAINED
from zoo.results import Result, load_result

SETTINGS = ("--episodes", "8", "--workers", "1", "--names", "tfidf", "--out", "out", "--resamples", "50")


def config(folder: Path, modalities: list[str], tasks: list[str], n: int, epochs: int = 2) -> None:
    encoder = {"dim": 16, "depth": 1, "heads": 2}
    kinds = {"image": "ViTEncoder", "expression": "SCBERTEncoder", "text": "BERTEncoder", "dna": "DNABERTEncoder"}
    source = {"n": n, "size": 16, "presence": 1.0, "modalities": modalities, "tasks": tasks}
    made = {
        "seed_everything": 0,
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": epochs,
            "enable_progress_bar": False,
            "enable_checkpointing": False,
            "logger": False,
        },
        "data": {
            "class_path": "datamodules.MultimodalDataModule",
            "init_args": {
                "sampling": {"batch_size": 32},
                "processing": {"augment": False},
                "sources": [{"class_path": "datamodules.phantom.PhantomCohort", "init_args": source}],
            },
        },
        "model": {
            "class_path": "zoo.MultitaskModule",
            "init_args": {
                "encoders": {k: {"class_path": f"zoo.{c}", "init_args": encoder} for k, c in kinds.items()},
                "heads": {"hidden": 8},
            },
        },
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(made))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fewshot_scores, "STEPS", 20)


@pytest.fixture
def cells(tmp_path: Path) -> None:
    config(tmp_path, ["scrna"], ["cell_type"], 220)


def by_key(result: Result) -> dict[tuple[str, str, int], dict[str, Any]]:
    return {(r["features"], r["method"], r["shots"]): r for r in result.tables[0].rows}


def test_held_out_classes_and_a_rerun(call, cells: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    arguments = ("fewshot", "--config", "small.yaml", "--task", "cell_type", "--hold-out-classes", "2")
    arguments += ("--shots", "5", "0", "1", "--seeds", "0", "1", *SETTINGS)
    code, said = call(*arguments)
    assert code == 0, said
    assert "zoo report out draws it" in said
    result = load_result(tmp_path / "out")
    assert (result.data, result.seeds, result.config) == ("simulated", [0, 1], "small")
    lines = by_key(result)
    for space in (MODEL, UNTRAINED, CLASSICAL):
        assert {k for s, m, k in lines if s == space and m == "prototypes"} == {1, 5}
        assert {m for s, m, k in lines if s == space and k == 5} == {"prototypes", "linear probe", "fine-tuned head"}
        assert (space, "ESZSL on names (character TF-IDF)", 0) in lines
    for line in lines.values():
        assert line["chance"] == 0.5
        assert line["low"] <= line["value"] <= line["high"]
        assert (line["episodes"], line["seeds"], line["data"]) == (16, 2, "simulated")
        assert line["queries"] > 16 * 2 * 5
    assert lines[CLASSICAL, "linear probe", 5]["value"] > 0.5
    (figure,) = result.figures
    assert figure.references == {"chance": 0.5}
    assert all(s.simulated is True for s in figure.series)
    assert [t.name for t in result.tables] == ["fewshot", "seeds", "paper"]
    assert {r["source"] for r in result.tables[2].rows} == {"the paper's data"}
    with (tmp_path / "out" / "fewshot.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(lines)
    # the network never saw the classes, and each seed drew its own
    for job in sorted((tmp_path / "out" / "jobs").glob("*/job.json")):
        info = json.loads(job.read_text())
        column, *names = info["job"]["holdout"]
        assert column == "task:cell_type"
        assert len(names) == 2
        assert len(info["tasks"]["cell_type"]["classes"]) == 5
    # a rerun trains nothing, scores nothing, and finds the same
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*/**/*") if p.is_file()}

    def refuse(*_: Any) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr(fewshot_scores, "spaces_of", refuse)
    code, said = call(*arguments)
    assert code == 0, said
    again = load_result(tmp_path / "out")
    assert again.tables == result.tables
    assert again.figures == result.figures
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_held_out_task_of_classes_with_a_text_stream(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config(tmp_path, ["ct", "text"], ["disease", "radiographic_findings"], 110, epochs=1)
    _with_text(tmp_path)
    code, said = call(
        "fewshot", "--config", "small.yaml", "--held-out-task", "disease", "--shots", "0", "2", "--seeds", "0",
        "--ways", "2", *SETTINGS,
    )  # fmt: skip
    assert code == 0, said
    result = load_result(tmp_path / "out")
    lines = by_key(result)
    assert (MODEL, "prototypes", 2) in lines
    assert lines[MODEL, "prototypes", 2]["chance"] == 0.5
    assert "the unseen task disease" in result.title
    (job,) = (tmp_path / "out" / "jobs").glob("*/job.json")
    assert set(json.loads(job.read_text())["tasks"]) == {"radiographic_findings"}
    assert any("needs two seen classes" in s for s in result.summary)  # the only other task is multilabel


def _with_text(folder: Path) -> None:
    content = yaml.safe_load((folder / "small.yaml").read_text())
    content["data"]["init_args"]["split"] = {"fractions": [0.5, 0.1, 0.4]}
    (folder / "small.yaml").write_text(yaml.safe_dump(content))


def test_a_held_out_regression(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config(tmp_path, ["ct", "genomics"], ["expression", "response"], 60, epochs=1)
    arguments = ("fewshot", "--config", "small.yaml", "--held-out-task", "expression", "--seeds", "0", *SETTINGS)
    code, said = call(*arguments, "--shots", "0", "5", "20")
    assert code == 0, said
    result = load_result(tmp_path / "out")
    assert {(m, k) for _, m, k in by_key(result)} == {("ridge", 5), ("ridge", 20)}
    assert result.tables[0].columns[3].label == "pearson"
    assert any(s.startswith("Zero-shot is not possible") for s in result.summary)


def test_a_held_out_task_with_too_few_rows(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config(tmp_path, ["xray", "ct"], ["bone_age", "radiographic_findings"], 60)
    code, said = call("fewshot", "--config", "small.yaml", "--held-out-task", "bone_age", "--shots", "40", *SETTINGS)
    assert code != 0
    assert "0 of its classes have 40 rows to learn from and 5 test rows" in said
    assert not (tmp_path / "out").exists()


def test_class_names_go_through_the_text_stream(tmp_path: Path) -> None:
    from experiments.core.study import Study

    config(tmp_path, ["ct", "text"], ["disease"], 60)
    study = Study.parse(["--config", str(tmp_path / "small.yaml")])
    data = study.data()
    module = study.module(data)
    spec = data.task_specs[0]
    streams = fewshot_spaces.name_streams(module, data, spec, spec.classes)
    assert streams is not None
    assert streams.shape == (len(spec.classes), module.fusion.dim)
    assert not torch.allclose(streams[0], streams[1])
    without = study.view(data, modalities=["ct"])
    only = study.module(without)
    assert fewshot_spaces.name_streams(only, data, spec, spec.classes) is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--task", "cel_type"), "unknown task 'cel_type'; did you mean 'cell_type'"),
        (("--task", "cell_type", "--classes", "B cell", "T cel"), "'T cel'; did you mean 'T cell'"),
        (("--task", "cell_type", "--classes", "B cell"), "1 classes of 'cell_type' cannot be held out"),
        (("--task", "cell_type"), "4 classes of 'cell_type' cannot be held out"),
        (("--task", "cell_type", "--hold-out-classes", "2", "--shots", "500"), "0 have rows for 500 shots"),
        (("--task", "cell_type", "--classes", "B cell", "T cell", "--shots", "500"), "500 shots need 505"),
        (("--task", "cell_type", "--hold-out-classes", "2", "--ways", "3"), "only 2 classes are held out"),
        (("--task", "cell_type", "--ways", "1"), "nothing to tell apart"),
        (("--task", "cell_type", "--shots", "-1"), "shots and ways are 0 or more"),
        (("--held-out-task", "cell_type"), "is the only task"),
        (("--held-out-task", "cell_type", "--classes", "B cell"), "--classes goes with --task"),
        ((), "say what is held out"),
        (("--task", "cell_type", "--held-out-task", "cell_type"), "say what is held out"),
        (("--task", "cell_type", "--shoots", "3"), "shoots"),
    ],
)
def test_wrong_input(call, cells: None, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:  # type: ignore[no-untyped-def]
    code, said = call("fewshot", "--config", "small.yaml", *arguments, *SETTINGS)
    assert code != 0
    assert says in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_held_out_task_must_share_a_modality(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config(tmp_path, ["scrna", "ct"], ["cell_type", "radiographic_findings"], 60)
    code, said = call("fewshot", "--config", "small.yaml", "--held-out-task", "cell_type", *SETTINGS)
    assert code != 0
    assert "but the other tasks ('radiographic_findings',) only train encoders of ('ct',)" in said
    code, said = call("fewshot", "--config", "small.yaml", "--task", "radiographic_findings", *SETTINGS)
    assert "is of kind 'multilabel'; few-shot learning takes classes of a task" in said


def test_scores_survive_the_disk(tmp_path: Path) -> None:
    scores = fewshot_scores.Scores(3, "accuracy", 0.25, ["a"], 9, 90, "real", left_out={"b": 2})
    scores.values[MODEL, "prototypes", 5] = np.array([0.5, np.nan, 1.0])
    fewshot_scores.save_scores(scores, tmp_path / "s.json")
    again = fewshot_scores.load_scores(tmp_path / "s.json")
    assert np.array_equal(again.values[MODEL, "prototypes", 5], [0.5, np.nan, 1.0], equal_nan=True)
    assert (again.seed, again.left_out, again.classes) == (3, {"b": 2}, ["a"])
