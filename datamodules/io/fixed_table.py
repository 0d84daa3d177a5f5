"""A table of new rows whose columns have the types that those of training had: nothing is guessed from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

from datamodules.io.arrow_table import ArrowTable
from datamodules.io.column_types import ColumnType, Exceptions, Reader
from datamodules.io.memory_table import MemoryTable
from datamodules.io.typed_table import TableReading, TypedTable
from datamodules.io.unknown import Unknown, text_of

NewTable = ArrowTable | MemoryTable
"""New rows: of a file, or in memory."""


class FixedTable(TypedTable):
    """The columns of new rows by their roles in training; columns may be absent.

    Args:
        table: the rows.
        unknown: the rule for unknown cells.
        types: column -> its type in training; others hold categories, or numbers where their role needs them.
        policy: what becomes of a cell of a column of numbers that is none.

    Attributes:
        said: what was left out of the cells that were read; whoever reads a row empties it first.
    """

    def __init__(
        self, table: NewTable, unknown: Unknown, types: Mapping[str, ColumnType], policy: Exceptions
    ) -> None:
        super().__init__(cast(ArrowTable, table), TableReading(exceptions=policy))
        self.said: list[str] = []
        self._told, self._rule, self._names = types, unknown, set(table.names)
        self._words: dict[tuple[str, ...], frozenset[str]] = {}
        self._fixed: dict[tuple[str, bool], Reader] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def reader(self, name: str, *, number: bool = False) -> Reader:
        """What reads the cells of a column.

        Args:
            name: of the column.
            number: whether its role needs numbers.
        """
        if (name, number) not in self._fixed:
            found = self._told.get(name, ColumnType("number" if number else "category"))
            self._fixed[name, number] = Reader(name, found, self.reading.exceptions)
        return self._fixed[name, number]

    def value(self, name: str, row: int, classes: Iterable[str] = ()) -> Any:
        """A cell as it stands, text without blanks around it; None where it is unknown or there is no such column.

        Args:
            name: of the column.
            row: of the cell.
            classes: words that are classes, whatever else they mean.
        """
        value = self.table.value(name, row) if name in self._names else None
        if value is None or isinstance(value, list | dict | bytes | np.ndarray):
            return value
        if isinstance(value, str):
            value = value.strip()
        key = tuple(classes)
        if key not in self._words:
            self._words[key] = self._rule.set_of(key)
        return None if text_of(value) in self._words[key] else value

    def _ready(self, name: str, *, number: bool) -> None:
        """None: each cell is read by itself, so that what is left out of it is said."""

    def note_left_out(self, name: str, value: Any) -> None:
        """Say it of the row that is read."""
        self.said.append(f"{name}: {value!r} is no number, and counts as unknown")
