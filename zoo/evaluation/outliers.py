"""Rows unlike those of training, by the distance of their numbers from the training rows'."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError

COMPONENTS = 32
"""Principal components that are told apart; what lies outside of them counts as one more."""
ROWS_PER_COMPONENT = 10
"""Training rows for each component at least."""
LEAST = 20
"""Rows of training and of validation that a detector needs."""
_SMALL = 1e-9


@dataclass
class Outliers:
    """A detector on vectors (N, F), which keeps no training row.

    The score is a Mahalanobis distance under a Gaussian of few principal components and equal variance in all other
    directions (Tipping and Bishop, JRSS B 61:611, 1999), of columns that are standardised by the training rows.

    Attributes:
        mean: (F,) of the training rows.
        scale: (F,) their standard deviations, 1 where they are constant.
        axes: (F, k) principal axes.
        spread: (k,) standard deviations along them.
        rest: () standard deviation of each other direction; 0 where there is none.
        limit: () the score that a share of validation rows exceeds.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    spread: Tensor
    rest: Tensor
    limit: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """(N,) scores of rows (N, F); higher is less like training."""
        x = (rows.double().cpu() - self.mean) / self.scale
        along = x @ self.axes
        left = (x.square().sum(1) - along.square().sum(1)).clamp_min(0.0)
        near = (along / self.spread).square().sum(1)
        return (near + left / self.rest.square() if float(self.rest) > 0 else near).sqrt()

    def unusual(self, rows: Tensor) -> Tensor:
        """(N,) bool, the rows (N, F) whose score is above the limit."""
        return self(rows) > self.limit

    def state(self, name: str) -> dict[str, Tensor]:
        """Its tensors, each under the name of the detector and its own."""
        return {f"{name}/{field}": value for field, value in vars(self).items()}


def restored(state: Mapping[str, Tensor]) -> dict[str, Outliers]:
    """Invert ``Outliers.state`` of several detectors.

    Raises:
        DataError: a tensor is missing.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        name, _, field = key.rpartition("/")
        parts.setdefault(name, {})[field] = value
    try:
        return {name: Outliers(**told) for name, told in parts.items()}
    except TypeError as error:
        raise DataError(f"the bundle's detector is incomplete ({error})") from error


def fit_outliers(train: Tensor, validation: Tensor, *, share: float) -> Outliers | None:
    """Learn from training rows what is usual, and from validation rows how far a usual row may lie.

    Args:
        train: (N, F).
        validation: (M, F) rows that the vectors were not learned from.
        share: of validation rows that count as unusual.

    Returns:
        None where there are too few rows.
    """
    if len(train) < LEAST or len(validation) < LEAST or not train.shape[1]:
        return None
    x = train.double().cpu()
    mean, deviation = x.mean(0), x.std(0, correction=0)
    scale = torch.where(deviation > _SMALL, deviation, 1.0)
    x = (x - mean) / scale
    count = max(1, min(COMPONENTS, x.shape[1], len(x) // ROWS_PER_COMPONENT))
    axes, spread = _components(x, count)
    varied = int((deviation > _SMALL).sum())
    left = float(x.square().sum() / len(x) - spread.square().sum())
    rest = math.sqrt(max(left, 0.0) / (varied - len(spread))) if varied > len(spread) else 0.0
    made = Outliers(mean, scale, axes, spread, torch.tensor(rest, dtype=torch.float64), torch.tensor(math.inf))
    made.limit = torch.quantile(made(validation), 1.0 - share)
    return made


def _components(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Principal axes (F, k) of centred rows (N, F), and standard deviations (k,) along them; k is at most count."""
    if min(x.shape) > 4 * count:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, values, axes = torch.svd_lowrank(x, q=count, niter=3)
    else:
        _, values, turned = torch.linalg.svd(x, full_matrices=False)
        axes = turned.T
    axes, values = axes[:, :count], values[:count]
    kept = values > 1e-6 * values.max().clamp_min(_SMALL)
    kept[0] = True
    return axes[:, kept].contiguous(), values[kept].clamp_min(_SMALL) / math.sqrt(len(x))
