"""Some rows in the place of many: evenly spaced, so that the same rows are taken each time, from all parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def thinned(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of some rows, evenly spaced, the first among them; all where there are no more.

    Args:
        rows: (N,) numbers of rows.
        most: how many to take, at least 1.

    >>> thinned(np.arange(10), 4), thinned(np.arange(3), 4)
    (array([0, 3, 6, 9]), array([0, 1, 2]))
    """
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
