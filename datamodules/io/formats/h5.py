"""HDF5 datasets read in pieces: where the values lie in the file, and what a header may claim."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, ZooError

_MOST_COMPRESSED = 1100
"""Deflate makes data at most 1032 times smaller; a header that claims more is broken."""

Positions = npt.NDArray[np.int64]


@contextmanager
def reading(path: Path, what: str = "HDF5 file") -> Iterator[None]:
    """Turn whatever a library raises on a broken file into a DataError that names the file."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        text = str(error).replace(str(path), path.name)
        raise DataError(
            f"not a readable {what} ({type(error).__name__}: {text}); get the file again", file=path
        ) from error


def check_claims(node: Any, path: Path) -> None:
    """Check that no dataset at or below an h5py node claims more bytes than its storage can hold.

    Raises:
        DataError: one does; names it.
    """
    import h5py

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            return
        claimed, stored = item.size * item.dtype.itemsize, item.id.get_storage_size()
        if claimed > max(1 << 16, _MOST_COMPRESSED * stored):
            raise DataError(
                f"the dataset '{item.name}' claims {claimed} bytes (shape {item.shape}) and {stored} are stored; "
                "get the file again",
                file=path,
            )

    visit("", node)
    if isinstance(node, h5py.Group):
        node.visititems(visit)


@dataclass(frozen=True)
class Place:
    """Where the values of an uncompressed dataset lie in its file.

    Attributes:
        dtype: of the values, byte order included.
        chunk: values a chunk (all of them where the dataset is contiguous).
        starts: position of each chunk's first value, in values from ``shift``.
        shift: bytes before the value at position 0.
    """

    dtype: np.dtype[Any]
    chunk: int
    starts: Positions
    shift: int

    def at(self, positions: Positions) -> Positions:
        """Positions in the file, in values from ``shift``, of values ``positions`` of the dataset."""
        if len(self.starts) == 1:
            return np.asarray(positions + self.starts[0], dtype=np.int64)
        number, rest = np.divmod(positions, self.chunk)
        return np.asarray(self.starts[number] + rest, dtype=np.int64)


def find_place(dataset: Any, file_size: int) -> Place | None:
    """Find out where a dataset lies in its file; None where it is compressed, unwritten, or scattered oddly.

    Contiguous datasets of any rank, and chunked ones of rank 1 (anndata chunks sparse matrices, to be able to
    append), are found.
    """
    width = dataset.dtype.itemsize
    if dataset.dtype.kind not in "iufb" or not dataset.size or dataset.id.get_create_plist().get_nfilters():
        return None
    if dataset.external is not None or dataset.is_virtual:
        return None
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is None or offset + dataset.size * width > file_size:
            return None
        return Place(dataset.dtype, dataset.size, np.zeros(1, dtype=np.int64), int(offset))
    if dataset.ndim != 1:
        return None
    chunk = int(dataset.chunks[0])
    offsets = np.full(-(-dataset.size // chunk), -1, dtype=np.int64)

    def note(info: Any) -> None:
        if info.filter_mask == 0 and info.size == chunk * width:
            offsets[info.chunk_offset[0] // chunk] = info.byte_offset

    dataset.id.chunk_iter(note)
    shift = int(offsets[0] % width)
    if (offsets < 0).any() or (offsets % width != shift).any() or offsets.max() + chunk * width > file_size:
        return None
    return Place(dataset.dtype, chunk, offsets // width, shift)


def spread(starts: Positions, lengths: Positions) -> Positions:
    """Positions start, start + 1, ... of every span, one span after the other.

    >>> spread(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.repeat(starts - before, lengths) + np.arange(int(lengths.sum())), dtype=np.int64)


def merge_spans(starts: Positions, stops: Positions, gap: int, most: int) -> list[tuple[int, int]]:
    """Numbers (first, last + 1) of the increasing spans that are read together.

    Neighbours no further apart than ``gap`` are, up to ``most`` positions a read.

    Args:
        starts: first position of each span.
        stops: position behind the last of each span.
        gap: largest distance between spans that are read together.
        most: most positions that are read at once.

    >>> merge_spans(np.array([0, 5, 90]), np.array([5, 9, 95]), 10, 100)
    [(0, 2), (2, 3)]
    """
    runs: list[tuple[int, int]] = []
    first = 0
    begins, ends = starts.tolist(), stops.tolist()
    for i in range(1, len(begins) + 1):
        if i == len(begins) or begins[i] - ends[i - 1] > gap or ends[i] - begins[first] > most:
            runs.append((first, i))
            first = i
    return runs


_HEAP = b"GCOL\x01\x00\x00\x00"
_SCANNED = 1 << 27
_BLOCK = 1 << 22


def check_heaps(path: Path) -> None:
    """Check the lists of strings in an HDF5 file, on whose broken ones the HDF5 library can loop for ever.

    Looks for global heap collections (HDF5 file format specification, III.E) in the first and last 128 MiB, which
    is the whole of most files, and follows the sizes in each: object header, index and size of every object.

    Raises:
        DataError: the sizes of a collection do not lead to its end.
    """
    size = path.stat().st_size
    starts = {*range(0, min(size, _SCANNED), _BLOCK), *range(max(0, size - _SCANNED), size, _BLOCK)}
    with path.open("rb") as handle:
        for start in sorted(starts):
            handle.seek(start)
            content = handle.read(_BLOCK + len(_HEAP) - 1)
            at = content.find(_HEAP)
            while at >= 0:
                handle.seek(start + at)
                claimed = int.from_bytes(handle.read(16)[8:], "little")
                handle.seek(start + at)
                if not _heap_ends(handle.read(min(claimed, _BLOCK))):
                    raise DataError("a list of strings in it is broken; get the file again", file=path)
                at = content.find(_HEAP, at + len(_HEAP))


def _heap_ends(heap: bytes) -> bool:
    """Whether following the objects of a global heap collection leads to its end, or beyond what was read."""
    claimed, at = int.from_bytes(heap[8:16], "little"), 16
    while at + 16 <= len(heap):
        number, size = int.from_bytes(heap[at : at + 2], "little"), int.from_bytes(heap[at + 8 : at + 16], "little")
        step = 16 + -(-size // 8) * 8 if number else size
        if step < 16 or at + step > claimed:
            return False
        at += step
    return True
