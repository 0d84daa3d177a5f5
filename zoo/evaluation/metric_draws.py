"""Metrics of predictions on resamples: the statistics that zoo.evaluation.resampling makes intervals of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from zoo.errors import unknown_name
from zoo.evaluation.resampling import Floats, Interval, Resampler, Whole
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated


def metric_value(kind: TaskKind, prediction: Tensor, target: Tensor, metric: str = "") -> float:
    """One metric of predictions.

    Args:
        kind: of the task.
        prediction: (N, ...) after TaskKind.predict.
        target: (N, ...) encoded targets.
        metric: a key of ``kind.metrics``; "" takes the primary one.

    Raises:
        UnknownNameError: the kind has no such metric.
    """
    if metric in ("", kind.primary):
        return kind.primary_value(prediction, target)
    found = kind.metrics(prediction, target)
    if metric not in found:
        raise unknown_name(f"metric of task '{kind.spec.name}'", metric, found)
    return found[metric]


def metric_draws(kind: TaskKind, result: Evaluated, resampler: Resampler, *, metric: str = "") -> Floats:
    """(1 + R,) the metric on all rows and on each resample; all NaN for no rows.

    Args:
        kind: of the task.
        result: the predictions.
        resampler: of the units of these rows, and of others that they are compared with.
        metric: a key of ``kind.metrics``; "" takes the primary one.
    """
    if not len(result.target):
        return np.full(1 + resampler.resamples, np.nan)
    scores = kind.metric_scores(metric or kind.primary, result.prediction, result.target)
    if scores is not None:
        return resampler.means(scores.double().numpy(), result.drawn)
    prediction, target = result.prediction, result.target

    def statistic(rows: Whole) -> float:
        pick = torch.from_numpy(rows)
        return metric_value(kind, prediction[pick], target[pick], metric)

    return resampler.apply(statistic, result.drawn)


def mean_draws(each: Sequence[Floats]) -> Floats:
    """(1 + R,) means over draws, such as one array (1 + R,) a seed; where some are NaN, over the others."""
    table = np.stack(list(each))
    known = np.isfinite(table)
    count = known.sum(0)
    total = np.where(known, table, 0.0).sum(0)
    means: Floats = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means


def resampler_of(results: Iterable[Evaluated], *, resamples: int = 500, seed: int = 0) -> Resampler:
    """A resampler of the units of all rows of several predictions.

    Args:
        results: predictions that are to be compared.
        resamples: of the bootstrap.
        seed: of the draws.
    """
    return Resampler((u for r in results for u in r.drawn), resamples=resamples, seed=seed)


def metric_bounds(kind: TaskKind, metric: str = "") -> tuple[float, float]:
    """The smallest and largest value of a metric where higher is better; "" is the primary one."""
    return kind.bounds if metric in ("", kind.primary) else (-1.0, 1.0)


def support(kind: TaskKind, results: Iterable[Evaluated], metric: str = "") -> int:
    """Independent comparisons behind a metric, see Resampler.interval; 0 where it is a mean over rows.

    Of several predictions, such as one a seed, the smallest number counts.

    Args:
        kind: of the task.
        results: the predictions.
        metric: a key of ``kind.metrics``; "" takes the primary one.
    """
    found = []
    for result in results:
        rows = result.prediction, result.target
        if not len(result.target) or kind.metric_scores(metric or kind.primary, *rows) is not None:
            return 0
        found.append(kind.support(result.target, np.unique(result.drawn, return_inverse=True)[1]))
    return max(1, min(found, default=1))


def primary_interval(kind: TaskKind, result: Evaluated, *, resamples: int = 500, seed: int = 0) -> Interval:
    """The primary metric with its 95 % interval over the units of the rows.

    Args:
        kind: of the task.
        result: the predictions.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    resampler = Resampler(result.drawn, resamples=resamples, seed=seed)
    draws = metric_draws(kind, result, resampler)
    return resampler.interval(draws, bounds=kind.bounds, support=support(kind, [result]))
