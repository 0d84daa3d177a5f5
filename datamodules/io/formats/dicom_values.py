"""DICOM: from stored values to physical or displayed ones, of one frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from datamodules.io.frames import ImageReading
from zoo.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

GREY = ("MONOCHROME1", "MONOCHROME2")
"""Photometric interpretations of grey images."""
SOFT_TISSUE = (-160.0, 240.0)
"""Window in HU that a CT without one of its own is displayed in: level 40, width 400."""
AIR = -1024.0
_NOT_HU = ("CR", "DX", "ES", "GM", "IO", "MG", "MR", "NM", "OP", "OPT", "PT", "PX", "RF", "SM", "US", "XA", "XC")
"""Modalities whose values are never in HU."""


def import_pydicom() -> Any:
    """The library.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        raise MissingExtraError("pydicom", "dicom") from error
    return pydicom


def functional_group(dataset: Dataset, frame: int, macro: str) -> Dataset:
    """Find the item of a functional group of an enhanced file: the frame's own, the shared one, else the file.

    Args:
        dataset: the file.
        frame: number of the frame.
        macro: name of the group's sequence.
    """
    groups = [*list(dataset.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]]
    groups += list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    for group in groups:
        if group.get(macro):
            item: Dataset = group[macro].value[0]
            return item
    return dataset


def grey_values(
    stored: npt.NDArray[Any],
    dataset: Dataset,
    frame: int,
    reading: ImageReading,
) -> npt.NDArray[Any]:
    """Map stored values (H, W) to physical ones, float32, or to displayed ones, uint8; see ``decode_dicom``.

    Args:
        stored: values of the frame as they are stored.
        dataset: the file.
        frame: number of the frame.
        reading: which values are wanted, and in which unit.

    Raises:
        DataError: a value is not finite, the window has no width, or the file is in another unit than ``reading``.
    """
    unit = _unit(dataset, frame)
    _check_unit(reading.unit, unit, dataset)
    values = reading.values
    if values == "auto":
        values = "physical" if unit == "HU" or reading.unit else "display"
    scale = _Scale(dataset, frame, unit, values)
    padded = _padding(stored, dataset)
    signal = stored if padded is None else stored[~padded]
    if not signal.size:
        result = scale.of(np.zeros_like(stored)) * 0
    elif stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        clean = stored if padded is None else np.where(padded, signal.flat[0], stored)
        result = scale.of(clean)
    else:  # up to 16 bits, once for each level
        low, high = int(signal.min()), int(signal.max())
        table = scale.of(np.arange(low, high + 1).astype(stored.dtype))
        result = table[np.clip(stored.astype(np.int32), low, high) - low]
    if padded is not None and padded.any():
        result[padded] = 0 if result.dtype == np.uint8 else _padding_level(reading, unit, result[~padded])
    return result


def _padding_level(reading: ImageReading, unit: str, signal: npt.NDArray[Any]) -> float:
    """The physical value that padding gets."""
    if reading.padding is not None:
        return reading.padding
    level = AIR if "HU" in (unit, reading.unit) else 0.0
    return min(level, float(signal.min(initial=level)))


def _padding(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_] | None:
    """Where the file says that a value is padding; None where it declares none."""
    if stored.dtype.kind == "f":
        value = dataset.get("FloatPixelPaddingValue", dataset.get("DoubleFloatPixelPaddingValue"))
        if value is None:
            return None
        return np.asarray(np.isnan(stored) if math.isnan(value) else stored == stored.dtype.type(value))
    ends = [dataset.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None or stored.dtype.kind not in "iu":
        return None
    low, high = sorted(_as_stored(v, stored.dtype) for v in (ends[0], ends[0] if ends[1] is None else ends[1]))
    return np.asarray((stored >= low) & (stored <= high))


def _as_stored(value: Any, dtype: np.dtype[Any]) -> int:
    """A padding value in the type of the pixels: files also state -32768 as 32768, and the other way round."""
    whole = int(value if isinstance(value, (int, float, str)) else value[0])
    size = 8 * dtype.itemsize
    low = -(1 << (size - 1)) if dtype.kind == "i" else 0
    return (whole - low) % (1 << size) + low


def _unit(dataset: Dataset, frame: int) -> str:
    """The unit of the values after rescaling, as far as the file says it; "" where it does not."""
    said = str(functional_group(dataset, frame, "PixelValueTransformationSequence").get("RescaleType") or "")
    if said and said != "US":  # US is unspecified
        return said
    if dataset.get("Modality") == "CT":
        return "HU"
    return "Bq/ml" if dataset.get("Modality") == "PT" and dataset.get("Units") == "BQML" else ""


def _check_unit(asked: str, unit: str, dataset: Dataset) -> None:
    """Refuse to mix Hounsfield units with anything else."""
    modality = str(dataset.get("Modality") or "")
    other = unit or (f"those of {modality}" if modality in _NOT_HU else "")
    if asked and other and "HU" in (asked, unit) and asked != unit:
        raise DataError(
            f"the modality is in '{asked}' and the values of this file are in {other} (its Modality is "
            f"'{modality}'); leave the file out, or read a modality for each kind of image"
        )


class _Scale:
    """The map from stored values to physical or displayed ones, each by itself.

    Args:
        dataset: the file.
        frame: number of the frame.
        unit: of the values after rescaling; "" if unknown.
        values: "physical", "levels" or "display", see ImageReading.
    """

    def __init__(self, dataset: Dataset, frame: int, unit: str, values: str) -> None:
        self.dataset, self.values = dataset, values
        self.inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
        transform = functional_group(dataset, frame, "PixelValueTransformationSequence")
        self.slope = _number(transform.get("RescaleSlope", 1.0), "RescaleSlope")
        self.intercept = _number(transform.get("RescaleIntercept", 0.0), "RescaleIntercept")
        self.table = bool(dataset.get("ModalityLUTSequence"))
        self.plain = (self.slope, self.intercept) == (1.0, 0.0) and not self.table
        self.voi = functional_group(dataset, frame, "FrameVOILUTSequence")
        has_window = self.voi.get("VOILUTSequence") or self.voi.get("WindowCenter") is not None
        self.window = SOFT_TISSUE if unit == "HU" and not has_window else None

    def of(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Map stored values of any shape."""
        if self.table:
            values: npt.NDArray[Any] = import_pydicom().pixels.apply_modality_lut(stored, self.dataset)
        else:
            values = stored if self.plain else stored.astype(np.float64) * self.slope + self.intercept
        if self.values == "display":
            return self._displayed(values, stored)
        if self.values == "levels" and self.inverted:
            values = sum(self._extremes()) - values.astype(np.float64)
        result = np.ascontiguousarray(values, dtype=np.float32)
        if not np.isfinite(result).all():
            raise DataError("the pixels hold NaN or infinity; the file is damaged")
        return result

    def _extremes(self) -> tuple[float, float]:
        """The values after rescaling of the smallest and the largest number that could be stored."""
        if self.table:
            return 0.0, 2.0 ** int(self.dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
        bits, signed = int(self.dataset.BitsStored), int(self.dataset.PixelRepresentation)
        low = -(2.0 ** (bits - 1)) if signed else 0.0
        return low * self.slope + self.intercept, (low + 2.0**bits - 1) * self.slope + self.intercept

    def _displayed(self, values: npt.NDArray[Any], stored: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Window values to 0..255, bright is dense."""
        voi = self.voi
        if self.window is not None:
            shown = (values - self.window[0]) / (self.window[1] - self.window[0])
        elif voi.get("VOILUTSequence") and (values.dtype.kind in "iu" or (values == np.rint(values)).all()):
            bits = int(voi.VOILUTSequence[0].LUTDescriptor[2])
            whole = values if values.dtype.kind in "iu" else values.astype(np.int32)
            shown = import_pydicom().pixels.apply_voi(whole, voi) / float(2**bits - 1)
        elif voi.get("WindowCenter") is not None and voi.get("WindowWidth") is not None:
            shown = _windowed(values.astype(np.float64), voi)
        elif self.plain and stored.dtype == np.uint8 and int(self.dataset.BitsStored) == 8:
            return 255 - stored if self.inverted else np.array(stored)
        else:
            low, high = float(values.min()), float(values.max())
            shown = (values.astype(np.float64) - low) / ((high - low) or 1.0)
        if not np.isfinite(shown).all():
            raise DataError("the pixels hold NaN or infinity; the file is damaged")
        shown = np.clip(shown, 0.0, 1.0)
        return np.rint((1.0 - shown if self.inverted else shown) * 255).astype(np.uint8)


def _windowed(values: npt.NDArray[np.float64], voi: Dataset) -> npt.NDArray[np.float64]:
    """Apply the file's window (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3); 0..1 is black to white."""
    centre, width = _number(voi.WindowCenter, "WindowCenter"), _number(voi.WindowWidth, "WindowWidth")
    function = str(voi.get("VOILUTFunction") or "LINEAR")
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise DataError(f"VOILUTFunction {function!r} is unknown; give the image processor a window")
    if width < 1 if function == "LINEAR" else width <= 0:
        raise DataError(f"the window has the width {width}; give the image processor a window")
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700, 700))))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1.0
    if width == 0:
        return (values > centre).astype(np.float64)
    return np.asarray((values - centre) / width + 0.5)


def _number(value: object, what: str) -> float:
    """Parse the first of one or several decimal strings."""
    if not isinstance(value, (str, int, float)) and hasattr(value, "__getitem__"):
        value = value[0]
    number = float(str(value))
    if not math.isfinite(number):
        raise DataError(f"{what} must be a finite number, got {value!r}")
    return number


def colour_values(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    """Bring colours, decoded to RGB or of a palette, to 8 bits (H, W, 3)."""
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = import_pydicom().pixels.apply_color_lut(stored, dataset)[..., :3]
        bits = 8 * stored.dtype.itemsize
    else:
        bits = int(dataset.BitsStored)
    if bits > 8:
        stored = stored >> (bits - 8)
    return np.ascontiguousarray(stored, dtype=np.uint8)
