"""What ``run.py robustness`` measures with: a trained network with its data, and a pile of values over seeds."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.core.view import DataView
from experiments.core.budget import Budget
from zoo.contract import Batch, TaskSpec
from zoo.evaluation.metric_draws import metric_draws, support
from zoo.evaluation.resampling import Interval, Resampler, describe_units
from zoo.evaluation.summary import data_word, references
from zoo.models.base import TaskModel
from zoo.results import joint_word
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated, Predicted

Floats = npt.NDArray[np.float64]
ALL = "all modalities"
"""Stands for every modality at once, in the place of a modality."""


@dataclass
class Options:
    """What the command was asked for, beside the configuration."""

    levels: list[int]
    corruptions: list[str] | None
    tasks: list[str]
    rates: list[float]
    subgroups: list[str] | None
    alpha: float
    min_rows: int
    rows: int
    resamples: int
    budget: Budget
    left: list[str] = field(default_factory=list)

    def over(self, what: str) -> bool:
        """Whether the budget is spent; ``what`` is then noted as left out."""
        if self.budget.left > 0:
            return False
        self.left.append(what)
        return True


@dataclass
class Model:
    """A trained network, its data, and what it predicts of them as they are."""

    seed: int
    module: TaskModel
    view: DataView
    val: Predicted
    test: Predicted

    @cached_property
    def batches(self) -> list[Batch]:
        """The test split."""
        return [b for b in self.view.split_dataloader("test") if len(b)]

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The tasks by name."""
        return dict(self.module.tasks)

    def kind(self, task: str) -> TaskKind:
        """The TaskKind of a task."""
        return self.module.evaluation.kinds[task]

    def chance(self, task: str, result: Evaluated) -> float:
        """The primary metric of a guesser on these rows (zoo.evaluation.summary.references)."""
        kind = self.kind(task)
        train = self.view.view.labels("train", task)
        return references(kind, result, train, kind.chance_draws)[0]

    def word(self, result: Evaluated) -> str:
        """Whether rows are real, simulated or mixed."""
        simulated = [bool(s) for s in self.view.view.source_simulated]
        return data_word(sorted(set(result.source.tolist())), simulated) if len(result.source) else "real"


@dataclass
class Mean:
    """Values of several seeds as one.

    Attributes:
        samples: (R + 1,) mean over seeds; NaN where a seed has none.
        found: the value with its interval.
        unit: what was drawn, and how many.
        n: rows, mean over seeds.
        chance: mean over seeds.
        data: "real", "simulated" or "mixed".
    """

    samples: Floats
    found: Interval
    unit: str
    n: int
    chance: float
    data: str

    @property
    def estimate(self) -> tuple[float, float, float]:
        """Value and 95 % interval."""
        return self.found.value, self.found.low, self.found.high


@dataclass
class _Part:
    """What one seed predicts of some rows; with ``minus`` its value is taken less that of other predictions."""

    kind: TaskKind
    result: Evaluated
    chance: float
    data: str
    minus: Evaluated | None = None

    def draws(self, resampler: Resampler) -> Floats:
        found = metric_draws(self.kind, self.result, resampler)
        return found if self.minus is None else found - metric_draws(self.kind, self.minus, resampler)


class Pile:
    """Predictions by key, one or more a key (one a seed), and the values of their primary metric.

    All values of a task are of the same resamples of its units, those of all seeds, once everything is on the pile.

    Args:
        resamples: of the bootstrap.
    """

    def __init__(self, resamples: int) -> None:
        self.resamples = resamples
        self._parts: dict[Hashable, list[_Part]] = {}
        self._task: dict[Hashable, str] = {}
        self._units: dict[str, set[str]] = {}
        self._means: dict[Hashable, Mean] = {}
        self._resamplers: dict[str, Resampler] = {}

    def measure(
        self,
        key: Hashable,
        task: str,
        kind: TaskKind,
        result: Evaluated,
        *,
        chance: float = math.nan,
        data: str = "real",
        minus: Evaluated | None = None,
    ) -> None:
        """Put predictions of one seed on the pile.

        Args:
            key: that they are found by.
            task: name of the task.
            kind: of the task.
            result: the predictions.
            chance: value of a guesser.
            data: "real", "simulated" or "mixed".
            minus: other predictions, whose value is subtracted.
        """
        self._parts.setdefault(key, []).append(_Part(kind, result, chance, data, minus))
        self._task[key] = task
        self._units.setdefault(task, set()).update(result.drawn, minus.drawn if minus is not None else ())
        self._means.clear()
        self._resamplers.clear()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._parts

    def listed(self) -> list[Any]:
        """The keys, in the order in which they came."""
        return list(self._parts)

    def resampler(self, task: str) -> Resampler:
        """What draws the units of a task."""
        if task not in self._resamplers:
            self._resamplers[task] = Resampler(self._units[task], resamples=self.resamples)
        return self._resamplers[task]

    def mean(self, key: Hashable) -> Mean:
        """The mean over seeds."""
        if key not in self._means:
            self._means[key] = self._mean(key)
        return self._means[key]

    def _mean(self, key: Hashable) -> Mean:
        parts, resampler = self._parts[key], self.resampler(self._task[key])
        samples = np.mean(np.stack([p.draws(resampler) for p in parts]), 0)
        kind, units = parts[0].kind, {u for p in parts for u in p.result.drawn}
        low, high = kind.bounds
        found = resampler.interval(
            samples,
            units=len(units),
            bounds=(low, high) if parts[0].minus is None else (low - high, high - low),
            support=support(kind, [p.result for p in parts]),
        )
        return Mean(
            samples,
            found,
            describe_units(units),
            round(sum(len(p.result.target) for p in parts) / len(parts)),
            float(np.mean([p.chance for p in parts])),
            joint_word([p.data for p in parts]),
        )


def uses(task: TaskSpec, modality: str) -> bool:
    """Whether a task is predicted from a modality, be it only read."""
    return task.uses(modality) or task.reads == modality


def finite(value: float) -> float | None:
    """A number for a figure; None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def ends(rows: Iterable[tuple[float, float, float]]) -> tuple[list[Any], list[Any], list[Any]]:
    """Values, lower and upper ends of estimates, for a Series."""
    listed = [[finite(x) for x in row] for row in rows]
    return [r[0] for r in listed], [r[1] for r in listed], [r[2] for r in listed]


def names_of(values: Sequence[str], most: int = 8) -> str:
    """A list in words."""
    shown = ", ".join(values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")
