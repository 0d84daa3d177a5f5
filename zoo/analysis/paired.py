"""Intervals and paired tests of methods that were scored on the same rows over several seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from zoo.evaluation import Evaluated
from zoo.tasks.base import TaskKind

Runs = Mapping[int, tuple[TaskKind, Evaluated]]
"""seed -> the task kind, whose classes may differ between seeds, and the predictions of the test split."""


@dataclass
class Estimate:
    """A method's score on one task.

    Attributes:
        value: mean over seeds of the primary metric.
        std: standard deviation over seeds (n - 1); NaN for one seed.
        low, high: 95 % percentile bootstrap interval. A resample draws test rows by id, the same for every seed, so
            that a row which several seeds test counts as one.
        n: test rows of all seeds together.
        seeds: how many.
        draws: (R,) the resampled means.
    """

    value: float
    std: float
    low: float
    high: float
    n: int
    seeds: int
    draws: npt.NDArray[np.float64]


@dataclass
class Difference:
    """How much better one method is than another on the rows and seeds that both have.

    Attributes:
        value: mean over seeds of the difference of the primary metric.
        low, high: 95 % interval of the paired bootstrap.
        p: two-sided p-value of the same bootstrap, of no difference.
        seeds: seeds that both have.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int

    @property
    def verdict(self) -> str:
        """One of better and worse, where the interval leaves out zero, and else undecided."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "undecided"


def estimate(runs: Runs, *, resamples: int = 500, seed: int = 0) -> Estimate:
    """Score a method over its seeds, with an interval.

    Raises:
        ValueError: ``runs`` is empty.
    """
    if not runs:
        raise ValueError("no seed was run")
    values = [kind.primary_value(r.prediction, r.target) for kind, r in runs.values()]
    draws = resampled(runs, resamples=resamples, seed=seed)
    low, high = interval(draws)
    std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Estimate(_mean(values), std, low, high, sum(len(r.ids) for _, r in runs.values()), len(values), draws)


def compare(ours: Runs, theirs: Runs, *, resamples: int = 500, seed: int = 0) -> Difference | None:
    """Compare two methods on the rows and seeds that both have; None where there are none."""
    pairs = {s: (_common(ours[s], theirs[s]), _common(theirs[s], ours[s])) for s in ours if s in theirs}
    pairs = {s: p for s, p in pairs.items() if p[0][1].ids}
    if not pairs:
        return None
    first, second = {s: p[0] for s, p in pairs.items()}, {s: p[1] for s, p in pairs.items()}
    gap = resampled(first, resamples=resamples, seed=seed) - resampled(second, resamples=resamples, seed=seed)
    values = [_value(first[s]) - _value(second[s]) for s in pairs]
    low, high = interval(gap)
    known = gap[np.isfinite(gap)]
    tail = min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(known) + 1)) if len(known) else float("nan")
    return Difference(_mean(values), low, high, float(p), len(pairs))


def resampled(runs: Runs, *, resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """(R,) means over seeds of the primary metric on resampled rows; methods of equal ids get equal resamples."""
    ids = sorted({i for _, r in runs.values() for i in r.ids})
    place = {i: k for k, i in enumerate(ids)}
    generator = np.random.default_rng(seed)
    positions = [np.array([place[i] for i in r.ids]) for _, r in runs.values()]
    scores = [kind.row_scores(r.prediction, r.target) for kind, r in runs.values()]
    means = np.empty(resamples)
    for k in range(resamples):
        times = np.bincount(generator.integers(0, len(ids), len(ids)), minlength=len(ids))
        values = [
            _resampled_value(run, score, times[where])
            for run, score, where in zip(runs.values(), scores, positions, strict=True)
        ]
        means[k] = _mean(values)
    return means


def interval(draws: npt.NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of bootstrap draws; NaN where no draw is a number."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return float("nan"), float("nan")
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)


def _resampled_value(
    run: tuple[TaskKind, Evaluated], score: torch.Tensor | None, times: npt.NDArray[np.int64]
) -> float:
    kind, result = run
    if score is not None:
        values = score.double().numpy()
        known = np.isfinite(values)
        weight = times[known].sum()
        return float((values[known] * times[known]).sum() / weight) if weight else float("nan")
    pick = torch.from_numpy(np.repeat(np.arange(len(times)), times))
    return kind.primary_value(result.prediction[pick], result.target[pick]) if len(pick) else float("nan")


def _common(ours: tuple[TaskKind, Evaluated], theirs: tuple[TaskKind, Evaluated]) -> tuple[TaskKind, Evaluated]:
    kind, result = ours
    if result.ids == theirs[1].ids:
        return ours
    others = set(theirs[1].ids)
    keep = [k for k, i in enumerate(result.ids) if i in others]
    part = Evaluated(result.prediction[keep], result.target[keep], result.source[keep], [result.ids[k] for k in keep])
    return kind, part


def _value(run: tuple[TaskKind, Evaluated]) -> float:
    return run[0].primary_value(run[1].prediction, run[1].target)


def _mean(values: list[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else float("nan")
