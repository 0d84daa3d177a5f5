"""What ``run.py robustness`` measures with: a trained network with its data, and a pile of values over seeds."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.view import DataView
from experiments.budget import Budget
from zoo.analysis.predict import Predicted
from zoo.analysis.subgroups import interval, resampled
from zoo.contract import Batch, TaskSpec
from zoo.evaluation import Evaluated
from zoo.module import MultitaskModule
from zoo.reporting import data_word, references
from zoo.results import joint_word
from zoo.tasks.base import TaskKind

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
    module: MultitaskModule
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
        return self.module.kinds[task]

    def chance(self, task: str, result: Evaluated) -> float:
        """The primary metric of a guesser on these rows (zoo.reporting.references)."""
        kind = self.kind(task)
        train = self.view.view.labels("train", task)
        return references(kind, result, train, 3 if kind.kind == "structure" else 20)[0]

    def word(self, result: Evaluated) -> str:
        """Whether rows are real, simulated or mixed."""
        simulated = [bool(s) for s in self.view.view.source_simulated]
        return data_word(sorted(set(result.source.tolist())), simulated) if len(result.source) else "real"


@dataclass
class Mean:
    """Values of several seeds as one.

    Attributes:
        samples: (R + 1,) mean over seeds; NaN where a seed has none.
        n: rows, mean over seeds.
        chance: mean over seeds.
        data: "real", "simulated" or "mixed".
    """

    samples: Floats
    n: int
    chance: float
    data: str

    @property
    def estimate(self) -> tuple[float, float, float]:
        """Value and 95 % interval."""
        return interval(self.samples)


class Pile:
    """Values by key, one or more a key (one a seed)."""

    def __init__(self) -> None:
        self._parts: dict[Hashable, list[Mean]] = {}

    def add(self, key: Hashable, samples: Floats, n: int, chance: float = math.nan, data: str = "real") -> None:
        """Put a value of one seed on the pile."""
        self._parts.setdefault(key, []).append(Mean(samples, n, chance, data))

    def measure(
        self, key: Hashable, model: Model, task: str, result: Evaluated, chance: float, resamples: int
    ) -> None:
        """Put the primary metric of predictions on the pile."""
        self.add(key, resampled(model.kind(task), result, resamples), len(result.target), chance, model.word(result))

    def __contains__(self, key: Hashable) -> bool:
        return key in self._parts

    def listed(self) -> list[Any]:
        """The keys, in the order in which they came."""
        return list(self._parts)

    def mean(self, key: Hashable) -> Mean:
        """The mean over seeds."""
        parts = self._parts[key]
        return Mean(
            np.mean(np.stack([p.samples for p in parts]), 0),
            round(sum(p.n for p in parts) / len(parts)),
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
