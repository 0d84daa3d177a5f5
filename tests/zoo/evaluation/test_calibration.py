"""Calibration against torchmetrics, SciPy and numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torchmetrics.functional.classification import multiclass_calibration_error

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation import calibration as cal
from zoo.evaluation.resampling import Resampler
from zoo.tasks.base import task_kind
from zoo.tasks.items import Probabilities
from zoo.training.collector import Evaluated


def made(n: int, k: int = 4, heat: float = 1.0, seed: int = 0) -> tuple[np.ndarray, Probabilities]:
    """Logits and probabilities whose labels follow softmax(logits / heat)."""
    g = np.random.default_rng(seed)
    logits = 2 * g.standard_normal((n, k))
    right = softmax(logits / heat, 1)
    labels = (right.cumsum(1) < g.random((n, 1))).sum(1).clip(0, k - 1)
    return logits, Probabilities(softmax(logits, 1), labels, np.arange(n))


@given(n=st.integers(1, 300), bins=st.integers(1, 20), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_ece_of_equal_width_is_that_of_torchmetrics(n: int, bins: int, seed: int) -> None:
    _, p = made(n, seed=seed)
    expected = multiclass_calibration_error(
        torch.from_numpy(p.values), torch.from_numpy(p.labels), num_classes=4, n_bins=bins, norm="l1"
    )
    assert cal.ece(p, bins) == pytest.approx(float(expected), abs=2e-6)


def test_ece_by_hand() -> None:
    values = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    p = Probabilities(values, np.array([0, 1, 1, 1]), np.arange(4))
    # two bins of equal mass: (.6, .7; both right) and (.8, .9; one right)
    assert cal.ece(p, 2, "mass") == pytest.approx(0.5 * 0.35 + 0.5 * 0.35)
    assert cal.ece(p, 1) == pytest.approx(0.0)
    assert math.isnan(cal.ece(Probabilities(np.zeros((0, 2)), np.zeros(0, int), np.zeros(0, int))))
    with pytest.raises(SpecError, match="scheme"):
        cal.ece(p, 0)


def test_brier_and_nll_by_hand_and_by_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss, log_loss

    _, p = made(200, k=2)
    assert cal.nlls(p).mean() == pytest.approx(log_loss(p.labels, p.values))
    assert cal.brier_scores(p).mean() == pytest.approx(2 * brier_score_loss(p.labels, p.values[:, 1]))
    sure = Probabilities(np.array([[1.0, 0.0]]), np.array([1]), np.array([0]))
    assert np.isfinite(cal.nlls(sure)).all(), "a classical pipeline may give 0"
    assert cal.brier_scores(sure).tolist() == [2.0]


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_temperature_is_the_one_that_scipy_finds_on_logits(heat: float) -> None:
    logits, p = made(4000, heat=heat)

    def loss(x: np.ndarray) -> float:
        return float(-log_softmax(logits * x[0], 1)[np.arange(len(logits)), p.labels].mean())

    expected = 1 / minimize(loss, [1.0], method="BFGS").x[0]
    found = cal.fit_temperature(p)
    assert found == pytest.approx(expected, rel=1e-3)
    assert found == pytest.approx(heat, rel=0.12)
    scaled = cal.at_temperature(p, found)
    np.testing.assert_allclose(scaled.values, softmax(logits / found, 1), atol=1e-6)
    assert (scaled.values.argmax(1) == p.values.argmax(1)).all()
    assert cal.nlls(scaled).mean() <= cal.nlls(p).mean() + 1e-9
    if heat == 3.0:
        assert cal.ece(p) > cal.ece_if_calibrated(p)[1]
        assert cal.ece(scaled) < cal.ece_if_calibrated(scaled)[1]


def test_temperature_at_the_edges() -> None:
    right = Probabilities(np.array([[0.7, 0.3]] * 5), np.zeros(5, int), np.arange(5))
    assert cal.fit_temperature(right) < 2 / cal.HOTTEST
    wrong = Probabilities(np.array([[0.7, 0.3]] * 5), np.ones(5, int), np.arange(5))
    assert cal.fit_temperature(wrong) == pytest.approx(cal.HOTTEST, rel=0.01)
    assert cal.fit_temperature(Probabilities(np.zeros((0, 2)), np.zeros(0, int), np.zeros(0, int))) == 1.0


def test_probabilities_of_every_kind() -> None:
    vqa = task_kind(TaskSpec("v", "vqa", 2, ("yes", "no"), reads="q"))
    rows = Evaluated(torch.tensor([[0.6, 0.4]] * 3), torch.tensor([0, -1, 1]), torch.zeros(3), ["a", "b", "c"])
    p = cal.probabilities(vqa, rows)
    assert (len(p.labels), p.left_out, p.units) == (2, 1, ["row:a", "row:c"])
    multilabel = task_kind(TaskSpec("m", "multilabel", 2, ("x", "y")))
    target = torch.tensor([[[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    p = cal.probabilities(multilabel, Evaluated(torch.tensor([[0.9, 0.2], [0.1, 0.3]]), target, torch.zeros(2)))
    np.testing.assert_allclose(p.values, [[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]], atol=1e-6)
    assert p.labels.tolist() == [1, 0, 0]
    assert p.units == ["row:0", "row:0", "row:1"]
    tokens = task_kind(TaskSpec("s", "token_classification", 2, ("h", "c"), reads="p", length=3))
    p = cal.probabilities(
        tokens, Evaluated(torch.full((2, 3, 2), 0.5), torch.tensor([[0, 1, -1], [1, -1, -1]]), torch.zeros(2))
    )
    assert p.units == ["row:0", "row:0", "row:1"]
    regression = task_kind(TaskSpec("r", "regression", 1))
    with pytest.raises(SpecError, match="predicts no probabilities"):
        cal.probabilities(regression, rows)


def test_reliability_and_the_expected_error() -> None:
    _, p = made(3000)
    found = cal.reliability(p)
    assert sum(found.count) == 3000
    share = sum(a * n for a, n in zip(found.accuracy, found.count, strict=True)) / 3000
    assert share == pytest.approx((p.values.argmax(1) == p.labels).mean())
    inside = [lo <= c <= hi for lo, c, hi in zip(found.low, found.confidence, found.high, strict=True)]
    assert sum(inside) >= len(inside) - 2
    small = Probabilities(p.values[:30], p.labels[:30], np.arange(30))
    assert cal.ece_if_calibrated(small)[0] > 2 * cal.ece_if_calibrated(p)[0], "few items look miscalibrated"


def test_summary_and_prevalence() -> None:
    kind = task_kind(TaskSpec("t", "classification", 3))
    _, p = made(100, k=3)
    whole = Evaluated(torch.from_numpy(p.values), torch.from_numpy(p.labels), torch.zeros(100))
    naive = cal.prevalence(kind, whole, torch.tensor([0, 0, 0, 1]))
    np.testing.assert_allclose(naive.prediction[0], [4 / 7, 2 / 7, 1 / 7], atol=1e-6)
    found = cal.calibration(cal.probabilities(kind, whole), resampler=Resampler(whole.drawn, resamples=50))
    assert found.nll.shape == (51,)
    assert found.nll[0] == pytest.approx(cal.nlls(p).mean())
    assert found.n == 100
    empty = Evaluated(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    nothing = cal.calibration(cal.probabilities(kind, empty), temperature=2.0, resampler=Resampler([], resamples=5))
    assert math.isnan(nothing.ece)
    assert np.isnan(nothing.nll).all()
