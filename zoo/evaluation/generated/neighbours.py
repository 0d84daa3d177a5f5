"""Nearest rows of one set of features to those of another, in chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.evaluation.generated.features.base import Matrix

Whole = npt.NDArray[np.int64]
CHUNK = 256
"""Rows whose distances to all others are held at once."""


@dataclass(frozen=True)
class Pair:
    """Two rows that are alike.

    Attributes:
        made: number of the made row.
        train: number of the training row.
        value: distance of the two, or likeness of two texts.
    """

    made: int
    train: int
    value: float


def nearest(rows: Matrix, others: Matrix, count: int) -> tuple[Matrix, Whole]:
    """Euclidean distances (N, count) to the nearest other rows, nearest first, and their numbers (N, count).

    Distances are of differences, not of expanded squares, so that the distance of two equal rows is 0.

    Args:
        rows: (N, F).
        others: (M, F), with M at least ``count``.
        count: how many.

    >>> nearest(np.array([[0.0], [5.0]]), np.array([[4.0], [1.0], [5.0]]), 1)
    (array([[1.],
           [0.]]), array([[1],
           [2]]))
    """
    from scipy.spatial.distance import cdist

    distances, numbers = [np.zeros((0, count))], [np.zeros((0, count), dtype=np.int64)]
    for start in range(0, len(rows), CHUNK):
        every = cdist(rows[start : start + CHUNK], others)
        order = np.argsort(every, axis=1, kind="stable")[:, :count]
        distances.append(np.take_along_axis(every, order, 1))
        numbers.append(order.astype(np.int64))
    return np.concatenate(distances), np.concatenate(numbers)


def closest(values: Matrix, partners: Whole, count: int) -> tuple[Pair, ...]:
    """The rows with the smallest values as pairs, smallest first.

    Args:
        values: (N,) distance of each made row to its partner.
        partners: (N,) training row of each made row.
        count: how many pairs.
    """
    order = np.argsort(values, kind="stable")[:count]
    return tuple(Pair(int(k), int(partners[k]), float(values[k])) for k in order)
