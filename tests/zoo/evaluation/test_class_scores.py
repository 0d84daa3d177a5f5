"""Class scores against scikit-learn and by hand, and their mean over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from zoo.contract import TaskSpec
from zoo.errors import SpecError, UnknownNameError
from zoo.evaluation.class_scores import SCORES, ByScore, class_scores
from zoo.evaluation.paired import compare, estimate
from zoo.training.collector import Evaluated


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 6))
def test_against_scikit_learn(seed: int, n: int, classes: int) -> None:
    g = np.random.default_rng(seed)
    prediction, target = g.random((n, classes)).round(1), g.integers(0, max(1, classes - 1), n)
    found = class_scores(torch.from_numpy(prediction), torch.from_numpy(target))
    choice, present = prediction.argmax(1), np.unique(target)
    each = {"labels": present, "zero_division": 0}
    expected = {
        "accuracy": metrics.accuracy_score(target, choice),
        "balanced_accuracy": metrics.recall_score(target, choice, average="macro", **each),
        "macro_f1": metrics.f1_score(target, choice, average="macro", **each),
        "weighted_f1": metrics.f1_score(target, choice, average="weighted", **each),
        "macro_precision": metrics.precision_score(target, choice, average="macro", **each),
        "macro_recall": metrics.recall_score(target, choice, average="macro", **each),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert tuple(found) == SCORES
    if len(present) > 1:
        areas = [metrics.roc_auc_score(target == k, prediction[:, k]) for k in present]
        assert found["auroc"] == pytest.approx(np.mean(areas))
    else:
        assert math.isnan(found["auroc"])


def test_by_hand() -> None:
    """Classes 0, 0, 1 predicted as 0, 2, 1: class 2 has no row and is not averaged over."""
    found = class_scores(torch.eye(3)[[0, 2, 1]], torch.tensor([0, 0, 1]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["weighted_f1"] == pytest.approx((2 * 2 / 3 + 1) / 3)
    assert found["macro_precision"] == 1.0
    assert found["macro_recall"] == found["balanced_accuracy"] == pytest.approx(0.75)


def test_no_rows_and_bad_rows() -> None:
    assert all(math.isnan(v) for v in class_scores(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).values())
    with pytest.raises(SpecError, match="row 1 is not finite"):
        class_scores(torch.tensor([[1.0, 0.0], [math.nan, 0.0]]), torch.tensor([0, 1]))
    with pytest.raises(SpecError, match="from 0 to 1, got -1 to 0"):
        class_scores(torch.eye(2), torch.tensor([0, -1]))
    with pytest.raises(SpecError, match=r"\(N, K\)"):
        class_scores(torch.eye(2), torch.tensor([0]))


def test_any_score_goes_through_the_paired_bootstrap() -> None:
    g = np.random.default_rng(0)
    target = torch.from_numpy(g.integers(0, 3, 120))
    ids = [f"{i:03d}" for i in range(120)]

    def runs(hit: float, name: str) -> dict[int, tuple[ByScore, Evaluated]]:
        found = {}
        for seed in range(2):
            choice = torch.where(torch.from_numpy(np.random.default_rng(seed).random(120)) < hit, target, 0)
            kind = ByScore(TaskSpec("t", "classification", 3), name)
            found[seed] = (kind, Evaluated(torch.eye(3)[choice], target, torch.zeros(120), ids))
        return found

    for name in ("macro_f1", "accuracy", "balanced_accuracy"):
        good, bad = runs(0.9, name), runs(0.3, name)
        value = estimate(good, resamples=50)
        assert value.value == pytest.approx(
            np.mean([class_scores(r.prediction, r.target)[name] for _, r in good.values()])
        )
        found = compare(good, bad, resamples=50)
        assert found is not None
        assert found.verdict == "better"
    with pytest.raises(UnknownNameError, match="did you mean 'macro_f1'"):
        ByScore(TaskSpec("t", "classification", 3), "macro_f")
