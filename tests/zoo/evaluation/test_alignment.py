"""Gain by alignment score by hand, and agreement of judges against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from zoo.errors import SpecError
from zoo.evaluation.alignment import agreement, alignment_gain

SCORES = [2.0, 3.5, 4.0, 4.5, 5.0, 5.0, 5.0, math.nan]
BEFORE = [1, 0, 0, 1, 0, 0, 1, 1]
AFTER = [1, 0, 1, 1, 1, 1, 1, 0]


def test_bins_by_hand() -> None:
    found = alignment_gain(SCORES, BEFORE, AFTER, resamples=50)
    assert [(b.name, b.n) for b in found.bins] == [("<4", 2), ("4 to <5", 2), ("5", 3)]
    assert [b.gain.value for b in found.bins] == pytest.approx([0.0, 0.5, 2 / 3])
    assert [b.before for b in found.bins] == pytest.approx([0.5, 0.5, 1 / 3])
    assert found.bins[1].score == 4.25
    assert found.unscored == 1
    assert sum(b.n for b in found.terciles) == 7
    assert found.terciles[2].n == 0  # the highest score is shared by three rows, which stay together
    assert math.isnan(found.terciles[2].gain.value)
    assert found.right_after.inside == pytest.approx(np.mean([2, 4, 4.5, 5, 5, 5]))
    assert found.right_after.outside == 3.5
    assert found.right_after.gap.value == pytest.approx(found.right_after.inside - 3.5)
    assert found.helped.inside == pytest.approx(14 / 3)
    assert (found.helped.n_inside, found.helped.n_outside) == (3, 4)


def test_intervals_hold_the_value_and_ids_are_drawn_together() -> None:
    g = np.random.default_rng(0)
    scores = g.integers(1, 6, 300).astype(float)
    before = g.random(300) < 0.5
    after = before | (g.random(300) < scores / 8)
    found = alignment_gain(scores, before, after, resamples=200)
    for one in (*found.bins, *found.terciles):
        if one.n:
            assert one.gain.low <= one.gain.value <= one.gain.high
    assert found.helped.gap.low > 0
    names = [f"lesion:{i}" for i in range(300)] * 2
    twice = alignment_gain(
        np.tile(scores, 2),
        np.tile(before, 2),
        np.tile(after, 2),
        units=names,
        resamples=200,
    )
    alone = alignment_gain(np.tile(scores, 2), np.tile(before, 2), np.tile(after, 2), resamples=200)
    width = [x.bins[0].gain.high - x.bins[0].gain.low for x in (found, twice, alone)]
    assert width[2] < 0.85 * width[1]
    assert width[0] == pytest.approx(width[1], rel=0.3)


def test_agreement_is_that_of_scipy() -> None:
    g = np.random.default_rng(1)
    first = g.integers(1, 6, 120).astype(float)
    second = np.clip(first + g.integers(-1, 3, 120), 1, 5)
    first[0] = math.nan
    found = agreement(first, second, resamples=100)
    a, b = first[1:], second[1:]
    assert found.pearson.value == pytest.approx(pearsonr(a, b).statistic)
    assert found.spearman.value == pytest.approx(spearmanr(a, b).statistic)
    assert found.exact.value == pytest.approx(np.mean(a == b))
    assert found.within_one.value == pytest.approx(np.mean(np.abs(a - b) <= 1))
    assert (found.n, found.unscored) == (119, 1)
    for one in (found.pearson, found.spearman, found.exact, found.within_one):
        assert one.low < one.value < one.high


def test_edges() -> None:
    same = agreement([3, 3, 3], [3, 3, 4], resamples=10)
    assert math.isnan(same.pearson.value)
    assert same.exact.value == pytest.approx(2 / 3)
    with pytest.raises(SpecError, match="from 1 to 5"):
        agreement([0, 1], [1, 2])
    with pytest.raises(SpecError, match="none of the 2 rows"):
        agreement([math.nan, 1], [1, math.nan])
    with pytest.raises(SpecError, match="none of the 1 rows has a score"):
        alignment_gain([math.nan], [1], [1])
    with pytest.raises(SpecError, match="2 scores, 1 and 2 outcomes"):
        alignment_gain([1, 2], [1], [1, 0])
