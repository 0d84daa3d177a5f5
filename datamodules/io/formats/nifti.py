"""Slices of NIfTI volumes (.nii, .nii.gz), in one orientation and in the file's units.

Whatever the order and direction of the axes in the file, indices and shapes here are those of the canonical volume:
axis 0 runs to the patient's Right, axis 1 to Anterior, axis 2 to Superior (RAS+), by the nearest voxel axes. Slices
are turned as radiologists view them:

axial: anterior is up, the patient's right is at the left of the image;
coronal: superior is up, the patient's right is at the left of the image;
sagittal: superior is up, anterior is at the left of the image.

A slice of a plain .nii is read alone. A .nii.gz must be unpacked up to its end for any slice (about a second for
100 MB of voxels); the last volume that was unpacked is kept in each process, where it has at most 512 MiB, so that
several slices of one volume in a row cost one unpacking. A file may hold several volumes, such as one of times.
"""

from __future__ import annotations

import gzip
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from datamodules.io.files import require_file
from datamodules.io.frames import PLANES, ImageReading, choose_frames, join_frames
from zoo.errors import DataError, MissingExtraError, SpecError

Plane = Literal["sagittal", "coronal", "axial"]
"""Names of the canonical axes 0, 1 and 2, by the plane of the slices across them."""

_DEFLATE_MOST = 1040
"""No deflate stream unpacks to more than about 1032 times its size: larger claims are false."""
_KEEP_BYTES = 2**29
_UNPACK_BYTES = 2**32
_SLICE_PIXELS = 2**26


@dataclass(frozen=True)
class _Layout:
    """Where and how a file stores its voxels.

    Attributes:
        shape: of the voxel array of one volume in the file, first axis fastest.
        volumes: lengths of the axes beyond the third, such as (times,); () for a single volume.
        dtype: of a stored voxel.
        offset: of the first voxel in the (unpacked) file.
        slope, inter: value = stored * slope + inter.
        axes: canonical axis -> axis in the file.
        flips: canonical axis -> whether the file's axis runs the other way.
        packed: whether the file is gzip-compressed.
    """

    shape: tuple[int, int, int]
    volumes: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    packed: bool


def nifti_shape(path: Path) -> tuple[int, int, int]:
    """Return the canonical shape (right-left, posterior-anterior, inferior-superior), from the header alone.

    Raises:
        DataError: the file is missing, is not one NIfTI volume of real numbers, or is too short for what it claims.
        MissingExtraError: nibabel is not installed.
    """
    layout = _layout(path)
    _one_volume(path, layout)
    first, second, third = (layout.shape[a] for a in layout.axes)
    return first, second, third


def read_nifti(path: Path, reading: ImageReading) -> npt.NDArray[np.float32]:
    """Read one slice, or all slices as channels, in the file's units.

    Args:
        path: see read_nifti_slice.
        reading: plane, and which slice of it; see ImageReading.

    Returns:
        (H, W) or (H, W, F) float32.

    Raises:
        DataError: as in read_nifti_slice; or there are several slices and none is chosen.
        MissingExtraError: nibabel is not installed.
    """
    layout = _layout(path)
    depth = layout.shape[layout.axes[PLANES.index(reading.plane)]]
    count = math.prod(layout.volumes)
    chosen = choose_frames([count, depth] if count > 1 else [depth], reading, f"{reading.plane} slices")
    parts = [read_nifti_slice(path, k % depth, axis=reading.plane, volume=k // depth) for k in chosen]
    return join_frames(parts, "slices")


def read_nifti_slice(
    path: Path, index: int, *, axis: Plane = "axial", volume: int | None = None
) -> npt.NDArray[np.float32]:
    """Read one slice as (H, W) float32 in the file's units (HU for CT), scl_slope and scl_inter applied.

    Args:
        path: a .nii or .nii.gz file; its content decides which of the two it is.
        index: of the slice along the canonical axis: 0 is the most inferior axial slice, the most posterior
            coronal one, the leftmost sagittal one. The length of each axis is in ``nifti_shape``.
        axis: plane of the slice; the module says how it is turned.
        volume: number of the volume in a file of several, such as one of times; None refuses such a file.

    Raises:
        SpecError: there is no such plane.
        DataError: as in ``nifti_shape``; or the index is outside the volume, or a value is not finite.
        MissingExtraError: nibabel is not installed.
    """
    if axis not in PLANES:
        raise SpecError(f"axis {axis!r} is unknown; planes: {PLANES}")
    layout = _layout(path)
    if volume is None:
        _one_volume(path, layout)
    elif not 0 <= volume < math.prod(layout.volumes):
        raise DataError(f"there is no volume {volume}; the file has {math.prod(layout.volumes)}", file=path)
    across = PLANES.index(axis)
    depth = layout.shape[layout.axes[across]]
    if not 0 <= index < depth:
        raise DataError(f"there is no {axis} slice {index}; the volume has {depth}, from 0 to {depth - 1}", file=path)
    rows, columns = [a for a in (2, 1, 0) if a != across]
    if layout.shape[layout.axes[rows]] * layout.shape[layout.axes[columns]] > _SLICE_PIXELS:
        raise DataError(f"a slice of the shape {layout.shape} has more than {_SLICE_PIXELS} pixels", file=path)
    place = depth - 1 - index if layout.flips[across] else index
    stored = _stored_slice(path, layout, layout.axes[across], place, volume or 0)
    if layout.axes[rows] > layout.axes[columns]:
        stored = stored.T
    # Up, and to the left, a display shows the high end of every canonical axis.
    stored = stored[:: 1 if layout.flips[rows] else -1, :: 1 if layout.flips[columns] else -1]
    with np.errstate(over="ignore", invalid="ignore"):
        values = (stored.astype(np.float64) * layout.slope + layout.inter).astype(np.float32)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(f"{bad} of {values.size} values of {axis} slice {index} are NaN or infinite", file=path)
    return np.ascontiguousarray(values)


def _one_volume(path: Path, layout: _Layout) -> None:
    if math.prod(layout.volumes) > 1:
        shape = (*layout.shape, *layout.volumes)
        raise DataError(f"expected one volume of three axes, got the shape {shape}; extract a volume", file=path)


def _layout(path: Path) -> _Layout:
    """Read the header, checked against the size of the file."""
    path = require_file(Path(path))
    status = path.stat()
    return _layout_of(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _layout_of(name: str, size: int, changed: int) -> _Layout:
    path = Path(name)
    head, packed = _first_bytes(path, 540)
    try:
        header, axes, flips = _parse(head)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = np.dtype(header.get_data_dtype())
        offset = int(header.get_data_offset())
        slope, inter = header.get_slope_inter()
    except MissingExtraError:
        raise
    except Exception as error:  # nibabel raises anything on damaged headers
        raise _broken(path, f"{type(error).__name__}: {error}") from error
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    shape = (*shape, *[1] * (3 - len(shape)))
    if min(shape) < 1:
        raise DataError(f"expected a volume, got the shape {shape}", file=path)
    if dtype.kind not in "iuf":
        raise DataError(f"voxels must be real numbers, got {dtype}; convert the file", file=path)
    claimed = offset + math.prod(shape) * dtype.itemsize
    if not 0 <= offset <= claimed <= size * (_DEFLATE_MOST if packed else 1):
        raise _broken(path, f"the header claims {claimed} bytes with voxels {shape} of {dtype}, the file has {size}")
    if packed and claimed > _UNPACK_BYTES:
        raise DataError(
            f"the volume unpacks to {claimed} bytes, too many to read from .gz; gunzip the file", file=path
        )
    scale = 1.0 if slope is None else float(slope)
    one = (shape[0], shape[1], shape[2])
    return _Layout(one, shape[3:], dtype, offset, scale, float(inter or 0.0), axes, flips, packed)


def _parse(head: bytes) -> tuple[Any, tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return nibabel's header, and the file's axis and its reversal for each canonical axis."""
    try:
        nibabel: Any = import_module("nibabel")
    except ImportError as error:
        raise MissingExtraError("nibabel", "nifti") from error
    kinds = {348: (nibabel.Nifti1Header, b"n+1"), 540: (nibabel.Nifti2Header, b"n+2")}
    for order in ("<", ">"):
        length = int(np.frombuffer(head[:4], dtype=f"{order}i4")[0]) if len(head) >= 4 else 0
        if length not in kinds or len(head) < length:
            continue
        made, magic = kinds[length]
        if magic not in (head[4:7], head[344:347]):
            raise ValueError("not a NIfTI file that holds its voxels itself (magic n+1 or n+2)")
        header = made(head[:length], endianness=order)
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise ValueError("the orientation (sform, qform or pixdim) is not invertible")
        turns = nibabel.io_orientation(affine)
        order_of = {int(out): (axis, direction < 0) for axis, (out, direction) in enumerate(turns)}
        (x, fx), (y, fy), (z, fz) = (order_of[a] for a in range(3))
        return header, (x, y, z), (bool(fx), bool(fy), bool(fz))
    raise ValueError("not a NIfTI header (its first number must be 348 or 540)")


def _first_bytes(path: Path, count: int) -> tuple[bytes, bool]:
    """Return the first bytes of the unpacked file, and whether it is gzip-compressed."""
    try:
        with path.open("rb") as handle:
            if handle.read(2) != b"\x1f\x8b":
                return _rewound(handle).read(count), False
            with gzip.GzipFile(fileobj=_rewound(handle)) as unpacked:
                return unpacked.read(count), True
    except Exception as error:  # OSError, EOFError, zlib.error
        raise _broken(path, f"{type(error).__name__}: {error}") from error


def _rewound(handle: Any) -> Any:
    handle.seek(0)
    return handle


def _stored_slice(path: Path, layout: _Layout, axis: int, index: int, number: int) -> npt.NDArray[Any]:
    """Return the voxels across one axis of a volume, as stored, with the other two axes in the file's order."""
    shape = (*layout.shape, math.prod(layout.volumes))
    try:
        if layout.packed:
            status = path.stat()
            count = math.prod(shape) * layout.dtype.itemsize
            unpack = unpacked_bytes if count <= _KEEP_BYTES else unpacked_bytes.__wrapped__
            flat = unpack(str(path), layout.offset, count, status.st_mtime_ns)
            volume = np.frombuffer(flat, dtype=layout.dtype).reshape(shape, order="F")
        else:
            volume = np.memmap(path, layout.dtype, "r", layout.offset, shape, order="F")
        return np.array(np.moveaxis(volume[..., number], axis, 0)[index])
    except Exception as error:  # OSError, EOFError, zlib.error
        raise _broken(path, f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=1)
def unpacked_bytes(name: str, offset: int, count: int, changed: int) -> bytes:
    """Unpack the voxels of a .nii.gz; reading past them checks the sum at the end of the stream.

    Args:
        name: path of the file.
        offset: first byte of the voxels after unpacking.
        count: bytes of the voxels.
        changed: time of the file's last change, which parts copies in a cache.
    """
    with gzip.open(name, "rb") as unpacked:
        unpacked.seek(offset)
        voxels = unpacked.read(count)
        unpacked.read(1)
    if len(voxels) < count:
        raise EOFError(f"the stream ends after {len(voxels)} of {count} bytes of voxels")
    return voxels


def _broken(path: Path, problem: str) -> DataError:
    return DataError(
        f"the NIfTI file cannot be read ({problem.replace(os.fspath(path), path.name)}); expected a complete .nii or "
        ".nii.gz: copy it again from the data set",
        file=path,
    )
