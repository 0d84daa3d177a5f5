"""Fingerprints of samples: what makes two of them the same, or nearly the same.

An image has the hash of its decoded pixels, a difference hash of 64 bits and a thumbnail; sequences and texts have
the hash of their normal form; signals, expression and tables that of their bytes.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.audit.duplicates import SIDE, needed
from datamodules.audit.examples import grey_image

DEAD_BAND = 2.0
"""Neighbours must differ by more grey levels than this to set a bit: noise in black borders sets none."""
_COMPLEMENT = str.maketrans("ACGTRYKMBDHVUacgtrykmbdhvu", "TGCAYRMKVHDBAtgcayrmkvhdba")


def content_key(kind: str, value: Any) -> bytes:
    """Return 16 bytes that samples of equal content share.

    Args:
        kind: one of zoo.contract.MODALITY_KINDS.
        value: the raw value, as datamodules.source.RawModality says.
    """
    if kind in ("dna", "protein"):
        return _digest(normal_sequence(value).encode())
    if kind == "text":
        return _digest(normal_text(value).encode())
    if kind == "tabular":
        return _digest(repr(sorted((k, _plain(v)) for k, v in value.items())).encode())
    array = np.ascontiguousarray(value)
    return _digest(f"{array.shape}{array.dtype.str}".encode(), array.tobytes())


def _plain(value: Any) -> str:
    return "" if value is None else str(float(value)) if isinstance(value, (int, float, np.number)) else str(value)


def _digest(*parts: bytes) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(part)
    return made.digest()


def normal_sequence(sequence: str) -> str:
    """Return a sequence in upper case, without blanks.

    >>> normal_sequence("acg t")
    'ACGT'
    """
    return "".join(sequence.split()).upper()


def normal_text(text: str) -> str:
    r"""Return a text in one case, with single spaces.

    >>> normal_text(" No  acute\nDisease. ")
    'no acute disease.'
    """
    return " ".join(text.split()).casefold()


def reverse_complement(sequence: str) -> str:
    """Return the other strand of a DNA sequence, read in its own direction.

    >>> reverse_complement("AACGN")
    'NCGTT'
    """
    return normal_sequence(sequence).translate(_COMPLEMENT)[::-1]


def image_print(image: npt.NDArray[Any]) -> tuple[int, npt.NDArray[np.uint8]]:
    """Return a difference hash of 64 bits and a thumbnail.

    Args:
        image: (H, W) or (H, W, 3), uint8 or float.

    Returns:
        The hash, and the thumbnail (SIDE * SIDE,) in 256 levels of grey.
    """
    from PIL import Image

    picture = Image.fromarray(grey_image(image))
    small = np.asarray(picture.resize((72, 64), Image.Resampling.BOX), dtype=np.float32)
    cells = small.reshape(8, 8, 9, 8).mean(axis=(1, 3))  # (8, 9)
    bits = cells[:, 1:] > cells[:, :-1] + DEAD_BAND
    code = int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")
    thumb = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.uint8)
    return code, thumb.ravel()


class Prints:
    """The fingerprints of one modality over the rows of a source.

    Rows of equal content share a content number; hashes and thumbnails are kept once a content.

    Args:
        kind: one of zoo.contract.MODALITY_KINDS.

    Attributes:
        rows, contents: row numbers, and the content number of each.
        keys: content key -> content number.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.rows: list[int] = []
        self.contents: list[int] = []
        self.keys: dict[bytes, int] = {}
        self.turned: dict[bytes, int] = {}
        self._hashes: list[int] = []
        self._thumbs = bytearray()
        self._needed = 0.0

    def add(self, row: int, value: Any) -> None:
        """Note the value of a row."""
        key = content_key(self.kind, value)
        number = self.keys.get(key)
        if number is None:
            number = self.keys[key] = len(self.keys)
            if self.kind == "image":
                code, thumb = image_print(np.asarray(value))
                self._hashes.append(code)
                self._thumbs += thumb.tobytes()
            elif self.kind == "dna":
                self.turned[_digest(reverse_complement(value).encode())] = number
        self.rows.append(row)
        self.contents.append(number)

    def clusters(self) -> list[npt.NDArray[np.int64]]:
        """For each content number, its rows."""
        order = np.argsort(np.asarray(self.contents, dtype=np.int64), kind="stable")
        rows = np.asarray(self.rows, dtype=np.int64)[order]
        sizes = np.bincount(np.asarray(self.contents, dtype=np.int64), minlength=len(self.keys))
        return np.split(rows, np.cumsum(sizes)[:-1]) if len(sizes) else []

    def strands(self) -> list[tuple[int, int]]:
        """Pairs of contents that are each other's reverse complement."""
        pairs = ((number, self.keys[key]) for key, number in self.turned.items() if key in self.keys)
        return sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]})

    @property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """(contents,) difference hashes, for images."""
        return np.asarray(self._hashes, dtype=np.uint64)

    @property
    def thumbs(self) -> npt.NDArray[np.uint8]:
        """(contents, SIDE * SIDE) thumbnails, for images."""
        return np.frombuffer(self._thumbs, dtype=np.uint8).reshape(-1, SIDE * SIDE)

    @property
    def detail(self) -> npt.NDArray[np.float32]:
        """(contents,) how much the detail of near-identical images must correlate."""
        if not self._needed:
            self._needed = needed(self.thumbs)
        return np.full(len(self._hashes), self._needed, dtype=np.float32)
