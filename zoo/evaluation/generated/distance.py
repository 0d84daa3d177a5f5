"""The distance of made rows from real rows beside that of real rows from real rows, at the same number of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError, unknown_name
from zoo.evaluation.generated.features.base import Matrix
from zoo.evaluation.generated.frechet import Covariance, checked_pair, frechet
from zoo.evaluation.generated.kid import kid

Measure = Literal["frechet", "kid"]
MEASURES = ("frechet", "kid")
Rows = npt.NDArray[np.int64]
Between = Callable[[Matrix, Matrix], float]


@dataclass(frozen=True)
class DistanceResult:
    """How far made rows are from real rows, and how far real rows are from each other.

    ``value`` is what papers print, and depends on the number of rows. ``matched`` and ``floor`` compare with each
    other: a perfect generator has a gap of 0.

    Attributes:
        measure: "frechet" or "kid".
        value: over all rows of both sets.
        matched: made rows from one half of the real rows, ``n`` each, mean over the splits.
        matched_std: standard deviation over the splits (n - 1).
        floor: one half of the real rows from the other, ``n`` each, mean over the same splits.
        floor_std: standard deviation over the splits (n - 1).
        gap: matched - floor, mean over the splits.
        gap_std: standard deviation over the splits (n - 1), which share their real rows.
        n: rows on each side of ``matched`` and ``floor``.
        n_real: real rows.
        n_made: made rows.
        features: F.
        covariance: of the Frechet distance, "empirical" or "ledoit_wolf"; "" for KID.
        splits: random halves of the real rows.
        notes: what to know before the values are believed, such as fewer rows than features.
    """

    measure: str
    value: float
    matched: float
    matched_std: float
    floor: float
    floor_std: float
    gap: float
    gap_std: float
    n: int
    n_real: int
    n_made: int
    features: int
    covariance: str
    splits: int
    notes: tuple[str, ...]


def distance(
    real: npt.ArrayLike,
    made: npt.ArrayLike,
    *,
    measure: Measure = "frechet",
    covariance: Covariance = "empirical",
    real_units: Sequence[str] | None = None,
    splits: int = 10,
    seed: int = 0,
) -> DistanceResult:
    """Measure the distance of made from real rows, with the floor of real from real rows.

    Each split parts the units of the real rows at random in two halves; ``n`` is the number of rows of the smallest
    half, or of the made rows where these are fewer.

    Args:
        real: (N, F) features of real rows.
        made: (M, F) features of made rows.
        measure: "frechet" or "kid".
        covariance: of the Frechet distance.
        real_units: (N,) patient of each real row, whose rows stay in one half; None: each row is its own.
        splits: random halves.
        seed: of the splits.

    Raises:
        UnknownNameError: an unknown measure or covariance.
        SpecError: fewer than 2 splits.
        DataError: features do not fit or are not finite, a half has fewer than two rows, or a row has no unit.
    """
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    if splits < 2:
        raise SpecError(f"distance takes 2 or more splits, got {splits}")
    a, b = checked_pair(real, made)
    units = [f"{k:09d}" for k in range(len(a))] if real_units is None else list(real_units)
    if len(units) != len(a):
        raise DataError(f"{len(units)} units were given for {len(a)} real rows; give one for each")
    between: Between = kid if measure == "kid" else partial(frechet, covariance=covariance)
    n, pairs = _over_splits(a, b, units, between, splits, seed)
    table = np.column_stack([pairs, pairs[:, 0] - pairs[:, 1]])
    means, stds = table.mean(0).tolist(), table.std(0, ddof=1).tolist()
    return DistanceResult(
        measure=measure,
        value=between(a, b),
        matched=means[0],
        matched_std=stds[0],
        floor=means[1],
        floor_std=stds[1],
        gap=means[2],
        gap_std=stds[2],
        n=n,
        n_real=len(a),
        n_made=len(b),
        features=a.shape[1],
        covariance="" if measure == "kid" else covariance,
        splits=splits,
        notes=_notes(measure, n, len(a), len(b), a.shape[1]),
    )


def _over_splits(
    real: Matrix, made: Matrix, units: list[str], between: Between, splits: int, seed: int
) -> tuple[int, Matrix]:
    """The rows on each side, and (splits, 2) distances of made from real rows and of real from real rows."""
    parts = [halves(units, np.random.default_rng([seed, k])) for k in range(splits)]
    n = min(len(made), *(len(half) for pair in parts for half in pair))
    if n < 2:
        raise DataError(f"{len(set(units))} units of real rows cannot be parted in halves of 2 rows or more")
    pairs = []
    for k, (left, right) in enumerate(parts):
        some = made[np.random.default_rng([seed, k, 1]).choice(len(made), n, replace=False)]
        pairs.append((between(real[left[:n]], some), between(real[left[:n]], real[right[:n]])))
    return n, np.array(pairs)


def halves(units: Sequence[str], generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Row numbers of two halves, in random order, that share no unit.

    Args:
        units: (N,) unit of each row.
        generator: of the order.

    >>> left, right = halves(["ann", "ann", "bob", "bob"], np.random.default_rng(0))
    >>> sorted([sorted(left.tolist()), sorted(right.tolist())])
    [[0, 1], [2, 3]]
    """
    names = np.array(sorted(set(units)), dtype=object)
    place = {name: k for k, name in enumerate(generator.permutation(names))}
    number = np.array([place[u] for u in units], dtype=np.int64)
    middle = math.ceil(len(names) / 2)
    left, right = (np.flatnonzero(part) for part in (number < middle, number >= middle))
    return generator.permutation(left), generator.permutation(right)


def _notes(measure: str, n: int, n_real: int, n_made: int, features: int) -> tuple[str, ...]:
    notes = []
    if measure == "frechet" and n <= features:
        notes.append(
            f"{n} rows a side are no more than the {features} features, so that covariances are singular and the "
            "distance is too high: read the gap, or KID"
        )
    if n_real != n_made:
        notes.append(f"value is over {n_real} real and {n_made} made rows; matched and floor are over {n} each")
    return tuple(notes)
