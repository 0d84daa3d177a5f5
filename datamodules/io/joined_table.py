"""Several files as one table: parts with the same columns below each other, further tables beside the rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datamodules.io.distinct import texts_of
from datamodules.io.long_table import LongTable, widen
from datamodules.io.patterns import expand, some
from datamodules.io.table_file import TextFormat, plain, read_table_file
from datamodules.io.unknown import Unknown
from zoo.errors import DataError, UnknownNameError, unknown_name

REMARKS = b"zoo.remarks"
"""Key of the remarks in the metadata of a table."""


@dataclass(frozen=True)
class JoinedTable:
    """A further table, whose columns are put beside those of the rows that name one of its rows.

    Attributes:
        file: its name, relative to the folder; with a ``*`` the parts of one table, as for the table itself.
        by: column of the rows, or of a table that was joined before, that names a row of this table.
        key: column of this table with these names, each once; null where it is called as ``by`` is. "" is a column
            without a name, as pandas writes an index.
        prefix: put before the names of its columns, such as "left.", where two tables use the same ones.
        columns: those that are taken, by their names without the prefix; () takes all but ``key``. A column of this
            table that gives the label away is best left here.
        long: how measurements that lie below each other become columns, for a table of many rows for each name.
    """

    file: str
    by: str
    key: str | None = None
    prefix: str = ""
    columns: tuple[str, ...] = ()
    long: LongTable | None = None


def files_of(path: Path) -> list[Path]:
    """The files that a path means: itself, or those whose names match its ``*``, sorted."""
    if "*" not in path.name or path.exists():
        return [path]
    return sorted(p for p in path.parent.glob(path.name) if not p.name.startswith("."))


def remarks_of(table: Any) -> list[str]:
    """What was said of a table when it was put together."""
    said = (table.schema.metadata or {}).get(REMARKS, b"[]")
    return list(json.loads(said))


def read_tables(path: Path, told: TextFormat, joined: Sequence[JoinedTable], unknown: Unknown) -> Any:
    """Read a table, or the parts of one, and put further tables beside it.

    Args:
        path: the file; see ``files_of``.
        told: how text is written.
        joined: the further tables.
        unknown: the rule for unknown cells.

    Returns:
        a pyarrow Table as of ``read_table_file``, with ``remarks_of`` on rows that found no partner.

    Raises:
        DataError: a file is missing or broken, parts have different columns, a name is there twice, or see
            ``read_table_file``.
    """
    table = _stack(path, told)
    remarks: list[str] = []
    for how in joined:
        table, said = _join(table, path, how, told, unknown)
        remarks += said
    return table.replace_schema_metadata({REMARKS: json.dumps(remarks).encode()}) if remarks else table


def _stack(path: Path, told: TextFormat) -> Any:
    """The rows of all files that a path means, below each other."""
    import pyarrow as pa

    files = files_of(path)
    if not files:
        raise DataError(f"no file matches '{path.name}'", file=path.parent)
    parts: list[Any] = []
    for file in files:
        part = read_table_file(file, told)
        odd = sorted(set(part.column_names) ^ set(parts[0].column_names if parts else part.column_names))
        if odd:
            raise DataError(
                f"the columns {some(odd)} are not in both '{files[0].name}' and '{file.name}'; the files of "
                f"'{path.name}' must have the same columns",
                file=file,
            )
        parts.append(part.select(parts[0].column_names) if parts else part)
    if told.part:
        if "*" not in path.name:
            raise DataError(f"reading.part is '{told.part}', but '{path.name}' has no * that differs", file=path)
        if told.part in parts[0].column_names:
            raise DataError(f"reading.part is '{told.part}', which is a column already; take another name", file=path)
        words = [_starred(f.name, path.name) for f in files]
        parts = [
            p.append_column(told.part, pa.array([w] * len(p), pa.large_string()))
            for p, w in zip(parts, words, strict=True)
        ]
    if len(parts) == 1:
        return parts[0]
    try:
        return plain(pa.concat_tables(parts, promote_options="permissive"))
    except pa.ArrowException as error:
        raise DataError(f"the types of a column differ between files: {str(error)[:200]}", file=path) from error


def _starred(name: str, pattern: str) -> str:
    """What the first * of a pattern stands for in a name.

    >>> _starred("labels_train.csv", "labels_*.csv")
    'train'
    """
    head, tail = pattern.split("*", 1)
    return name[len(head) : len(name) - len(tail.rsplit("*", 1)[-1])]


def _join(table: Any, path: Path, how: JoinedTable, told: TextFormat, unknown: Unknown) -> tuple[Any, list[str]]:
    """Put one further table beside the rows; also what is to be said of rows without a partner."""
    import pyarrow as pa
    import pyarrow.compute as pc

    file = path.parent / how.file
    further = _stack(file, replace(told, part=""))
    key = how.by if how.key is None else how.key
    for name, names, where in ((how.by, table.column_names, path), (key, further.column_names, file)):
        if name not in names:
            raise DataError(f"join of '{how.file}': {unknown_name('column', name, names)}", file=where)
    names = names_of(further[key], unknown)
    if how.long is not None:
        names, further = widen(further, names, how.long, unknown, file)
    kept = _columns(how, key, further.column_names, file)
    _check_once(names, key, file)
    wanted = names_of(table[how.by], unknown)
    place = pc.index_in(wanted, value_set=names.drop_null(), skip_nulls=True)
    place = pc.take(pa.array([i for i, name in enumerate(names.to_pylist()) if name is not None], pa.int64()), place)
    for name in kept:
        full = how.prefix + name
        if full in table.column_names:
            raise DataError(
                f"join of '{how.file}': the column '{full}' is there already; give a 'prefix', or list 'columns'",
                file=file,
            )
        column = further[name].combine_chunks() if isinstance(further[name], pa.ChunkedArray) else further[name]
        table = table.append_column(full, column.take(place))
    return plain(table), _alone(how, path, place, len(further))


def _columns(how: JoinedTable, key: str, names: Sequence[str], file: Path) -> tuple[str, ...]:
    try:
        return expand(how.columns, names) if how.columns else tuple(n for n in names if n != key)
    except UnknownNameError as error:
        raise DataError(f"join of '{how.file}': {error}", file=file) from error


def _check_once(names: Any, key: str, file: Path) -> None:
    """Raise DataError where two rows of a further table have one name."""
    counts = names.drop_null().value_counts().to_pylist()
    twice = [c["values"] for c in counts if c["counts"] > 1]
    if twice:
        raise DataError(
            f"column '{key}' holds {twice[0]!r} more than once, and {len(twice)} names in all; a row of the table "
            "must name one row: join on another column, or say how they become columns as 'long'",
            file=file,
        )


def _alone(how: JoinedTable, path: Path, place: Any, count: int) -> list[str]:
    """What is said of rows of either table that found none of the other."""
    lines = []
    if place.null_count:
        lines.append(
            f"{place.null_count} of {len(place)} rows of '{path.name}' have no row in '{how.file}': "
            "what it says is unknown there"
        )
    unused = count - len(place.drop_null().unique())
    if unused:
        lines.append(f"{unused} of {count} rows of '{how.file}' belong to no row of '{path.name}' and are not used")
    return lines


def names_of(column: Any, unknown: Unknown) -> Any:
    """The cells of a column as text that can be compared between files, null where they are unknown.

    Args:
        column: a pyarrow array, or a chunked one.
        unknown: the rule for unknown cells.
    """
    import pyarrow as pa

    words = unknown.set_of()
    return pa.array([None if t in words else t for t in texts_of(column)], pa.large_string())
