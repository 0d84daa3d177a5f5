"""The interval of a primary metric of rows that are each a unit of their own."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.evaluation.metric_draws import primary_interval
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated


def ends(
    kind: TaskKind, prediction: Tensor, target: Tensor, *, resamples: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Low and high end of the interval of the zoo."""
    result = Evaluated(prediction, target, torch.zeros(len(target), dtype=torch.long))
    found = primary_interval(kind, result, resamples=resamples, seed=seed)
    return found.low, found.high
