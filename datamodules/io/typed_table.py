"""A table whose columns have roles: what is unknown, which types cells have, and what was left out of it all."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.arrow_table import ArrowTable
from datamodules.io.column_types import NAMED, ColumnKind, ColumnType, Exceptions, Mask, Reader, infer
from datamodules.io.patterns import MOST, expand, some
from datamodules.io.unknown import count_unknown
from zoo.errors import DataError, UnknownNameError

READY_CELLS = 2**24
"""Cells of columns of numbers that a table keeps as such, 8 bytes each; those of further columns are read singly."""
OPEN = "open"
"""Word for rows that the publisher put into no part."""


@dataclass(frozen=True)
class TableReading:
    """How the cells of a table are read, where the table does not tell.

    Attributes:
        exceptions: what becomes of a cell such as "<5", "1,5" or "n.d." in a column of numbers: "missing" leaves it
            out, "number" takes the number in "<5" and "1,5" and leaves the others out, "error" refuses the row. Each
            such column is reported with rows and values.
        types: column, or pattern of columns such as "gene_*" -> number or category, where the inferred type is wrong.
        values: words that are values in this table although they usually stand for an unknown one, such as None.
        split_words: train, val or test -> further words of the split column that mean it, such as training; open ->
            words of rows that are yet to be divided, such as train where the publisher names no part for validation.
        separator: between the columns of a text; "" takes a tab for .tsv, else that of , ; tab | which the header has
            most.
        encoding: of a text, such as latin-1; "" takes UTF-8, or UTF-16 where the file begins with its mark.
        sheet: of a spreadsheet; "" takes the only one that is not empty.
        part: where the name of the table is a pattern, a column to make of what its ``*`` stands for in the name of
            each row's file, such as train; "" makes none.
    """

    exceptions: Exceptions = "missing"
    types: Mapping[str, ColumnKind] = field(default_factory=dict)
    values: tuple[str, ...] = ()
    split_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    separator: str = ""
    encoding: str = ""
    sheet: str = ""
    part: str = ""


class TypedTable:
    """The columns of a table by their roles.

    Args:
        table: the table.
        reading: how its cells are read.
    """

    def __init__(self, table: ArrowTable, reading: TableReading) -> None:
        self.table, self.reading = table, reading
        self._stated: dict[str, ColumnType] = {}
        self._readers: dict[str, Reader] = {}
        self._known: dict[tuple[str, tuple[str, ...]], Mask] = {}
        self._numbers: dict[str, array[float] | None] = {}
        self._room = READY_CELLS
        for pattern, kind in reading.types.items():
            for name in self.columns([pattern]):
                self._stated[name] = ColumnType(kind, stated=True)

    def columns(self, patterns: Sequence[str], spared: Collection[str] = ()) -> tuple[str, ...]:
        """The columns that some names and patterns mean; see ``expand``.

        Args:
            patterns: names and patterns.
            spared: columns that a pattern never means.

        Raises:
            DataError: a name or pattern means none.
        """
        try:
            return expand(patterns, self.table.names, spared)
        except UnknownNameError as error:
            raise DataError(str(error), file=self.table.path) from error

    def reader(self, name: str, *, number: bool = False) -> Reader:
        """What reads the cells of a column that holds numbers or categories.

        Args:
            name: of the column.
            number: whether its role needs numbers, as a target of regression does.
        """
        if name not in self._readers:
            column, known = self.table.column(name), self.known(name)
            found = self._stated.get(name) or infer(column, known)
            if number and found.kind == "category":
                found = ColumnType("number", stated=True)
            self._readers[name] = Reader(name, found, self.reading.exceptions)
        return self._readers[name]

    def known(self, name: str, classes: Iterable[str] = ()) -> Mask:
        """(N,) whether a cell is known; kept.

        Args:
            name: of the column.
            classes: words that are classes, whatever else they mean.
        """
        key = (name, tuple(classes))
        if key not in self._known:
            self._known[key] = self.table.known(*key)
        return self._known[key]

    def numbers_known(self, name: str, *, number: bool = False) -> Mask:
        """(N,) whether a cell of a typed column is known and not left out.

        Args:
            name: of the column.
            number: see ``reader``.
        """
        known = self.known(name)
        return known & ~self.reader(name, number=number).left_out(self.table.column(name), known)

    def value(self, name: str, row: int, classes: Iterable[str] = ()) -> Any:
        """A cell as it stands, text without blanks around it; None where it is unknown.

        Args:
            name: of the column.
            row: of the cell.
            classes: words that are classes, whatever else they mean.
        """
        value = self.table.value(name, row)
        if isinstance(value, str):
            value = value.strip()
        return None if self.table.unknown(value, classes) else value

    def typed(self, name: str, row: int, *, number: bool = False) -> float | str | None:
        """A cell of a typed column: a number, or the words of a category; None where it is unknown or left out.

        Args:
            name: of the column.
            row: of the cell.
            number: see ``reader``.

        Raises:
            DataError: it is no number where one is needed, and the policy is "error".
        """
        ready = self._ready(name, number=number)
        if ready is not None:
            known = ready[row]
            return None if known != known else known
        value = self.value(name, row)
        if value is None:
            return None
        found = self.reader(name, number=number)(value)
        if found is None:
            self.note_left_out(name, value)
        return found

    def _ready(self, name: str, *, number: bool) -> array[float] | None:
        """All cells of a column as numbers, NaN where unknown; None where each cell is read by itself.

        A table of hundreds of columns is read often, for the scan, the fitting, labels and batches.

        Args:
            name: of the column.
            number: see ``reader``.
        """
        if name not in self._numbers:
            found, column = None, self.table.column(name)
            if self._room >= len(column):
                found = self.reader(name, number=number).numbers(column, self.known(name))
            if found is not None:
                self._room -= len(found)
            self._numbers[name] = found if found is None else array("d", found.tobytes())
        return self._numbers[name]

    def note_left_out(self, name: str, value: Any) -> None:
        """Called for each cell of ``typed`` that is known and left out; nothing here, where ``remarks`` says so."""

    def require_numbers(self, names: Sequence[str], what: str) -> None:
        """Check that columns whose role needs numbers hold some.

        Args:
            names: of the columns.
            what: their role, for errors.

        Raises:
            DataError: most known cells of one are none.
        """
        for name in names:
            reader, known = self.reader(name, number=True), self.known(name)
            odd = reader.exceptions(self.table.column(name), known)
            if 2 * odd.sum() > known.sum() and name not in self.reading.types:
                row = int(np.argmax(odd))
                raise DataError(
                    f"{what}: column '{name}' holds {self.value(name, row)!r}, not a number, and so do "
                    f"{int(odd.sum())} of its {int(known.sum())} cells; name it under 'unknown' if it means that",
                    file=self.table.path,
                    row=row,
                )

    # -- what is said of it --------------------------------------------------------------------------------

    def remarks(self, roles: Mapping[str, Sequence[str]], names: npt.NDArray[np.object_]) -> list[str]:
        """What a person should know of the columns: unknown cells, exceptions among numbers, and inferred types.

        Args:
            roles: column -> the classes that are declared for it.
            names: (N,) of the rows.
        """
        return [*self._exceptions(names), *self._unknown(roles), *self._too_long(names), *self._types()]

    def _too_long(self, names: npt.NDArray[np.object_]) -> list[str]:
        """Columns of numbers with whole numbers that a float does not hold to the last digit."""
        lines = []
        for name, reader in self._readers.items():
            rows = reader.too_long(self.table.column(name), self.known(name))
            if rows.any():
                row = int(np.argmax(rows))
                lines.append(
                    f"warning: column '{name}' is read as numbers, of which {int(rows.sum())} are whole and beyond "
                    f"2^53, such as {self.value(name, row)} in row {names[row]}: their last digits are rounded. If "
                    f"it holds codes, say so: reading.types: {{{name}: category}}"
                )
        return _first(lines, "columns of numbers beyond 2^53")

    def _exceptions(self, names: npt.NDArray[np.object_]) -> list[str]:
        lines = []
        for name, reader in self._readers.items():
            column, known = self.table.column(name), self.known(name)
            odd = reader.exceptions(column, known)
            if not odd.any() or reader.policy == "error":
                continue
            gone = reader.left_out(column, known)
            rows = np.flatnonzero(odd)
            examples = ", ".join(f"{self.value(name, r)!r} in row {names[r]}" for r in rows[:NAMED].tolist())
            more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
            fate = f"{int(gone.sum())} left out as missing" if gone.any() else "each is read as a number"
            lines.append(
                f"warning: column '{name}' holds numbers and {len(rows)} of its {int(known.sum())} cells are none "
                f"({examples}{more}); {fate}: see reading.exceptions and reading.types"
            )
        return _first(lines, "columns of numbers with exceptions")

    def _unknown(self, roles: Mapping[str, Sequence[str]]) -> list[str]:
        lines = []
        for name, classes in roles.items():
            if not self.known(name, classes).all():
                lines += count_unknown(name, self.table.left_out(name, classes), len(self.table))
        return _first(lines, "columns with unknown cells")

    def _types(self) -> list[str]:
        by_kind: dict[str, list[str]] = {}
        for name, reader in self._readers.items():
            if not reader.type.stated:
                kind = "categories" if reader.type.kind == "category" else "numbers"
                by_kind.setdefault(kind + " with a decimal comma" * reader.type.comma, []).append(name)
        return [f"read as {kind}: {some(names)}" for kind, names in sorted(by_kind.items())]


def _first(lines: list[str], what: str) -> list[str]:
    return lines if len(lines) <= MOST else [*lines[:MOST], f"{len(lines) - MOST} further {what}"]
