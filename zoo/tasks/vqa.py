"""Visual question answering: one answer of a closed vocabulary, from a stream and the question's tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.contract import TASKS, TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.task import TargetCodec
from zoo.tasks import parts
from zoo.tasks.base import Head
from zoo.tasks.classes import ClassTask

CLOSED = ("yes", "no")
"""Answers that make a question a closed one."""


class AnswerHead(Head):
    """Map z (N, dim) and question tokens (N, L, token_dim) to answer logits (N, K): net([z, q, z * q]).

    q is the question's tokens pooled by attention, with scores from z (one head of dot-product attention,
    Vaswani et al. 2017, eq. 1); a row without a real token pools to zeros.

    Args:
        spec: spec of the task, whose num_outputs is K, the number of answers.
        dim: width of the stream vector.
        token_dim: width of the question's tokens.
        hidden: width of a hidden layer, 0 for none.
        dropout: dropout rate before the last layer.
    """

    def __init__(self, spec: TaskSpec, dim: int, token_dim: int, *, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.task = spec.name
        self.query = nn.Linear(dim, token_dim)
        self.value = nn.Linear(token_dim, dim)
        self.net = parts.mlp(3 * dim, spec.num_outputs, hidden, dropout)

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) and Tokens of N rows to (N, K)."""
        question = parts.need_tokens(self.task, z, tokens)
        scores = (question.values @ self.query(z).unsqueeze(-1)).squeeze(-1) / question.values.shape[-1] ** 0.5
        share = torch.softmax(scores.float().masked_fill(~question.mask, -1e9), -1) * question.mask
        pooled = (share.to(z.dtype).unsqueeze(-1) * self.value(question.values)).sum(1)
        logits: Tensor = self.net(torch.cat([z, pooled, z * pooled], -1))
        return logits


class AnswerCodec(TargetCodec):
    """Code answers by their rank in a closed vocabulary, and -1 for all others.

    Args:
        max_answers: size of the vocabulary: the most frequent training answers, by name where two are as frequent.
    """

    fits = True

    def __init__(self, *, max_answers: int = 500) -> None:
        if max_answers < 1:
            raise SpecError(f"max_answers must be at least 1, got {max_answers}")
        self.max_answers = max_answers

    def fit(self, labels: Sequence[str], length: int = 0) -> None:
        """Learn the vocabulary from training answers."""
        super().fit(labels, length)
        counts = Counter(labels)
        self.classes = sorted(counts, key=lambda a: (-counts[a], a))[: self.max_answers]

    def __call__(self, label: str, row: str) -> Tensor:
        """Encode one answer; -1 where it is outside the vocabulary."""
        return torch.tensor(self.classes.index(label) if label in self.classes else -1)


@TASKS.register_as("vqa")
class VQA(ClassTask):
    """Targets (N,) long: code of the answer, or -1 for an answer outside the training vocabulary.

    Logits and predictions (probabilities) are (N, K). The code -1 occurs in evaluation only. Its loss is 0,
    but a 0 that is averaged would still dilute a mean: whoever averages losses drops the rows with target
    -1 first (``answerable``). Metrics count such rows, as wrong.
    """

    kind = "vqa"
    codec = AnswerCodec
    reads_tokens = True
    open_classes = True
    asks = True
    class_logits = True
    most_shown = 8

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make an AnswerHead over question tokens of width ``token_dim``."""
        return AnswerHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    @staticmethod
    def answerable(target: Tensor) -> Tensor:
        """(N,) bool, True where the answer is in the vocabulary: the rows that a mean loss is taken over."""
        return target >= 0

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) cross-entropies in nats; exactly 0, without gradient, where the target is -1."""
        each = parts.cross_entropy(logits, target.clamp_min(0))
        return each * self.answerable(target)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return accuracy, accuracy_in_vocabulary, yes_no, open and coverage.

        accuracy counts targets of -1 as wrong; accuracy_in_vocabulary leaves them out; coverage is the share of
        rows that are in the vocabulary. yes_no is the accuracy over rows whose target is "yes" or "no" (NaN if
        neither is an answer), open the accuracy over all other rows, -1 among them. NaN where no row qualifies.
        """
        right = self.row_scores(prediction, target)
        known = self.answerable(target)
        codes = [i for i, answer in enumerate(self.spec.classes) if answer.strip().lower() in CLOSED]
        closed = torch.isin(target, torch.tensor(codes, dtype=target.dtype))
        return {
            "accuracy": parts.mean_of(right),
            "accuracy_in_vocabulary": parts.mean_of(right[known]),
            "yes_no": parts.mean_of(right[closed]),
            "open": parts.mean_of(right[~closed]),
            "coverage": parts.mean_of(known.float()),
        }
