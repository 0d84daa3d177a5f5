"""DICOM: one frame as an array, by pydicom, with bounded allocation and errors that name the file."""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.files import ImageArray, require_file
from zoo.errors import DataError, MissingExtraError, SpecError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_PIXELS = 64 * 2**20
"""Most pixels that one frame may have, before and after resampling."""
MAX_INFLATED = 2**30
"""Most bytes that a file of a deflated transfer syntax may unpack to."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_META_START = 128 + 4 + 12
"""Bytes of preamble, prefix and group length, after which the counted rest of the file's meta group comes."""
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")


def dicom_header(path: Path) -> Dataset:
    """Read the attributes of a file up to its pixels, which stay unread.

    Raises:
        DataError: the file is missing or is not DICOM.
        MissingExtraError: pydicom is not installed.
    """
    pydicom = _pydicom()
    require_file(path)
    try:
        _bound_inflation(path)
        dataset: Dataset = pydicom.dcmread(path, stop_before_pixels=True, force=False)
        dataset.get("Rows")
    except DataError:
        raise
    except Exception as error:  # pydicom raises nearly every kind on broken files
        raise _broken(path, error) from error
    return dataset


def read_dicom(
    path: Path,
    *,
    window: tuple[float, float] | None = None,
    spacing_mm: float = 0.0,
    frame: int = 0,
    physical: bool = False,
) -> ImageArray:
    """Read one frame: CT in HU, other grey images as they are displayed, colour as RGB.

    Grey values first go through the file's modality transformation (rescale slope and intercept, or its table).
    Then, unless they are returned as physical values, they are windowed to 0..255: by ``window``, else by the
    file's VOI table or window, else from the frame's smallest to its largest value, but unsigned 8 bits stay as
    stored; MONOCHROME1 is inverted after that, so that bright is always dense.

    Args:
        path: the file.
        window: (low, high) of the window, in the unit of the modality transformation (HU for CT); gives uint8.
        spacing_mm: resample to square pixels of this side; 0 keeps the grid.
        frame: which frame of a multi-frame file, from 0.
        physical: return the values after the modality transformation, for any modality and not inverted; CT
            is returned so anyway where no window is given.

    Returns:
        (H, W) float32 for physical values, else (H, W) uint8; (H, W, 3) uint8 for colour.

    Raises:
        DataError: the file is missing, broken, cut short, claims more pixels than it can hold or than MAX_PIXELS,
            has no pixels, no such frame, no pixel spacing where one is needed, or a window of no width.
        SpecError: an argument is out of range.
        MissingExtraError: pydicom, or a decoder for the file's compression, is not installed.
    """
    if window is not None and not (math.isfinite(window[0]) and math.isfinite(window[1]) and window[0] < window[1]):
        raise SpecError(f"read_dicom: window must be (low, high) with low < high, got {window}")
    if window is not None and physical:
        raise SpecError("read_dicom: give window (display values) or physical=True, not both")
    if not (math.isfinite(spacing_mm) and spacing_mm >= 0):
        raise SpecError(f"read_dicom: spacing_mm must be 0 or a side in mm, got {spacing_mm}")
    pydicom = _pydicom()
    require_file(path)
    try:
        _bound_inflation(path)
        dataset: Dataset = pydicom.dcmread(io.BytesIO(path.read_bytes()), force=False)
        _check_size(dataset, path, frame)
        stored = pydicom.pixels.pixel_array(dataset, index=frame)
        if dataset.PhotometricInterpretation not in _GREY:
            image: ImageArray = _colour(stored, dataset)
        else:
            physical = physical or (dataset.get("Modality") == "CT" and window is None)
            image = _grey(stored, dataset, path, frame, window, physical)
        return _resample(image, dataset, path, frame, spacing_mm) if spacing_mm else image
    except (DataError, ImportError):  # an optional library that is missing is no damage
        raise
    except BaseException as error:  # pydicom and its decoders raise nearly every kind on broken files
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of the decoder in Rust
            raise
        raise _broken(path, error) from error


def _pydicom() -> Any:
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        raise MissingExtraError("pydicom", "dicom") from error
    return pydicom


def _broken(path: Path, error: BaseException) -> DataError:
    return DataError(
        f"not a readable DICOM file ({type(error).__name__}: {str(error)[:300]}); expected a complete file with its "
        "128-byte preamble: copy it again from the data set",
        file=path,
    )


def _bound_inflation(path: Path) -> None:
    """Refuse a deflated file that would unpack to more than MAX_INFLATED bytes."""
    from pydicom.filereader import read_file_meta_info

    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != _DEFLATED:
        return
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as handle:
        handle.seek(_META_START + int(meta.FileMetaInformationGroupLength))
        while piece := handle.read(2**16):
            while piece and not inflater.eof:
                total += len(inflater.decompress(piece, 2**20))
                piece = inflater.unconsumed_tail
                if total > MAX_INFLATED:
                    raise DataError(
                        f"the deflated file unpacks to more than {MAX_INFLATED} bytes; save it without deflation",
                        file=path,
                    )


def _check_size(dataset: Dataset, path: Path, frame: int) -> None:
    """Check what the header claims before anything of that size is allocated."""
    pixels = next((dataset[k].value for k in ("PixelData", "FloatPixelData") if k in dataset), None)
    if not pixels:
        raise DataError("the file has no pixel data; it is no image, or was cut short", file=path)
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    samples, bits = int(dataset.get("SamplesPerPixel") or 1), int(dataset.get("BitsAllocated") or 0)
    frames = int(dataset.get("NumberOfFrames") or 1)
    kind = str(dataset.get("PhotometricInterpretation"))
    if kind not in (*_GREY, *_COLOUR) or samples != (3 if kind in _COLOUR[:-1] else 1) or bits not in (1, 8, 16, 32):
        raise DataError(
            f"photometric interpretation '{kind}' with {samples} sample(s) of {bits} bits a pixel is not supported; "
            f"known: {', '.join((*_GREY, *_COLOUR))} with 1 or 3 samples of 1, 8, 16 or 32 bits",
            file=path,
        )
    if not 0 < rows * columns <= MAX_PIXELS or frames < 1:
        raise DataError(
            f"the header claims {frames} frame(s) of {rows} x {columns} pixels; a frame must have 1 to {MAX_PIXELS}",
            file=path,
        )
    if not 0 <= frame < frames:
        raise DataError(f"there is no frame {frame}: the file has {frames}, counted from 0", file=path)
    if not dataset.file_meta.TransferSyntaxUID.is_compressed or dataset.file_meta.TransferSyntaxUID == _DEFLATED:
        needed = -(-rows * columns * frames * bits * (2 if kind == "YBR_FULL_422" else samples) // 8)
        if len(pixels) < needed:
            raise DataError(
                f"the header claims {needed} bytes of pixels and the file holds {len(pixels)}; it was cut short, or "
                "its header is wrong: copy it again from the data set",
                file=path,
            )
    else:
        _check_stream(dataset, path, frame, frames, (rows, columns))


def _check_stream(dataset: Dataset, path: Path, frame: int, frames: int, shape: tuple[int, int]) -> None:
    """Check that there is a decoder, and that a JPEG stream has the size that the header says."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
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


def _functional(dataset: Dataset, frame: int, macro: str) -> Dataset:
    """Find the item of a functional group of an enhanced file: the frame's own, the shared one, else the file."""
    groups = [*list(dataset.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]]
    groups += list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    for group in groups:
        if group.get(macro):
            item: Dataset = group[macro].value[0]
            return item
    return dataset


def _number(value: object, what: str, path: Path) -> float:
    """Parse the first of one or several decimal strings."""
    if not isinstance(value, (str, int, float)) and hasattr(value, "__getitem__"):
        value = value[0]
    number = float(str(value))
    if not math.isfinite(number):
        raise DataError(f"{what} must be a finite number, got {value!r}", file=path)
    return number


def _grey(
    stored: npt.NDArray[Any],
    dataset: Dataset,
    path: Path,
    frame: int,
    window: tuple[float, float] | None,
    physical: bool,
) -> ImageArray:
    """Map stored values (H, W) to physical ones, or to displayed ones; up to 16 bits once for each level."""
    table = bool(dataset.get("ModalityLUTSequence"))  # it need not rise, and then its ends are not its extremes
    if table or stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        return _mapped(stored, dataset, path, frame, window, physical)
    low, high = int(stored.min()), int(stored.max())
    levels = np.arange(low, high + 1).astype(stored.dtype)
    result: ImageArray = _mapped(levels, dataset, path, frame, window, physical)[stored.astype(np.int32) - low]
    return result


def _mapped(
    stored: npt.NDArray[Any],
    dataset: Dataset,
    path: Path,
    frame: int,
    window: tuple[float, float] | None,
    physical: bool,
) -> ImageArray:
    """Map stored values of any shape to physical or displayed ones, each by itself."""
    transform = _functional(dataset, frame, "PixelValueTransformationSequence")
    slope = _number(transform.get("RescaleSlope", 1.0), "RescaleSlope", path)
    intercept = _number(transform.get("RescaleIntercept", 0.0), "RescaleIntercept", path)
    plain = (slope, intercept) == (1.0, 0.0) and not dataset.get("ModalityLUTSequence")
    if dataset.get("ModalityLUTSequence"):
        values: npt.NDArray[Any] = _pydicom().pixels.apply_modality_lut(stored, dataset)
    else:
        values = stored if plain else stored.astype(np.float64) * slope + intercept
    if physical:
        result: npt.NDArray[np.float32] = np.ascontiguousarray(values, dtype=np.float32)
        if not np.isfinite(result).all():
            raise DataError("the pixels hold NaN or infinity; the file is damaged", file=path)
        return result
    voi = _functional(dataset, frame, "FrameVOILUTSequence")
    if window is not None:
        shown = (values - window[0]) / (window[1] - window[0])
    elif voi.get("VOILUTSequence") and values.dtype.kind in "iu":
        bits = int(voi.VOILUTSequence[0].LUTDescriptor[2])
        shown = _pydicom().pixels.apply_voi(values, voi) / float(2**bits - 1)
    elif voi.get("WindowCenter") is not None and voi.get("WindowWidth") is not None:
        shown = _windowed(values.astype(np.float64), voi, path)
    elif plain and stored.dtype == np.uint8 and int(dataset.BitsStored) == 8:
        return 255 - stored if dataset.PhotometricInterpretation == "MONOCHROME1" else np.ascontiguousarray(stored)
    else:
        low, high = float(values.min()), float(values.max())
        shown = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    if not np.isfinite(shown).all():
        raise DataError("the pixels hold NaN or infinity; the file is damaged", file=path)
    shown = np.clip(shown, 0.0, 1.0)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1.0 - shown
    return np.rint(shown * 255).astype(np.uint8)


def _windowed(values: npt.NDArray[np.float64], voi: Dataset, path: Path) -> npt.NDArray[np.float64]:
    """Apply the file's window (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3); 0..1 is black to white."""
    centre, width = _number(voi.WindowCenter, "WindowCenter", path), _number(voi.WindowWidth, "WindowWidth", path)
    function = str(voi.get("VOILUTFunction") or "LINEAR")
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise DataError(f"VOILUTFunction {function!r} is unknown; give read_dicom a window", file=path)
    if width < 1 if function == "LINEAR" else width <= 0:
        raise DataError(f"the window has the width {width}; give read_dicom a window", file=path)
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700, 700))))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1.0
    if width == 0:
        return (values > centre).astype(np.float64)
    return np.asarray((values - centre) / width + 0.5)


def _colour(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    """Bring colours, decoded to RGB or of a palette, to 8 bits (H, W, 3)."""
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = _pydicom().pixels.apply_color_lut(stored, dataset)[..., :3]
        bits = 8 * stored.dtype.itemsize
    else:
        bits = int(dataset.BitsStored)
    if bits > 8:
        stored = stored >> (bits - 8)
    return np.ascontiguousarray(stored, dtype=np.uint8)


def _resample(image: ImageArray, dataset: Dataset, path: Path, frame: int, spacing_mm: float) -> ImageArray:
    """Resample to square pixels of ``spacing_mm``, with antialiasing."""
    measures = _functional(dataset, frame, "PixelMeasuresSequence")
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
    """List the names of the files directly in ``folder`` that end in .dcm or .dicom, sorted.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError("the folder is missing; restore it from the data set", file=folder)
    names = (e.name for e in os.scandir(folder))
    return sorted(n for n in names if not n.startswith(".") and n.lower().endswith((".dcm", ".dicom")))
