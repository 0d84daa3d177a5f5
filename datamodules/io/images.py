"""Image files of every format that is known, each recognised by its content.

Every function raises DataError that names the file and says what to do. Nothing is unpickled.
"""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from datamodules.io import sniff
from datamodules.io.files import require_file
from datamodules.io.formats.dicom import decode_dicom
from datamodules.io.formats.nifti import read_nifti
from datamodules.io.formats.slide import is_mirax, read_slide
from datamodules.io.formats.tiff import read_tiff
from datamodules.io.frames import ImageArray, ImageReading, choose_frames, join_frames
from zoo.errors import DataError, MissingExtraError, SpecError

_BIG_IMAGE, _MOST_PIXELS_A_BYTE = 2**24, 4096
"""An image of more pixels than the first is refused if its file has fewer than a byte to the second of pixels."""
AS_IT_IS = ImageReading()
"""Refuses files of several frames; physical values of CT, display values of other DICOM files."""


def read_image(path: Path, *, at_least: int = 0, reading: ImageReading = AS_IT_IS) -> ImageArray:
    """Read an image file: JPEG, PNG, TIFF, BMP, GIF, WebP, JPEG 2000, DICOM, NIfTI, .npy or a slide, by its content.

    Greyscale gives (H, W), colour (H, W, 3) in RGB; transparency is dropped, an EXIF orientation is applied, and
    min-is-white is inverted, as viewers do. Values of 8 bits are uint8 and unsigned ones of 16 bits uint16, whatever
    the range of the one image; colour of 16 bits is cut to 8, but not in TIFF. All other values are float32 in the
    file's own units.

    Args:
        path: the file.
        at_least: 0 decodes at full size. Otherwise a JPEG is decoded at the smallest of the scales 1, 1/2, 1/4 and
            1/8 that leaves its shorter side at or above this many pixels, which saves most of the work; such a side
            is that of the file divided by 2, 4 or 8, rounded up. Other formats have no such scales and are decoded
            at full size.
        reading: which of several frames is read, and in which values.

    Raises:
        DataError: the file is missing, is no image, is cut short, holds several frames of which none is chosen, or
            states a size that it cannot hold.
        SpecError: ``at_least`` is negative.
        MissingExtraError: the library that reads such a file is not installed.
    """
    if at_least < 0:
        raise SpecError(f"read_image: at_least must be 0 or more, got {at_least}")
    if path.is_dir():
        raise DataError(
            "this is a folder; name a file in it, or make one volume of a series of slices (dcm2niix makes NIfTI)",
            file=path,
        )
    require_file(path)
    try:
        with path.open("rb") as handle:  # by name, Pillow maps TIFFs and errs on turned ones
            return _decode(handle, path.stat().st_size, at_least, reading, path)
    except Exception as error:  # what decoders raise on broken files has no common base
        raise _named(error, path) from error


def read_file(file: Path | bytes) -> ImageArray:
    """Read an image as it is, from its file or from its bytes; see read_image and decode_image."""
    return decode_image(file) if isinstance(file, bytes) else read_image(file)


def decode_image(content: bytes, *, at_least: int = 0, reading: ImageReading = AS_IT_IS) -> ImageArray:
    """Decode the bytes of an image file, as ``read_image`` does.

    Args:
        content: the bytes.
        at_least: see read_image.
        reading: see read_image.

    Raises:
        DataError: the bytes are no complete image, or see read_image; the caller knows the file.
        MissingExtraError: the library that reads such a file is not installed.
    """
    try:
        return _decode(io.BytesIO(content), len(content), at_least, reading, None)
    except Exception as error:
        raise _named(error, None) from error


def _named(error: Exception, path: Path | None) -> Exception:
    """The error with the name of its file, and with what can be done."""
    if isinstance(error, DataError | MissingExtraError) and (error.file or path is None):
        return error
    if isinstance(error, MissingExtraError):
        return MissingExtraError(error.library, error.extra, file=path)
    if isinstance(error, DataError):
        return DataError(str(error), file=path)
    said = str(error).replace(str(path), path.name) if path is not None else str(error)
    return DataError(
        f"the image cannot be decoded ({type(error).__name__}: {said}); expected a complete file: copy it again from "
        "the data set",
        file=path,
    )


def _finite(image: ImageArray) -> ImageArray:
    """Return the image if all of it is finite."""
    if image.dtype == np.float32 and not np.isfinite(image).all():
        bad = int((~np.isfinite(image)).sum())
        raise DataError(f"{bad} of the {image.size} values are NaN or infinite; mend them, or leave the image out")
    return image


def _decode(handle: BinaryIO, size: int, at_least: int, reading: ImageReading, path: Path | None) -> ImageArray:
    """Decode what the first bytes say that it is."""
    head = handle.read(4)
    if path is not None and is_mirax(path):  # by its first bytes it is a picture, that of the label
        return read_slide(path, reading)
    if head[:3] == b"\xff\xd8\xff" or head == b"\x89PNG":  # nearly all images: no further look
        handle.seek(0)
        return _picture(handle, size, at_least, reading)
    content = sniff.content_of(head + handle.read(sniff.HEAD - 4))
    handle.seek(0)
    if content.kind == sniff.PICTURE:
        return _picture(handle, size, at_least, reading)
    if content.kind == sniff.TIFF:
        return _finite(read_tiff(handle, size, reading, path))
    if content.kind == sniff.DICOM:
        return decode_dicom(handle.read(), reading=reading, file=path)
    if content.kind == sniff.NPY:
        return _finite(_array(handle, reading))
    if content.kind == sniff.NIFTI and path is not None:
        return read_nifti(path, reading)
    if content.kind == sniff.NIFTI:
        with tempfile.NamedTemporaryFile(suffix=".nii") as kept:
            kept.write(handle.read())
            kept.flush()
            return read_nifti(Path(kept.name), reading)
    if content.kind == sniff.SLIDE and path is not None:
        return read_slide(path, reading)
    raise DataError(f"this is {content.words}, which is not read as an image; {content.advice}", file=path)


def _picture(handle: BinaryIO, size: int, at_least: int, reading: ImageReading) -> ImageArray:
    """Decode what Pillow reads."""
    with Image.open(handle) as opened:
        width, height = opened.size
        if width * height > max(_BIG_IMAGE, _MOST_PIXELS_A_BYTE * size):
            raise ValueError(f"it states {width} x {height} pixels, more than so few bytes hold")
        photograph = opened.format == "MPO"  # its further frames are previews
        frames = 1 if photograph and reading.frame is None else getattr(opened, "n_frames", 1)
        if frames == 1 and reading.frame in (None, 0):
            if at_least:
                opened.draft(None, (at_least, at_least))
            return _as_array(ImageOps.exif_transpose(opened))
        taken = []
        lengths = (frames,) if frames > 1 else ()
        for frame in choose_frames(lengths, reading, "frames", first_of_all=photograph):
            opened.seek(frame)
            taken.append(_as_array(ImageOps.exif_transpose(opened)))
        if len({f.ndim for f in taken}) > 1:  # an animation may be grey at first and have colours later
            taken = [f if f.ndim == 3 else np.dstack([f] * 3) for f in taken]
        return join_frames(taken, "frames")


def _as_array(image: Image.Image) -> npt.NDArray[Any]:
    """A Pillow image as an array: grey (H, W), colour (H, W, 3)."""
    if image.mode in ("L", "1", "LA", "La"):
        return np.array(image.convert("L"), dtype=np.uint8)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return np.array(image).astype(np.uint16)
    if image.mode in ("F", "I"):
        return np.array(image, dtype=np.float32)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _array(handle: BinaryIO, reading: ImageReading) -> ImageArray:
    """Read a .npy file: (H, W), (H, W, 1), (H, W, 3), (H, W, 4), or frames of them along the first axis."""
    stored = np.load(handle, allow_pickle=False)
    if stored.dtype.kind not in "biuf" or stored.ndim not in (2, 3, 4) or not stored.size:
        raise DataError(
            f"an array of an image is (H, W), (H, W, 3) or frames of them, got {stored.dtype} {stored.shape}"
        )
    if stored.dtype == np.bool_:
        stored = stored.astype(np.uint8) * 255
    stored = stored.astype(stored.dtype.newbyteorder("=") if stored.dtype in (np.uint8, np.uint16) else np.float32)
    colour = stored.ndim > 2 and stored.shape[-1] in (1, 3, 4)
    lengths = stored.shape[: stored.ndim - (3 if colour else 2)]
    flat = stored.reshape(-1, *stored.shape[len(lengths) :])
    taken = [flat[k] for k in choose_frames(lengths, reading, "frames")]
    if colour:
        taken = [f[..., 0] if f.shape[-1] == 1 else f[..., :3] for f in taken]
    return join_frames([np.ascontiguousarray(f) for f in taken], "frames")


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
