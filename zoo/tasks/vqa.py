"""Visual question answering: one answer of a closed vocabulary, from a stream and the question's tokens."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zoo.contract import Tokens
from zoo.tasks import parts
from zoo.tasks.base import TASKS, Head, TaskKind

CLOSED = ("yes", "no")
"""Answers that make a question a closed one."""


class AnswerHead(Head):
    """Map z (N, dim) and question tokens (N, L, token_dim) to answer logits (N, K): net([z, q, z * q]).

    q is the question's tokens pooled by attention, with scores from z (one head of dot-product attention,
    Vaswani et al. 2017, eq. 1); a row without a real token pools to zeros.

    Args:
        task: name of the task, for errors.
        dim: width of the stream vector.
        token_dim: width of the question's tokens.
        classes: K, the number of answers.
        hidden: width of a hidden layer, 0 for none.
        dropout: dropout rate before the last layer.
    """

    def __init__(
        self, task: str, dim: int, token_dim: int, classes: int, hidden: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.task = task
        self.query = nn.Linear(dim, token_dim)
        self.value = nn.Linear(token_dim, dim)
        self.net = parts.mlp(3 * dim, classes, hidden, dropout)

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) and Tokens of N rows to (N, K)."""
        question = parts.need_tokens(self.task, z, tokens)
        scores = (question.values @ self.query(z).unsqueeze(-1)).squeeze(-1) / question.values.shape[-1] ** 0.5
        share = torch.softmax(scores.float().masked_fill(~question.mask, -1e9), -1) * question.mask
        pooled = (share.to(z.dtype).unsqueeze(-1) * self.value(question.values)).sum(1)
        logits: Tensor = self.net(torch.cat([z, pooled, z * pooled], -1))
        return logits


@TASKS.register_as("vqa")
class VQA(TaskKind):
    """Targets (N,) long: code of the answer, or -1 for an answer outside the training vocabulary.

    Logits and predictions (probabilities) are (N, K). The code -1 occurs in evaluation only. Its loss is 0,
    but a 0 that is averaged would still dilute a mean: whoever averages losses drops the rows with target
    -1 first (``answerable``). Metrics count such rows, as wrong.
    """

    kind = "vqa"
    primary = "accuracy"

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make an AnswerHead over question tokens of width ``token_dim``."""
        return AnswerHead(self.spec.name, dim, token_dim, self.spec.num_outputs, hidden, dropout)

    @staticmethod
    def answerable(target: Tensor) -> Tensor:
        """(N,) bool, True where the answer is in the vocabulary: the rows that a mean loss is taken over."""
        return target >= 0

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) cross-entropies in nats; exactly 0, without gradient, where the target is -1."""
        each = parts.cross_entropy(logits, target.clamp_min(0))
        return each * self.answerable(target)

    def predict(self, logits: Tensor) -> Tensor:
        """Map logits (N, K) to probabilities (N, K) by softmax."""
        return torch.softmax(logits.float(), -1)

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine (S, N, K): weighted average of probabilities, or shares of the votes."""
        return parts.combine_probabilities(predictions, weights, voting)

    def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) 1 where the most probable answer is the target, else 0; 0 where the target is -1."""
        return (prediction.argmax(-1) == target).float()

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

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """One-hot (n, K) of the most frequent training answer."""
        return parts.majority(parts.class_counts(self.spec.name, train_target, self.spec.num_outputs), n)

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """One-hot (n, K) of an answer drawn uniformly from those in the training targets."""
        counts = parts.class_counts(self.spec.name, train_target, self.spec.num_outputs)
        return parts.random_classes(counts, n, generator)
