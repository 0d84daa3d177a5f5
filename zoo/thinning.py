"""Some rows in the place of many: evenly spaced, so that the same rows are taken each time, from all parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def evenly_spaced(number: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of the positions 0 to ``number`` - 1, evenly spaced, the first among them; all where few.

    Args:
        number: of positions.
        most: how many to take, at least 1.

    >>> evenly_spaced(10, 4), evenly_spaced(3, 4)
    (array([0, 3, 6, 9]), array([0, 1, 2]))
    """
    return np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)


def thinned(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of some rows, evenly spaced, the first among them; all where there are no more.

    Args:
        rows: (N,) numbers of rows.
        most: how many to take, at least 1.

    >>> thinned(np.array([7, 8, 9]), 2)
    array([7, 9])
    """
    return rows if len(rows) <= most else rows[evenly_spaced(len(rows), most)]
