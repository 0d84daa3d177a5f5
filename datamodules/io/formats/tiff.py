"""TIFF: pages, stacks, OME-TIFF and the levels of whole slides, by Pillow, tifffile or OpenSlide, in this order.

Values are those of the file: uint8 and uint16 as they are, all other types as float32; min-is-white is inverted, a
palette is applied, extra samples such as transparency are dropped, and the orientation is that of a viewer.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, TiffImagePlugin

from datamodules.io.formats.slide import level_of_size
from datamodules.io.frames import MAX_PIXELS, ImageReading, choose_frames, join_frames
from zoo.errors import DataError, MissingExtraError

_PIXELS_A_BYTE = 4096
"""No page has more pixels than this for each byte of its file; larger claims are false."""
_PARTS = ("is_svs", "is_ndpi", "is_scn", "is_bif", "is_philips", "is_qpi", "is_avs")
"""Files of which only the first series is the image; the others are its label, a thumbnail and the like."""
_TO_RGB = (6, 7, 33003, 33005, 34712)
"""Compressions, JPEG and JPEG 2000, whose decoders turn YCbCr into RGB."""
_PHOTOMETRIC = {0: "min-is-white", 1: "min-is-black", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIE L*a*b*"}


def read_tiff(handle: BinaryIO, size: int, reading: ImageReading, path: Path | None = None) -> npt.NDArray[Any]:
    """Decode one page, or all pages as channels.

    Args:
        handle: at the beginning of the file.
        size: bytes of the file, which bound the pixels that it may state.
        reading: which page and level.
        path: of the file, which OpenSlide needs; None where there are only its bytes.

    Returns:
        (H, W), (H, W, 3) or (H, W, F), uint8, uint16 or float32.

    Raises:
        DataError: several pages and no choice, no such page or level, or a kind of page that cannot be read.
        MissingExtraError: the compression needs imagecodecs, or OpenSlide where it is a slide.
        Exception: whatever the decoders raise on a broken file.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it warns of is raised below, or does not matter
    with tifffile.TiffFile(handle) as file:
        _check_chain(file, handle)
        pages, lengths = _pages(file, reading)
        taken = choose_frames(lengths, reading, "pages")
        first = pages[taken[0]] if taken[0] < len(pages) else pages[0]
        _check_size(first, size, len(taken))
        if len(pages) == int(np.prod(lengths)):
            return join_frames([_page(file, pages[k], handle, path) for k in taken], "pages")
        volume = _level(file, reading).asarray()  # one page that stands for many, as ImageJ writes them
        flat = volume.reshape(-1, *volume.shape[len(lengths) :])
        return join_frames([_finished(flat[k], pages[0]) for k in taken], "pages")


def _check_chain(file: Any, handle: BinaryIO) -> None:
    """Refuse pages of which a later one names an earlier one as the next: they would be read without end."""
    layout = file.tiff
    width, count = struct.calcsize(layout.offsetformat), struct.calcsize(layout.tagnoformat)
    seen = set[int]()
    handle.seek(8 if layout.is_bigtiff else 4)  # where the place of the first page stands
    raw = handle.read(width)
    while len(raw) == width and (at := struct.unpack(layout.offsetformat, raw)[0]):
        if at in seen:
            raise DataError("its pages name each other in a circle: the file is damaged; copy it again")
        seen.add(at)
        handle.seek(at)
        tags = handle.read(count)
        if len(tags) < count:
            return
        handle.seek(at + count + struct.unpack(layout.tagnoformat, tags)[0] * layout.tagsize)
        raw = handle.read(width)


def _pages(file: Any, reading: ImageReading) -> tuple[Sequence[Any], list[int]]:
    """The pages of the image at one level, and the lengths of the axes along which they lie."""
    level = _level(file, reading)
    lengths = [n for n, axis in zip(level.shape, level.axes, strict=True) if axis not in "YXS"]
    if any(getattr(file, name, False) for name in _PARTS) or len(file.series) == 1:
        return [p for p in level.pages if p is not None], lengths
    series = [s for s in file.series if not (s.keyframe.is_reduced or s.keyframe.is_mask)] or [file.series[0]]
    if len(series) == 1:
        return [p for p in series[0].pages if p is not None], lengths
    pages = [p for s in series for p in s.pages if p is not None]
    return pages, [len(pages)]


def _level(file: Any, reading: ImageReading) -> Any:
    """The image at one level of its pyramid."""
    if not file.series:
        raise DataError("the TIFF file has no page")
    levels = file.series[0].levels
    if reading.level >= len(levels):
        sizes = ", ".join(" x ".join(map(str, level.shape)) for level in levels)
        raise DataError(f"there is no level {reading.level}: the file has {len(levels)}, of {sizes}; 0 is the finest")
    return levels[reading.level]


def _check_size(page: Any, size: int, count: int) -> None:
    pixels = int(page.imagewidth) * int(page.imagelength) * count
    if pixels > max(2**24, _PIXELS_A_BYTE * size):
        raise ValueError(f"it states {page.imagewidth} x {page.imagelength} pixels, more than so few bytes hold")
    if pixels > MAX_PIXELS:
        raise DataError(
            f"it has {page.imagewidth} x {page.imagelength} pixels on {count} page(s), more than {MAX_PIXELS}; "
            "choose a coarser level with reading.level, or cut it into tiles"
        )


def _page(file: Any, page: Any, handle: BinaryIO, path: Path | None) -> npt.NDArray[Any]:
    """Decode one page: 8 bits and less by Pillow where it knows the compression, all others by tifffile."""
    page = page.aspage() if hasattr(page, "aspage") else page
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    plain = page.photometric in (0, 1, 3) and page.samplesperpixel == 1
    colour = page.photometric in (2, 5, 6) and page.samplesperpixel in (3, 4) and page.planarconfig == 1
    top = isinstance(page.index, int) and getattr(page, "treeindex", (0,)) == (page.index,)
    if bits <= 8 and page.sampleformat == 1 and top and (plain or colour) and _is_for_pillow(file, page):
        return _by_pillow(handle, page.index)
    if page.photometric in (6, 8) and bits <= 8 and int(page.compression) not in _TO_RGB:
        raise DataError(f"its colours are {_PHOTOMETRIC[page.photometric]} in a layout that is not read; save as RGB")
    try:
        return _finished(page.asarray(), page)
    except (ValueError, NotImplementedError, ImportError) as error:  # in words of tifffile, or of imagecodecs
        if "imagecodecs" not in str(error):
            raise
        if top and plain and bits == 16 and page.sampleformat == 1:
            return _finished(_by_pillow(handle, page.index, turn=False), page)
        seen = level_of_size(path, page.imagewidth, page.imagelength) if path and colour and bits == 8 else None
        if seen is None:
            raise MissingExtraError("imagecodecs", "slides") from error
        return seen


def _is_for_pillow(file: Any, page: Any) -> bool:
    """Whether Pillow knows the compression, and finds the page: in files of Hamamatsu it does so up to 4 GiB."""
    found = not getattr(file, "is_ndpi", False) or file.filehandle.size < 2**32
    return found and int(page.compression) in TiffImagePlugin.COMPRESSION_INFO


def _by_pillow(handle: BinaryIO, index: int, *, turn: bool = True) -> npt.NDArray[Any]:
    """Decode a page: (H, W) where it is grey, else (H, W, 3).

    Args:
        handle: of the file.
        index: of the page.
        turn: bring it to the orientation of a viewer.
    """
    handle.seek(0)
    with Image.open(handle) as opened:
        opened.seek(index)
        image = ImageOps.exif_transpose(opened) if turn else opened
        if image.mode.startswith("I;16"):
            return np.array(image).astype(np.uint16)
        return np.array(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"), dtype=np.uint8)


def _finished(stored: npt.NDArray[Any], page: Any) -> npt.NDArray[Any]:
    """Stored values of a page as an image: channels last, colours of its photometric interpretation, upright."""
    if stored.ndim == 3 and "S" in page.axes and page.axes.index("S") == 0:
        stored = np.moveaxis(stored, 0, -1)
    if stored.ndim == 3 and stored.shape[-1] == 1:
        stored = stored[..., 0]
    if stored.ndim not in (2, 3):
        raise DataError(f"a page has the axes {page.axes} of {stored.shape}; only pictures of two axes are read")
    image = _coloured(stored, page)
    tag = page.tags.get("Orientation")
    image = _turned(image, int(tag.value) if tag is not None else 1)
    if image.dtype == np.bool_:
        return np.asarray(image, dtype=np.uint8) * np.uint8(255)
    return np.ascontiguousarray(image, dtype=image.dtype if image.dtype in (np.uint8, np.uint16) else np.float32)


def _coloured(stored: npt.NDArray[Any], page: Any) -> npt.NDArray[Any]:
    """Apply the photometric interpretation."""
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    kind = int(page.photometric)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    if kind == 0:
        if stored.dtype.kind == "f":
            raise DataError("its numbers are decimal and min-is-white, which says of no number how bright it is")
        inverted = ~stored if stored.dtype.kind in "ib" else np.asarray(2**bits - 1, dtype=stored.dtype) - stored
        return np.asarray(inverted)
    if kind == 1:
        alpha = stored.ndim == 3 and any(int(e) in (1, 2) for e in page.extrasamples)
        return stored[..., 0] if alpha and stored.shape[-1] == 2 else stored
    if kind == 3:
        table = np.asarray(page.colormap)  # (3, 2^bits) of 16 bits
        return np.asarray((np.moveaxis(table[:, stored], 0, -1) >> 8).astype(np.uint8))
    if kind == 5 and stored.ndim == 3 and stored.shape[-1] >= 4 and stored.dtype.kind == "u":
        most = float(2**bits - 1)
        light = most - stored[..., :4].astype(np.float64)
        return np.asarray(np.rint(light[..., :3] * light[..., 3:] / most).astype(stored.dtype))
    if (kind == 2 or (kind == 6 and int(page.compression) in _TO_RGB)) and stored.ndim == 3 and stored.shape[-1] >= 3:
        return np.asarray(stored[..., :3])
    if kind > 5:
        raise DataError(
            f"its colours are {_PHOTOMETRIC.get(kind, kind)} of {bits} bits, which is not read; save as RGB"
        )
    return stored


def _turned(image: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Bring an image of one of the eight orientations of TIFF and EXIF upright."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
