"""Several models on the same rows, over seeds: their values with paired bootstrap draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from zoo.errors import SpecError
from zoo.evaluation.metric_draws import metric_bounds, metric_draws, resampler_of, support
from zoo.evaluation.resampling import UNBOUNDED, Floats, Interval, describe_units
from zoo.evaluation.subsets import Subset
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated

LOWER_IS_BETTER = ("mae", "mse", "rmsd", "brier", "undefined")
"""Metrics by which nothing is ranked here."""


class Pool:
    """Predictions of one task by a model a subset, each on the same rows, for one seed or several.

    A resample draws units of independence from all rows of all seeds, for every seed and subset, so that differences
    are paired.

    Args:
        kind: of the task.
        results: one dictionary a seed: subset -> predictions; rows and their order are the same within a seed.
        resamples: R, number of bootstrap draws.
        seed: of the draws.
        metric: a key of the kind's metrics; "" takes the primary one. Of multilabel, "accuracy" is quick.

    Raises:
        SpecError: no rows, the rows of two subsets differ, or lower values of the metric are better.
    """

    def __init__(
        self,
        kind: TaskKind,
        results: Sequence[dict[Subset, Evaluated]],
        *,
        resamples: int = 500,
        seed: int = 0,
        metric: str = "",
    ) -> None:
        self.kind, self.results, self.resamples = kind, list(results), resamples
        self.metric = metric or kind.primary
        self.ids = [_common_ids(kind.spec.name, each) for each in self.results]
        if metric in LOWER_IS_BETTER:
            raise SpecError(f"metric '{metric}': lower is better, and here higher has to be; take another one")
        if not any(self.ids):
            raise SpecError(f"task '{kind.spec.name}': there are no rows to compare subsets on")
        parts = [next(iter(each.values())) for each in self.results]
        self.units = [part.drawn for part in parts]
        self.resampler = resampler_of(parts, resamples=resamples, seed=seed)
        self._support = support(kind, parts)

    @property
    def weights(self) -> list[Floats]:
        """For each seed (1 + R, n), how often each of its rows counts."""
        return [self.resampler.weights(units) for units in self.units]

    @property
    def unit(self) -> str:
        """What is drawn, and how many."""
        return describe_units(self.resampler.names)

    def interval(self, draws: Floats, *, gap: bool = False, bounded: bool = True) -> Interval:
        """A figure of this pool with its interval.

        Args:
            draws: (1 + R,) from ``draws``, or computed of several of them.
            gap: whether it is a difference of two values.
            bounded: whether it is in the unit of the metric at all; other figures, such as bits, have no bounds.
        """
        low, high = metric_bounds(self.kind, self.metric)
        bounds = UNBOUNDED if not bounded else (low - high, high - low) if gap else (low, high)
        return self.resampler.interval(draws, bounds=bounds, support=self._support)

    @property
    def n(self) -> int:
        """Rows, over all seeds."""
        return sum(len(ids) for ids in self.ids)

    @property
    def members(self) -> list[Subset]:
        """The subsets that every seed has."""
        return [s for s in self.results[0] if all(s in each for each in self.results)]

    def draws(self, subset: Subset) -> Floats:
        """(1 + R,) the value of a subset on all rows, then in each resample; seeds count by their rows."""
        total, size = np.zeros(1 + self.resamples), np.zeros(1 + self.resamples)
        for each in self.results:
            value, n = self._one(each[subset])
            known = np.isfinite(value)
            total[known] += (value * n)[known]
            size[known] += n[known]
        return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)

    def _one(self, result: Evaluated) -> tuple[Floats, Floats]:
        """(1 + R,) values and row counts of one seed."""
        scores = self.kind.metric_scores(self.metric, result.prediction, result.target)
        counted = np.ones(len(result.target)) if scores is None else torch.isfinite(scores).double().numpy()
        values = metric_draws(self.kind, result, self.resampler, metric=self.metric)
        return values, self.resampler.sums(counted, result.drawn)


def _common_ids(task: str, each: dict[Subset, Evaluated]) -> list[str]:
    rows = {tuple(r.ids) for r in each.values()}
    if len(rows) > 1:
        raise SpecError(f"task '{task}': subsets were evaluated on different rows ({[len(r) for r in rows]} of them)")
    return list(rows.pop()) if rows else []
