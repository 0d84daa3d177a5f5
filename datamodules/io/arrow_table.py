"""A table's columns, read row by row and memory-mapped where an index folder is given."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.joined_table import JoinedTable, files_of, read_tables, remarks_of
from datamodules.io.table_file import TextFormat, map_arrow, suffix_of
from datamodules.io.unknown import RULE, Unknown, text_of
from zoo.errors import DataError, unknown_name

_HAND_BACK = 2048
"""After so many reads a process hands the pages of the map back to the system."""


class ArrowTable:
    """Columns of a table file.

    Args:
        path: the file, or the folder of a Parquet data set; see ``read_table_file``. A ``*`` in its name means all
            files that match, below each other.
        folder: where a memory-mapped copy is kept, checked once; None keeps the table in memory.
        told: how text is written.
        unknown: the rule for unknown cells.
        joined: further tables that are put beside the rows.

    Attributes:
        remarks: what a person should know of rows of joined tables.

    Raises:
        DataError: see ``read_tables``.
    """

    def __init__(
        self,
        path: Path,
        folder: Path | None = None,
        *,
        told: TextFormat = TextFormat(),
        unknown: Unknown = RULE,
        joined: Sequence[JoinedTable] = (),
    ) -> None:
        import pyarrow as pa

        self.path, self.unknown = path, unknown
        self._mapped: mmap.mmap | None = None
        if folder is None:
            table = read_tables(path, told, joined, unknown)
        else:
            copy = _converted(path, folder, told, joined, unknown)
            try:
                table, self._mapped = map_arrow(copy)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise DataError(f"the copy of '{path.name}' is broken; delete it", file=copy) from error
        self.remarks = remarks_of(table)
        self.names: tuple[str, ...] = tuple(table.column_names)
        self._columns = {name: table[name].chunk(0) for name in self.names}
        self._length = len(table)
        self._reads = 0

    def __len__(self) -> int:
        return self._length

    def require(self, names: Sequence[str]) -> None:
        """Check that columns exist.

        Raises:
            DataError: one does not; names the nearest.
        """
        for name in names:
            if name not in self._columns:
                raise DataError(str(unknown_name("column", name, self.names)), file=self.path)

    def column(self, name: str) -> Any:
        """A column as a pyarrow array of a plain type."""
        return self._columns[name]

    def value(self, name: str, row: int) -> Any:
        """The cell of a column: a string, number, list, bytes, or None."""
        self._reads += 1
        if self._mapped is not None and self._reads % _HAND_BACK == 0:
            self._mapped.madvise(mmap.MADV_DONTNEED)  # pages stay in the system's cache, not in this process
        return self._columns[name][row].as_py()

    def texts(self, name: str, classes: Iterable[str] = ()) -> npt.NDArray[np.object_]:
        """(N,) the whole column as text, "" where it is unknown.

        Args:
            name: of the column.
            classes: words that are classes, whatever else they mean.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self._columns[name]
        if pa.types.is_large_string(column.type):
            texts = pc.utf8_trim_whitespace(column).to_numpy(zero_copy_only=False)
        else:
            texts = np.array([text_of(v) for v in column.to_pylist()], dtype=object)
        texts[~self.known(name, classes)] = ""
        told: npt.NDArray[np.object_] = texts
        return told

    def distinct(self, name: str, classes: Iterable[str] = ()) -> list[str]:
        """The distinct known values of a column as text, sorted."""
        words = self.unknown.set_of(classes)
        return sorted({text_of(v) for v in self._columns[name].unique().to_pylist()} - words)

    def known(self, name: str, classes: Iterable[str] = ()) -> npt.NDArray[np.bool_]:
        """(N,) whether a cell is known.

        Args:
            name: of the column.
            classes: words that are classes, whatever else they mean.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        column, words = self._columns[name], self.unknown.set_of(classes)
        there = pc.is_valid(column)
        if pa.types.is_floating(column.type):
            there = pc.and_(there, pc.fill_null(pc.invert(pc.is_nan(column)), False))
        if pa.types.is_large_string(column.type):
            said = pc.is_in(pc.utf8_trim_whitespace(column), value_set=pa.array(sorted(words), column.type))
            there = pc.and_(there, pc.invert(said))
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            numbers = [n for w in words if (n := _number(w)) is not None]  # of words such as -9
            said = pc.is_in(pc.cast(column, pa.float64(), safe=False), value_set=pa.array(numbers, pa.float64()))
            there = pc.and_(there, pc.invert(said))
        mask: npt.NDArray[np.bool_] = there.to_numpy(zero_copy_only=False)
        return mask

    def says(self, name: str, words: Iterable[str]) -> npt.NDArray[np.bool_]:
        """(N,) whether a cell says one of some words, be they unknown ones or not.

        Args:
            name: of the column.
            words: without blanks around them.
        """
        wanted = set(words)
        return np.array([text_of(v) in wanted for v in self._columns[name].to_pylist()], dtype=bool)

    def left_out(self, name: str, classes: Iterable[str] = ()) -> dict[str, int]:
        """How often each unknown value stands in a column; "" is an empty cell or null.

        Args:
            name: of the column.
            classes: words that are classes, whatever else they mean.
        """
        import pyarrow as pa

        gone = self._columns[name].filter(pa.array(~self.known(name, classes)))
        counts = {"": gone.null_count} if gone.null_count else {}
        if len(gone) > gone.null_count:  # words or numbers
            for entry in gone.drop_null().value_counts().to_pylist():
                word = text_of(entry["values"])
                counts[word] = counts.get(word, 0) + entry["counts"]
        return dict(sorted(counts.items()))


def _number(word: str) -> float | None:
    try:
        return float(word) if word.strip("+-")[:1].isdigit() else None
    except ValueError:
        return None


def stamp(path: Path) -> str:
    """Size and time of change of a file, or of the files of a folder; "" where it is missing."""
    if path.is_dir():
        every = [p.stat() for p in path.rglob("*") if p.is_file()]
        return f"{sum(s.st_size for s in every)}-{max((s.st_mtime_ns for s in every), default=0)}-{len(every)}"
    return f"{path.stat().st_size}-{path.stat().st_mtime_ns}" if path.exists() else ""


def write_arrow(table: Any, path: Path) -> None:
    """Write a pyarrow Table as one uncompressed record batch, so that each column can be mapped as one array."""
    import pyarrow as pa

    whole = table.combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=max(len(whole), 1))


def stamps(path: Path, joined: Sequence[JoinedTable] = ()) -> str:
    """The stamps of all files that a table is put together from.

    Args:
        path: of the table; see ``files_of``.
        joined: the further tables.
    """
    return "-".join(stamp(f) for p in (path, *(path.parent / j.file for j in joined)) for f in files_of(p))


def _converted(path: Path, folder: Path, told: TextFormat, joined: Sequence[JoinedTable], unknown: Unknown) -> Path:
    """Write the table as one Arrow record batch below ``folder`` unless it is there, and return its path."""
    how = [v for v in (told.encoding, told.sheet, *(str(ord(c)) for c in told.separator)) if v]
    mark = stamps(path, joined)
    if joined or told.part or "*" in path.name:
        key = repr((mark, told.part, joined, unknown if joined else None))
        mark = hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    name = path.name.removesuffix(suffix_of(path)[1]).replace("*", "_")
    target = folder / f"{'-'.join([name, mark, *how])}.arrow"
    if target.exists():
        return target
    table = read_tables(path, told, joined, unknown)
    folder.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(handle)
    try:
        write_arrow(table, Path(part))
        os.replace(part, target)
    finally:
        Path(part).unlink(missing_ok=True)
    return target
