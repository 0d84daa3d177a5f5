"""Multilabel: K labels that are present or absent each on its own, some of them unknown."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.tasks import parts
from zoo.tasks.base import TASKS, Head, TaskKind


@TASKS.register_as("multilabel")
class Multilabel(TaskKind):
    """K binary labels; targets (N, 2, K): [:, 0] values 0 or 1 (in training also between), [:, 1] 1 where observed.

    Logits and predictions (probabilities) are (N, K). What is not observed never enters a number.
    """

    kind = "multilabel"
    primary = "auroc"

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a linear head or an MLP, dim -> K; ``token_dim`` is not used."""
        return parts.VectorHead(dim, (self.spec.num_outputs,), hidden, dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) binary cross-entropies in nats, averaged over observed labels; 0 where none is."""
        value, seen = parts.split_observed(target)
        each = F.binary_cross_entropy_with_logits(logits.float(), value, reduction="none")
        return (each * seen).sum(-1) / seen.sum(-1).clamp_min(1.0)

    def predict(self, logits: Tensor) -> Tensor:
        """Map logits (N, K) to probabilities (N, K)."""
        return torch.sigmoid(logits.float())

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine (S, N, K): weighted average of probabilities, or the weighted share of votes for each label.

        A stream votes for a label at a probability above one half; averages decide ties.
        """
        mean = parts.average(predictions, weights)
        if not voting:
            return mean
        votes = (predictions > 0.5).to(predictions.dtype)
        return (parts.average(votes, weights) + parts.TIE * mean) / (1 + parts.TIE)

    def _per_label(self, prediction: Tensor, target: Tensor) -> list[tuple[parts.Floats, np.ndarray]]:
        value, seen = parts.split_observed(target)
        keep = seen.numpy() > 0
        score, label = parts.as_numpy(prediction), value.numpy() > 0.5
        return [(score[keep[:, k], k], label[keep[:, k], k]) for k in range(self.spec.num_outputs)]

    def primary_value(self, prediction: Tensor, target: Tensor) -> float:
        """Mean AUROC over the labels of which both classes are observed; NaN if there is none."""
        return parts.nan_mean([parts.binary_auroc(s, y) for s, y in self._per_label(prediction, target)])

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return auroc, average_precision, accuracy and brier.

        auroc and average_precision are means over the labels of which both classes are observed; accuracy
        (at a probability of one half) and brier (mean squared error, lower is better) are means over all
        observed entries. NaN where nothing qualifies.
        """
        value, seen = parts.split_observed(target)
        keep = seen > 0
        pairs = self._per_label(prediction, target)
        return {
            "auroc": parts.nan_mean([parts.binary_auroc(s, y) for s, y in pairs]),
            "average_precision": parts.nan_mean([parts.average_precision(s, y) for s, y in pairs]),
            "accuracy": parts.mean_of(((prediction > 0.5) == (value > 0.5))[keep].float()),
            "brier": parts.mean_of(((prediction.float() - value) ** 2)[keep]),
        }

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """Training prevalence of each label, (n, K); one half for a label that was never observed."""
        value, seen = parts.split_observed(train_target)
        count = seen.sum(0)
        prevalence = torch.where(count > 0, (value * seen).sum(0) / count.clamp_min(1.0), 0.5)
        return prevalence.expand(n, -1).clone()

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """Uniform random scores (n, K)."""
        return torch.from_numpy(generator.random((n, self.spec.num_outputs))).float()
