"""Classification: one of K unordered classes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.tasks import parts
from zoo.tasks.base import TASKS, Head, TaskKind


@TASKS.register_as("classification")
class Classification(TaskKind):
    """One of K classes; targets (N,) long codes, logits (N, K), predictions (N, K) probabilities.

    In training, targets may also be (N, K) floats: the share of each class in rows that were mixed.
    """

    kind = "classification"
    primary = "accuracy"

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a linear head or an MLP, dim -> K; ``token_dim`` is not used."""
        return parts.VectorHead(dim, (self.spec.num_outputs,), hidden, dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) cross-entropies in nats, against codes (N,) or shares of the classes (N, K)."""
        return parts.cross_entropy(logits, target)

    def predict(self, logits: Tensor) -> Tensor:
        """Map logits (N, K) to probabilities (N, K) by softmax."""
        return torch.softmax(logits.float(), -1)

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine (S, N, K): weighted average of probabilities, or shares of the votes."""
        return parts.combine_probabilities(predictions, weights, voting)

    def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) 1 where the most probable class is the target, else 0."""
        return (prediction.argmax(-1) == target).float()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return accuracy, balanced_accuracy, macro_f1 and auroc (macro, one-vs-rest, classes present).

        All are NaN for no rows; auroc also where fewer than two classes are present.
        """
        choice, truth = prediction.argmax(-1).numpy(), target.numpy()
        return {
            "accuracy": parts.mean_of(self.row_scores(prediction, target)),
            "balanced_accuracy": parts.balanced_accuracy(choice, truth),
            "macro_f1": parts.macro_f1(choice, truth),
            "auroc": parts.macro_auroc(parts.as_numpy(prediction), truth),
        }

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """One-hot (n, K) of the most frequent training class."""
        return parts.majority(parts.class_counts(self.spec.name, train_target, self.spec.num_outputs), n)

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """One-hot (n, K) of a class drawn uniformly from those in the training targets."""
        counts = parts.class_counts(self.spec.name, train_target, self.spec.num_outputs)
        return parts.random_classes(counts, n, generator)
