"""Kernel inception distance: the squared maximum mean discrepancy of two sets of features, without bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError
from zoo.evaluation.generated.features.base import Matrix
from zoo.evaluation.generated.frechet import checked_pair

CHUNK = 1024
"""Rows whose kernel with all others is held at once."""


@dataclass(frozen=True)
class KernelDistance:
    """KID over subsets.

    Attributes:
        value: mean over subsets.
        std: standard deviation over subsets (n - 1); it is of one subset, not of the mean.
        subsets: how many.
        size: rows of each subset.
    """

    value: float
    std: float
    subsets: int
    size: int


def kid(real: npt.ArrayLike, made: npt.ArrayLike) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (x . y / F + 1)^3, over all rows.

    mean of k over pairs of different real rows + the same of made rows - 2 mean of k over pairs of a real and a made
    row (Gretton et al. 2012, lemma 6; Binkowski et al., ICLR 2018, section 4). Of equal distributions it is 0 on
    average whatever the number of rows, and so is below 0 half of the time.

    Args:
        real: (N, F) features of real rows.
        made: (M, F) features of made rows.

    Raises:
        DataError: the sets differ in F, have fewer than two rows, or hold a NaN or an infinity.

    >>> kid([[0.0], [1.0]], [[0.0], [1.0]])
    -3.5
    """
    a, b = checked_pair(real, made)
    return _within(a) + _within(b) - 2 * _sum(a, b) / (len(a) * len(b))


def kid_subsets(
    real: npt.ArrayLike, made: npt.ArrayLike, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> KernelDistance:
    """KID as it is published: its mean over random subsets of both sets, each drawn without replacement.

    Args:
        real: (N, F) features of real rows.
        made: (M, F) features of made rows.
        subsets: how many.
        size: rows of a subset; of smaller sets, all rows of the smaller one.
        seed: of the draws.

    Raises:
        SpecError: fewer than 2 subsets, or a size below 2.
        DataError: the sets differ in F, have fewer than two rows, or hold a NaN or an infinity.
    """
    if subsets < 2 or size < 2:
        raise SpecError(f"kid_subsets takes 2 or more subsets of 2 or more rows, got subsets={subsets}, size={size}")
    a, b = checked_pair(real, made)
    n, generator = min(size, len(a), len(b)), np.random.default_rng(seed)
    found = [kid(*(x[generator.choice(len(x), n, replace=False)] for x in (a, b))) for _ in range(subsets)]
    return KernelDistance(float(np.mean(found)), float(np.std(found, ddof=1)), subsets, n)


def _sum(a: Matrix, b: Matrix) -> float:
    """Sum of the kernel over all pairs of rows, in chunks."""
    parts = (a[start : start + CHUNK] for start in range(0, len(a), CHUNK))
    return float(sum(((part @ b.T / a.shape[1] + 1) ** 3).sum() for part in parts))


def _within(rows: Matrix) -> float:
    """Mean of the kernel over pairs of different rows."""
    n, own = len(rows), ((rows**2).mean(1) + 1) ** 3
    return float((_sum(rows, rows) - own.sum()) / (n * (n - 1)))
