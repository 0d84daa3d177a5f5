"""Safe reading of the files that published data sets consist of: listings of images, tables, npz archives, JSON.

Every function raises DataError that names the file and says what to do. Nothing is unpickled.
"""

from __future__ import annotations

import csv
import json
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.io.sniff import SLIDE, content_of_file
from zoo.errors import DataError, unknown_name

DICOM_SUFFIXES = (".dcm", ".dicom")
"""Suffixes, in lower case, of DICOM files."""
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".svs", ".ndpi", ".mrxs", ".scn",
    ".bif", ".nii", ".nii.gz", *DICOM_SUFFIXES,
)  # fmt: skip
"""Suffixes, in lower case, of the image files that a folder is searched for."""

Part = TypeVar("Part")
_BROKEN_ARCHIVE = (
    OSError, ValueError, KeyError, EOFError, SyntaxError, MemoryError, OverflowError, RuntimeError, struct.error,
    tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def require_file(path: Path, hint: str = "") -> Path:
    """Return ``path`` if it is a file.

    Raises:
        DataError: there is no such file; ``hint`` says where it comes from.
    """
    if not path.is_file():
        raise DataError(f"the file is missing{'; ' + hint if hint else '; restore it from the data set'}", file=path)
    return path


@contextmanager
def long_fields() -> Iterator[None]:
    """Let Python's csv reader take fields of up to 1 GiB, such as long notes, and not only of 128 KiB."""
    limit = csv.field_size_limit(2**30)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def read_csv(path: Path, columns: Sequence[str], *, separator: str = ",", stripped: bool = False) -> pd.DataFrame:
    """Read a table of strings, "" where a cell is empty, that has at least ``columns``.

    Nothing is taken for a missing value. Lines without any content, be they of commas, do not count as rows.

    Args:
        path: the file, UTF-8, whose first line names the columns.
        columns: that must be there, each once.
        separator: of the cells; behind a tab, quotes are letters.
        stripped: whether blanks around cells are taken off, as they always are around names of columns.

    Raises:
        DataError: the file is missing, is not a table in UTF-8, has no rows or ragged ones, or lacks a column (the
            message names the nearest one).
    """
    require_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle, long_fields():
            reader = csv.reader(
                handle,
                strict=True,
                delimiter=separator,
                quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL,
            )
            lines = [line for line in reader if any(line)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        sort = "tab" if separator == "\t" else "comma" if separator == "," else repr(separator)
        raise DataError(
            f"the table cannot be read ({type(error).__name__}: {error}); expected {sort}-separated UTF-8 text with "
            f"the columns {list(columns)}",
            file=path,
        ) from error
    if len(lines) < 2:
        raise DataError(f"the table has no rows; expected the columns {list(columns)} and a line a row", file=path)
    header = [name.strip() for name in lines[0]]
    for column in columns:
        if header.count(column) != 1:
            hint = unknown_name("column", column, header) if column not in header else f"'{column}' occurs twice"
            raise DataError(
                f"the table lacks a column or repeats one: {hint}; it must have {list(columns)}", file=path
            )
    for row, line in enumerate(lines[1:]):
        if len(line) != len(header):
            raise DataError(
                f"the row has {len(line)} cells and the header {len(header)}; quote cells that hold commas",
                file=path,
                row=row,
            )
    cells = [[cell.strip() for cell in line] for line in lines[1:]] if stripped else lines[1:]
    return pd.DataFrame(cells, columns=header, dtype=str)


def read_npz(path: Path, key: str) -> npt.NDArray[Any]:
    """Read one array of an npz archive, without unpickling.

    Raises:
        DataError: the file is missing, broken, lacks ``key``, or the array holds Python objects.
    """
    require_file(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            if key in archive.files:
                if not isinstance(array := archive[key], np.ndarray):
                    raise ValueError(f"'{key}' is no array")
                return array
            raise DataError(f"the archive has no array '{key}'; it has {sorted(archive.files)}", file=path)
    except DataError:
        raise
    except _BROKEN_ARCHIVE as error:
        raise _broken_npz(path, error) from error


def _broken_npz(path: Path, error: Exception) -> DataError:
    return DataError(
        f"the npz archive cannot be read ({type(error).__name__}: {error}); expected plain arrays saved by "
        "numpy.savez, none of Python objects: download it again",
        file=path,
    )


def read_json_rows(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Read a JSON list of objects, each of which has at least ``keys``.

    Raises:
        DataError: the file is missing, is not JSON, is not a list of objects, or a row lacks a key.
    """
    require_file(path)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise DataError(f"not valid JSON ({error}); copy the file again from the data set", file=path) from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"expected a JSON list of objects with the keys {list(keys)}", file=path)
    for position, row in enumerate(rows):
        lacking = [k for k in keys if not isinstance(row, dict) or k not in row]
        if lacking:
            raise DataError(
                f"the row lacks the keys {lacking}; each row must have {list(keys)}", file=path, row=position
            )
    return rows


def is_image(path: Path) -> bool:
    """Whether a file is an image by its suffix, or, where its name has none, by its content; no hidden file is.

    A number after a dot, as in the names of DICOM files, is no suffix.
    """
    name = path.name.lower()
    if name.startswith("."):
        return False
    if name.endswith(IMAGE_SUFFIXES):
        return True
    if any(c.isalpha() for c in Path(name).suffix):
        return False
    try:
        return content_of_file(path).kind not in ("", SLIDE)  # a database, as a slide may be, is rarely one
    except OSError:
        return False


def image_files(folder: Path) -> list[str]:
    """List the names of the image files directly in ``folder``, sorted; see ``is_image``.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError("the folder is missing; restore it from the data set", file=folder)
    names = (e.name for e in os.scandir(folder) if e.is_file())
    return sorted(n for n in names if is_image(folder / n))


def image_tree(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """Find the image files in some folders of ``root`` and below them; folders that do not exist are passed over.

    Returns:
        name of the file -> its path relative to ``root``, with forward slashes.

    Raises:
        DataError: two files have one name.
    """
    found: dict[str, str] = {}
    for folder in folders:
        for here, below, names in os.walk(root / folder):
            below.sort()
            inside = Path(here).relative_to(root).as_posix()
            for name in names:
                if is_image(Path(here) / name):
                    if name in found:
                        raise DataError(
                            f"the image '{name}' is there twice, also as '{found[name]}'; keep one of them",
                            file=Path(here) / name,
                        )
                    found[name] = f"{inside}/{name}"
    return found


def listed_there(names: Sequence[str], there: Container[str], missing: str, table: Path) -> npt.NDArray[np.bool_]:
    """Tell for each name that a table lists whether its image is there.

    Args:
        names: names of images, a row each.
        there: the names that exist.
        missing: "raise" refuses a table with a missing image; "skip" lets the caller leave its row out.
        table: the file that lists them.

    Returns:
        (N,) True where the image is there.

    Raises:
        DataError: an image is missing and ``missing`` is "raise"; counts all that are and names the first.
    """
    mask = np.fromiter((name in there for name in names), dtype=bool, count=len(names))
    if missing == "raise" and not mask.all():
        row = int(np.argmin(mask))
        raise DataError(
            f"{int((~mask).sum())} of the {len(names)} rows name an image that is not there, the first is "
            f"'{names[row]}'; add them, or give missing_images='skip'",
            file=table,
            row=row,
        )
    return mask


def require_listed(folder: Path, names: Iterable[str], table: Path) -> None:
    """Check that every name in a table is a file of ``folder``, with one look at the folder.

    Args:
        folder: that must hold the files.
        names: of the files, in the order of the table's rows.
        table: for errors.

    Raises:
        DataError: a file is missing; counts all that are and names the first with its row in the table.
    """
    there = {e.name for e in os.scandir(folder)} if folder.is_dir() else set()
    listed = list(names)
    absent = [(row, n) for row, n in enumerate(listed) if n not in there]
    if absent:
        row, name = absent[0]
        raise DataError(
            f"{len(absent)} of the {len(listed)} images that '{table.name}' lists are not in the folder "
            f"'{folder.name}', the first is '{name}'; add them or remove their rows",
            file=folder / name,
            row=row,
        )


def parts_to_read(parts: Iterable[Part], there: Callable[[Part], bool], *, published: bool) -> list[Part]:
    """The parts of a published data set that are read.

    Args:
        parts: train, test and whatever the publisher parted, in order.
        there: whether the files of a part exist.
        published: whether the published split is kept, which needs all parts. Else those that are there are enough;
            where none is, all are named, so that the error says what is expected.
    """
    named = list(parts)
    return named if published else [p for p in named if there(p)] or named


def content_keys(paths: Sequence[Path]) -> list[str]:
    """Return one key a file: byte-identical files share a key of their content, files without a twin have "".

    Only files of equal size are read.
    """
    sizes: dict[int, list[int]] = {}
    for i, path in enumerate(paths):
        sizes.setdefault(require_file(path).stat().st_size, []).append(i)
    keys = [""] * len(paths)
    for members in sizes.values():
        digests = [sha256(paths[i].read_bytes()).hexdigest()[:16] for i in members] if len(members) > 1 else []
        for i, digest in zip(members, digests, strict=False):
            if digests.count(digest) > 1:
                keys[i] = f"content:{digest}"
    return keys


def merge_groups(groups: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Join groups that share a key other than ""; each joined group takes the name that sorts first.

    >>> merge_groups(["anna", "ben", "ben", "cleo"], ["x", "x", "y", ""])
    ['anna', 'anna', 'anna', 'cleo']
    """
    parent = {g: g for g in groups}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for group, key in zip(groups, keys, strict=True):
        if key:
            low, high = sorted((root(group), root(first.setdefault(key, group))))
            parent[high] = low
    return [root(g) for g in groups]


def one_of(value: str, allowed: Sequence[str], what: str, *, file: Path, row: object) -> str:
    """Return ``value`` if it is allowed.

    Args:
        value: to check.
        allowed: values that may occur.
        what: name of the column, for errors.
        file: of the table, for errors.
        row: of the value, for errors.

    Raises:
        DataError: it is not; lists what is.
    """
    if value not in allowed:
        raise DataError(f"{what} {value!r} is unknown; allowed: {', '.join(map(repr, allowed))}", file=file, row=row)
    return value


def all_of(values: Iterable[str], allowed: Sequence[str], what: str, *, file: Path) -> None:
    """Check a column of a table as ``one_of`` checks a cell.

    Args:
        values: the cells of a column.
        allowed: values that may occur.
        what: name of the column, for errors.
        file: of the table, for errors.

    Raises:
        DataError: a value is not allowed; names its row and lists what is.
    """
    known = set(allowed)
    for row, value in enumerate(values):
        if value not in known:
            one_of(value, allowed, what, file=file, row=row)
