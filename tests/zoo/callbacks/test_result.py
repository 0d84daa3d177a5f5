"""What a fit found as a Result: tables, curves, confusion matrices and superposed structures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from zoo.callbacks.result import curves, fit_result
from zoo.contract import TaskSpec
from zoo.errors import DataError
from zoo.evaluation.summary import TaskResult
from zoo.results import Result, load_result
from zoo.tasks.base import task_kind
from zoo.tasks.classification import Classification
from zoo.tasks.figures import OTHER
from zoo.tasks.vqa import VQA
from zoo.training.collector import Evaluated


def line(task: str, source: str = "", **changes: Any) -> TaskResult:
    fields: dict[str, Any] = {
        "task": task, "metric": "accuracy", "value": 0.8, "low": 0.7, "high": 0.9, "interval": "bootstrap",
        "unit": "patient (12)", "chance": 0.5, "baseline": 0.75,
        "n": 20, "real": True, "data": "real", "beats_chance": True, "beats_baseline": False, "source": source,
        "metrics": {"accuracy": 0.8, "auroc": float("nan")},
    }  # fmt: skip
    return TaskResult(**{**fields, **changes})


def evaluated(prediction: torch.Tensor, target: torch.Tensor) -> Evaluated:
    n = len(target)
    return Evaluated(prediction, target, torch.zeros(n, dtype=torch.long), [f"row {k}" for k in range(n)])


def of_task(spec: TaskSpec, prediction: torch.Tensor, target: torch.Tensor) -> Result:
    return fit_result(
        [], {spec.name: task_kind(spec)}, {spec.name: evaluated(prediction, target)}, {spec.name: "real"}
    )


def one_hot(codes: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(codes), classes).float()


def test_tables_bars_and_summary(tmp_path: Path) -> None:
    lines = [
        line("sick"), line("sick [A]", "A"),
        line("age", value=math.nan, low=math.nan, data="simulated", beats_chance=False),
    ]  # fmt: skip
    made = fit_result(
        lines, {}, {}, {}, title="T", config="mtl.yaml", seeds=[3], seconds=2.5, command_line="run.py fit"
    )
    made.save(tmp_path)
    result = load_result(tmp_path)
    assert (result.command, result.data, result.seeds) == ("fit", "mixed", [3])
    tasks, metrics = result.tables
    assert [r["task"] for r in tasks.rows] == ["sick", "sick [A]", "age"]
    assert (tasks.rows[0]["value"], tasks.rows[0]["low"], tasks.rows[0]["beats_baseline"]) == (0.8, 0.7, False)
    assert tasks.rows[2]["value"] is None
    assert [(r["task"], r["metric"], r["value"]) for r in metrics.rows[:2]] == [
        ("sick", "accuracy", 0.8),
        ("sick", "auroc", None),
    ]
    (bars,) = result.figures
    assert bars.series[0].x == ["sick (accuracy)", "age (accuracy)"]  # parts of a task are in the table alone
    assert bars.series[0].simulated == [False, True]
    assert [s.name for s in bars.series if s.dashed] == ["constant baseline", "chance"]
    assert result.summary == [
        "0 of 2 tasks beat a constant baseline with their whole interval; not sick, age.",
        "1 of 2 tasks beat chance with their whole interval; not age.",
        "Simulated data are in 1 of 2 tasks: age.",
    ]


def test_no_tasks_are_said() -> None:
    result = fit_result([], {}, {}, {})
    assert result.summary == ["No task has a labelled test row."]
    assert result.figures == []


def test_confusion_rows_are_shares_of_the_truth() -> None:
    spec = TaskSpec("sick", "classification", 3, ("a", "b", "c"))
    truth = [0, 0, 0, 0, 1, 1]
    result = of_task(spec, one_hot([0, 0, 0, 2, 1, 0], 3), torch.tensor(truth))
    (figure,) = result.figures
    assert figure.rows == ["a (4)", "b (2)", "c (0)"]
    assert figure.columns == ["a", "b", "c"]
    assert figure.values == [[0.75, 0.0, 0.25], [0.5, 0.5, 0.0], [None, None, None]]
    assert "n = 6" in figure.note


def test_rare_classes_are_put_together() -> None:
    classes = Classification.most_shown + 4
    spec = TaskSpec("cell", "classification", classes, tuple(f"c{k}" for k in range(classes)))
    truth = [k for k in range(classes) for _ in range(2 if k >= 4 else 1)]
    (figure,) = of_task(spec, one_hot(truth, classes), torch.tensor(truth)).figures
    assert figure.columns == [f"c{k}" for k in range(4, classes)] + [OTHER]
    assert figure.rows[-1] == f"{OTHER} (4)"
    assert all(figure.values[k][k] == 1.0 for k in range(Classification.most_shown + 1))


def test_answers_outside_the_vocabulary_are_others() -> None:
    names = tuple(f"a{k}" for k in range(VQA.most_shown + 3))
    spec = TaskSpec("vqa", "vqa", len(names), names, reads="question")
    (figure,) = of_task(spec, one_hot([0, 1, 1], len(names)), torch.tensor([0, 1, -1])).figures
    assert figure.rows == ["a0 (1)", "a1 (1)", f"{OTHER} (1)"]
    assert figure.values == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]


def test_grades_all_stay_and_unknown_tokens_go() -> None:
    spec = TaskSpec("age", "ordinal", 3, ("0", "1", "2"))
    (figure,) = of_task(spec, one_hot([0, 0], 3), torch.tensor([0, 0])).figures
    assert figure.columns == ["0", "1", "2"]
    spec = TaskSpec("ss", "token_classification", 2, ("H", "E"), reads="protein", length=3)
    (figure,) = of_task(spec, one_hot([0, 1, 1], 2)[None], torch.tensor([[0, 1, -1]])).figures
    assert figure.values == [[1.0, 0.0], [0.0, 1.0]]
    assert "n = 2 tokens" in figure.note


def test_regression_and_no_rows_have_no_confusion() -> None:
    spec = TaskSpec("age", "regression", 1, ("years",))
    assert of_task(spec, torch.zeros(2, 1), torch.ones(2, 2, 1)).figures == []
    spec = TaskSpec("sick", "classification", 2, ("a", "b"))
    assert of_task(spec, torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)).figures == []


def test_structures_are_superposed_from_the_best_to_the_worst() -> None:
    generator = np.random.default_rng(0)
    length = 30
    truth = np.cumsum(generator.normal(size=(4, length, 3)), 1) * 3.8
    turned = np.stack([Rotation.random(rng=k).apply(x) + 7.0 for k, x in enumerate(truth)])
    for row, noise in enumerate((0.0, 1.0, 2.0, 20.0)):
        turned[row] += generator.normal(0, 1, (length, 3)) * noise
    target = np.concatenate([truth, np.ones((4, length, 1))], -1)
    target[0, :5, 3] = 0  # unresolved residues are not shown
    spec = TaskSpec("fold", "structure", length, reads="protein", unit="angstrom")
    made = of_task(spec, torch.from_numpy(turned).float(), torch.from_numpy(target).float())
    assert [f.panel for f in made.figures] == ["fold, best of 4", "fold, median of 4", "fold, worst of 4"]
    best = made.figures[0]
    assert "row 0, TM-score 1.00" in best.title
    assert len(best.chains["true"]) == length - 5
    assert np.allclose(best.chains["true"], best.chains["predicted"], atol=0.02)
    worst = made.figures[-1]
    expected, _ = Rotation.align_vectors(np.array(worst.chains["true"]), turned[3] - turned[3].mean(0))
    moved = expected.apply(turned[3] - turned[3].mean(0))
    assert np.allclose(moved, worst.chains["predicted"], atol=0.03)


def test_one_chain_is_shown_once_and_broken_ones_not_at_all() -> None:
    spec = TaskSpec("fold", "structure", 12, reads="protein", unit="angstrom")
    target = torch.cat([torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(0)), torch.ones(2, 12, 1)], -1)
    prediction = target[..., :3].clone()
    prediction[1, 3] = torch.nan
    made = of_task(spec, prediction, target)
    assert [f.panel for f in made.figures] == ["fold, best of 1"]


def test_curves_are_averages_of_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "epoch,step,train/loss,val/sick/accuracy,val/skill,val/sick/auroc\n"
        "0,1,4.0,,,\n0,2,2.0,,,\n0,2,,0.5,0.1,0.9\n1,3,1.0,,,\n1,3,,nan,,\n2,4,,0.7,0.3,\n"
    )
    loss, skill, task = curves(path, [line("sick"), line("never")])
    assert (loss.series[0].x, loss.series[0].y) == ([0, 1], [3.0, 1.0])
    assert skill.series[0].y == [0.1, 0.3]
    assert (task.series[0].x, task.series[0].y) == ([0, 2], [0.5, 0.7])
    assert task.references == {"chance": 0.5, "constant baseline": 0.75}
    assert {f.group for f in (loss, skill, task)} == {"curves"}
    assert task.panel == "sick"
    result = fit_result([line("sick")], {}, {}, {}, tmp_path)
    assert len(result.figures) == 4
    path.write_text("epoch,train/loss\n0,much\n")
    with pytest.raises(DataError, match=r"line 2: train/loss.*metrics.csv"):
        curves(path, [])
