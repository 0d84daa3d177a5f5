"""What a bundle's predictions are worth on rows that carry labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from zoo.bundle.load import ROWS, Bundle
from zoo.bundle.trust import TaskTrust, covered
from zoo.data import NewRows
from zoo.evaluation.calibration import ece, probabilities
from zoo.evaluation.metric_draws import primary_interval
from zoo.evaluation.resampling import describe_units
from zoo.tasks.base import TaskKind
from zoo.training.collector import Collector, Evaluated


@dataclass
class TaskEvaluation:
    """One task on labelled rows.

    Attributes:
        task: its name.
        metric: the primary one; higher is better.
        value, low, high: of it, with the 95 % interval over units of independence; NaN where there is none.
        unit: what was drawn, and how many.
        n: labelled rows.
        ece: expected calibration error of the probabilities; NaN for tasks without.
        coverage: share of the truth that the conformal sets hold; NaN for tasks without.
        metrics: all of them.
    """

    task: str
    metric: str
    value: float
    low: float
    high: float
    unit: str
    n: int
    ece: float = math.nan
    coverage: float = math.nan
    metrics: Mapping[str, float] = field(default_factory=dict)


def evaluate(
    bundle: Bundle,
    rows: NewRows,
    *,
    coverage: float = 0.9,
    batch_size: int = ROWS,
    done: Callable[[int, list[str]], None] = lambda rows, problems: None,
) -> list[TaskEvaluation]:
    """Evaluate every task of which a row carries the label.

    Args:
        bundle: the trained model.
        rows: of ``bundle.rows``.
        coverage: of conformal sets and intervals.
        batch_size: rows that are computed at once.
        done: is told after each batch how many rows are done, and its problems.
    """
    collector = Collector()
    for start in range(0, len(rows), batch_size):
        read = bundle.labelled_part(rows, start, start + batch_size, collector)
        done(start + len(read), [p for row in read for p in row.problems])
    results = collector.gather()
    kinds = bundle.kinds
    return [_evaluation(kinds[t], r, bundle.trust[t], coverage) for t, r in results.items()]


def _evaluation(kind: TaskKind, result: Evaluated, trust: TaskTrust, coverage: float) -> TaskEvaluation:
    found = primary_interval(kind, result)
    held = covered(kind, result, trust, coverage)
    metrics = kind.metrics(result.prediction, result.target) | kind.slow_metrics(result.prediction, result.target)
    return TaskEvaluation(
        kind.spec.name,
        kind.primary,
        metrics[kind.primary],
        found.low,
        found.high,
        describe_units(result.drawn),
        len(result.target),
        ece(probabilities(kind, result)) if kind.gives_probabilities else math.nan,
        float(np.mean(held)) if len(held) else math.nan,
        metrics,
    )
