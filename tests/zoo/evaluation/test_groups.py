"""Scores of groups: against hand-computed numbers and scikit-learn, with absent classes, ties and empty groups."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import multilabel_confusion_matrix, recall_score
from torch import Tensor
from torch.nn import functional as F

from tests.zoo.intervals import ends
from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.groups import (
    by_group,
    class_rates,
    compare,
    metric_intervals,
    metric_names,
    pooled,
    scores,
    unseen,
    within,
)
from zoo.evaluation.resampling import mean_interval
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

KIND = task_kind(TaskSpec("organ_state", "classification", 4, ("a", "b", "c", "d")))
PEARSON = task_kind(TaskSpec("level", "regression", 1, ("y",)))


def part(choice: list[int], target: list[int], ids: list[str] | None = None) -> Evaluated:
    prediction = F.one_hot(torch.tensor(choice, dtype=torch.long), 4).float()
    names = ids if ids is not None else [f"r{i:03d}" for i in range(len(target))]
    source = torch.zeros(len(target), dtype=torch.long)
    return Evaluated(prediction, torch.tensor(target, dtype=torch.long), source, names)


def levels(guess: Tensor, truth: Tensor) -> Evaluated:
    target = torch.stack([truth, torch.ones_like(truth)], 1).unsqueeze(-1)
    return Evaluated(
        guess.unsqueeze(-1), target, torch.zeros(len(guess)).long(), [f"r{i}" for i in range(len(guess))]
    )


def test_rates_by_hand() -> None:
    seen, free = class_rates(torch.tensor([0, 0, 1, 1, 0]), torch.tensor([0, 0, 1, 0, 1]), 3)
    np.testing.assert_allclose(seen, [2 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(free, [1 / 2, 2 / 3, 1.0])


pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@settings(max_examples=30)
@given(pairs)
def test_rates_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    choice, target = (list(x) for x in zip(*rows, strict=True))
    found = scores(KIND, part(choice, target))
    present = sorted(set(target))
    recall = recall_score(target, choice, labels=present, average="macro", zero_division=0)
    tables = multilabel_confusion_matrix(target, choice, labels=present)
    specific = [t[0, 0] / t[0].sum() for t in tables if t[0].sum()]
    assert found["sensitivity"] == pytest.approx(recall)
    assert found["accuracy"] == pytest.approx(np.mean(np.array(choice) == np.array(target)))
    if specific:
        assert found["specificity"] == pytest.approx(np.mean(specific))
    else:  # one class only: there are no negatives
        assert math.isnan(found["specificity"])


def test_rows_outside_the_vocabulary_count_as_wrong_and_belong_to_no_class() -> None:
    found = scores(KIND, part([0, 1, 2], [0, 1, -1]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["sensitivity"] == 1.0
    assert unseen(KIND, part([0, 1, 2], [0, 1, -1]), [1]).tolist() == [True, False, True]


def test_no_rows_give_nan() -> None:
    empty = part([], [])
    assert all(math.isnan(v) for v in scores(KIND, empty).values())
    found = compare(KIND, empty, part([0, 1], [0, 1]), resamples=10)
    assert math.isnan(found["accuracy"].inside.value)
    assert math.isnan(found["accuracy"].gap.low)
    assert found["accuracy"].outside.value == 1.0


def test_regression_has_its_correlation_only() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(60, generator=generator)
    inside = levels(truth + 0.1 * torch.randn(60, generator=generator), truth)
    outside = levels(torch.randn(60, generator=generator), truth)
    found = compare(PEARSON, inside, outside, resamples=50)
    assert list(found) == list(metric_names(PEARSON)) == ["pearson"]
    expected = np.corrcoef(inside.prediction[:, 0], truth)[0, 1]
    assert found["pearson"].inside.value == pytest.approx(expected, abs=1e-6)
    assert found["pearson"].gap.low > 0.3
    assert not unseen(PEARSON, inside, []).any()


def test_gap_is_the_difference_with_an_interval_around_it() -> None:
    inside, outside = part([0, 1, 2, 3] * 10, [0, 1, 2, 3] * 10), part([0, 1, 2, 3] * 10, [0, 1, 3, 2] * 10)
    found = compare(KIND, inside, outside, resamples=200)["accuracy"]
    assert (found.inside.value, found.outside.value, found.gap.value) == (1.0, 0.5, 0.5)
    assert found.inside.low == pytest.approx(0.025 ** (1 / 40)), "no row of 40 is wrong"
    assert (found.inside.high, found.inside.method) == (1.0, "exact")
    assert found.gap.low < 0.5 < found.gap.high


def test_interval_of_single_rows_is_the_reports() -> None:
    rows = part([0, 1, 2, 3, 0, 0, 1, 1] * 12, [0, 1, 2, 0, 0, 1, 1, 2] * 12)
    found = metric_intervals(KIND, rows, resamples=800)
    expected = ends(KIND, rows.prediction, rows.target, resamples=800)
    assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx(expected, abs=0.03)
    assert found["sensitivity"].low < found["sensitivity"].value < found["sensitivity"].high


def test_a_perfect_sensitivity_is_as_sure_as_its_rarest_class() -> None:
    found = metric_intervals(KIND, part([0] * 50 + [1] * 4, [0] * 50 + [1] * 4), resamples=50)["sensitivity"]
    assert (found.low, found.method) == (pytest.approx(0.025 ** (1 / 4)), "adjusted")


def test_copies_of_rows_by_several_seeds_do_not_narrow_the_interval() -> None:
    one = part([0, 1, 2, 3, 0, 0] * 5, [0, 1, 2, 0, 1, 1] * 5)
    both = metric_intervals(KIND, pooled([one, one]), resamples=400)["accuracy"]
    alone = metric_intervals(KIND, one, resamples=400)["accuracy"]
    assert (both.low, both.high) == pytest.approx((alone.low, alone.high))


def test_rows_are_drawn_within_a_single_unit() -> None:
    one = replace(part([0, 1, 2, 3] * 5, [0, 1, 3, 2] * 5), units=["subject:1"] * 20)
    assert len(set(within(one).drawn)) == 20
    two = replace(one, units=["subject:1"] * 10 + ["subject:2"] * 10)
    assert within(two) is two
    found = compare(KIND, two, one, resamples=100)["accuracy"]
    assert found.outside.low < 0.5 < found.outside.high, "of this subject alone"


def test_pooling_of_different_widths_is_refused() -> None:
    other = Evaluated(torch.zeros(1, 3), torch.zeros(1).long(), torch.zeros(1).long(), ["x"])
    with pytest.raises(SpecError, match="cannot be pooled"):
        pooled([part([0], [0]), other])


def test_mean_over_groups() -> None:
    assert mean_interval([0.5, float("nan"), 0.7]).value == pytest.approx(0.6)
    assert 0.5 <= mean_interval([0.5, 0.7, 0.6]).low <= 0.6 <= mean_interval([0.5, 0.7, 0.6]).high <= 0.7
    assert math.isnan(mean_interval([0.5]).low)
    assert math.isnan(mean_interval([]).value)


def test_groups_leave_out_what_is_unknown() -> None:
    rows = part([0, 1, 1, 2], [0, 1, 2, 2], ["p", "q", "r", "s"])
    found = by_group(KIND, rows, {"p": "kidney", "q": "kidney", "r": "", "s": "lung"})
    assert {g: (s["accuracy"], s["n"]) for g, s in found.items()} == {"kidney": (1.0, 2.0), "lung": (1.0, 1.0)}


def test_take_by_mask_and_by_number() -> None:
    rows = part([0, 1, 1], [0, 1, 2], ["p", "q", "r"])
    assert rows.take(np.array([True, False, True])).ids == ["p", "r"]
    assert rows.take(np.array([2, 0])).target.tolist() == [2, 0]
