"""What a task kind is: head, per-sample loss, prediction, combination and metrics, kept together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo.contract import TASKS, TargetKind, TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.tasks.items import Floats, Form, Probabilities, Variable
from zoo.tasks.readout import Matrix, Readout

if TYPE_CHECKING:
    from zoo.results import Figure

LETTERS = 200
"""Letters of a target or a prediction in words that are kept."""


class Head(nn.Module, ABC):
    """Map a stream vector z (N, D), and the tokens of the modality that the task reads, to logits (N, ...).

    Heads of the zoo take the spec of their task, the width of z and the width of the tokens that the task reads (0
    where it reads none), and then options by keyword. So each can be named under ``model.heads.by_task``.
    """

    examples: bool = False
    """Whether ``remember`` is to be called with the training rows before a fit."""

    def remember(self, inputs: Tensor, targets: Tensor) -> None:
        """Take the training rows: what the task reads (M, ...) and its targets (M, ...). Most heads need none."""

    @abstractmethod
    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Return logits of N rows. ``tokens`` holds the same N rows; None where the task reads nothing."""


class TaskKind(TargetKind):
    """Everything that depends on the kind of a task. Holds no parameters; heads are made by ``head``.

    Predictions and targets given to all methods behind ``combination_loss`` are CPU tensors of all evaluated rows. A
    kind must have what is abstract; what is not has a default that claims nothing.

    Attributes:
        kind: name that the kind is registered under.
        primary: name of the metric that tables show; a key of what ``metrics`` returns. Higher is better.
        bounds: smallest and largest value of that metric.
        form: what is predicted of a row; it decides which conformal sets and which measures of information there are.
        class_logits: whether logits are (N, K), one for each class, and predictions their softmax: then the task may
            take a loss for rare classes, and detectors read the logits.
        gives_probabilities: whether predictions hold probabilities of classes, see ``probabilities``.
        mixable: whether targets of two rows can be mixed, see ``soft_target``.
        reads_out: whether any features of a row can be mapped to its prediction, see ``readout``.
        chance_draws: how often chance is drawn where a table shows it; few where the metric is slow.
    """

    kind: str = ""
    primary: str = ""
    bounds: tuple[float, float] = (0.0, 1.0)
    form: Form = "other"
    class_logits: bool = False
    gives_probabilities: bool = False
    mixable: bool = False
    reads_out: bool = False
    chance_draws: int = 20

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

        Args:
            dim: width of the stream vector.
            token_dim: width of the tokens that the task reads; 0 where it reads none.
            hidden: width of a hidden layer; 0 for none.
            dropout: dropout rate in the head.
        """

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) per-sample losses, in float32."""

    @abstractmethod
    def predict(self, logits: Tensor) -> Tensor:
        """Map logits to predictions: probabilities, values or coordinates."""

    @abstractmethod
    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine predictions (S, N, ...) of S streams under weights (S, N) that sum to 1 over S (late fusion).

        Args:
            predictions: (S, N, ...) of each stream.
            weights: (S, N) weight of each stream in each row.
            voting: whether streams vote instead of being averaged.
        """

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

    def metric_scores(self, metric: str, prediction: Tensor, target: Tensor) -> Tensor | None:
        """(N,) scores whose mean is ``metric``, NaN where a row has none; None where it is no mean over rows.

        Args:
            metric: a key of what ``metrics`` returns.
            prediction: (N, ...) after ``predict``.
            target: (N, ...) encoded targets.
        """
        return self.row_scores(prediction, target) if metric == self.primary else None

    def primary_value(self, prediction: Tensor, target: Tensor) -> float:
        """The primary metric alone. NaN where no row has a score."""
        scores = self.row_scores(prediction, target)
        if scores is None:
            return self.metrics(prediction, target)[self.primary]
        return float(scores.double().nanmean())

    def support(self, target: Tensor, units: npt.NDArray[np.int64]) -> int:
        """Number of independent comparisons behind the primary metric where it is no mean over rows.

        The interval of a perfect score depends on it. Here half of the units, since a comparison takes two.

        Args:
            target: (N, ...) encoded targets.
            units: (N,) number of the unit of independence of each row.
        """
        return len(np.unique(units)) // 2

    @abstractmethod
    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """Predictions (n, ...) of the best constant fitted on training targets: majority, prevalence or mean."""

    @abstractmethod
    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """Predictions (n, ...) of a guesser that knows only which classes exist in the training targets.

        Args:
            train_target: training targets, encoded.
            n: rows to predict.
            generator: draws the guesses.
        """

    # -- what evaluation asks ------------------------------------------------------------------------------

    def probabilities(self, prediction: Tensor, target: Tensor) -> Probabilities:
        """The class probabilities behind predictions, which calibration is judged by.

        Raises:
            SpecError: the kind predicts none.
        """
        raise SpecError(f"task '{self.spec.name}': kind '{self.kind}' predicts no probabilities")

    def prevalence(self, train_target: Tensor, shape: torch.Size) -> Tensor:
        """Predictions of ``shape`` of what knows no input: the frequencies of classes in training targets.

        No class has probability 0.

        Raises:
            SpecError: the kind predicts no probabilities.
        """
        raise SpecError(f"task '{self.spec.name}': kind '{self.kind}' predicts no probabilities")

    def tempered(self, prediction: Tensor, temperature: float) -> Tensor:
        """Predictions at a temperature: p ** (1 / T) of the classes in the last dimension, normalised.

        Predictions that hold no probabilities of classes stay as they are.
        """
        if not self.gives_probabilities or temperature == 1.0:
            return prediction
        powers = (prediction.double().clamp_min(1e-12).log() / temperature).softmax(-1)
        return powers.to(prediction.dtype)

    def variables(self, prediction: Tensor, target: Tensor) -> list[Variable]:
        """What is predicted of a row, one by one, where ``form`` is not "other"."""
        return []

    def prediction_shape(self) -> tuple[int, ...]:
        """Shape of one prediction."""
        return (self.spec.num_outputs,)

    def lengthened(self, prediction: Tensor, target: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Predictions and targets continued to ``length`` positions, where each position has a prediction.

        Args:
            prediction: (N, L, ...) of each position.
            target: (N, L, ...) of each position.
            length: positions of the result, at least L.
        """
        return prediction, target

    def complete(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows of whose target nothing is unknown."""
        return self.known(target)

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[Floats, str]:
        """Order rows by their label, for inputs that are missing by it.

        Args:
            target: (N, ...) targets of the rows.
            train_target: targets of training rows, for the frequencies of classes.

        Returns:
            (N,) scores from 0 to 1, and what is missing more at 1, in words. Here all rows are alike.
        """
        return np.full(len(target), 0.5), "all rows miss alike"

    # -- how rows are shown --------------------------------------------------------------------------------

    def example_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) how well single rows are predicted, higher is better; NaN where a row has no score."""
        scores = self.row_scores(prediction, target)
        return scores if scores is not None else torch.full((len(target),), torch.nan)

    def describe(self, prediction: Tensor, target: Tensor) -> tuple[str, str]:
        """Target and prediction of one row, (1, ...) each, in a few words. Here: their numbers."""
        return numbers(target), numbers(prediction)

    def figures(self, prediction: Tensor, target: Tensor, ids: Sequence[str], data: str) -> list[Figure]:
        """What a page shows of a task's test rows. Here: nothing.

        Args:
            prediction: (N, ...).
            target: (N, ...).
            ids: N names of rows.
            data: "real", "simulated" or "mixed".
        """
        return []

    def columns(self) -> list[str]:
        """Headings of ``cells``. Here: an output each, or one for all where they have no names."""
        return ["predicted", *(self.spec.classes or ["values"])]

    def cells(self, prediction: Tensor, length: int) -> list[str | float]:
        """The prediction of one row as cells of a table; values in ``TaskSpec.unit``.

        Args:
            prediction: (...) of one row.
            length: positions, without padding, that the row has of the modality that the task reads; 0 for none.
        """
        flat: list[float] = prediction.flatten().tolist()
        if self.spec.classes or len(flat) == 1:
            return ["", *flat]
        return ["", " ".join(f"{x:.6g}" for x in flat)]

    # -- what baselines ask --------------------------------------------------------------------------------

    def known(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows whose target says something."""
        return torch.ones(len(target), dtype=torch.bool)

    def learnable(self, target: Tensor) -> bool:
        """Whether training targets hold more than a constant. Here: whether any is known."""
        return bool(self.known(target).any())

    def readout(self, features: Matrix, target: Tensor, *, seed: int, strengths: Sequence[float]) -> Readout:
        """Fit a simple model that maps features to predictions, for classical pipelines.

        Args:
            features: (N, F).
            target: (N, ...), all of them known.
            seed: of whatever is random.
            strengths: inverse strengths of regularisation to choose from.

        Raises:
            SpecError: predictions of this kind are no vector that features can be mapped to.
        """
        raise SpecError(f"task '{self.spec.name}' of kind '{self.kind}' has no single vector a row to regress on")

    # -- what mixing of rows asks --------------------------------------------------------------------------

    def soft_target(self, target: Tensor, smoothing: float) -> Tensor:
        """Targets as floats that can be mixed by ``blend``, smoothed; only where ``mixable``."""
        raise SpecError(f"task '{self.spec.name}': targets of kind '{self.kind}' cannot be mixed")

    def blend(self, shares: Tensor, target: Tensor) -> Tensor:
        """Mix what ``soft_target`` made, (n, ...), by shares (n, n): row i is made of shares[i, j] of row j."""
        raise SpecError(f"task '{self.spec.name}': targets of kind '{self.kind}' cannot be mixed")


def short(text: str) -> str:
    """A text, cut to LETTERS.

    >>> len(short("a" * 300))
    200
    """
    return text if len(text) <= LETTERS else text[: LETTERS - 4] + " ..."


def numbers(values: Tensor) -> str:
    """Numbers of a tensor in words, cut to LETTERS.

    >>> numbers(torch.tensor([[1.0, 0.25]]))
    '1, 0.25'
    """
    return short(", ".join(f"{v:.3g}" for v in values.flatten()[:LETTERS].tolist()))


def task_kind(spec: TaskSpec) -> TaskKind:
    """Make the TaskKind of ``spec``."""
    kind = TASKS.get(spec.kind)
    if not issubclass(kind, TaskKind):
        raise SpecError(f"task '{spec.name}': {kind.__name__} is registered as a task kind, but is no TaskKind")
    return kind(spec)
