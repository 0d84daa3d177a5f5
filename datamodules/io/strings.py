"""A csv with a header as a table of strings."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from datamodules.io.files import long_fields
from zoo.errors import DataError


def read_strings(path: Path, columns: Sequence[str], source: str, *, separator: str = ",") -> pd.DataFrame:
    """Read a csv with a header into stripped strings; nothing is taken for a missing value.

    Args:
        path: the file, UTF-8. Empty lines are no rows; row 1 is the header.
        columns: columns that must be there.
        source: name of the source, for messages.
        separator: of the cells; behind a tab, quotes are letters.

    Raises:
        DataError: the file is missing, is not a csv, has a row of another length than the header, or lacks
            a column.
    """
    if not path.is_file():
        raise DataError(f"{source}: the file '{path.name}' is missing; put the published file there", file=path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle, long_fields():
            lines = csv.reader(
                handle,
                strict=True,
                delimiter=separator,
                quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL,
            )
            rows = [row for row in lines if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{source}: this is not a readable csv ({error}); fetch it again", file=path) from error
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [c for c in columns if c not in header]
    if missing:
        raise DataError(
            f"{source}: '{path.name}' lacks the columns {missing}; its first line has {header}. Fetch the published "
            "file, whose first line names them",
            file=path,
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(
                f"{source}: a row has {len(row)} fields, but the header has {len(header)}; mend or remove it",
                file=path,
                row=number,
            )
    return pd.DataFrame([[field.strip() for field in row] for row in rows[1:]], columns=header, dtype=object)
