"""Multilabel: K labels that are present or absent each on its own, some of them unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.contract import TASKS, TaskSpec
from zoo.errors import DataError
from zoo.table_task import LabelCells, TableTask
from zoo.tasks import parts
from zoo.tasks.base import Head, TaskKind, short
from zoo.tasks.codecs import ValueCodec
from zoo.tasks.items import Floats, Form, Probabilities, Variable, label_probabilities, label_variables
from zoo.tasks.readout import Matrix, Readout, fit_labels


class LabelCodec(ValueCodec):
    """Encode dicts of label -> 0 or 1 as values and marks of what is known."""

    def value(self, name: str, code: int, value: float, row: str) -> float:
        """Return 0 or 1, and refuse all else."""
        if value not in (0, 1):
            raise DataError(f"task '{self.task.name}': the label '{name}' is {value}, not 0 or 1", row=row)
        return value


@TASKS.register_as("multilabel")
class Multilabel(TaskKind):
    """K binary labels; targets (N, 2, K): [:, 0] values 0 or 1 (in training also between), [:, 1] 1 where observed.

    Logits and predictions (probabilities) are (N, K). What is not observed never enters a number.
    """

    kind = "multilabel"
    primary = "auroc"
    form: Form = "labels"
    gives_probabilities = True
    codec = LabelCodec
    mixable = True
    reads_out = True
    float_targets = True

    @classmethod
    def label_classes(cls, label: Mapping[str, int]) -> list[str]:
        """The labels that are present."""
        return [name for name, value in label.items() if value]

    @classmethod
    def label_targets(cls, label: Mapping[str, int]) -> dict[str, str | float]:
        """Each known label: "0" or "1"."""
        return {name: str(value) for name, value in label.items()}

    @classmethod
    def table_classes(
        cls, name: str, told: TableTask, distinct: Callable[[str], list[str]], *, least: int = 1
    ) -> tuple[str, ...]:
        """The labels that are listed, the columns where there are several, or all labels that the column holds."""

        def labels(column: str) -> list[str]:
            return sorted({w.strip() for v in distinct(column) for w in v.split(told.separator) if w.strip()})

        return super().table_classes(name, told, labels, least=least)

    @classmethod
    def table_numbers(cls, name: str, told: TableTask) -> tuple[str, ...]:
        """Those of 0 and 1, one for each label."""
        return told.columns

    @classmethod
    def table_label(cls, name: str, told: TableTask, cells: LabelCells) -> dict[str, int] | None:
        """Label -> 0 or 1: of the columns that are known, or of all labels where one column holds those of a row."""
        if told.columns:
            known = {c: cells.number(c, (0, 1)) for c in told.columns}
            return {c: int(v) for c, v in known.items() if v is not None} or None
        text = cells.text(told.labels(name)[0])
        if text is None:
            return None
        held = {word.strip() for word in text.split(told.separator)}
        classes = cells.classes()
        return {c: int(c in held) for c in classes} | {c: 1 for c in held if c and c not in classes}

    @classmethod
    def target_shape(cls, spec: TaskSpec) -> tuple[int, ...]:
        """(2, K): values, and 1 where observed."""
        return (2, spec.num_outputs)

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a linear head or an MLP, dim -> K; ``token_dim`` is not used."""
        return parts.VectorHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

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

    def support(self, target: Tensor, units: npt.NDArray[np.int64]) -> int:
        """Pairs of a unit with and one without a label that share no unit, for the label that has fewest."""
        value, seen = (part.numpy() for part in parts.split_observed(target))
        pairs = [len(np.unique(units)) // 2]
        for k in range(self.spec.num_outputs):
            sides = [
                len(np.unique(units[(seen[:, k] > 0) & ((value[:, k] > 0.5) == side)])) for side in (True, False)
            ]
            if min(sides):  # else the label has no AUROC
                pairs.append(min(sides))
        return min(pairs)

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

    def metric_scores(self, metric: str, prediction: Tensor, target: Tensor) -> Tensor | None:
        """(N,) ``entry_accuracy`` for accuracy, which is quick; None for the rest."""
        return entry_accuracy(prediction, target) if metric == "accuracy" else None

    def probabilities(self, prediction: Tensor, target: Tensor) -> Probabilities:
        """The known labels, each of two classes."""
        return label_probabilities(prediction, target)

    def prevalence(self, train_target: Tensor, shape: torch.Size) -> Tensor:
        """The training prevalence of each label, from .001 to .999."""
        return self.constant(train_target, shape[0]).clamp(1e-3, 1 - 1e-3)

    def cells(self, prediction: Tensor, length: int) -> list[str | float]:
        """The labels that are more probable than not, parted by "|", and all probabilities."""
        there = [c for c, p in zip(self.spec.classes, prediction.tolist(), strict=True) if p > 0.5]
        return ["|".join(there), *super().cells(prediction, length)[1:]]

    def tempered(self, prediction: Tensor, temperature: float) -> Tensor:
        """Probabilities of labels, each at a temperature against its absence."""
        if temperature == 1.0:
            return prediction
        p = prediction.double().clamp(1e-12, 1 - 1e-12)
        return (torch.logit(p) / temperature).sigmoid().to(prediction.dtype)

    def variables(self, prediction: Tensor, target: Tensor) -> list[Variable]:
        """One of two classes for each label."""
        return label_variables(prediction, target)

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[Floats, str]:
        """By the share of known labels that are present."""
        return parts.rank_shares(parts.observed_mean(target)), "rows with more labels are missing more"

    def example_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) minus the mean loss over known labels, in nats; NaN where none is known."""
        value, seen = parts.split_observed(target)
        likely = torch.where(value > 0.5, prediction, 1 - prediction)
        return parts.row_mean(likely.clamp_min(1e-7).log(), seen)

    def describe(self, prediction: Tensor, target: Tensor) -> tuple[str, str]:
        """The labels that are present, and the probabilities of all that are known."""
        value, seen = (x[0] for x in parts.split_observed(target))
        names = self.spec.classes
        present = [c for c, v, s in zip(names, value, seen, strict=True) if s > 0 and v > 0.5]
        likely = [f"{c} {float(p):.2f}" for c, p, s in zip(names, prediction[0], seen, strict=True) if s > 0]
        return short(", ".join(present) or "none"), short(", ".join(likely))

    def known(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows with a known label."""
        return (target[:, 1] > 0).any(1)

    def complete(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows of which everything is known."""
        return (target[:, 1] > 0).all(1)

    def learnable(self, target: Tensor) -> bool:
        """Whether a label is known to be present in one training row and absent in another."""
        return parts.any_varies(target)

    def readout(self, features: Matrix, target: Tensor, *, seed: int, strengths: Sequence[float]) -> Readout:
        """A logistic regression for each label."""
        return fit_labels(features, target, seed=seed, strengths=strengths)

    def soft_target(self, target: Tensor, smoothing: float) -> Tensor:
        """(N, 2, K) with smoothed values of known labels."""
        value = target[:, 0] * (1 - smoothing) + 0.5 * smoothing
        return torch.stack([torch.where(target[:, 1] > 0, value, target[:, 0]), target[:, 1]], 1)

    def blend(self, shares: Tensor, target: Tensor) -> Tensor:
        """Mix (n, 2, K) by shares of rows (n, n); what is unknown in one of two rows is unknown in the mix."""
        value, seen = target[:, 0], target[:, 1] > 0
        known = (shares > 0).float() @ (~seen).float() == 0
        return torch.stack([torch.where(known, shares @ torch.where(seen, value, 0.0), 0.0), known.float()], 1)


def entry_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """(N,) share of a row's observed labels that a multilabel prediction gets right at one half; NaN for none."""
    seen = target[:, 1] > 0
    right = ((prediction > 0.5) == (target[:, 0] > 0.5)) & seen
    return torch.where(seen.any(1), right.sum(1).float() / seen.sum(1).clamp_min(1), torch.nan)
