"""Token classification: one of K classes for every residue, from the protein's tokens and a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.contract import TASKS, TaskSpec, Tokens
from zoo.errors import DataError, SpecError
from zoo.raw import RawTask
from zoo.table_task import LabelCells, TableTask
from zoo.task import TargetCodec
from zoo.tasks import parts
from zoo.tasks.base import Head, TaskKind, short
from zoo.tasks.classes import class_frequencies
from zoo.tasks.items import Floats, Probabilities, probabilities_of

if TYPE_CHECKING:
    from zoo.results import Figure

UNKNOWN = "-"
"""Letter of a position without a label, in raw labels."""
WIDTH = 64
"""Width of the trunk of a ResidueHead where no hidden width is given."""
WINDOW = 7
"""Residues that each convolution of a ResidueHead sees; two of them see 13."""


class ResidueHead(Head):
    """Map z (N, dim) and residue tokens (N, L, token_dim) to logits (N, L, K).

    Tokens and z are projected and added; two residual convolutions over WINDOW residues follow, for encoders
    whose tokens know little of their neighbours (early fusion reads embeddings alone). Padding changes nothing.

    Args:
        spec: spec of the task, whose length is L, the number of token positions, and whose num_outputs is K.
        dim: width of the stream vector.
        token_dim: width of the tokens.
        hidden: width of the trunk, 0 for WIDTH.
        dropout: dropout rate in the trunk.
    """

    def __init__(self, spec: TaskSpec, dim: int, token_dim: int, *, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        parts.check_head(hidden, dropout)
        self.task = spec.name
        self.length = spec.length
        width = hidden or WIDTH
        self.token = nn.Linear(token_dim, width)
        self.stream = nn.Linear(dim, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.mixes = nn.ModuleList(nn.Conv1d(width, width, WINDOW, padding=WINDOW // 2) for _ in range(2))
        self.outs = nn.ModuleList(nn.Sequential(nn.Dropout(dropout), nn.Linear(width, width)) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, spec.num_outputs)

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) and Tokens of N rows to logits (N, L, K)."""
        read = parts.need_tokens(self.task, z, tokens)
        if read.mask.shape[1] != self.length:
            raise SpecError(
                f"the head of task '{self.task}' got tokens of {read.mask.shape[1]} positions, but labels "
                f"{self.length}; use an encoder that keeps one token a residue"
            )
        real = read.mask.unsqueeze(-1).to(z.dtype)
        x = self.token(read.values) + self.stream(z).unsqueeze(1)
        for norm, mix, out in zip(self.norms, self.mixes, self.outs, strict=True):
            x = x + out(F.gelu(mix((norm(x) * real).transpose(1, 2)).transpose(1, 2)))
        logits: Tensor = self.classify(self.norm(x))
        return logits


class PositionCodec(TargetCodec):
    """Encode one letter a position, or a list of class names, as codes; "-" and "" are unknown and become -1."""

    def bind(self, task: RawTask, *, simulated: bool = False) -> None:
        """Take the task, and refuse classes of the names that mean unknown."""
        super().bind(task, simulated=simulated)
        if {UNKNOWN, ""} & set(self.classes):
            raise SpecError(
                f"task '{task.name}': '{UNKNOWN}' and '' mean unknown and can be no class: {task.classes}"
            )

    def spec(self) -> TaskSpec:
        """The TaskSpec, with the number of positions."""
        return self.make_spec(len(self.classes), self.classes, length=self.length)

    def __call__(self, label: str | Sequence[str], row: str) -> Tensor:
        """Encode the labels of one row; (L,) codes, -1 where unknown and behind the last one."""
        codes = {name: k for k, name in enumerate(self.classes)} | {UNKNOWN: -1, "": -1}
        out = torch.full((self.length,), -1, dtype=torch.long)
        try:
            found = [codes[name] for name in label]
        except (KeyError, TypeError):
            strange = (
                sorted({str(name) for name in label if name not in codes}) if isinstance(label, Sequence) else label
            )
            raise DataError(
                f"task '{self.task.name}': the label of the residues holds {strange!r}, none of its classes "
                f"{tuple(self.classes)}; write '{UNKNOWN}' where it is unknown",
                row=row,
            ) from None
        kept = found[: self.length]  # a longer protein was cut there, or refused by its processor
        out[: len(kept)] = torch.tensor(kept, dtype=torch.long)
        return out


@TASKS.register_as("token_classification")
class TokenClassification(TaskKind):
    """One of K classes a position; targets (N, L) long codes, -1 where unknown or padding.

    Logits and predictions (probabilities) are (N, L, K), with L = ``spec.length``. Unknown positions enter no
    number. A row without a known position has loss 0, but a 0 that is averaged would still dilute a mean:
    whoever averages losses drops such rows first.
    """

    kind = "token_classification"
    primary = "accuracy"
    codec = PositionCodec
    gives_probabilities = True
    reads_tokens = True
    labels_positions = True

    @classmethod
    def label_classes(cls, label: str | Sequence[str]) -> list[str]:
        """The classes of the known positions, each once."""
        return sorted(set(label) - {UNKNOWN, ""})

    @classmethod
    def table_check(cls, name: str, told: TableTask) -> None:
        """Refuse a task without its classes: a cell holds one letter a position."""
        super().table_check(name, told)
        if not told.classes:
            raise SpecError(f"task '{name}': lists its 'classes', one letter each, of which a cell holds one a token")

    @classmethod
    def table_label(cls, name: str, told: TableTask, cells: LabelCells) -> str | None:
        """The letters of a row, "-" where the mask holds a 0; None where they or the mask are unknown."""
        text = cells.text(told.labels(name)[0])
        mask = cells.text(told.mask) if told.mask else None
        if text is None or (told.mask and mask is None):
            return None
        if mask is None:
            return text
        if len(mask) != len(text) or set(mask) - {"0", "1"}:
            raise DataError(
                f"the mask in column '{told.mask}' is {mask[:20]!r} ({len(mask)} letters), and must be a 0 or 1 for "
                f"each of the {len(text)} positions"
            )
        return "".join(letter if m == "1" else UNKNOWN for letter, m in zip(text, mask, strict=True))

    @classmethod
    def check(cls, spec: TaskSpec) -> None:
        """Refuse fewer than two classes, and a task that does not say how many positions it has."""
        super().check(spec)
        if spec.num_outputs < 2:
            raise SpecError(f"task '{spec.name}': {spec.kind} needs at least 2 classes, got {spec.num_outputs}")

    @classmethod
    def target_shape(cls, spec: TaskSpec) -> tuple[int, ...]:
        """(L,) class codes, -1 where unknown."""
        return (spec.length,)

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a ResidueHead; ``hidden`` is the width of its trunk, 0 for WIDTH."""
        return ResidueHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    @staticmethod
    def _row_mean(values: Tensor, known: Tensor) -> Tensor:
        """Average values (N, L) over known positions; 0 where none is."""
        return (values * known).sum(1) / known.sum(1).clamp_min(1)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) cross-entropies in nats, averaged over known positions; 0 where none is."""
        each = F.cross_entropy(logits.float().transpose(1, 2), target, ignore_index=-1, reduction="none")
        return self._row_mean(each, target >= 0)

    def predict(self, logits: Tensor) -> Tensor:
        """Map logits (N, L, K) to probabilities (N, L, K) by softmax."""
        return torch.softmax(logits.float(), -1)

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine (S, N, L, K): weighted average of probabilities, or shares of the votes."""
        return parts.combine_probabilities(predictions, weights, voting)

    def combination_loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) negative logs of the probability given to the target, averaged over known positions."""
        picked = prediction.gather(2, target.clamp_min(0).unsqueeze(2)).squeeze(2)
        return -self._row_mean(picked.clamp_min(1e-8).log(), target >= 0)

    @staticmethod
    def _counts(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) known and correct positions of each row."""
        known = target >= 0
        right = (prediction.argmax(-1) == target) & known
        return known.sum(1).double(), right.sum(1).double()

    def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) scores whose mean is the accuracy a over all known positions; NaN where a row has none.

        a + (right - a * known) / (mean known): the terms of the ratio of two means by linearisation (Cochran
        1977, section 6.4), so that the bootstrap over rows gives the interval of a itself, in which long rows
        count more. A score can lie outside [0, 1]; the accuracy of single rows averages to ``row_accuracy``.
        """
        known, right = self._counts(prediction, target)
        if not bool(known.any()):
            return torch.full((len(target),), parts.NAN)
        accuracy = right.sum() / known.sum()
        scores = accuracy + (right - accuracy * known) / known[known > 0].mean()
        return torch.where(known > 0, scores, parts.NAN)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return accuracy, row_accuracy, balanced_accuracy and macro_f1.

        accuracy is over all known positions (Q3 where the classes are helix, strand and coil), row_accuracy the
        mean of the rows' own; macro_f1 is the mean F1 of the classes that are present or predicted. All are NaN
        where no position is known.
        """
        mask = target >= 0
        choice, truth = prediction.argmax(-1)[mask].numpy(), target[mask].numpy()
        known, right = self._counts(prediction, target)
        return {
            "accuracy": parts.mean_of(torch.from_numpy(choice == truth).float()),
            "row_accuracy": parts.mean_of((right / known)[known > 0]),
            "balanced_accuracy": parts.balanced_accuracy(choice, truth),
            "macro_f1": parts.macro_f1(choice, truth),
        }

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """One-hot (n, L, K) of the most frequent class of training positions."""
        counts = parts.class_counts(self.spec.name, train_target, self.spec.num_outputs)
        return parts.majority(counts, 1).expand(n, self.spec.length, -1).clone()

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """One-hot (n, L, K) of a class drawn uniformly, for each position, from those in the training targets."""
        counts = parts.class_counts(self.spec.name, train_target, self.spec.num_outputs)
        drawn = parts.random_classes(counts, n * self.spec.length, generator)
        return drawn.reshape(n, self.spec.length, -1) if n else drawn.reshape(0, self.spec.length, drawn.shape[-1])

    def probabilities(self, prediction: Tensor, target: Tensor) -> Probabilities:
        """The known positions."""
        known = target >= 0
        rows = torch.arange(len(target))[:, None].expand(target.shape)
        return probabilities_of(prediction.double()[known], target[known], rows[known])

    def prevalence(self, train_target: Tensor, shape: torch.Size) -> Tensor:
        """The frequencies of the classes over training positions; one position is added to each."""
        return class_frequencies(train_target, self.spec.num_outputs).expand(shape).clone()

    def prediction_shape(self) -> tuple[int, ...]:
        """(L, K): probabilities of each position."""
        return (self.spec.length, self.spec.num_outputs)

    def lengthened(self, prediction: Tensor, target: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Add positions with probabilities 0 and an unknown class."""
        more = length - target.shape[1]
        return F.pad(prediction, (0, 0, 0, more)), F.pad(target, (0, more), value=-1)

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[Floats, str]:
        """By the number of known positions."""
        length = (target >= 0).sum(1).double().numpy()
        return parts.rank_shares(length), "longer chains are missing more"

    def describe(self, prediction: Tensor, target: Tensor) -> tuple[str, str]:
        """The classes of known positions, and the most probable ones there."""
        known, names = target[0] >= 0, self.spec.classes
        best = prediction[0, known].argmax(-1).tolist()
        return short(" ".join(names[k] for k in target[0, known].tolist())), short(" ".join(names[k] for k in best))

    def figures(self, prediction: Tensor, target: Tensor, ids: Sequence[str], data: str) -> list[Figure]:
        """The confusion matrix over known positions."""
        from zoo.tasks.figures import confusion  # here, for it brings pandas

        known = target >= 0
        return confusion(self.spec, prediction.argmax(-1)[known], target[known], data=data, most=16, unit="tokens")

    def columns(self) -> list[str]:
        """One cell holds the classes of all positions."""
        return ["predicted"]

    def cells(self, prediction: Tensor, length: int) -> list[str | float]:
        """The most probable class of each position of the row, parted by blanks."""
        return [" ".join(self.spec.classes[k] for k in prediction[:length].argmax(-1).tolist())]

    def known(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows with a known position."""
        return (target >= 0).any(1)

    def learnable(self, target: Tensor) -> bool:
        """Whether training positions hold two classes."""
        return len(torch.unique(target[target >= 0])) > 1
