"""Safe reading of the files that published data sets consist of: images, tables, npz archives and JSON lists.

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
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageOps

from zoo.errors import DataError, SpecError, unknown_name

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
"""Suffixes, in lower case, of the image files that a folder is searched for."""

ImageArray = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""(H, W) or (H, W, 3), uint8 in 0..255, or float32 for images of more than 8 bits."""

_BIG_IMAGE, _MOST_PIXELS_A_BYTE = 2**24, 4096
"""An image of more pixels than the first is refused if its file has fewer than a byte to the second of pixels."""
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


def decode_image(handle: BinaryIO, size: int, *, at_least: int = 0, page: int = 0) -> ImageArray:
    """Decode an image from an open file or from bytes, as ``read_image`` says.

    Args:
        handle: at the beginning of the image.
        size: bytes of the image, which bound the pixels that it may state.
        at_least: see read_image.
        page: see read_image.

    Raises:
        Exception: whatever a decoder raises on a broken image; these have no common base, and the caller names the
            file.
    """
    with Image.open(handle) as opened:
        if page:
            opened.seek(page)
        width, height = opened.size
        if width * height > max(_BIG_IMAGE, _MOST_PIXELS_A_BYTE * size):
            raise ValueError(f"it states {width} x {height} pixels, more than so few bytes hold")
        if at_least:
            opened.draft(None, (at_least, at_least))
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("L", "1"):
            return np.array(image.convert("L"), dtype=np.uint8)
        if image.mode == "F" or image.mode.startswith("I"):
            return np.array(image, dtype=np.float32)
        return np.array(image.convert("RGB"), dtype=np.uint8)


def read_image(path: Path, *, at_least: int = 0, page: int = 0) -> ImageArray:
    """Decode a JPEG, PNG or TIFF.

    Greyscale files give (H, W), all others (H, W, 3) in RGB; transparency is dropped, and an EXIF orientation is
    applied, as viewers do. Greyscale files of 16 or 32 bits give float32 in the file's own units; colour of 16 bits
    is cut to 8.

    Args:
        path: the file.
        at_least: 0 decodes at full size. Otherwise a JPEG is decoded at the smallest of the scales 1, 1/2, 1/4 and
            1/8 that leaves its shorter side at or above this many pixels, which saves most of the work; such a side
            is that of the file divided by 2, 4 or 8, rounded up. Other formats have no such scales and are decoded
            at full size.
        page: page of a TIFF, from 0; other formats have page 0 only.

    Raises:
        DataError: the file is missing, is not an image, is cut short, has no such page, or states a size that it
            cannot hold.
        SpecError: ``at_least`` or ``page`` is negative.
    """
    if at_least < 0 or page < 0:
        raise SpecError(f"read_image: at_least and page must be 0 or more, got {at_least} and {page}")
    require_file(path)
    try:
        with path.open("rb") as handle:  # by name, Pillow maps TIFFs and errs on turned ones
            return decode_image(handle, path.stat().st_size, at_least=at_least, page=page)
    except Exception as error:  # what decoders raise on broken files has no common base
        raise DataError(
            f"the image cannot be decoded ({type(error).__name__}: {str(error).replace(str(path), path.name)}); "
            f"expected a complete JPEG, PNG or TIFF file{f' of more than {page} pages' if page else ''}: copy it "
            "again from the data set",
            file=path,
        ) from error


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a comma-separated table of strings, "" where a cell is empty, that has at least ``columns``.

    Lines without any content, be they of commas, do not count as rows.

    Raises:
        DataError: the file is missing, is not a table in UTF-8, has no rows or ragged ones, or lacks a column (the
            message names the nearest one).
    """
    require_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            lines = [line for line in csv.reader(handle, strict=True) if any(line)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"the table cannot be read ({type(error).__name__}: {error}); expected comma-separated UTF-8 text with "
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
    return pd.DataFrame(lines[1:], columns=header, dtype=str)


def npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of an npz archive, from the headers alone.

    Raises:
        DataError: the file is missing or is not an npz archive.
    """
    require_file(path)
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as handle:
                        version = np.lib.format.read_magic(handle)
                        one = version == (1, 0)
                        read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
                        shapes[name.removesuffix(".npy")] = tuple(read(handle)[0])
    except _BROKEN_ARCHIVE as error:
        raise _broken_npz(path, error) from error
    return shapes


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


def image_files(folder: Path) -> list[str]:
    """List the names of the image files directly in ``folder``, sorted; hidden files do not count.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError("the folder is missing; restore it from the data set", file=folder)
    names = (e.name for e in os.scandir(folder) if e.is_file())
    return sorted(n for n in names if not n.startswith(".") and n.lower().endswith(IMAGE_SUFFIXES))


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
                if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
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


def pixel_keys(paths: Sequence[Path]) -> list[str]:
    """Return one key a file: images of equal pixels share a key, also where their files differ; "" without a twin.

    Large JPEGs are compared at an eighth of their scale. A file that cannot be decoded has no key; reading it raises.
    """
    digests = []
    for path in paths:
        try:
            image = read_image(path, at_least=32)
            digests.append(sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:16])
        except DataError:
            digests.append("")
    counts = Counter(digests)
    return [f"pixels:{d}" if d and counts[d] > 1 else "" for d in digests]


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


def whole_number(text: str, low: int, high: int, what: str, *, file: Path, row: object) -> int:
    """Parse a whole number between ``low`` and ``high``.

    Raises:
        DataError: it is not a number, not whole, or out of range.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (low <= value <= high and value == int(value)):
        raise DataError(f"{what} must be a whole number from {low} to {high}, got {text!r}", file=file, row=row)
    return int(value)


def one_of(value: str, allowed: Sequence[str], what: str, *, file: Path, row: object) -> str:
    """Return ``value`` if it is allowed.

    Raises:
        DataError: it is not; lists what is.
    """
    if value not in allowed:
        raise DataError(f"{what} {value!r} is unknown; allowed: {', '.join(map(repr, allowed))}", file=file, row=row)
    return value


def all_of(values: Iterable[str], allowed: Sequence[str], what: str, *, file: Path) -> None:
    """Check a column of a table as ``one_of`` checks a cell.

    Raises:
        DataError: a value is not allowed; names its row and lists what is.
    """
    known = set(allowed)
    for row, value in enumerate(values):
        if value not in known:
            one_of(value, allowed, what, file=file, row=row)
