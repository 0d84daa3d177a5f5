"""What is taken of an image file: one of several pages, frames or slices, a level of a pyramid, a unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError

ImageArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
"""(H, W), (H, W, 3) in RGB, or (H, W, F) of F frames; uint8 in 0..255, uint16 in 0..65535, else float32."""

MAX_PIXELS = 2**28
"""Most pixels that one page or level of a file may have, and most that are read of one file."""
PLANES = ("sagittal", "coronal", "axial")
"""Names of the canonical axes 0, 1 and 2 of a volume, by the plane of the slices across them."""


@dataclass(frozen=True)
class ImageReading:
    """How image files are read, whatever their format.

    Attributes:
        frame: which page, frame or slice of a file of several: its number from 0, "middle", or "all", which makes a
            channel of each grey frame and three of each coloured one. None refuses files of several frames. Frames
            of several axes are counted with the last axis fastest; those of a NIfTI volume from the lowest slice,
            volume by volume.
        plane: plane of the slices of a NIfTI volume.
        level: of a file that holds an image at several resolutions, such as a whole slide; 0 is the finest.
        unit: of the values, such as "HU", in place of the one that the data set states. A unit keeps physical
            values where a file has them.
        values: of DICOM files: "physical" takes the values after rescaling or the modality table; "levels" the same,
            mirrored within the range of the stored bits where the file says that small values are bright
            (MONOCHROME1); "display" those that a viewer shows, in 0..255. "auto" takes physical values of CT and
            wherever a unit is given, levels where a window or percentiles are, and display values elsewhere.
        padding: value of what a file declares to be padding, in physical values; None takes the low end of the
            window where there is one, else -1024 for HU and 0 for others, or the lowest real value if that is lower.
        spacing_mm: side of the square pixels that DICOM files are resampled to; 0 keeps their grid.

    Raises:
        SpecError: a field is out of range.
    """

    frame: int | Literal["middle", "all"] | None = None
    plane: Literal["sagittal", "coronal", "axial"] = "axial"
    level: int = 0
    unit: str = ""
    values: Literal["auto", "physical", "levels", "display"] = "auto"
    padding: float | None = None
    spacing_mm: float = 0.0

    def __post_init__(self) -> None:
        number = isinstance(self.frame, int) and not isinstance(self.frame, bool) and self.frame >= 0
        if not (number or self.frame in (None, "middle", "all")):
            raise SpecError(f"ImageReading: frame must be a number from 0, 'middle' or 'all', got {self.frame!r}")
        if self.plane not in PLANES:
            raise SpecError(f"ImageReading: plane {self.plane!r} is unknown; planes: {PLANES}")
        if self.level < 0:
            raise SpecError(f"ImageReading: level must be 0 (the finest) or more, got {self.level}")
        if self.values not in ("auto", "physical", "levels", "display"):
            raise SpecError(f"ImageReading: values must be auto, physical, levels or display, got {self.values!r}")
        if not (math.isfinite(self.spacing_mm) and self.spacing_mm >= 0):
            raise SpecError(f"ImageReading: spacing_mm must be 0 or a side in mm, got {self.spacing_mm}")
        if self.padding is not None and not math.isfinite(self.padding):
            raise SpecError(f"ImageReading: padding must be a finite number, got {self.padding}")


Listener = Callable[[int, str], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def frames_told(listener: Listener) -> Iterator[None]:
    """While this lasts, tell of each file of several frames that is read.

    Args:
        listener: called with the number of frames, and with a word for them such as "pages".
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def choose_frames(
    lengths: Sequence[int], reading: ImageReading, what: str, *, first_of_all: bool = False
) -> list[int]:
    """Numbers of the frames that are read, of a file whose frames lie along axes of ``lengths``.

    Args:
        lengths: of the axes of frames, the last one fastest; () for a single frame.
        reading: says which.
        what: word for several frames, such as "pages".
        first_of_all: whether the format says that the first one is the picture, so that nobody has to be asked.

    Raises:
        DataError: there are several frames and no choice, or there is no such frame.

    >>> choose_frames((5,), ImageReading(frame="middle"), "pages")
    [2]
    """
    total = math.prod(lengths)
    frame, listener = reading.frame, _listener.get()
    if total > 1 and listener is not None and not first_of_all:
        listener(total, what)
    if frame is None and total == 1:
        return [0]
    if frame == "all":
        return list(range(total))
    if frame == "middle":
        return [int(np.ravel_multi_index([n // 2 for n in lengths], tuple(lengths))) if lengths else 0]
    axes = f" ({' x '.join(map(str, lengths))})" if len(lengths) > 1 else ""
    if frame is None:
        raise DataError(
            f"the file holds {total} {what}{axes}, and nothing says which one is meant; the ImageProcessor "
            f"under data.processing.processors takes reading.frame: 0 to {total - 1}, middle, or all (each a channel)"
        )
    if frame >= total:
        raise DataError(f"there is no frame {frame}: the file has {total} {what}{axes}, counted from 0")
    return [frame]


def join_frames(frames: Sequence[npt.NDArray[Any]], what: str) -> npt.NDArray[Any]:
    """One frame as it is; several, each (H, W) or (H, W, C), as the channels of one array.

    Raises:
        DataError: the frames differ in shape or type.
    """
    if len(frames) == 1:
        return frames[0]
    kinds = sorted({(f.shape, str(f.dtype)) for f in frames})
    if len(kinds) > 1:
        raise DataError(f"the {what} differ in shape or type ({kinds[0]}, {kinds[1]}); choose one with reading.frame")
    return np.ascontiguousarray(np.dstack(frames))
