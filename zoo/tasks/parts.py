"""Parts that several task kinds share: vector heads, combination, baselines, ranks and curves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.contract import Tokens
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
    """Map z (N, dim) to logits (N, *shape) without reading tokens.

    Args:
        dim: width of the stream vector.
        shape: shape of one row of logits.
        hidden: width of a hidden layer, 0 for none.
        dropout: dropout rate before the last layer.
    """

    def __init__(self, dim: int, shape: tuple[int, ...], hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.net = mlp(dim, int(np.prod(shape)), hidden, dropout)

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) to (N, *shape)."""
        logits: Tensor = self.net(z)
        return logits.reshape(len(z), *self.shape)


def need_tokens(task: str, z: Tensor, tokens: Tokens | None) -> Tokens:
    """Return ``tokens``, checked to hold the rows of ``z``.

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


TIE = 1e-4
"""Weight of the averaged probabilities beside the votes; it decides ties and nothing else."""


def combine_probabilities(predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
    """Combine class probabilities (S, N, K): weighted average, or shares of the weighted votes.

    In a vote each stream votes for its most probable class; a tie goes to the class of the larger average
    probability (the averages are mixed in with the weight TIE, so rows still sum to 1).
    """
    mean = average(predictions, weights)
    if not voting:
        return mean
    votes = F.one_hot(predictions.argmax(-1), predictions.shape[-1]).to(predictions.dtype)
    return (average(votes, weights) + TIE * mean) / (1 + TIE)


def class_counts(task: str, train_target: Tensor, classes: int) -> Floats:
    """Count the classes (K,) in training targets (N,); codes below 0 (outside the vocabulary) are left out.

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
    """One-hot (n, K) of a class drawn uniformly, row by row, from the classes that occur."""
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


def binary_auroc(score: Floats, label: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney U), ties counted half; NaN if a class is absent.

    >>> binary_auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
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
    scores = []
    for k in np.union1d(choice, target):
        both = int(((choice == k) & (target == k)).sum())
        scores.append(2 * both / int((choice == k).sum() + (target == k).sum()))
    return nan_mean(scores)


def quadratic_kappa(choice: npt.NDArray[np.int64], target: npt.NDArray[np.int64], classes: int) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968); NaN where chance alone would never disagree."""
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


def superpose(moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
    """Move (N, L, 3) onto ``fixed`` (N, L, 3) by the proper rotation and translation of least squares.

    Kabsch 1976 with weights (N, L) >= 0. The rotation carries no gradient; the centroid does. Mirror images
    are not superposed. Works on collapsed or empty input, where the rotation is arbitrary, and
    keeps its precision under autocast.
    """
    w = weight.unsqueeze(-1)
    total = w.sum(1, keepdim=True).clamp_min(1e-12)
    centre = (fixed * w).sum(1, keepdim=True) / total
    centred = moving - (moving * w).sum(1, keepdim=True) / total
    with torch.autocast(moving.device.type, enabled=False):
        with torch.no_grad():
            covariance = torch.einsum("nli,nlj->nij", centred * w, fixed - centre)
            u, _, vt = torch.linalg.svd(torch.nan_to_num(covariance))
            flip = torch.ones_like(covariance[:, 0])
            flip[:, 2] = torch.det(u @ vt).sign()
            rotation = (u * flip.unsqueeze(1)) @ vt
        moved: Tensor = centred @ rotation + centre
    return moved


def tm_scale(length: Tensor) -> Tensor:
    """Distance d0 in angstrom that the TM-score takes for chains of ``length`` (Zhang and Skolnick 2004, eq. 2).

    As in TM-align it is 0.5 up to 21 residues and never less.

    >>> tm_scale(torch.tensor([10.0, 100.0]))
    tensor([0.5000, 3.6521])
    """
    long = 1.24 * (length - 15).clamp_min(1).pow(1 / 3) - 1.8
    scale: Tensor = torch.where(length > 21, long, torch.full_like(long, 0.5)).clamp_min(0.5)
    return scale


def compose(first: Tensor, then: Tensor) -> Tensor:
    """Hamilton product of quaternions (..., 4), w first: ``then`` in the frame that ``first`` turned.

    >>> compose(torch.tensor([0.0, 1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 0.0]))
    tensor([0., 0., 0., 1.])
    """
    a, b = first[..., :1], first[..., 1:]
    c, d = then[..., :1], then[..., 1:]
    real = a * c - (b * d).sum(-1, keepdim=True)
    return torch.cat([real, a * d + c * b + torch.linalg.cross(b, d)], -1)


def walk(turns: Tensor, step: float) -> Tensor:
    """Map turns (N, L, 4), quaternions of any length, to chains (N, L, 3) of steps of ``step`` angstrom.

    Each turn is relative to the frame of the step before, so a chain follows from what is known locally, as
    from bond angles and torsions. The products run as a scan of log2(L) rounds (Hillis and Steele 1986).

    >>> walk(torch.tensor([[[1.0, 0, 0, 0], [1.0, 0, 0, 1.0]]]), 2.0).round().tolist()
    [[[2.0, 0.0, 0.0], [2.0, 2.0, 0.0]]]
    """
    frames, shift = F.normalize(turns, dim=-1), 1
    while shift < frames.shape[1]:
        frames = torch.cat([frames[:, :shift], compose(frames[:, :-shift], frames[:, shift:])], 1)
        shift *= 2
    w, x, y, z = F.normalize(frames, dim=-1).unbind(-1)
    directions = torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], -1)
    return step * directions.cumsum(1)


def rmsd(prediction: Tensor, truth: Tensor) -> float:
    """Root mean squared deviation in angstrom of (L, 3) from (L, 3) after the best proper superposition."""
    x, y = prediction[None], truth[None]
    moved = superpose(x, y, torch.ones(x.shape[:2], dtype=x.dtype))
    return float(((moved - y) ** 2).sum(-1).mean().sqrt())


def lddt(prediction: Tensor, truth: Tensor, radius: float = 15.0) -> float:
    """LDDT of (L, 3) against (L, 3) (Mariani et al. 2013): needs no superposition.

    Share of the distances below ``radius`` (angstrom) in ``truth`` that are kept within 0.5, 1, 2 and 4
    angstrom, averaged over the four and over residues. NaN if no two residues are that near.
    """
    near = torch.cdist(truth, truth) < radius
    near.fill_diagonal_(False)
    change = (torch.cdist(prediction, prediction) - torch.cdist(truth, truth)).abs()
    kept = torch.stack([change < t for t in (0.5, 1.0, 2.0, 4.0)]).double().mean(0) * near
    count = near.sum(-1)
    share = kept.sum(-1)[count > 0] / count[count > 0]
    return mean_of(share)
