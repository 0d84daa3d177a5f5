"""DICOM: one frame as an array, by pydicom, with bounded allocation and errors that name the file."""

from __future__ import annotations

import io
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from datamodules.io.files import DICOM_SUFFIXES, IMAGE_SUFFIXES, image_files, require_file
from datamodules.io.formats.dicom_values import GREY, colour_values, functional_group, grey_values, import_pydicom
from datamodules.io.frames import ImageArray, ImageReading, choose_frames, join_frames
from datamodules.io.sniff import DICOM, HEAD, content_of, content_of_file
from zoo.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_PIXELS = 64 * 2**20
"""Most pixels that one frame may have, before and after resampling."""
MAX_INFLATED = 2**30
"""Most bytes that a file of a deflated transfer syntax may unpack to."""
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_META_START = 128 + 4 + 12
"""Bytes of preamble, prefix and group length, after which the counted rest of the file's meta group comes."""
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")


def dicom_header(path: Path) -> Dataset:
    """Read the attributes of a file up to its pixels, which stay unread.

    Raises:
        DataError: the file is missing or is not DICOM.
        MissingExtraError: pydicom is not installed.
    """
    require_file(path)
    try:
        with path.open("rb") as handle:
            dataset = _dataset(handle, path, stop_before_pixels=True)
        dataset.get("Rows")
    except (DataError, ImportError):  # an optional library that is missing is no damage
        raise
    except Exception as error:  # pydicom raises nearly every kind on broken files
        raise _broken(path, error) from error
    return dataset


def decode_dicom(content: bytes, *, reading: ImageReading, file: Path | None) -> ImageArray:
    """Decode the bytes of a file: CT in HU, other grey images as they are displayed, colour as RGB.

    Grey values first go through the file's modality transformation (rescale slope and intercept, or its table).
    Then, unless they are returned as physical values, they are windowed to 0..255: by the file's VOI table or
    window, else for CT by that of soft tissue, and for others from the frame's smallest to its largest value, but
    unsigned 8 bits stay as stored; MONOCHROME1 is inverted after that, so that bright is always dense. What the file
    declares to be padding counts nowhere, and is black.

    Args:
        content: the bytes.
        reading: which of several frames, which values, and on which grid; see ImageReading.
        file: where the bytes come from, for errors.

    Returns:
        (H, W) float32 for physical values, else (H, W) uint8; (H, W, 3) uint8 for colour; several frames are
        channels.

    Raises:
        DataError: the file is broken, cut short, claims more pixels than it can hold or than MAX_PIXELS, has no
            pixels, several frames of which none is chosen, no such frame, no pixel spacing where one is needed, a
            window of no width, or another unit than the one that is asked for.
        MissingExtraError: pydicom, or a decoder for the file's compression, is not installed.
    """
    pydicom = import_pydicom()
    try:
        dataset = _dataset(io.BytesIO(content), file)
        count = _check_size(dataset, file)
        chosen = choose_frames((count,) if count > 1 else (), reading, "frames")
        frames = []
        for frame in chosen:
            _check_stream(dataset, file, frame, count)
            stored = pydicom.pixels.pixel_array(dataset, index=frame)
            if dataset.PhotometricInterpretation in GREY:
                image = grey_values(stored, dataset, frame, reading)
            else:
                image = colour_values(stored, dataset)
            spacing = reading.spacing_mm
            frames.append(_resample(image, dataset, file, frame, spacing) if spacing else image)
        joined: ImageArray = join_frames(frames, "frames")
        return joined
    except DataError as error:
        raise error if error.file is not None or file is None else DataError(str(error), file=file) from error
    except ImportError:  # an optional library that is missing is no damage
        raise
    except BaseException as error:  # pydicom and its decoders raise nearly every kind on broken files
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of the decoder in Rust
            raise
        raise _broken(file, error) from error


def _dataset(handle: BinaryIO, path: Path | None, *, stop_before_pixels: bool = False) -> Dataset:
    """Read the attributes; a file without preamble or transfer syntax is taken for one of uncompressed values."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    pydicom = import_pydicom()
    head = handle.read(HEAD)
    bare = head[128:132] != b"DICM" and content_of(head).kind == DICOM
    if not bare:
        _bound_inflation(handle, head, path)
    handle.seek(0)
    dataset: Dataset = pydicom.dcmread(handle, stop_before_pixels=stop_before_pixels, force=bare)
    if bare and "Rows" not in dataset:
        raise ValueError("it has no preamble and no image")
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    return dataset


def _broken(path: Path | None, error: BaseException) -> DataError:
    return DataError(
        f"not a readable DICOM file ({type(error).__name__}: {str(error)[:300]}); expected a complete file with its "
        "128-byte preamble: copy it again from the data set",
        file=path,
    )


def _bound_inflation(handle: BinaryIO, head: bytes, path: Path | None) -> None:
    """Refuse a deflated file that would unpack to more than MAX_INFLATED bytes."""
    if head[132:136] != b"\x02\0\0\0" or len(head) < _META_START:
        return
    start = _META_START + int(struct.unpack_from("<I", head, 140)[0])
    at = head.find(b"\x02\0\x10\0UI", 132, start)
    if at < 0 or head[at + 8 : at + 8 + head[at + 6]].strip(b" \0") != _DEFLATED:
        return
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    handle.seek(start)
    while piece := handle.read(2**16):
        while piece and not inflater.eof:
            total += len(inflater.decompress(piece, 2**20))
            piece = inflater.unconsumed_tail
            if total > MAX_INFLATED:
                raise DataError(
                    f"the deflated file unpacks to more than {MAX_INFLATED} bytes; save it without deflation",
                    file=path,
                )


def _check_size(dataset: Dataset, path: Path | None) -> int:
    """Check what the header claims before anything of that size is allocated; return the number of frames."""
    pixels = next((dataset[k].value for k in _PIXELS if k in dataset), None)
    if not pixels:
        what = getattr(dataset.get("SOPClassUID"), "name", "")
        what = f"it is no image ({what})" if what else "it is no image"
        raise DataError(f"the file has no pixel data; {what}, or was cut short", file=path)
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    samples, bits = int(dataset.get("SamplesPerPixel") or 1), int(dataset.get("BitsAllocated") or 0)
    frames = int(dataset.get("NumberOfFrames") or 1)
    kind = str(dataset.get("PhotometricInterpretation"))
    allowed = (64,) if "DoubleFloatPixelData" in dataset else (1, 8, 16, 32)
    if kind not in (*GREY, *_COLOUR) or samples != (3 if kind in _COLOUR[:-1] else 1) or bits not in allowed:
        raise DataError(
            f"photometric interpretation '{kind}' with {samples} sample(s) of {bits} bits a pixel is not supported; "
            f"known: {', '.join((*GREY, *_COLOUR))} with 1 or 3 samples of 1, 8, 16 or 32 bits",
            file=path,
        )
    if not 0 < rows * columns <= MAX_PIXELS or frames < 1:
        raise DataError(
            f"the header claims {frames} frame(s) of {rows} x {columns} pixels; a frame must have 1 to {MAX_PIXELS}",
            file=path,
        )
    if not _compressed(dataset):
        needed = -(-rows * columns * frames * bits * (2 if kind == "YBR_FULL_422" else samples) // 8)
        if len(pixels) < needed:
            raise DataError(
                f"the header claims {needed} bytes of pixels and the file holds {len(pixels)}; it was cut short, or "
                "its header is wrong: copy it again from the data set",
                file=path,
            )
    return frames


def _compressed(dataset: Dataset) -> bool:
    """Whether each frame is compressed by itself."""
    syntax = dataset.file_meta.TransferSyntaxUID
    return bool(syntax.is_compressed) and syntax != _DEFLATED.decode()


def _check_stream(dataset: Dataset, path: Path | None, frame: int, frames: int) -> None:
    """Check a compressed frame: there is a decoder, and a JPEG stream has the size that the header says."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if not _compressed(dataset):
        return
    shape = (int(dataset.Rows), int(dataset.Columns))
    if not get_decoder(syntax).is_available:
        raise MissingExtraError(f"pylibjpeg (with its decoder of {syntax.name})", "dicom")
    found = stream_shape(get_frame(dataset.PixelData, frame, number_of_frames=frames))
    if found is not None and found != shape:
        raise DataError(
            f"the header claims {shape[0]} x {shape[1]} pixels and the compressed stream "
            f"{found[0]} x {found[1]}; copy the file again from the data set",
            file=path,
        )


def stream_shape(data: bytes) -> tuple[int, int] | None:
    """Return the (rows, columns) that a JPEG, JPEG-LS or JPEG 2000 stream claims; None for other streams.

    Raises:
        struct.error: the stream is cut short.
    """
    start = data[:4096].find(b"\xff\x4f\xff\x51") if data[4:8] == b"jP  " else 0
    if start >= 0 and data[start : start + 4] == b"\xff\x4f\xff\x51":
        right, bottom, left, top = struct.unpack(">4I", data[start + 8 : start + 24])
        return bottom - top, right - left
    if data[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 4 <= len(data):
        marker, length = struct.unpack(">HH", data[at : at + 4])
        if marker in (0xFFC0, 0xFFC1, 0xFFC2, 0xFFC3, 0xFFF7):
            rows, columns = struct.unpack(">HH", data[at + 5 : at + 9])
            return rows, columns
        at += 1 if marker == 0xFFFF else 2 + length
    raise struct.error("no start of frame in the JPEG stream")


def _resample(image: ImageArray, dataset: Dataset, path: Path | None, frame: int, spacing_mm: float) -> ImageArray:
    """Resample to square pixels of ``spacing_mm``, with antialiasing."""
    measures = functional_group(dataset, frame, "PixelMeasuresSequence")
    spacing = measures.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    sides = [float(s) for s in spacing] if spacing else []
    if len(sides) != 2 or not all(math.isfinite(s) and s > 0 for s in sides):
        raise DataError(
            f"spacing_mm needs PixelSpacing or ImagerPixelSpacing of two positive numbers, got {spacing}; leave "
            "spacing_mm at 0 for this data set",
            file=path,
        )
    height, width = (max(1, round(n * s / spacing_mm)) for n, s in zip(image.shape, sides, strict=False))
    if height * width > MAX_PIXELS:
        raise DataError(
            f"at {spacing_mm} mm the image has {height} x {width} pixels, more than {MAX_PIXELS}; take a larger "
            "spacing_mm",
            file=path,
        )
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    if image.dtype == np.uint8:
        return np.array(resized, dtype=np.uint8)
    return np.array(resized, dtype=np.float32)


def dicom_files(folder: Path) -> list[str]:
    """List the names of the DICOM files directly in ``folder``, sorted: by suffix, and without one by content.

    Raises:
        DataError: there is no such folder.
    """
    names = image_files(folder)
    return [n for n in names if n.lower().endswith(DICOM_SUFFIXES) or _suffixless_dicom(folder / n)]


def dicom_names(folder: Path) -> dict[str, str]:
    """Name without suffix -> name, of the DICOM files directly in ``folder``.

    Raises:
        DataError: there is no such folder, or two files have one name.
    """
    found: dict[str, str] = {}
    for name in dicom_files(folder):
        plain = name
        for suffix in DICOM_SUFFIXES:
            plain = plain[: -len(suffix)] if plain.lower().endswith(suffix) else plain
        if plain in found:
            raise DataError(f"the image '{plain}' is there twice, also as '{found[plain]}'", file=folder / name)
        found[plain] = name
    return found


def _suffixless_dicom(path: Path) -> bool:
    return not path.name.lower().endswith(IMAGE_SUFFIXES) and content_of_file(path).kind == DICOM
