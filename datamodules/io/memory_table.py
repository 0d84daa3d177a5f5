"""Rows that are in memory, as a table that is read cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class MemoryTable:
    """Rows in memory, read as those of an ArrowTable are.

    Args:
        rows: column -> cell of each row; a column that a row lacks is unknown there.
        path: what errors call the table.
        names: the columns; () takes those of the rows.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], path: Path, names: Sequence[str] = ()) -> None:
        self.path = path
        self._rows = rows
        self.names = tuple(names) or tuple(dict.fromkeys(c for row in rows for c in row))

    def __len__(self) -> int:
        return len(self._rows)

    def value(self, name: str, row: int) -> Any:
        """The cell of a column; None where it is unknown."""
        return plain_cell(self._rows[row].get(name))


def plain_cell(value: Any) -> Any:
    """A cell as a table file would hold it: no NaN, no number or text of numpy.

    >>> plain_cell(float("nan")), plain_cell(np.int64(3)), plain_cell(pd.NA)
    (None, 3, None)
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    return value
