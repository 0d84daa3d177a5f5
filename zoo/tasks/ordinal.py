"""Ordinal: one of K ordered classes, by shared scores and ordered thresholds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.contract import TASKS, TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.raw import RawTask
from zoo.table_task import TableTask
from zoo.tasks import parts
from zoo.tasks.base import Head
from zoo.tasks.classes import ClassTask
from zoo.tasks.items import Floats

STEP = 2.0
"""Distance of neighbouring thresholds of a new head, in logits; from 1.39 on a class between two can be chosen."""
GAIN = 10.0
"""Logits a unit of the parameters behind the thresholds. Adam moves a parameter by about the learning rate a step,
whatever its gradient: at a rate of 0.001 a threshold would stay for hundreds of steps where it began."""


class OrdinalHead(Head):
    """Map z (N, dim) to K - 1 falling cumulative logits: logit P(y > k) = s(z) - b_k, b_0 < b_1 < ...

    One score s with shared weights and one threshold a rank (CORAL, Cao, Mirjalili and Raschka 2020, eq. 4).
    CORAL proves that the thresholds are ordered at the optimum; here they are ordered always, as the first
    one and softplus increments, so that class probabilities are never negative.

    Without GAIN and STEP a short training never predicts the middle grade (docs/decisions).

    Args:
        spec: spec of the task, whose num_outputs is K.
        dim: width of the stream vector.
        token_dim: not used.
        hidden: width of a hidden layer, 0 for none.
        dropout: dropout rate before the last layer.
    """

    def __init__(
        self, spec: TaskSpec, dim: int, token_dim: int = 0, *, hidden: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        classes = spec.num_outputs
        self.score = parts.mlp(dim, 1, hidden, dropout)
        self.first = nn.Parameter(torch.tensor([STEP * (1.0 - classes / 2) / GAIN]))
        self.steps = nn.Parameter(torch.full((classes - 2,), math.log(math.expm1(STEP)) / GAIN))

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) to (N, K - 1) cumulative logits, falling along the last axis."""
        first = self.first * GAIN
        bounds = torch.cat([first, first + F.softplus(self.steps * GAIN).cumsum(0)])
        score: Tensor = self.score(z)
        return score - bounds


def log_probabilities(logits: Tensor) -> Tensor:
    """Map falling cumulative logits (N, K - 1) to log class probabilities (N, K), without cancellation.

    P(y = k) = sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)) for neighbours a >= b.
    Logits that rise somewhere are replaced by their running minimum first.

    >>> log_probabilities(torch.tensor([[0.0, -3.0]])).exp()
    tensor([[0.5000, 0.4526, 0.0474]])
    """
    falling = torch.cummin(logits.float(), -1).values
    above, below = falling[:, :-1], falling[:, 1:]
    gap = (above - below).clamp_min(1e-12)
    middle = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-gap))
    return torch.cat([F.logsigmoid(-falling[:, :1]), middle, F.logsigmoid(falling[:, -1:])], -1)


@TASKS.register_as("ordinal")
class Ordinal(ClassTask):
    """One of K ordered classes; targets (N,) long, logits (N, K - 1), predictions (N, K) probabilities."""

    kind = "ordinal"
    ordered = True

    @classmethod
    def join(cls, first: RawTask, other: RawTask) -> None:
        """Refuse other grades, or another order of them."""
        super().join(first, other)
        if other.classes != first.classes:
            raise SpecError(f"ordinal task '{first.name}' has the grades {other.classes} and {first.classes}")

    @classmethod
    def table_check(cls, name: str, told: TableTask) -> None:
        """Refuse a task without its grades: a column does not say their order."""
        super().table_check(name, told)
        if not told.classes:
            raise SpecError(f"task '{name}': an ordinal task lists its 'classes' in increasing order")

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make an OrdinalHead; ``token_dim`` is not used."""
        return OrdinalHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) negative log-likelihoods, in nats, of the proportional-odds model (McCullagh 1980).

        CORAL's own loss, the sum of BCE over thresholds, has the same head and the same optimum for a model
        that fits, but weighs the middle more and was less accurate (docs/decisions).
        """
        return F.nll_loss(log_probabilities(logits), target, reduction="none")

    def predict(self, logits: Tensor) -> Tensor:
        """Map logits (N, K - 1) to class probabilities (N, K), non-negative, of sum 1."""
        return log_probabilities(logits).exp()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return accuracy, kappa (quadratic weights), mae in classes (lower is better) and within_one.

        All are NaN for no rows; kappa also where prediction and target are one and the same constant.
        """
        choice = prediction.argmax(-1)
        error = (choice - target).abs()
        return {
            "accuracy": parts.mean_of((error == 0).float()),
            "kappa": parts.quadratic_kappa(choice.numpy(), target.numpy(), self.spec.num_outputs),
            "mae": parts.mean_of(error),
            "within_one": parts.mean_of((error <= 1).float()),
        }

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[Floats, str]:
        """From the lowest grade at 0 to the highest at 1."""
        return target.double().numpy() / (self.spec.num_outputs - 1), "higher grades are missing more"
