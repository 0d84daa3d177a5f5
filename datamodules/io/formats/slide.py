"""Whole slides by OpenSlide: formats of scanners that are no TIFF, and levels of a TIFF that nothing else decodes.

OpenSlide is asked last, so that a file is read alike with and without it: what Pillow and tifffile decode is read by
them, and a level of a TIFF is the one that tifffile counts, since OpenSlide adds levels of its own to some formats.
Where a scanner took no picture, the pixels have the colour that the file names as its background, else white.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.frames import MAX_PIXELS, ImageReading
from zoo.errors import DataError, MissingExtraError

MIRAX = ".mrxs"
"""Suffix of slides of 3DHISTECH: a JPEG of the label, beside a folder of its name that holds the picture."""


def is_mirax(path: Path | None) -> bool:
    """Whether a JPEG is the face of a slide of 3DHISTECH, by the suffix that OpenSlide goes by too.

    Args:
        path: of the file; None where only its bytes are known.
    """
    return path is not None and path.suffix.lower() == MIRAX


def read_slide(path: Path, reading: ImageReading) -> npt.NDArray[np.uint8]:
    """Decode a level of a slide, whole.

    Args:
        path: of the file; its companions lie where the scanner put them.
        reading: which level, and no frame beside the first.

    Returns:
        (H, W, 3).

    Raises:
        DataError: it is no slide that OpenSlide knows, a companion is missing, there is no such level or frame, or
            the level is too large.
        MissingExtraError: OpenSlide is not installed.
    """
    openslide = _library(path)
    if reading.frame not in (None, 0, "middle", "all"):
        raise DataError(f"there is no frame {reading.frame}: a slide has 1; choose a level with reading.level")
    with closing(_opened(openslide, path)) as slide:
        sizes = slide.level_dimensions
        if reading.level >= len(sizes):
            said = f"{len(sizes)}, of {', '.join(f'{height} x {width}' for width, height in sizes)}"
            raise DataError(f"there is no level {reading.level}: the file has {said}; 0 is the finest")
        return _level(slide, reading.level)


def level_of_size(path: Path, width: int, height: int) -> npt.NDArray[np.uint8] | None:
    """Decode the level of a slide that has this size.

    Args:
        path: of the file.
        width: of the level, in pixels.
        height: of the level, in pixels.

    Returns:
        (H, W, 3); None where OpenSlide is not installed, does not read such a file, or has no such level.
    """
    try:
        openslide = _library(path)
    except MissingExtraError:
        return None
    try:
        opened = openslide.OpenSlide(path)
    except openslide.OpenSlideError:  # who asks knows what is missing
        return None
    with closing(opened) as slide:
        sizes = list(slide.level_dimensions)
        return _level(slide, sizes.index((width, height))) if (width, height) in sizes else None


def _library(path: Path) -> Any:
    try:
        import openslide
    except (ImportError, OSError) as error:  # the second where its own library cannot be loaded
        raise MissingExtraError("openslide-python", "slides", file=path) from error
    return openslide


def _opened(openslide: Any, path: Path) -> Any:
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError as error:
        alone = is_mirax(path) and not path.with_suffix("").is_dir()
        missing = f", and the folder '{path.stem}' that belongs to it is not beside it" if alone else ""
        raise DataError(
            f"OpenSlide knows no slide in this file{missing}; copy all files of the slide, or export it as TIFF",
            file=path,
        ) from error


def _level(slide: Any, level: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3) of one level, the background where there is no picture."""
    width, height = slide.level_dimensions[level]
    if width * height > MAX_PIXELS:
        raise DataError(
            f"it has {width} x {height} pixels at level {level}, more than {MAX_PIXELS}; choose a coarser level with "
            "reading.level, or cut it into tiles"
        )
    from PIL import Image

    region = slide.read_region((0, 0), level, (width, height))
    colour = "#" + slide.properties.get("openslide.background-color", "FFFFFF")
    whole = Image.new("RGBA", region.size, colour)
    whole.alpha_composite(region)
    return np.array(whole.convert("RGB"), dtype=np.uint8)
