"""Conformal sets: thresholds by hand, and coverage on exchangeable made-up rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.conformal import aps_scores, conformal, conformal_quantile, expected_coverage, too_few
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

CLASSES = task_kind(TaskSpec("t", "classification", 5))


def rows_of(n: int, seed: int) -> Evaluated:
    """Probabilities that are wrong, and labels that follow others: coverage must hold all the same."""
    g = np.random.default_rng(seed)
    logits = 2 * g.standard_normal((n, 5))
    truth = np.exp(logits / 3)
    truth /= truth.sum(1, keepdims=True)
    labels = (truth.cumsum(1) < g.random((n, 1))).sum(1).clip(0, 4)
    return Evaluated(torch.softmax(torch.from_numpy(logits), 1), torch.from_numpy(labels), torch.zeros(n))


@pytest.mark.parametrize("method", ["LAC", "APS"])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_coverage_is_what_was_asked_for(method: str, alpha: float) -> None:
    covered = total = 0
    for seed in range(10):
        found = conformal(
            CLASSES, rows_of(500, seed), rows_of(1000, 1000 + seed), method=method, alpha=alpha, seed=seed
        )
        covered, total = covered + int(found.covered.sum()), total + len(found.covered)
    # the thresholds vary too: each adds a beta spread of sd sqrt(alpha (1 - alpha) / 502)
    spread = math.sqrt(alpha * (1 - alpha) * (1 / total + 1 / (10 * 502)))
    assert abs(covered / total - (1 - alpha)) < 3.5 * spread + 1 / 502


def test_with_a_long_calibration_coverage_is_binomial() -> None:
    found = conformal(CLASSES, rows_of(40000, 1), rows_of(2000, 2), method="APS", alpha=0.2, seed=3)
    low, high = binom.interval(0.9999, 2000, 0.8)
    assert low <= found.covered.sum() <= high


def test_thresholds_by_hand() -> None:
    assert conformal_quantile(np.array([0.3, 0.1, 0.2]), 0.5) == 0.2  # ceil(4 * .5) = 2nd smallest
    assert conformal_quantile(np.array([0.3, 0.1, 0.2]), 0.25) == 0.3
    assert conformal_quantile(np.array([0.3, 0.1, 0.2]), 0.2) == math.inf
    assert conformal_quantile(np.arange(9.0), 0.1) == 8.0, "ceil(10 * 0.9) is 9, not 10 by rounding"
    assert too_few(8, 0.1)
    assert not too_few(9, 0.1)
    assert conformal_quantile(np.zeros(0), 0.5) == math.inf
    with pytest.raises(SpecError, match="between 0 and 1, got 1"):
        conformal_quantile(np.zeros(3), 1.0)


def test_the_expected_range_is_that_of_simulated_coverage() -> None:
    g = np.random.default_rng(0)
    drawn = [(g.random(200) <= conformal_quantile(g.random(40), 0.1)).mean() for _ in range(3000)]
    np.testing.assert_allclose(expected_coverage(40, 200, 0.1), np.percentile(drawn, [2.5, 97.5]), atol=0.012)


def test_aps_scores_by_hand() -> None:
    scores = aps_scores(np.array([[0.2, 0.5, 0.3]]), np.array([0.5]))
    np.testing.assert_allclose(scores, [[0.9, 0.25, 0.65]])


def test_too_few_calibration_rows_give_the_full_set() -> None:
    found = conformal(CLASSES, rows_of(5, 0), rows_of(20, 1), method="LAC", alpha=0.1)
    assert found.full
    assert (found.size == 5).all()
    assert found.coverage().value == 1.0
    nothing = conformal(CLASSES, rows_of(5, 0), rows_of(0, 1), method="APS", alpha=0.1)
    assert math.isnan(nothing.coverage().value)
    assert math.isnan(nothing.mean_size().value)


def test_answers_outside_the_vocabulary_are_never_covered() -> None:
    vqa = task_kind(TaskSpec("v", "vqa", 5, reads="q"))
    calibration, test = rows_of(100, 0), rows_of(50, 1)
    test.target[:10] = -1
    found = conformal(vqa, calibration, test, method="LAC", alpha=0.1)
    assert not found.covered[:10].any()
    assert found.by_class()[-1].value == 0.0
    calibration.target[:30] = -1  # 30 % cannot be covered at all, so no threshold covers 90 %
    full = conformal(vqa, calibration, test, method="LAC", alpha=0.1)
    assert (full.size == 5).all()
    assert not full.full, "not for want of rows"


def test_coverage_by_class_and_sizes() -> None:
    test = rows_of(800, 2)
    found = conformal(CLASSES, rows_of(300, 1), test, method="LAC", alpha=0.1)
    by_class = found.by_class()
    count = {k: int((test.target == k).sum()) for k in by_class}
    mean = sum(c.value * count[k] for k, c in by_class.items()) / 800
    assert mean == pytest.approx(found.coverage().value)
    assert all(c.low <= c.value <= c.high for c in by_class.values())
    ends = binomtest(int(found.covered.sum()), 800).proportion_ci(method="exact")
    assert (found.coverage().low, found.coverage().high) == pytest.approx((ends.low, ends.high))
    inside = (1 - test.prediction.double().numpy()) <= found.threshold[0]
    np.testing.assert_array_equal(found.size, inside.sum(1))
    size = found.mean_size()
    assert size.value == pytest.approx(found.size.mean())
    assert size.low < size.value < size.high


def test_regression_intervals() -> None:
    kind = task_kind(TaskSpec("r", "regression", 2, mean=(0.0, 0.0), scale=(10.0, 1.0)))
    g = torch.Generator().manual_seed(0)

    def rows(n: int) -> Evaluated:
        noise = torch.randn(n, 2, generator=g) * torch.tensor([1.0, 3.0])
        seen = torch.ones(n, 2)
        seen[: n // 2, 1] = 0
        return Evaluated(torch.zeros(n, 2), torch.stack([noise, seen], 1), torch.zeros(n))

    found = conformal(kind, rows(20000), rows(20000), method="residual", alpha=0.1)
    assert found.threshold == pytest.approx([16.45, 3 * 1.645], rel=0.04)
    assert len(found.covered) == 30000
    assert found.coverage().value == pytest.approx(0.9, abs=0.01)
    assert found.size[0] == pytest.approx(2 * found.threshold[0])
    few = conformal(kind, rows(4), rows(10), method="residual", alpha=0.1)
    assert few.full
    assert math.isinf(few.mean_size().value)


def test_labels_have_thresholds_of_their_own() -> None:
    kind = task_kind(TaskSpec("m", "multilabel", 2))
    g = np.random.default_rng(0)

    def rows(n: int) -> Evaluated:
        p = g.random((n, 2))
        y = (g.random((n, 2)) < p).astype(float)
        seen = np.ones((n, 2))
        seen[: n // 4, 0] = 0
        return Evaluated(torch.from_numpy(p), torch.from_numpy(np.stack([y, seen], 1)), torch.zeros(n))

    found = conformal(kind, rows(8000), rows(8000), method="LAC", alpha=0.1)
    assert len(found.threshold) == 2
    assert len(found.covered) == 14000
    assert found.n_calibration == 6000
    assert found.coverage().value == pytest.approx(0.9, abs=0.015)


def test_methods_must_fit() -> None:
    with pytest.raises(SpecError, match=r"'residual' does not fit kind 'classification'; methods: \('LAC', 'APS'\)"):
        conformal(CLASSES, rows_of(5, 0), rows_of(5, 0), method="residual")
    structure = task_kind(TaskSpec("s", "structure", 3, reads="p"))
    with pytest.raises(SpecError, match="methods: none"):
        conformal(structure, rows_of(5, 0), rows_of(5, 0), method="LAC")
