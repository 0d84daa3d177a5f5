"""Parts that several task kinds share: vector heads, combination, baselines, ranks and curves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.contract import TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.tasks.base import Head

Floats = npt.NDArray[np.float64]
NAN = float("nan")


def check_head(hidden: int, dropout: float) -> None:
    """Check the sizes that every head takes.

    Raises:
        SpecError: a negative width, or a dropout outside [0, 1).
    """
    if hidden < 0 or not 0.0 <= dropout < 1.0:
        raise SpecError(f"a head takes hidden >= 0 and 0 <= dropout < 1, got hidden={hidden}, dropout={dropout}")


def mlp(inputs: int, outputs: int, hidden: int = 0, dropout: float = 0.0) -> nn.Module:
    """Make a linear map, or with ``hidden`` > 0 one hidden layer (Linear, GELU, Dropout, Linear).

    Args:
        inputs: width of the input.
        outputs: width of the output.
        hidden: width of the hidden layer; 0 for none.
        dropout: dropout rate behind the hidden layer.

    >>> mlp(4, 2)
    Linear(in_features=4, out_features=2, bias=True)

    Raises:
        SpecError: a negative width, or a dropout outside [0, 1).
    """
    check_head(hidden, dropout)
    if not hidden:
        return (
            nn.Linear(inputs, outputs)
            if not dropout
            else nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, outputs))
        )
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))


class VectorHead(Head):
    """Map z (N, dim) to logits (N, K) without reading tokens.

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
        self.net = mlp(dim, spec.num_outputs, hidden, dropout)

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) to (N, K)."""
        logits: Tensor = self.net(z)
        return logits


def need_tokens(task: str, z: Tensor, tokens: Tokens | None) -> Tokens:
    """Return ``tokens``, checked to hold the rows of ``z``.

    Args:
        task: name of the task, for errors.
        z: (N, D) stream vectors.
        tokens: of the modality that the task reads.

    Raises:
        SpecError: there are no tokens, or they are of another number of rows.
    """
    if tokens is None:
        raise SpecError(f"the head of task '{task}' reads tokens, but got None; pass those of the modality it reads")
    if len(tokens.values) != len(z):
        raise SpecError(f"the head of task '{task}' got {len(z)} vectors, but tokens of {len(tokens.values)} rows")
    return tokens


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the (N,) cross-entropies in nats of logits (N, K), in float32.

    Targets are class codes (N,), or shares of the classes (N, K), as mixed rows have them.
    """
    soft = target.is_floating_point()
    return F.cross_entropy(logits.float(), target.float() if soft else target, reduction="none")


def average(predictions: Tensor, weights: Tensor) -> Tensor:
    """Average (S, N, ...) over S under weights (S, N) that sum to 1 over S.

    >>> average(torch.tensor([[[1.0]], [[3.0]]]), torch.tensor([[0.25], [0.75]]))
    tensor([[2.5000]])
    """
    shape = weights.shape + (1,) * (predictions.dim() - weights.dim())
    return (predictions * weights.reshape(shape)).sum(0)


def weighted_median(predictions: Tensor, weights: Tensor) -> Tensor:
    """The lower median over S of predictions (S, N, K) under weights (S, N) that sum to 1 over S.

    >>> weighted_median(torch.tensor([[[1.0]], [[3.0]], [[9.0]]]), torch.full((3, 1), 1 / 3))
    tensor([[3.]])
    """
    ordered, order = predictions.sort(0)
    reached = weights.unsqueeze(-1).expand_as(predictions).gather(0, order).cumsum(0)
    index = (reached < 0.5 - 1e-6).sum(0, keepdim=True).clamp_max(len(predictions) - 1)
    return ordered.gather(0, index).squeeze(0)


TIE = 1e-4
"""Weight of the averaged probabilities beside the votes; it decides ties and nothing else."""


def combine_probabilities(predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
    """Combine class probabilities (S, N, K): weighted average, or shares of the weighted votes.

    In a vote each stream votes for its most probable class; a tie goes to the class of the larger average
    probability (the averages are mixed in with the weight TIE, so rows still sum to 1).

    Args:
        predictions: (S, N, K) probabilities of each stream.
        weights: (S, N) weight of each stream in each row.
        voting: whether streams vote instead of being averaged.
    """
    mean = average(predictions, weights)
    if not voting:
        return mean
    votes = F.one_hot(predictions.argmax(-1), predictions.shape[-1]).to(predictions.dtype)
    return (average(votes, weights) + TIE * mean) / (1 + TIE)


def class_counts(task: str, train_target: Tensor, classes: int) -> Floats:
    """Count the classes (K,) in training targets (N,); codes below 0 (outside the vocabulary) are left out.

    Args:
        task: name of the task, for errors.
        train_target: (N,) codes.
        classes: K, the number of classes.

    Raises:
        SpecError: no training target is left, so no baseline can be fitted.
    """
    known = train_target[train_target >= 0]
    if not len(known):
        raise SpecError(f"task '{task}': no training target of a known class, so no baseline can be fitted")
    return torch.bincount(known, minlength=classes).double().numpy()


def majority(counts: Floats, n: int) -> Tensor:
    """One-hot (n, K) of the most frequent class; the first of equals."""
    row = torch.zeros(len(counts))
    row[int(counts.argmax())] = 1.0
    return row.expand(n, -1).clone()


def random_classes(counts: Floats, n: int, generator: np.random.Generator) -> Tensor:
    """One-hot (n, K) of a class drawn uniformly, row by row, from the classes that occur.

    Args:
        counts: (K,) training rows of each class.
        n: rows to draw for.
        generator: draws the classes.
    """
    codes = generator.choice(np.flatnonzero(counts), size=n)
    return F.one_hot(torch.from_numpy(codes).long(), len(counts)).float()


def as_numpy(values: Tensor) -> Floats:
    """Return a float64 array of ``values``."""
    return values.detach().cpu().double().numpy()


def nan_mean(values: list[float]) -> float:
    """Average over what is not NaN; NaN if nothing is.

    >>> nan_mean([1.0, float("nan"), 3.0])
    2.0
    """
    known = [v for v in values if v == v]
    return float(np.mean(known)) if known else NAN


def rank_shares(values: Floats) -> Floats:
    """Ranks of values (N,) from 0 to 1, ties at their mean; one half where all are equal or alone.

    >>> rank_shares(np.array([5.0, 1.0, 3.0])).tolist()
    [1.0, 0.0, 0.5]
    """
    from scipy.stats import rankdata

    if len(values) < 2:
        return np.full(len(values), 0.5)
    return np.asarray((rankdata(values) - 1) / (len(values) - 1), dtype=np.float64)


# The metrics below stand in the bootstrap, where scikit-learn's cost 6 to 200 times as much: see
# docs/decisions/2026-11-metrics.md.


def binary_auroc(score: Floats, label: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney U), ties counted half; NaN if a class is absent.

    >>> binary_auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    from scipy.stats import rankdata

    positive = int(label.sum())
    negative = len(label) - positive
    if not positive or not negative:
        return NAN
    u = rankdata(score)[label].sum() - positive * (positive + 1) / 2
    return float(u / (positive * negative))


def average_precision(score: Floats, label: npt.NDArray[np.bool_]) -> float:
    """Average precision, sum over thresholds of (R_n - R_{n-1}) P_n; NaN if a class is absent.

    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])), 4)
    0.8333
    """
    if not label.any() or label.all():
        return NAN
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.cumsum(label[order])[last]
    steps = np.diff(hits, prepend=0)
    return float((steps * hits / (last + 1)).sum() / label.sum())


def macro_auroc(prediction: Floats, target: npt.NDArray[np.int64]) -> float:
    """Mean one-vs-rest AUROC over the classes present in ``target``; NaN if there are fewer than two."""
    return nan_mean([binary_auroc(prediction[:, k], target == k) for k in np.unique(target)])


def balanced_accuracy(choice: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> float:
    """Mean recall over the classes present in ``target``; NaN for no rows."""
    return nan_mean([float((choice[target == k] == k).mean()) for k in np.unique(target)])


def macro_f1(choice: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> float:
    """Mean F1 over the classes present in ``target`` or chosen; NaN for no rows."""
    if not len(target):
        return NAN
    classes = int(max(choice.max(), target.max())) + 1
    total = np.bincount(choice, minlength=classes) + np.bincount(target, minlength=classes)
    both = np.bincount(target[choice == target], minlength=classes)
    return float((2 * both[total > 0] / total[total > 0]).mean())


def quadratic_kappa(choice: npt.NDArray[np.int64], target: npt.NDArray[np.int64], classes: int) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968); NaN where chance alone would never disagree.

    Args:
        choice: (N,) predicted grades.
        target: (N,) true grades.
        classes: K, the number of grades.
    """
    if not len(target):
        return NAN
    table = np.zeros((classes, classes))
    np.add.at(table, (target, choice), 1.0)
    distance = np.subtract.outer(np.arange(classes), np.arange(classes)).astype(np.float64) ** 2
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    chance = float((distance * expected).sum())
    return 1.0 - float((distance * table).sum()) / chance if chance else NAN


def mean_of(values: Tensor) -> float:
    """Average as a float; NaN for no values."""
    return float(values.double().mean()) if values.numel() else NAN


def split_observed(target: Tensor) -> tuple[Tensor, Tensor]:
    """Split targets (N, 2, K) into values (N, K), zero where unknown, and observed (N, K) of 0 and 1, in float32.

    Values are replaced before any arithmetic: a NaN in an unobserved place reaches neither loss nor gradient.
    """
    seen = target[:, 1] > 0
    value = target[:, 0].float()
    return torch.where(seen, value, torch.zeros_like(value)), seen.float()


def observed_mean(target: Tensor) -> Floats:
    """(N,) mean of the known values of targets (N, 2, K); 0 where none is known."""
    value, seen = split_observed(target)
    mean: Floats = ((value * seen).sum(1).double() / seen.sum(1).double().clamp_min(1)).numpy()
    return mean


def row_mean(values: Tensor, seen: Tensor) -> Tensor:
    """(N,) mean of values (N, K) where ``seen`` (N, K) is 1; NaN where it nowhere is."""
    count = seen.sum(-1)
    return torch.where(count > 0, (values * seen).sum(-1) / count.clamp_min(1.0), torch.nan)


def any_varies(target: Tensor) -> bool:
    """Whether one of K targets (N, 2, K) has two values among the rows where it is known."""
    value, seen = target[:, 0], target[:, 1] > 0
    return any(len(torch.unique(value[seen[:, k], k])) > 1 for k in range(target.shape[2]))
