"""Intervals of proportions without a bootstrap, for few rows and for shares near 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from scipy.stats import t as student

from zoo.evaluation.resampling import EXACT, Interval


def effective_rows(right: npt.NDArray[np.float64], units: Sequence[str]) -> float:
    """How many independent rows say as much of a share as these rows of units do (Korn and Graubard 1998).

    That is n over the design effect, the variance of the share over that of n independent rows, times a correction
    for few units; the number of units where all rows are alike, which tells nothing of the design effect.

    Args:
        right: (N,) 1 or 0.
        units: (N,) unit of each row.
    """
    names, place = np.unique(np.asarray(units, dtype=object).astype(str), return_inverse=True)
    n, u, share = len(right), len(names), float(right.mean())
    if share in (0.0, 1.0) or u < 2:
        return float(u)
    off = np.bincount(place, right - share)
    variance = u / (u - 1) * float((off**2).sum()) / n**2
    alone = share * (1 - share) / (n - 1)
    rows = n if variance <= alone else n * alone / variance
    few = float(student.ppf(0.975, n - 1) / student.ppf(0.975, u - 1)) ** 2
    return min(float(n), rows * few)


def proportion(right: npt.ArrayLike, units: Sequence[str], *, level: float = 0.95) -> Interval:
    """A share with the interval of Clopper and Pearson (1934) at the effective number of rows.

    Args:
        right: (N,) 1 or 0, or True and False.
        units: (N,) unit of each row; rows of one unit are alike.
        level: of the interval.

    >>> found = proportion([1, 1, 1, 1], ["row:a", "row:b", "row:c", "row:d"])
    >>> round(found.low, 3), found.high
    (0.398, 1.0)
    """
    each = np.asarray(right, dtype=np.float64)
    if not len(each):
        return Interval(math.nan)
    share, n = float(each.mean()), effective_rows(each, units)
    hits, tail = share * n, (1 - level) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return Interval(share, low, high, EXACT)
