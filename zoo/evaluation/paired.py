"""Intervals and paired tests of methods that were scored on the same rows over several seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from zoo.evaluation.metric_draws import mean_draws, metric_bounds, metric_draws, resampler_of, support
from zoo.evaluation.resampling import describe_units
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated

Runs = Mapping[int, tuple[TaskKind, Evaluated]]
"""seed -> the task kind, whose classes may differ between seeds, and the predictions of the test split."""


@dataclass
class Estimate:
    """A method's score on one task.

    Attributes:
        value: mean over seeds of the metric.
        std: standard deviation over seeds (n - 1); NaN for one seed.
        low, high: 95 % interval. Units are drawn for all seeds at once, so that a row which several seeds test counts
            as one.
        method: how the interval was made, see Resampler.interval.
        unit: what was drawn, and how many, such as "patient (87)".
        n: test rows of all seeds together.
        seeds: how many.
    """

    value: float
    std: float
    low: float
    high: float
    method: str
    unit: str
    n: int
    seeds: int


@dataclass
class Difference:
    """How much better one method is than another on the rows and seeds that both have.

    Attributes:
        value: mean over seeds of the difference of the metric.
        low, high: 95 % interval of the paired bootstrap: both methods are scored on the same resamples.
        method: how the interval was made, see Resampler.interval.
        unit: what was drawn, and how many.
        p: two-sided p-value of the same bootstrap, of no difference.
        seeds: seeds that both have.
    """

    value: float
    low: float
    high: float
    method: str
    unit: str
    p: float
    seeds: int

    @property
    def verdict(self) -> str:
        """One of better and worse, where the interval leaves out zero, and else undecided."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "undecided"


def over_rows(runs: Runs) -> dict[int, tuple[TaskKind, Evaluated]]:
    """The same predictions with each row as its own unit, for an interval over rows."""
    return {seed: (kind, replace(result, units=[])) for seed, (kind, result) in runs.items()}


def estimate(runs: Runs, *, metric: str = "", resamples: int = 500, seed: int = 0) -> Estimate:
    """Score a method over its seeds, with an interval.

    Args:
        runs: the method's predictions.
        metric: a key of the kind's metrics where higher is better; "" takes the primary one.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: ``runs`` is empty.
    """
    if not runs:
        raise ValueError("no seed was run")
    kind, results = next(iter(runs.values()))[0], [r for _, r in runs.values()]
    resampler = resampler_of(results, resamples=resamples, seed=seed)
    each = [metric_draws(k, r, resampler, metric=metric) for k, r in runs.values()]
    bounds = metric_bounds(kind, metric)
    found = resampler.interval(mean_draws(each), bounds=bounds, support=support(kind, results, metric))
    values = [float(draws[0]) for draws in each]
    return Estimate(
        found.value,
        float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
        found.low,
        found.high,
        found.method,
        describe_units(resampler.names),
        sum(len(r.ids) for r in results),
        len(values),
    )


def compare(ours: Runs, theirs: Runs, *, metric: str = "", resamples: int = 500, seed: int = 0) -> Difference | None:
    """Compare two methods on the rows and seeds that both have; None where there are none.

    Args:
        ours: predictions of the one.
        theirs: predictions of the other.
        metric: a key of the kind's metrics where higher is better; "" takes the primary one.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    pairs = [(_common(ours[s], theirs[s]), _common(theirs[s], ours[s])) for s in ours if s in theirs]
    pairs = [p for p in pairs if p[0][1].ids]
    if not pairs:
        return None
    kind, results = pairs[0][0][0], [run[1] for pair in pairs for run in pair]
    resampler = resampler_of(results, resamples=resamples, seed=seed)
    first, second = (
        mean_draws([metric_draws(*pair[side], resampler, metric=metric) for pair in pairs]) for side in (0, 1)
    )
    low, high = metric_bounds(kind, metric)
    bounds = (low - high, high - low)
    found = resampler.interval(first - second, bounds=bounds, support=support(kind, results, metric))
    p = resampler.p_value(first - second)
    unit = describe_units(resampler.names)
    return Difference(found.value, found.low, found.high, found.method, unit, p, len(pairs))


def _common(ours: tuple[TaskKind, Evaluated], theirs: tuple[TaskKind, Evaluated]) -> tuple[TaskKind, Evaluated]:
    kind, result = ours
    if result.ids == theirs[1].ids:
        return ours
    others = set(theirs[1].ids)
    keep = [k for k, i in enumerate(result.ids) if i in others]
    return kind, result.take(keep)
