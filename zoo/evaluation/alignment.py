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

from zoo.errors import SpecError
from zoo.evaluation.resampling import Floats, Interval, Resampler, describe_units

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
    gain: Interval


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
    gap: Interval


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
        unit: what intervals draw, and how many.
    """

    bins: tuple[GainBin, ...]
    terciles: tuple[GainBin, ...]
    right_before: ScoreGap
    right_after: ScoreGap
    helped: ScoreGap
    unscored: int
    unit: str


@dataclass(frozen=True)
class Agreement:
    """How far two judges agree, each figure with its 95 % interval.

    Attributes:
        pearson, spearman: correlations; NaN where a judge gives one score only.
        exact: share of rows with equal scores.
        within_one: share of rows whose scores differ by at most 1.
        n: rows that both scored.
        unscored: rows that one of them did not.
        unit: what intervals draw, and how many.
    """

    pearson: Interval
    spearman: Interval
    exact: Interval
    within_one: Interval
    n: int
    unscored: int
    unit: str


def alignment_gain(
    scores: npt.ArrayLike,
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    *,
    units: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> AlignmentGain:
    """Split the gain of one model over another by alignment score.

    Args:
        scores: (N,) from 1 to 5; NaN for a row without a score.
        before: (N,) whether the first model gets a row right.
        after: (N,) whether the second does.
        units: unit of independence of each row, which the bootstrap draws: a row of several seeds is one. None: each
            row is its own.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        SpecError: lengths differ, a score is outside 1 to 5, or no row has a score.
    """
    values = _scores(scores, "scores")
    first, second = (np.asarray(x).astype(bool) for x in (before, after))
    names = [f"row:{k}" for k in range(len(values))] if units is None else list(units)
    if not len(values) == len(first) == len(second) == len(names):
        raise SpecError(
            f"alignment_gain: {len(values)} scores, {len(first)} and {len(second)} outcomes and {len(names)} units"
        )
    known = np.isfinite(values)
    if not known.any():
        raise SpecError(f"alignment_gain: none of the {len(values)} rows has a score")
    values, first, second = values[known], first[known], second[known]
    names = [names[k] for k in np.flatnonzero(known)]
    draws = _Draws(names, Resampler(names, resamples=resamples, seed=seed))
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    fixed = {"<4": values < 4, "4 to <5": (values >= 4) & (values < 5), "5": values >= 5}
    thirds = {"lowest": values <= low, "middle": (values > low) & (values <= high), "highest": values > high}
    bins, terciles = (
        tuple(_bin(name, rows, values, first, second, draws) for name, rows in part.items())
        for part in (fixed, thirds)
    )
    gaps = [_gap(values, rows, draws) for rows in (first, second, second & ~first)]
    return AlignmentGain(bins, terciles, gaps[0], gaps[1], gaps[2], int((~known).sum()), describe_units(names))


def agreement(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    units: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> Agreement:
    """Compare the scores (N,) of two judges of the same rows; NaN for a row without a score.

    Args:
        first: (N,) from 1 to 5.
        second: (N,) from 1 to 5.
        units: unit of independence of each row, which the bootstrap draws; None: each row is its own.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        SpecError: lengths differ, a score is outside 1 to 5, or no row was scored by both.
    """
    a, b = _scores(first, "first"), _scores(second, "second")
    names = [f"row:{k}" for k in range(len(a))] if units is None else list(units)
    if not len(a) == len(b) == len(names):
        raise SpecError(f"agreement: {len(a)} and {len(b)} scores, and {len(names)} units")
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        raise SpecError(f"agreement: none of the {len(a)} rows was scored by both judges")
    a, b = a[known], b[known]
    names = [names[k] for k in np.flatnonzero(known)]
    resampler = Resampler(names, resamples=resamples, seed=seed)
    near = np.abs(a - b)

    def over(function: Callable[[Floats, Floats], float]) -> Interval:
        draws = resampler.apply(lambda rows: function(a[rows], b[rows]), names)
        return resampler.interval(draws, bounds=(-1.0, 1.0), support=max(1, len(resampler) // 2))

    def share(agree: Bools) -> Interval:
        return resampler.interval(resampler.means(agree, names), bounds=(0.0, 1.0))

    return Agreement(
        over(_pearson),
        over(lambda x, y: _pearson(rankdata(x), rankdata(y))),
        share(near == 0),
        share(near <= 1),
        len(a),
        int((~known).sum()),
        describe_units(names),
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


@dataclass
class _Draws:
    """Units of rows, and what draws them."""

    units: list[str]
    resampler: Resampler

    def means(self, values: Floats, rows: Bools) -> Floats:
        """(1 + R,) means of the values of some rows."""
        return self.resampler.means(values[rows], self.of(rows))

    def of(self, rows: Bools) -> list[str]:
        """The units of some rows."""
        return [self.units[k] for k in np.flatnonzero(rows)]


def _bin(name: str, rows: Bools, scores: Floats, before: Bools, after: Bools, draws: _Draws) -> GainBin:
    if not rows.any():
        return GainBin(name, 0, math.nan, math.nan, math.nan, Interval(math.nan))
    first, second = before.astype(np.float64), after.astype(np.float64)
    gain = draws.resampler.interval(
        draws.means(second - first, rows), units=len(set(draws.of(rows))), bounds=(-1.0, 1.0)
    )
    score, right, right_after = (float(x[rows].mean()) for x in (scores, first, second))
    return GainBin(name, int(rows.sum()), score, right, right_after, gain)


def _gap(scores: Floats, rows: Bools, draws: _Draws) -> ScoreGap:
    inside, outside = draws.means(scores, rows), draws.means(scores, ~rows)
    units = min(len(set(draws.of(part))) for part in (rows, ~rows))
    gap = draws.resampler.interval(inside - outside, units=units, bounds=(LOWEST - HIGHEST, HIGHEST - LOWEST))
    return ScoreGap(float(inside[0]), float(outside[0]), int(rows.sum()), int((~rows).sum()), gap)


def _pearson(a: Floats, b: Floats) -> float:
    """Pearson's correlation; NaN where one is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
