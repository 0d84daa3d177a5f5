"""The collector gathers labelled predictions by id, whatever the batches were."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import accuracy_score

from zoo.contract import Batch, Output, TaskSpec
from zoo.tasks.base import task_kind
from zoo.tasks.classification import Classification
from zoo.training.collector import Collector, Evaluated, joined, score, skill

SICK = TaskSpec("sick", "classification", 3)
SIGNS = TaskSpec("signs", "multilabel", 2)
N = 11


def part(rows: list[int], *, predicted: list[int], labelled: list[int], source: bool = True) -> tuple[Output, Batch]:
    """Rows of an imaginary split; row i predicts and is labelled i % 3, and comes from source i % 2."""
    observed = torch.tensor([r in labelled for r in rows])
    target = torch.tensor([r % 3 for r in rows if r in labelled], dtype=torch.long)
    groups = {"source": torch.tensor([r % 2 for r in rows])} if source else {}
    batch = Batch({}, {}, {"sick": target}, {"sick": observed}, groups, tuple(f"id{r:02d}" for r in rows))
    where = torch.tensor([k for k, r in enumerate(rows) if r in predicted], dtype=torch.long)
    prediction = torch.stack([torch.full((3,), float(r)) for r in rows if r in predicted])
    return Output({}, {}, {}, {}, {"sick": prediction}, {"sick": where}), batch


def test_ids_predictions_targets_and_sources_stay_together_and_sorted() -> None:
    collector = Collector()
    predicted = [0, 1, 2, 4, 5, 7, 8, 9, 10]
    labelled = [0, 2, 3, 4, 5, 6, 8, 10]
    for rows in ([7, 3, 10], [0, 5], [9], [8, 6, 4, 2, 1]):
        collector.add(*part(rows, predicted=[r for r in rows if r in predicted] or rows, labelled=labelled))
    result = collector.gather()["sick"]
    both = [0, 2, 4, 5, 8, 10]
    assert result.ids == [f"id{r:02d}" for r in both]
    assert result.prediction[:, 0].tolist() == [float(r) for r in both]
    assert result.target.tolist() == [r % 3 for r in both]
    assert result.source.tolist() == [r % 2 for r in both]


def test_batches_of_any_size_give_the_same() -> None:
    rows = list(range(N))
    whole, pieces = Collector(), Collector()
    whole.add(*part(rows, predicted=rows, labelled=rows))
    for k in range(0, N, 4):
        some = rows[k : k + 4]
        pieces.add(*part(some, predicted=some, labelled=some))
    a, b = whole.gather()["sick"], pieces.gather()["sick"]
    assert a.ids == b.ids
    assert torch.equal(a.prediction, b.prediction)
    assert torch.equal(a.target, b.target)


def test_units_stay_with_their_rows_and_a_row_without_is_its_own() -> None:
    collector = Collector()
    for rows in ([7, 3], [5, 1]):
        output, batch = part(rows, predicted=rows, labelled=rows)
        batch.units = tuple(f"patient:{r % 2 + r // 4}" for r in rows)
        collector.add(output, batch)
    result = collector.gather()["sick"]
    assert result.ids == ["id01", "id03", "id05", "id07"]
    assert result.units == ["patient:1", "patient:1", "patient:2", "patient:2"]
    assert result.take([3, 0]).units == ["patient:2", "patient:1"]
    collector.add(*part([2, 4], predicted=[2, 4], labelled=[2, 4]))
    alone = collector.gather()["sick"]
    assert alone.units == []
    assert alone.drawn == ["row:id02", "row:id04"]
    assert joined([result, alone]).drawn == [*result.units, *alone.drawn]


def test_gather_forgets_and_no_labels_give_nothing() -> None:
    collector = Collector()
    collector.add(*part([0, 1], predicted=[0, 1], labelled=[]))
    assert collector.gather() == {}
    collector.add(*part([0, 1], predicted=[1], labelled=[1], source=False))
    first = collector.gather()["sick"]
    assert first.source.tolist() == [-1]
    assert collector.gather() == {}


def test_score_agrees_with_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction = torch.rand(40, 3, generator=generator)
    target = torch.randint(0, 3, (40,), generator=generator)
    metrics = score({"sick": task_kind(SICK)}, {"sick": Evaluated(prediction, target, torch.zeros(40))})
    assert metrics["sick"]["accuracy"] == pytest.approx(accuracy_score(target, prediction.argmax(-1)))


class Half(Classification):
    floor = 0.5


def test_skill_is_zero_at_the_floor_and_one_when_perfect() -> None:
    kind = Half(SICK)
    assert skill(kind, 0.5) == 0.0
    assert skill(kind, 1.0) == 1.0
    assert skill(kind, 0.25) == -0.5
    assert math.isnan(skill(kind, float("nan")))


def test_floors_are_those_of_a_guesser() -> None:
    assert task_kind(SICK).floor == pytest.approx(1 / 3)
    assert task_kind(SIGNS).floor == 0.5
