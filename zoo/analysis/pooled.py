"""Several models on the same rows, over seeds: their values with paired bootstrap draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.analysis.subsets import Subset
from zoo.errors import SpecError, unknown_name
from zoo.evaluation import Evaluated
from zoo.tasks.base import TaskKind

Floats = npt.NDArray[np.float64]
LOWER_IS_BETTER = ("mae", "mse", "rmsd", "brier", "undefined")
"""Metrics by which nothing is ranked here."""


@dataclass(frozen=True)
class WithInterval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def with_interval(draws: npt.ArrayLike) -> WithInterval:
    """The first entry of ``draws`` (1 + R,) and the 2.5 and 97.5 percentiles of the others.

    >>> with_interval([1.0, 0.0, 1.0, 2.0]).value
    1.0
    """
    found = np.asarray(draws, dtype=np.float64)
    if len(found) < 2 or not np.isfinite(found[1:]).any():
        return WithInterval(float(found[0]), math.nan, math.nan)
    low, high = np.nanpercentile(found[1:], [2.5, 97.5])
    return WithInterval(float(found[0]), float(low), float(high))


def entry_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """(N,) share of a row's observed labels that a multilabel prediction gets right at one half; NaN for none."""
    seen = target[:, 1] > 0
    right = ((prediction > 0.5) == (target[:, 0] > 0.5)) & seen
    return torch.where(seen.any(1), right.sum(1).float() / seen.sum(1).clamp_min(1), torch.nan)


class Pool:
    """Predictions of one task by a model a subset, each on the same rows, for one seed or several.

    A resample draws ids with replacement from all rows of all seeds: an id that is in the test split of two seeds is
    drawn for both, and for every subset, so differences are paired.

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
        unique = sorted({i for ids in self.ids for i in ids})
        position = {name: k for k, name in enumerate(unique)}
        counts = np.ones((1 + resamples, len(unique)))
        generator = np.random.default_rng(seed)
        counts[1:] = generator.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=resamples)
        self.weights: list[Floats] = [counts[:, [position[i] for i in ids]] for ids in self.ids]

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
        for weights, each in zip(self.weights, self.results, strict=True):
            value, n = self._one(weights, each[subset])
            known = np.isfinite(value)
            total[known] += (value * n)[known]
            size[known] += n[known]
        return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)

    def _one(self, weights: Floats, result: Evaluated) -> tuple[Floats, Floats]:
        """(1 + R,) values and row counts of one seed."""
        scores = self._row_scores(result)
        if scores is not None:
            each = scores.double().numpy()
            seen = np.isfinite(each)
            n = weights @ seen.astype(np.float64)
            sums = weights @ np.where(seen, each, 0.0)
            return np.divide(sums, n, out=np.full_like(sums, np.nan), where=n > 0), n
        values = np.empty(len(weights))
        for k, row in enumerate(weights):
            pick = torch.from_numpy(np.repeat(np.arange(len(row)), row.astype(np.int64)))
            values[k] = self._value(result.prediction[pick], result.target[pick]) if len(pick) else math.nan
        return values, weights.sum(1)

    def _row_scores(self, result: Evaluated) -> Tensor | None:
        """(N,) scores whose mean is the metric; None where it is no mean over rows."""
        if self.metric == self.kind.primary:
            return self.kind.row_scores(result.prediction, result.target)
        if self.metric == "accuracy" and self.kind.kind == "multilabel":
            return entry_accuracy(result.prediction, result.target)
        return None

    def _value(self, prediction: Tensor, target: Tensor) -> float:
        if self.metric == self.kind.primary:
            return self.kind.primary_value(prediction, target)
        found = self.kind.metrics(prediction, target)
        if self.metric not in found:
            raise unknown_name(f"metric of task '{self.kind.spec.name}'", self.metric, found)
        return found[self.metric]


def _common_ids(task: str, each: dict[Subset, Evaluated]) -> list[str]:
    rows = {tuple(r.ids) for r in each.values()}
    if len(rows) > 1:
        raise SpecError(f"task '{task}': subsets were evaluated on different rows ({[len(r) for r in rows]} of them)")
    return list(rows.pop()) if rows else []
