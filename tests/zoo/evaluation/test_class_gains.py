"""Gains by class against scikit-learn's F1 and SciPy's rank correlation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from zoo.errors import SpecError
from zoo.evaluation.class_gains import class_gains, frequency_groups
from zoo.training.collector import Evaluated

NAMES, COUNTS = ("a", "b", "c", "d", "e"), (500, 200, 60, 20, 5)


def run(hit: tuple[float, ...], seed: int, n: int = 300) -> Evaluated:
    """Rows of four of five classes, right with a chance by class."""
    target = np.random.default_rng(seed).choice(4, n, p=[0.5, 0.25, 0.15, 0.1])
    right = np.random.default_rng(seed + 100).random(n) < np.array(hit)[target]
    choice = np.where(right, target, (target + 1) % 4)
    ids = [f"{seed}-{i:03d}" for i in range(n)]
    return Evaluated(torch.eye(5)[torch.from_numpy(choice)], torch.from_numpy(target), torch.zeros(n), ids)


def test_values_are_those_of_scikit_learn() -> None:
    before = {s: run((0.9, 0.7, 0.4, 0.2), s) for s in range(2)}
    after = {s: run((0.9, 0.8, 0.7, 0.8), s) for s in range(2)}
    found = class_gains(before, after, NAMES, COUNTS, resamples=60)

    def f1(runs: dict[int, Evaluated]) -> np.ndarray:
        each = [
            f1_score(r.target, r.prediction.argmax(1), labels=range(4), average=None, zero_division=0)
            for r in runs.values()
        ]
        return np.mean(each, 0)

    gain = f1(after) - f1(before)
    for k, one in enumerate(found.classes[:4]):
        assert (one.before, one.after) == pytest.approx((f1(before)[k], f1(after)[k]))
        assert one.gain.value == pytest.approx(gain[k])
        assert one.gain.low <= one.gain.value <= one.gain.high
        assert one.test_rows == sum(int((r.target == k).sum()) for r in before.values())
    last = found.classes[4]
    assert last.test_rows == 0
    assert math.isnan(last.gain.value)
    expected = spearmanr(gain, np.log(COUNTS[:4]))
    assert found.rank_correlation.value == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.left_out == 1
    assert found.classes[3].gain.low > 0
    assert [c.group for c in found.classes] == list(frequency_groups(COUNTS))
    assert found.groups["frequent"].value == pytest.approx(
        np.mean([c.gain.value for c in found.classes if c.group == "frequent"])
    )


def test_groups() -> None:
    assert frequency_groups([10, 20, 30, 40, 50, 60]) == ("rare", "rare", "medium", "medium", "frequent", "frequent")
    assert frequency_groups([7, 7, 7]) == ("medium",) * 3
    assert len(set(frequency_groups([5, 5, 5, 5, 90])[:4])) == 1
    assert frequency_groups([]) == ()


def test_the_same_twice_gains_nothing() -> None:
    one = {0: run((0.9, 0.7, 0.4, 0.2), 0)}
    found = class_gains(one, one, NAMES, COUNTS, resamples=20)
    assert all(c.gain.value == 0 and c.gain.low < 0 < c.gain.high for c in found.classes[:4])
    assert {c.gain.method for c in found.classes[:4]} == {"adjusted"}, "no resample differs"
    assert math.isnan(found.rank_correlation.value)


def test_what_cannot_be_compared() -> None:
    one = {0: run((0.9, 0.7, 0.4, 0.2), 0)}
    with pytest.raises(SpecError, match="same seeds"):
        class_gains(one, {1: one[0]}, NAMES, COUNTS)
    with pytest.raises(SpecError, match="different rows or targets"):
        class_gains(one, {0: replace(one[0], ids=[f"x{i}" for i in one[0].ids])}, NAMES, COUNTS)
    with pytest.raises(SpecError, match="5 classes, but 2 numbers"):
        class_gains(one, one, NAMES, (1, 2))
    with pytest.raises(SpecError, match="4 classes"):
        class_gains(one, one, NAMES[:4], COUNTS[:4])
