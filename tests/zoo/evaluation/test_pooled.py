"""Paired bootstrap over pooled seeds, against numbers worked by hand and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from zoo.contract import TaskSpec
from zoo.errors import SpecError, UnknownNameError
from zoo.evaluation.pooled import Pool
from zoo.evaluation.subsets import Subset
from zoo.tasks.base import task_kind
from zoo.tasks.multilabel import entry_accuracy
from zoo.training.collector import Evaluated

A, B = frozenset("a"), frozenset("b")


def classified(choice: list[int], target: list[int], names: Sequence[str], classes: int = 2) -> Evaluated:
    prediction = torch.eye(classes)[choice] * 0.8 + 0.1
    return Evaluated(prediction, torch.tensor(target), torch.zeros(len(target), dtype=torch.long), list(names))


def kind(name: str = "classification"):  # type: ignore[no-untyped-def]
    return task_kind(TaskSpec("t", name, 2, ("x", "y")))


def test_interval() -> None:
    seeds = [{A: classified([0, 1, 1, 0] * 20, [0, 1, 0, 1] * 20, [f"{k:02d}" for k in range(80)])}]
    pool = Pool(kind(), seeds, resamples=400)
    draws = pool.draws(A)
    found = pool.interval(draws)
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(draws[1:], [2.5, 97.5])), abs=0.013)
    assert pool.unit == "row (80)"
    level = pool.interval(draws - draws, gap=True)
    assert -level.low == level.high == pytest.approx(1 - 0.025 ** (1 / 80))
    assert math.isnan(pool.interval(draws - draws, bounded=False).low)


def test_seeds_count_by_their_rows() -> None:
    """Seed one: 3 of 4 right; seed two: 0 of 1: 3 / 5."""
    seeds = [{A: classified([0, 1, 0, 0], [0, 1, 0, 1], "wxyz")}, {A: classified([1], [0], "v")}]
    pool = Pool(kind(), seeds, resamples=20)
    assert pool.n == 5
    assert pool.draws(A)[0] == pytest.approx(0.6)
    assert pool.draws(A).shape == (21,)
    assert 0.0 <= pool.draws(A)[1:].min() < pool.draws(A)[1:].max() <= 1.0


def test_differences_are_paired() -> None:
    """Two models that agree on every row never differ in any resample."""
    one = classified([0, 1, 1, 0], [0, 1, 0, 1], "wxyz")
    pool = Pool(kind(), [{A: one, B: one}], resamples=30)
    assert (pool.draws(A) == pool.draws(B)).all()


def test_an_id_of_two_seeds_is_drawn_for_both() -> None:
    """The same two rows under two seeds: right in one, wrong in the other, so each resample is one half."""
    right, wrong = classified([0, 0], [0, 0], "uv"), classified([1, 1], [0, 0], "uv")
    pool = Pool(kind(), [{A: right}, {A: wrong}], resamples=50)
    assert pool.draws(A).tolist() == pytest.approx([0.5] * 51)


def test_other_metrics_against_scikit_learn() -> None:
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 60)
    score = np.clip(y * 0.3 + generator.random(60) * 0.7, 0.01, 0.99)
    result = Evaluated(
        torch.tensor(np.stack([1 - score, score], 1)),
        torch.tensor(y),
        torch.zeros(60).long(),
        [f"{k:02}" for k in range(60)],
    )
    auroc = Pool(kind(), [{A: result}], resamples=5, metric="auroc")
    assert auroc.draws(A)[0] == pytest.approx(roc_auc_score(y, score))
    pick = np.repeat(np.arange(60), auroc.weights[0][3].astype(int))
    assert auroc.draws(A)[3] == pytest.approx(roc_auc_score(y[pick], score[pick]))
    balanced = Pool(kind(), [{A: result}], resamples=0, metric="balanced_accuracy")
    assert balanced.draws(A)[0] == pytest.approx(balanced_accuracy_score(y, score > 0.5))


def test_multilabel_accuracy_skips_what_is_unknown() -> None:
    prediction = torch.tensor([[0.9, 0.2], [0.4, 0.7], [0.1, 0.1]])
    target = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert entry_accuracy(prediction, target)[:2].tolist() == [0.5, 0.0]
    assert math.isnan(entry_accuracy(prediction, target)[2])
    result = Evaluated(prediction, target, torch.zeros(3).long(), ["a", "b", "c"])
    pool = Pool(task_kind(TaskSpec("t", "multilabel", 2)), [{A: result}], resamples=10, metric="accuracy")
    assert pool.draws(A)[0] == 0.25


def test_members_are_those_of_every_seed() -> None:
    one = classified([0], [0], "u")
    pool = Pool(kind(), [{A: one, B: one}, {A: one}], resamples=0)
    assert pool.members == [A]


@pytest.mark.parametrize(
    ("seeds", "metric", "error", "match"),
    [
        ([], "", SpecError, "no rows"),
        ([{A: classified([], [], "")}], "", SpecError, "no rows"),
        ([{A: classified([0], [0], "u"), B: classified([0], [0], "v")}], "", SpecError, "different rows"),
        ([{A: classified([0], [0], "u")}], "mae", SpecError, "lower is better"),
        ([{A: classified([0], [0], "u")}], "aurco", UnknownNameError, "did you mean 'auroc'"),
    ],
)
def test_errors(seeds: list[dict[Subset, Evaluated]], metric: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Pool(kind(), seeds, resamples=0, metric=metric).draws(A)
