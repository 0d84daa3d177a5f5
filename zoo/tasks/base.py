"""What a task kind is: head, per-sample loss, prediction, combination and metrics, kept together."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from zoo.contract import TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.registry import Registry


class Head(nn.Module, ABC):
    """Map a stream vector z (N, D), and the tokens of the modality that the task reads, to logits (N, ...)."""

    examples: bool = False
    """Whether ``remember`` is to be called with the training rows before a fit."""

    def remember(self, inputs: Tensor, targets: Tensor) -> None:
        """Take the training rows: what the task reads (M, ...) and its targets (M, ...). Most heads need none."""

    @abstractmethod
    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Return logits of N rows. ``tokens`` holds the same N rows; None where the task reads nothing."""


class TaskKind(ABC):
    """Everything that depends on the kind of a task. Holds no parameters; heads are made by ``head``.

    Predictions and targets given to the metric methods are CPU tensors of all evaluated rows.
    """

    kind: str = ""
    primary: str = ""
    """Name of the metric that tables show; a key of what ``metrics`` returns. Higher is better."""

    def __init__(self, spec: TaskSpec) -> None:
        if spec.kind != self.kind:
            raise SpecError(f"{type(self).__name__} handles kind '{self.kind}', but '{spec.name}' is '{spec.kind}'")
        self.spec = spec

    @property
    def floor(self) -> float:
        """The primary metric of a guesser: 1 / classes for accuracies, .5 for AUROC, 0 for correlation."""
        if self.primary == "accuracy":
            return 1.0 / self.spec.num_outputs
        return 0.5 if self.primary == "auroc" else 0.0

    @abstractmethod
    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a head for stream width ``dim`` and width ``token_dim`` of the tokens that the task reads.

        ``hidden`` is the width of a hidden layer, 0 for none.
        """

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) per-sample losses, in float32."""

    @abstractmethod
    def predict(self, logits: Tensor) -> Tensor:
        """Map logits to predictions: probabilities, values or coordinates."""

    @abstractmethod
    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine predictions (S, N, ...) of S streams under weights (S, N) that sum to 1 over S (late fusion)."""

    def combination_loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) losses of combined predictions, by which LateFusion learns its weights.

        Here: the negative log of the probability given to the target, a code (N,) or shares of the classes
        (N, K). Kinds that predict no class probabilities override it.
        """
        if target.is_floating_point() and target.shape == prediction.shape:
            return -(prediction.clamp_min(1e-8).log() * target).sum(-1)
        known = target >= 0
        picked = prediction.gather(1, target.clamp_min(0).unsqueeze(1)).squeeze(1)
        return -(picked.clamp_min(1e-8).log() * known)

    @abstractmethod
    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return every metric of this kind. NaN where a metric is undefined on these rows."""

    def slow_metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return metrics too slow for every epoch, which the final report adds to ``metrics``; here none."""
        return {}

    def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """(N,) scores whose mean is the primary metric, or None where it is not a mean over rows.

        NaN where a row has no score; such rows enter no mean.
        """
        return None

    def primary_value(self, prediction: Tensor, target: Tensor) -> float:
        """The primary metric alone. NaN where no row has a score."""
        scores = self.row_scores(prediction, target)
        if scores is None:
            return self.metrics(prediction, target)[self.primary]
        return float(scores.double().nanmean())

    @abstractmethod
    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """Predictions (n, ...) of the best constant fitted on training targets: majority, prevalence or mean."""

    @abstractmethod
    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """Predictions (n, ...) of a guesser that knows only which classes exist in the training targets."""


TASKS: Registry[TaskKind] = Registry("task kind")
"""Task kinds by ``spec.kind``."""


def task_kind(spec: TaskSpec) -> TaskKind:
    """Make the TaskKind of ``spec``."""
    import zoo.tasks  # noqa: F401  (registers the kinds)

    return TASKS.get(spec.kind)(spec)


def bootstrap_interval(
    kind: TaskKind, prediction: Tensor, target: Tensor, *, resamples: int = 500, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the primary metric over rows (Efron 1979).

    Returns:
        (low, high); (nan, nan) for no rows, or where no resample has a score.
    """
    n = len(target)
    if n == 0:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    scores = kind.row_scores(prediction, target)
    values = np.empty(resamples)
    for i in range(resamples):
        pick = torch.from_numpy(generator.integers(0, n, n))
        values[i] = (
            float(scores[pick].nanmean())
            if scores is not None
            else kind.primary_value(prediction[pick], target[pick])
        )
    if np.isnan(values).all():
        return float("nan"), float("nan")
    tail = 100 * (1 - level) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
