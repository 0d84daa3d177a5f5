"""From collected predictions to the rows of the final table: value, interval, chance, baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.evaluation.metric_draws import metric_value, primary_interval
from zoo.evaluation.resampling import describe_units
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated

TrainLabels = Callable[[str], tuple[Tensor, Tensor]]
"""task -> encoded training labels (n, ...) and the source (n,) of each."""


@dataclass
class TaskResult:
    """One line of the final table.

    Attributes:
        task: name of the task, or "task [source]" for a part of it.
        metric: name of the primary metric; higher is better.
        value: its value on the test split.
        low, high: 95 % interval over units of independence; NaN where there are fewer than two.
        interval: how it was made: "bootstrap", "exact", "adjusted" or "none" (see Resampler.interval).
        unit: what was drawn, and how many, such as "patient (87)".
        chance: the same metric of a guesser that knows the classes of each source, averaged over draws.
        baseline: the same metric of the best constant of each source: majority, prevalence, mean, medoid.
        n: test rows.
        real: whether every row is real.
        data: "real", "simulated" or "mixed".
        beats_chance, beats_baseline: whether the whole interval lies above.
        source: the source of these rows, "" for all.
        metrics: every metric of the task.
    """

    task: str
    metric: str
    value: float
    low: float
    high: float
    interval: str
    unit: str
    chance: float
    baseline: float
    n: int
    real: bool
    data: str
    beats_chance: bool
    beats_baseline: bool
    source: str
    metrics: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """A dictionary for JSON; what is not finite becomes None."""
        return {k: _json(v) for k, v in asdict(self).items()}


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _json(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def data_word(numbers: Sequence[int], source_simulated: Sequence[bool]) -> str:
    """The word for rows of the sources ``numbers``: "real", "simulated" or "mixed"."""
    words = {"simulated" if source_simulated[s] else "real" for s in numbers}
    return words.pop() if len(words) == 1 else "mixed"


def references(
    kind: TaskKind,
    result: Evaluated,
    train: tuple[Tensor, Tensor],
    draws: int = 20,
    seed: int = 0,
    metric: str = "",
) -> tuple[float, float]:
    """Chance and baseline: what a guesser and the best constant score, each knowing the source of a row.

    Args:
        kind: of the task.
        result: predictions whose rows are taken.
        train: (n, ...) training targets and (n,) their sources.
        draws: of the guesser.
        seed: of the draws.
        metric: a key of ``kind.metrics``; "" takes the primary one.
    """
    target, source = train
    constant = torch.zeros_like(result.prediction)
    guesses = [torch.zeros_like(result.prediction) for _ in range(draws)]
    generator = np.random.default_rng(seed)
    for s in sorted(set(result.source.tolist())):
        where = result.source == s
        known = target[source == s] if bool((source == s).any()) else target
        n = int(where.sum())
        constant[where] = kind.constant(known, n).to(constant.dtype)
        for guess in guesses:
            guess[where] = kind.chance(known, n, generator).to(guess.dtype)
    values = [metric_value(kind, g, result.target, metric) for g in guesses]
    finite = [v for v in values if math.isfinite(v)]
    chance = sum(finite) / len(finite) if finite else float("nan")
    return chance, metric_value(kind, constant, result.target, metric)


def _line(
    name: str, kind: TaskKind, result: Evaluated, train: tuple[Tensor, Tensor], data: str, source: str, resamples: int
) -> TaskResult:
    metrics = kind.metrics(result.prediction, result.target)
    metrics |= kind.slow_metrics(result.prediction, result.target)
    found = primary_interval(kind, result, resamples=resamples)
    chance, baseline = references(kind, result, train, kind.chance_draws)
    return TaskResult(
        task=name,
        metric=kind.primary,
        value=metrics[kind.primary],
        low=found.low,
        high=found.high,
        interval=found.method,
        unit=describe_units(result.drawn),
        chance=chance,
        baseline=baseline,
        n=len(result.target),
        real=data == "real",
        data=data,
        beats_chance=found.low > chance,
        beats_baseline=found.low > baseline,
        source=source,
        metrics=metrics,
    )


def summarise(
    kinds: Mapping[str, TaskKind],
    results: Mapping[str, Evaluated],
    train_labels: TrainLabels,
    source_names: Sequence[str],
    source_simulated: Sequence[bool],
    resamples: int = 500,
) -> list[TaskResult]:
    """Make the table: a line a task, and below it a line a source where a task has several.

    Args:
        kinds: task -> TaskKind.
        results: task -> predictions of the test split.
        train_labels: training labels, for chance and baseline.
        source_names: of the numbers in Evaluated.source.
        source_simulated: whether each source is a simulator.
        resamples: of the bootstrap.
    """
    lines: list[TaskResult] = []
    for task, kind in kinds.items():
        if task not in results:
            continue
        result, train = results[task], train_labels(task)
        numbers = sorted(set(result.source.tolist()))
        lines.append(_line(task, kind, result, train, data_word(numbers, source_simulated), "", resamples))
        for s in numbers if len(numbers) > 1 else []:
            part = result.take((result.source == s).numpy())
            name = f"{task} [{source_names[s]}]"
            lines.append(_line(name, kind, part, train, data_word([s], source_simulated), source_names[s], resamples))
    return lines
