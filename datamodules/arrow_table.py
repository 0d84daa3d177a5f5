"""A csv, Parquet or Arrow file as columns that are read row by row, memory-mapped where an index folder is given."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.files import require_file
from zoo.errors import DataError, unknown_name

SUFFIXES = (".csv", ".tsv", ".parquet", ".arrow", ".feather")
_HAND_BACK = 2048
"""After so many reads a process hands the pages of the map back to the system."""
_NAMES = "csv, tsv, parquet, or uncompressed arrow / feather"


class ArrowTable:
    """Columns of a table file.

    Args:
        path: the file; by its suffix comma- or tab-separated text in UTF-8 with a header, Parquet, or Arrow IPC.
        folder: where a memory-mapped copy is kept, checked once; None keeps the table in memory.

    Raises:
        DataError: the file is missing, broken, of another type, or has no row.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        import pyarrow as pa

        self.path = require_file(path)
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"a table must be {_NAMES}, got '{path.suffix}'", file=path)
        try:
            self._mapped: mmap.mmap | None = None
            if folder is None:
                table = _load(path).combine_chunks()
            else:
                table, self._mapped = _map(_converted(path, folder))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"the table cannot be read ({type(error).__name__}: {str(error)[:200]}); expected {_NAMES}", file=path
            ) from error
        if len(set(table.column_names)) != table.num_columns:
            raise DataError(f"a column name is repeated: {table.column_names}", file=path)
        if not len(table):
            raise DataError("the table has no rows", file=path)
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

    def value(self, name: str, row: int) -> Any:
        """The cell of a column: a string, number, list, bytes, or None."""
        self._reads += 1
        if self._mapped is not None and self._reads % _HAND_BACK == 0:
            self._mapped.madvise(mmap.MADV_DONTNEED)  # pages stay in the system's cache, not in this process
        return self._columns[name][row].as_py()

    def text(self, name: str, row: int) -> str:
        """The cell as text, "" where it is null; whole floats lose their ".0"."""
        return as_text(self.value(name, row))

    def texts(self, name: str) -> npt.NDArray[np.object_]:
        """(N,) the whole column as text."""
        values = self._columns[name].to_pandas()
        if values.dtype.kind in "OUT":
            filled = values.where(values.notna(), "")
            texts: npt.NDArray[np.object_] = filled.map(as_text).to_numpy(dtype=object)
            return texts
        return np.array([as_text(v) for v in self._columns[name].to_pylist()], dtype=object)

    def distinct(self, name: str) -> list[str]:
        """The distinct values of a column as text, sorted, without null."""
        return sorted({as_text(v) for v in self._columns[name].unique().to_pylist() if v is not None})

    def known(self, name: str, unknown: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(N,) whether a cell is neither null, nor NaN, nor one of the words that stand for unknown."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self._columns[name]
        there = pc.is_valid(column)
        if pa.types.is_floating(column.type):
            there = pc.and_(there, pc.fill_null(pc.invert(pc.is_nan(column)), False))
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            words = pc.is_in(pc.utf8_trim_whitespace(column), value_set=pa.array(list(unknown), column.type))
            there = pc.and_(there, pc.invert(words))
        mask: npt.NDArray[np.bool_] = there.to_numpy(zero_copy_only=False)
        return mask


def as_text(value: Any) -> str:
    """A cell as text.

    >>> as_text(3.0), as_text(None), as_text(" a "), as_text(True)
    ('3', '', 'a', 'True')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def stamp(path: Path) -> str:
    """Size and time of change of a file, "" where it is missing."""
    return f"{path.stat().st_size}-{path.stat().st_mtime_ns}" if path.exists() else ""


def write_arrow(table: Any, path: Path) -> None:
    """Write a pyarrow Table as one uncompressed record batch, so that each column can be mapped as one array."""
    import pyarrow as pa

    whole = table.combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=max(len(whole), 1))


def _map(path: Path) -> tuple[Any, mmap.mmap]:
    """Map an Arrow file: its table, of which nothing is read yet, and the map that holds it."""
    import pyarrow as pa

    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all(), mapped


def _load(path: Path) -> Any:
    import pyarrow.parquet as pq

    suffix = path.suffix.lower()
    if suffix in (".parquet", ".arrow", ".feather"):
        table = _map(path)[0] if suffix != ".parquet" else pq.ParquetFile(path).read()
        table.validate(full=True)  # Arrow trusts offsets: a damaged one would end the process at the first access
        return table
    with _csv(path) as reader:
        return reader.read_all()


def _csv(path: Path) -> Any:
    """Open a text table in blocks; every column is text, as written."""
    import pyarrow as pa
    from pyarrow import csv

    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig") as handle:
        import csv as plain

        header = next(plain.reader(handle, delimiter=delimiter), [])
    types = {name: pa.large_string() for name in header}
    return csv.open_csv(
        path,
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )


def _converted(path: Path, folder: Path) -> Path:
    """Write the table as one Arrow record batch below ``folder`` unless it is there, and return its path."""
    target = folder / f"{path.stem}-{stamp(path)}.arrow"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    table = _load(path)
    handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(handle)
    try:
        write_arrow(table, Path(name))
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    return target
