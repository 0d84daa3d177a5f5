"""Classification: one of K unordered classes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from zoo.contract import TASKS
from zoo.tasks import parts
from zoo.tasks.base import Head
from zoo.tasks.classes import ClassTask


@TASKS.register_as("classification")
class Classification(ClassTask):
    """One of K classes; targets (N,) long codes, logits (N, K), predictions (N, K) probabilities.

    In training, targets may also be (N, K) floats: the share of each class in rows that were mixed.
    """

    kind = "classification"
    class_logits = True
    mixable = True

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a linear head or an MLP, dim -> K; ``token_dim`` is not used."""
        return parts.VectorHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) cross-entropies in nats, against codes (N,) or shares of the classes (N, K)."""
        return parts.cross_entropy(logits, target)

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

    def soft_target(self, target: Tensor, smoothing: float) -> Tensor:
        """(N, K) shares of the classes, of codes (N,) or of shares."""
        classes = self.spec.num_outputs
        hot = target.float() if target.ndim == 2 else F.one_hot(target, classes).float()
        return hot * (1 - smoothing) + smoothing / classes

    def blend(self, shares: Tensor, target: Tensor) -> Tensor:
        """Mix shares of classes (n, K) by shares of rows (n, n)."""
        return shares @ target
