"""Does better generation help more: gain by alignment score, and how far two judges agree.

The form of Yoo's appendices K and L (Cross-Modal Generative Augmentation for Multimodal Biological Classification).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from zoo.analysis.pooled import WithInterval, with_interval
from zoo.errors import SpecError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
LOWEST, HIGHEST = 1.0, 5.0
"""Range of an alignment score."""


@dataclass(frozen=True)
class GainBin:
    """Rows of similar alignment score.

    Attributes:
        name: of the bin, such as "<4".
        n: rows.
        score: their mean alignment score.
        before, after: share of rows that the model without and with the generated modality gets right.
        gain: after - before, with its 95 % interval.
    """

    name: str
    n: int
    score: float
    before: float
    after: float
    gain: WithInterval


@dataclass(frozen=True)
class ScoreGap:
    """Mean alignment score of two sets of rows.

    Attributes:
        inside, outside: means; NaN for no rows.
        n_inside, n_outside: rows.
        gap: inside - outside, with its 95 % interval.
    """

    inside: float
    outside: float
    n_inside: int
    n_outside: int
    gap: WithInterval


@dataclass(frozen=True)
class AlignmentGain:
    """Gain by alignment score.

    Attributes:
        bins: below 4, from 4 to below 5, and 5 (appendix K).
        terciles: lowest, middle and highest third of the scores; equal scores stay together, so that thirds differ
            in size and one may be empty.
        right_before, right_after: score of rows that a model gets right against those that it gets wrong.
        helped: score of rows that only the second model gets right against all others.
        unscored: rows without a score (rejected values), which enter nothing.
    """

    bins: tuple[GainBin, ...]
    terciles: tuple[GainBin, ...]
    right_before: ScoreGap
    right_after: ScoreGap
    helped: ScoreGap
    unscored: int


@dataclass(frozen=True)
class Agreement:
    """How far two judges agree, each figure with its 95 % interval.

    Attributes:
        pearson, spearman: correlations; NaN where a judge gives one score only.
        exact: share of rows with equal scores.
        within_one: share of rows whose scores differ by at most 1.
        n: rows that both scored.
        unscored: rows that one of them did not.
    """

    pearson: WithInterval
    spearman: WithInterval
    exact: WithInterval
    within_one: WithInterval
    n: int
    unscored: int


def alignment_gain(
    scores: npt.ArrayLike,
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    *,
    ids: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> AlignmentGain:
    """Split the gain of one model over another by alignment score.

    Args:
        scores: (N,) from 1 to 5; NaN for a row without a score.
        before: (N,) whether the first model gets a row right.
        after: (N,) whether the second does.
        ids: of the N rows; rows of one id (of several seeds, or of one lesion) are drawn together. None: each alone.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        SpecError: lengths differ, a score is outside 1 to 5, or no row has a score.
    """
    values = _scores(scores, "scores")
    first, second = (np.asarray(x).astype(bool) for x in (before, after))
    names = np.asarray(range(len(values)) if ids is None else ids)
    if not len(values) == len(first) == len(second) == len(names):
        raise SpecError(
            f"alignment_gain: {len(values)} scores, {len(first)} and {len(second)} outcomes and {len(names)} ids"
        )
    known = np.isfinite(values)
    if not known.any():
        raise SpecError(f"alignment_gain: none of the {len(values)} rows has a score")
    values, first, second = values[known], first[known], second[known]
    weights = _weights(names[known], resamples, seed)
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    fixed = {"<4": values < 4, "4 to <5": (values >= 4) & (values < 5), "5": values >= 5}
    thirds = {"lowest": values <= low, "middle": (values > low) & (values <= high), "highest": values > high}
    bins, terciles = (
        tuple(_bin(name, rows, values, first, second, weights) for name, rows in part.items())
        for part in (fixed, thirds)
    )
    gaps = [_gap(values, rows, weights) for rows in (first, second, second & ~first)]
    return AlignmentGain(bins, terciles, gaps[0], gaps[1], gaps[2], int((~known).sum()))


def agreement(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    ids: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> Agreement:
    """Compare the scores (N,) of two judges of the same rows; NaN for a row without a score.

    Args:
        first: (N,) from 1 to 5.
        second: (N,) from 1 to 5.
        ids: of the N rows; rows of one id are drawn together.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        SpecError: lengths differ, a score is outside 1 to 5, or no row was scored by both.
    """
    a, b = _scores(first, "first"), _scores(second, "second")
    names = np.asarray(range(len(a)) if ids is None else ids)
    if not len(a) == len(b) == len(names):
        raise SpecError(f"agreement: {len(a)} and {len(b)} scores, and {len(names)} ids")
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        raise SpecError(f"agreement: none of the {len(a)} rows was scored by both judges")
    a, b = a[known], b[known]
    weights = _weights(names[known], resamples, seed)
    near = np.abs(a - b)

    def over(function: Callable[[Floats, Floats], float]) -> WithInterval:
        picks = [np.repeat(np.arange(len(a)), row.astype(np.int64)) for row in weights]
        return with_interval([function(a[p], b[p]) for p in picks])

    return Agreement(
        over(_pearson),
        over(lambda x, y: _pearson(rankdata(x), rankdata(y))),
        with_interval(_weighted_mean((near == 0).astype(np.float64), weights)),
        with_interval(_weighted_mean((near <= 1).astype(np.float64), weights)),
        len(a),
        int((~known).sum()),
    )


def _scores(scores: npt.ArrayLike, what: str) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    known = values[~np.isnan(values)]
    if values.ndim != 1 or not ((known >= LOWEST) & (known <= HIGHEST)).all():
        raise SpecError(
            f"{what} must be one number a row from {LOWEST:g} to {HIGHEST:g}, or NaN; got shape {values.shape} and "
            f"values from {known.min() if len(known) else '-'} to {known.max() if len(known) else '-'}"
        )
    return values


def _weights(names: npt.NDArray[np.generic], resamples: int, seed: int) -> Floats:
    """(1 + R, N) how often each row counts: once, then as often as its id is drawn."""
    unique, place = np.unique(names, return_inverse=True)
    counts = np.ones((1 + resamples, len(unique)))
    generator = np.random.default_rng(seed)
    counts[1:] = generator.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=resamples)
    drawn: Floats = counts[:, place]
    return drawn


def _weighted_mean(values: Floats, weights: Floats) -> Floats:
    """(1 + R,) means of values (N,) under weights (1 + R, N); NaN where nothing is drawn."""
    n = weights.sum(1)
    means: Floats = np.divide(weights @ values, n, out=np.full(len(n), math.nan), where=n > 0)
    return means


def _bin(name: str, rows: Bools, scores: Floats, before: Bools, after: Bools, weights: Floats) -> GainBin:
    if not rows.any():
        return GainBin(name, 0, math.nan, math.nan, math.nan, WithInterval(math.nan, math.nan, math.nan))
    first, second = before[rows].astype(np.float64), after[rows].astype(np.float64)
    gain = with_interval(_weighted_mean(second - first, weights[:, rows]))
    return GainBin(name, int(rows.sum()), float(scores[rows].mean()), float(first.mean()), float(second.mean()), gain)


def _gap(scores: Floats, rows: Bools, weights: Floats) -> ScoreGap:
    inside, outside = (_weighted_mean(scores[part], weights[:, part]) for part in (rows, ~rows))
    gap = with_interval(inside - outside)
    return ScoreGap(float(inside[0]), float(outside[0]), int(rows.sum()), int((~rows).sum()), gap)


def _pearson(a: Floats, b: Floats) -> float:
    """Pearson's correlation; NaN where one is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
