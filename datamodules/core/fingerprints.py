"""Fingerprints of samples: what makes two of them the same, or nearly the same.

The kind of a modality says what equal content is, of an image its decoded pixels, of a text its normal form, and
whether samples have a picture in which near-identical ones can be found. Of a picture a difference hash of 64 bits
and a thumbnail are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.core.duplicates import SIDE, needed
from zoo.contract import MODALITIES

DEAD_BAND = 2.0
"""Neighbours must differ by more grey levels than this to set a bit: noise in black borders sets none."""


def picture_print(grey: npt.NDArray[np.uint8]) -> tuple[int, npt.NDArray[np.uint8]]:
    """Return a difference hash of 64 bits and a thumbnail of a picture (H, W) in 256 levels.

    Returns:
        The hash, and the thumbnail (SIDE * SIDE,) in 256 levels of grey.
    """
    from PIL import Image

    picture = Image.fromarray(grey)
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
        kind: name of a registered ModalityKind.

    Attributes:
        rows, contents: row numbers, and the content number of each.
        keys: fingerprint of a content -> content number.
        twins: fingerprint of a content's twin, such as the other strand of DNA -> number of that content.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self._kind = kind, MODALITIES.get(kind)
        self.rows: list[int] = []
        self.contents: list[int] = []
        self.keys: dict[bytes, int] = {}
        self.twins: dict[bytes, int] = {}
        self._hashes: list[int] = []
        self._thumbs = bytearray()
        self._needed = 0.0

    def add(self, row: int, value: Any) -> None:
        """Note the value of a row."""
        key = self._kind.fingerprint(value)
        number = self.keys.get(key)
        if number is None:
            number = self.keys[key] = len(self.keys)
            grey, twin = self._kind.grey(value), self._kind.twin(value)
            if grey is not None:
                code, thumb = picture_print(grey)
                self._hashes.append(code)
                self._thumbs += thumb.tobytes()
            if twin is not None:
                self.twins[twin] = number
        self.rows.append(row)
        self.contents.append(number)

    def clusters(self) -> list[npt.NDArray[np.int64]]:
        """For each content number, its rows."""
        order = np.argsort(np.asarray(self.contents, dtype=np.int64), kind="stable")
        rows = np.asarray(self.rows, dtype=np.int64)[order]
        sizes = np.bincount(np.asarray(self.contents, dtype=np.int64), minlength=len(self.keys))
        return np.split(rows, np.cumsum(sizes)[:-1]) if len(sizes) else []

    @property
    def pictured(self) -> bool:
        """Whether contents have pictures, in which near-identical ones can be looked for."""
        return bool(self._hashes)

    def twin_pairs(self) -> list[tuple[int, int]]:
        """Pairs of contents that are each other's twin."""
        pairs = ((number, self.keys[key]) for key, number in self.twins.items() if key in self.keys)
        return sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]})

    @property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """(contents,) difference hashes, of contents with pictures."""
        return np.asarray(self._hashes, dtype=np.uint64)

    @property
    def thumbs(self) -> npt.NDArray[np.uint8]:
        """(contents, SIDE * SIDE) thumbnails, of contents with pictures."""
        return np.frombuffer(self._thumbs, dtype=np.uint8).reshape(-1, SIDE * SIDE)

    @property
    def detail(self) -> npt.NDArray[np.float32]:
        """(contents,) how much the detail of near-identical images must correlate."""
        if not self._needed:
            self._needed = needed(self.thumbs)
        return np.full(len(self._hashes), self._needed, dtype=np.float32)
