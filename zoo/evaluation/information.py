"""Bits that two modalities say of a label: redundant, unique and synergistic, estimated from predictions.

For labels with classes, the information of a model's input X about Y is bounded from below by what the model makes of
it (Barber and Agakov 2003), I(Y; X) >= H(Y) - cross-entropy, on test rows and after temperature scaling on
validation rows (Guo et al. 2017). Redundancy is I_min of Williams and Beer (2010), with the same bound in the place
of each specific information, or MMI, the smaller of the two informations. The rest follows:

    unique_a = I(Y; A) - redundant        unique_b = I(Y; B) - redundant
    synergistic = I(Y; A, B) - I(Y; A) - I(Y; B) + redundant

A model that is worse than another, or than knowing nothing, gives negative parts; they are kept and reported.
Regression takes the PID of Gaussian variables by MMI (Barrett 2015), from correlations of prediction and target.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Redundancy = Literal["imin", "mmi"]
FLOOR = 1e-6
"""Smallest probability that enters a logarithm: no row costs more than 20 bits."""
STRONGEST = 1 - 1e-9
"""Largest correlation that enters a logarithm."""


@dataclass(frozen=True)
class Parts:
    """A decomposition in bits, each (D,) for D weightings of the rows.

    Attributes:
        alone_a, alone_b, both: I(Y; A), I(Y; B), I(Y; A, B).
        redundant, unique_a, unique_b, synergistic: the parts, which sum to ``both``.
    """

    alone_a: Floats
    alone_b: Floats
    both: Floats
    redundant: Floats
    unique_a: Floats
    unique_b: Floats
    synergistic: Floats

    @property
    def negative(self) -> Floats:
        """Sum of the parts below 0: what clamping them would hide."""
        parts = (self.redundant, self.unique_a, self.unique_b, self.synergistic)
        return np.asarray(sum(np.minimum(0.0, p) for p in parts))

    def __add__(self, other: Parts) -> Parts:
        """Sum of two decompositions, of labels taken each on its own."""
        return Parts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def decompose(alone_a: npt.ArrayLike, alone_b: npt.ArrayLike, both: npt.ArrayLike, redundant: npt.ArrayLike) -> Parts:
    """The parts that follow from three informations and the redundancy, all in bits.

    Args:
        alone_a: bits that the first source tells.
        alone_b: bits that the second tells.
        both: bits that both together tell.
        redundant: bits that each of them tells.

    >>> float(decompose(0.0, 0.0, 1.0, 0.0).synergistic)
    1.0
    """
    a, b, ab, r = (np.asarray(v, dtype=np.float64) for v in (alone_a, alone_b, both, redundant))
    return Parts(a, b, ab, r, a - r, b - r, ab - a - b + r)


# -- classes -------------------------------------------------------------------------------------------------


def _weighted(weights: Floats | None, n: int) -> Floats:
    return np.ones((1, n)) if weights is None else np.asarray(weights, dtype=np.float64)


def specific_information(
    probability: npt.ArrayLike,
    target: npt.ArrayLike,
    weights: Floats | None = None,
    base: npt.ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """What a model's input says of each class, in bits, and the share of each class, both (D, K).

        i(y) = mean over rows of class y of log2 q(y | x) - log2 p(y)

    With q the true posterior this is the specific information of Williams and Beer (2010); with a model's q it is
    at most that on average. Its mean over classes is H(Y) - cross-entropy.

    Args:
        probability: (N, K) predicted by the model.
        target: (N,) class codes.
        weights: (D, N) how often each row counts, such as bootstrap draws; None counts each once.
        base: (N, K) of a model that knows what is given anyway, in the place of the shares p(y).
    """
    q, y = np.asarray(probability, dtype=np.float64), np.asarray(target, dtype=np.int64)
    w = _weighted(weights, len(y))
    classes = np.eye(q.shape[1])[y]  # (N, K)
    counts = w @ classes
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1e-300)
    rows = np.arange(len(y))
    told = np.log2(np.clip(q[rows, y], FLOOR, 1.0))
    if base is not None:
        told = told - np.log2(np.clip(np.asarray(base, dtype=np.float64)[rows, y], FLOOR, 1.0))
    mean = (w @ (classes * told[:, None])) / np.maximum(counts, 1e-300)
    if base is None:
        mean = mean - np.log2(np.where(share > 0, share, 1.0))
    return np.where(counts > 0, mean, 0.0), share


def class_parts(
    alone_a: npt.ArrayLike,
    alone_b: npt.ArrayLike,
    both: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    weights: Floats | None = None,
    base: npt.ArrayLike | None = None,
    redundancy: Redundancy = "imin",
) -> Parts:
    """Decompose what two inputs say of a label with classes.

    Args:
        alone_a: (N, K) class probabilities predicted from A.
        alone_b: from B.
        both: from both.
        target: (N,) class codes.
        weights: (D, N) how often each row counts; None counts each once.
        base: (N, K) of a model that knows what is given anyway, such as the question; everything is then
            conditional on that.
        redundancy: "imin", the mean over classes of the smaller specific information, or "mmi".

    Raises:
        SpecError: an unknown redundancy.
    """
    if redundancy not in ("imin", "mmi"):
        raise SpecError(f"redundancy {redundancy!r} is unknown; allowed: imin, mmi")
    one, share = specific_information(alone_a, target, weights, base)
    other, _ = specific_information(alone_b, target, weights, base)
    fused, _ = specific_information(both, target, weights, base)
    a, b, ab = ((share * s).sum(1) for s in (one, other, fused))
    shared = (share * np.minimum(one, other)).sum(1) if redundancy == "imin" else np.minimum(a, b)
    return decompose(a, b, ab, shared)


# -- numbers -------------------------------------------------------------------------------------------------


def gaussian_information(correlation: npt.ArrayLike) -> Floats:
    """Bits that a Gaussian variable says of another: -1/2 log2(1 - r^2).

    >>> float(gaussian_information(0.75**0.5).round(6))
    1.0
    """
    r = np.clip(np.abs(np.asarray(correlation, dtype=np.float64)), 0.0, STRONGEST)
    return np.asarray(-0.5 * np.log2(1 - r * r))


def gaussian_parts_of(r_a: float, r_b: float, r_ab: float) -> Parts:
    """MMI PID of a Gaussian Y with two Gaussian sources (Barrett 2015) from correlations Y-A, Y-B and A-B.

    Args:
        r_a: correlation of Y and A.
        r_b: correlation of Y and B.
        r_ab: correlation of A and B.

    Raises:
        SpecError: no three variables have these correlations, or the sources are the same.
    """
    squared = (r_a**2 + r_b**2 - 2 * r_a * r_b * r_ab) / (1 - r_ab**2) if abs(r_ab) < 1 else np.inf
    if not 0 <= squared <= 1:
        raise SpecError(
            f"no Gaussian sources have the correlations {r_a} and {r_b} with Y and {r_ab} with each other"
        )
    a, b, ab = (gaussian_information(r) for r in (r_a, r_b, np.sqrt(squared)))
    return decompose(a, b, ab, np.minimum(a, b))


def gaussian_parts(
    alone_a: npt.ArrayLike,
    alone_b: npt.ArrayLike,
    both: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    weights: Floats | None = None,
) -> Parts:
    """MMI PID (Barrett 2015) with correlations of (N,) predictions and (N,) target in the place of sources and Y.

    A negative correlation, worse than a constant, counts as none.

    Args:
        alone_a: (N,) predictions from the first source.
        alone_b: (N,) predictions from the second.
        both: (N,) predictions from both.
        target: (N,) true values.
        weights: (R, N) how often each row counts in each of R draws; None for one draw of all rows.
    """
    y = np.asarray(target, dtype=np.float64)
    w = _weighted(weights, len(y))
    a, b, ab = (
        gaussian_information(np.maximum(0.0, _correlations(np.asarray(p, dtype=np.float64), y, w)))
        for p in (alone_a, alone_b, both)
    )
    return decompose(a, b, ab, np.minimum(a, b))


def _correlations(x: Floats, y: Floats, weights: Floats) -> Floats:
    """(D,) weighted Pearson correlations; 0 where one of the two does not vary."""
    share = weights / np.maximum(weights.sum(1, keepdims=True), 1e-300)
    dx, dy = x - (share @ x)[:, None], y - (share @ y)[:, None]
    spread = np.sqrt((share * dx * dx).sum(1) * (share * dy * dy).sum(1))
    return np.asarray(np.divide((share * dx * dy).sum(1), spread, out=np.zeros(len(spread)), where=spread > 1e-15))
