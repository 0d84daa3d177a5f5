"""Regression: K real targets in standardised units, some of them unknown."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional as F

from zoo.tasks import parts
from zoo.tasks.base import TASKS, Head, TaskKind


def correlation(x: parts.Floats, y: parts.Floats) -> float:
    """Pearson correlation of x and y (n,), where y varies; 0 where x is constant (to rounding)."""
    x, y = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((x * x).sum()))
    if spread <= 1e-12 * len(x):
        return 0.0
    return float((x * y).sum() / (spread * np.sqrt((y * y).sum())))


@TASKS.register_as("regression")
class Regression(TaskKind):
    """K targets (N, 2, K): [:, 0] values, [:, 1] 1 where observed; logits and predictions (N, K).

    The data module standardises targets on the training split, so nothing is fitted here. What is not
    observed never enters a number.
    """

    kind = "regression"
    primary = "pearson"

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a linear head or an MLP, dim -> K; ``token_dim`` is not used."""
        return parts.VectorHead(dim, (self.spec.num_outputs,), hidden, dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) Huber losses (Huber 1964, delta 1 standard deviation), averaged over observed targets.

        It is half the squared error up to one standard deviation and linear beyond, so a few wild targets do
        not steer a small batch. A row without an observed target has loss 0.
        """
        value, seen = parts.split_observed(target)
        each = F.huber_loss(logits.float(), value, reduction="none")
        return (each * seen).sum(-1) / seen.sum(-1).clamp_min(1.0)

    def predict(self, logits: Tensor) -> Tensor:
        """Return logits (N, K) as they are, in float32: values in standardised units."""
        return logits.float()

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine (S, N, K): weighted average, or as the vote of values the weighted (lower) median."""
        if not voting:
            return parts.average(predictions, weights)
        ordered, order = predictions.sort(0)
        reached = weights.unsqueeze(-1).expand_as(predictions).gather(0, order).cumsum(0)
        index = (reached < 0.5 - 1e-6).sum(0, keepdim=True).clamp_max(len(predictions) - 1)
        return ordered.gather(0, index).squeeze(0)

    def _scored(self, prediction: Tensor, target: Tensor) -> list[tuple[parts.Floats, parts.Floats]]:
        value, seen = parts.split_observed(target)
        keep, guess, truth = seen.numpy() > 0, parts.as_numpy(prediction), parts.as_numpy(value)
        pairs = [(guess[keep[:, k], k], truth[keep[:, k], k]) for k in range(self.spec.num_outputs)]
        return [(p, t) for p, t in pairs if len(t) >= 3 and np.ptp(t) > 0]

    def primary_value(self, prediction: Tensor, target: Tensor) -> float:
        """Pearson's r alone, see ``metrics``."""
        return parts.nan_mean([correlation(p, t) for p, t in self._scored(prediction, target)])

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return pearson, spearman, r2 and mse.

        The first three are computed for each target over its observed rows and averaged over targets with at
        least 3 rows and values that vary; a constant prediction scores 0 in both correlations. mse (lower is
        better, standardised units squared) is the mean over all observed entries. NaN where nothing qualifies.
        """
        pairs = self._scored(prediction, target)
        value, seen = parts.split_observed(target)
        return {
            "pearson": parts.nan_mean([correlation(p, t) for p, t in pairs]),
            "spearman": parts.nan_mean([correlation(rankdata(p), rankdata(t)) for p, t in pairs]),
            "r2": parts.nan_mean([1 - float(((t - p) ** 2).sum() / ((t - t.mean()) ** 2).sum()) for p, t in pairs]),
            "mse": parts.mean_of(((prediction.float() - value) ** 2)[seen > 0]),
        }

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """Training mean of each target, (n, K); 0 for a target that was never observed."""
        value, seen = parts.split_observed(train_target)
        mean = (value * seen).sum(0) / seen.sum(0).clamp_min(1.0)
        return mean.expand(n, -1).clone()

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """Standard normal noise (n, K), in standardised units."""
        return torch.from_numpy(generator.standard_normal((n, self.spec.num_outputs))).float()
