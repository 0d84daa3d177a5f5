"""Large npz archives: their arrays checked from the headers alone, and mapped from disk where they lie uncompressed.

A header is trusted only as far as the file can hold what it claims. Nothing is unpickled.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.files import require_file
from zoo.errors import DataError

_BROKEN = (
    OSError, ValueError, KeyError, EOFError, SyntaxError, MemoryError, OverflowError, RuntimeError, struct.error,
    tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
_MOST = 1100
"""Deflate makes data smaller by at most 1032 times."""


@dataclass(frozen=True)
class NpzArray:
    """An array of an npz archive.

    Attributes:
        shape: its shape.
        dtype: its type.
        offset: where its values begin in the archive, -1 where they are compressed.
        order: "C" or "F".
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    order: str


def npz_arrays(path: Path) -> dict[str, NpzArray]:
    """Describe every array of an npz archive, from the headers alone.

    Raises:
        DataError: the file is missing or no npz archive, holds Python objects, or claims more than it can hold.
    """
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [i for i in archive.infolist() if i.filename.endswith(".npy")]
            return {i.filename.removesuffix(".npy"): _describe(archive, i, path) for i in infos}
    except _BROKEN as error:
        raise _broken(path, error) from error


def load_npz(path: Path, key: str, array: NpzArray) -> npt.NDArray[Any]:
    """Map an array from disk where it lies uncompressed, else read it whole.

    Args:
        path: the archive.
        key: name of the array.
        array: what ``npz_arrays`` says of it.

    Raises:
        DataError: the archive is broken.
    """
    try:
        if array.offset >= 0:
            order: Any = array.order
            return np.memmap(path, array.dtype, "r", array.offset, array.shape, order)
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[key])
    except _BROKEN as error:
        raise _broken(path, error) from error


def _describe(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> NpzArray:
    with archive.open(info) as handle:
        one = np.lib.format.read_magic(handle) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(handle)
        header = handle.tell()
    if dtype.hasobject:
        raise ValueError(f"'{info.filename}' holds Python objects")
    count: int = prod(shape, start=1)
    if any(n < 0 for n in shape) or header + count * dtype.itemsize != info.file_size:
        raise ValueError(f"'{info.filename}' claims the shape {shape} and has {info.file_size} bytes")
    if info.file_size > _MOST * info.compress_size + 4096:
        raise ValueError(f"'{info.filename}' claims {info.file_size} bytes in {info.compress_size}")
    offset = -1
    if info.compress_type == zipfile.ZIP_STORED and count:
        with path.open("rb") as raw:
            raw.seek(info.header_offset)
            name, extra = struct.unpack("<26x2H", raw.read(30))
            offset = info.header_offset + 30 + name + extra + header
            if offset - header + info.file_size > raw.seek(0, 2):
                raise EOFError(f"'{info.filename}' is cut short")
    return NpzArray(tuple(shape), dtype, offset, "F" if fortran else "C")


def _broken(path: Path, error: BaseException) -> DataError:
    return DataError(
        f"the npz archive cannot be read ({type(error).__name__}: {error}); expected plain arrays saved by "
        "numpy.savez, none of Python objects: download it again",
        file=path,
    )
