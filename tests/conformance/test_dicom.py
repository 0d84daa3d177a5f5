"""DICOM as pydicom reads it: stored values, modality and VOI transformations, photometric interpretations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("pydicom")
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut, apply_rescale, apply_voi_lut, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from datamodules.io.frames import ImageReading
from datamodules.io.images import read_image
from tests.conformance.table import Case, Format, Variant, cases

RAMP = np.arange(48).reshape(6, 8)
RGB = np.dstack([RAMP * 5, 255 - RAMP, np.full_like(RAMP, 90)]).astype(np.uint8)
SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


def dicom(
    pixels: npt.NDArray[Any], syntax: Any = ExplicitVRLittleEndian, **attributes: Any
) -> Callable[[Path], Path]:
    """A file of (H, W), (frames, H, W) or, for colour, (H, W, 3), with further attributes."""

    def make(folder: Path) -> Path:
        dataset, colour = Dataset(), pixels.ndim == 3 and pixels.shape[-1] == 3
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
        dataset.Rows, dataset.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
        if pixels.ndim == 3 and not colour:
            dataset.NumberOfFrames = len(pixels)
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
        if colour:
            dataset.PlanarConfiguration = 0
        if pixels.dtype.kind == "f":
            name = "FloatPixelData" if pixels.dtype.itemsize == 4 else "DoubleFloatPixelData"
            dataset.BitsAllocated = 8 * pixels.dtype.itemsize
            setattr(dataset, name, pixels.tobytes())
        else:
            dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
            dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
            dataset.PixelData = pixels.tobytes()
            dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
        for name, value in attributes.items():
            setattr(dataset, name, value)
        if "BitsStored" in dataset:
            dataset.HighBit = dataset.BitsStored - 1
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        dataset.save_as(folder / "a.dcm", enforce_file_format=True)
        return folder / "a.dcm"

    return make


def without_preamble(syntax: Any) -> Callable[[Path], Path]:
    """A file that begins with its first attribute, as old archives hold them."""

    def make(folder: Path) -> Path:
        path = dicom(RAMP.astype("<u2"), syntax)(folder)
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        implicit = syntax == ImplicitVRLittleEndian
        dataset.save_as(folder / "IM0001", implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        return folder / "IM0001"

    return make


def without_suffix(folder: Path) -> Path:
    return dicom(RAMP.astype("<u2"))(folder).rename(folder / "1.2.840.113619.2.55")


def sample(name: str) -> Callable[[Path], Path]:
    """A file that pydicom ships for tests."""
    return lambda folder: SAMPLES / name


def table(values: list[int], first: int = 0, bits: int = 16) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    item.ModalityLUTType = "US"
    return Sequence([item])


def shared(macro: str, **attributes: Any) -> Sequence:
    """A functional group that all frames share."""
    value, group = Dataset(), Dataset()
    for name, one in attributes.items():
        setattr(value, name, one)
    setattr(group, macro, Sequence([value]))
    return Sequence([group])


def palette(bits: int) -> dict[str, Any]:
    scale = 257 if bits == 16 else 1
    said: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for k, name in enumerate(("Red", "Green", "Blue")):
        said[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        entries = (np.arange(256) * (k + 1) % 256 * scale).astype("<u2" if bits == 16 else "u1")
        said[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    return said


def ours(path: Path, **reading: Any) -> npt.NDArray[Any]:
    return read_image(path, reading=ImageReading(**reading))


def taking(**reading: Any) -> Callable[[Path], npt.NDArray[Any]]:
    return lambda path: ours(path, **reading)


def physical(path: Path) -> npt.NDArray[Any]:
    """pydicom's values after the modality transformation."""
    dataset = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return apply_rescale(dataset.pixel_array, dataset).astype(np.float32)


def displayed(path: Path) -> npt.NDArray[Any]:
    """pydicom's values after modality and VOI transformations, on 256 levels."""
    dataset = pydicom.dcmread(path)
    values = apply_rescale(dataset.pixel_array, dataset)
    if dataset.get("VOILUTSequence"):
        shown = apply_voi_lut(values.astype(np.int32), dataset)
        top = 2.0 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
        shown = shown / top
    else:  # PS3.3 C.11.2.1.2: pydicom scales to the range of the stored bits after rescaling
        shown = apply_windowing(values, dataset)
        low, high = (float(v) for v in apply_rescale(_ends(dataset), dataset))
        shown = (shown - low) / (high - low)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    return np.rint(shown * 255)


def _ends(dataset: Dataset) -> npt.NDArray[np.float64]:
    low = -(2.0 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0.0
    return np.array([low, low + 2.0**dataset.BitsStored - 1])


def pixels(path: Path) -> npt.NDArray[Any]:
    return pydicom.dcmread(path).pixel_array


def coloured(path: Path) -> npt.NDArray[Any]:
    """pydicom's palette, on 8 bits."""
    dataset = pydicom.dcmread(path)
    rgb = apply_color_lut(dataset.pixel_array, dataset)
    return rgb >> 8 if rgb.dtype == np.uint16 else rgb


def padded(kind: str = "<i2", **attributes: Any) -> Callable[[Path], Path]:
    stored = (RAMP * 20).astype(kind)
    stored[:, :3] = attributes["PixelPaddingValue"]
    return dicom(stored, **attributes)


TISSUE = np.rint((RAMP - 3) / 44 * 255)
TISSUE[:, :3] = 0
"""The ramp of ``padded`` over the full range, padding black."""
BOUNDED = (RAMP * 20).astype(np.float32)
BOUNDED[:, :3] = 0
SLOPE = {"RescaleSlope": "2", "RescaleIntercept": "-1024"}
WINDOW = {"WindowCenter": ["20", "9"], "WindowWidth": ["20", "2"]}
U2 = RAMP.astype("<u2")
PHYSICAL = taking(values="physical")
DISPLAY = taking(values="display")

DICOM = Format(
    "DICOM",
    library="pydicom: pixel_array, apply_rescale, apply_voi_lut, apply_windowing, apply_color_lut",
    reference=physical,
    ours=PHYSICAL,
    variants=(
        Variant("unsigned 16 bits", dicom(U2)),
        Variant("signed 16 bits, rescaled", dicom(RAMP.astype("<i2") - 20, **SLOPE)),
        Variant("signed 8 bits", dicom((RAMP - 20).astype("i1"))),
        Variant("12 of 16 bits, signed", dicom((RAMP - 20).astype("<i2"), BitsStored=12)),
        Variant("numbers above the bits that are stored", dicom((RAMP | 0xF000).astype("<u2"), BitsStored=12)),
        Variant("32 bits", dicom(RAMP.astype("<u4") * 70000)),
        Variant("decimal numbers", dicom(RAMP.astype("<f4") / 7)),
        Variant("decimal numbers of 64 bits", dicom(RAMP / 7)),
        Variant("implicit VR", dicom(U2, ImplicitVRLittleEndian)),
        Variant("big-endian", sample("MR_small_bigendian.dcm")),
        Variant("deflated", dicom(U2, DeflatedExplicitVRLittleEndian)),
        Variant("RLE", dicom(U2, RLELossless)),
        Variant("JPEG 2000", sample("MR_small_jp2klossless.dcm")),
        Variant("JPEG-LS", sample("MR_small_jpeg_ls_lossless.dcm")),
        Variant("JPEG of 12 bits that no decoder reads", sample("JPEG-lossy.dcm"), error="Unable to decode"),
        Variant("without preamble, implicit", without_preamble(ImplicitVRLittleEndian)),
        Variant("without preamble, explicit", without_preamble(ExplicitVRLittleEndian)),
        Variant("a name without suffix", without_suffix),
        Variant("CT is in HU unasked", dicom(U2 * 50, Modality="CT", **SLOPE), ours=ours),
        Variant("a unit keeps physical values", dicom(U2 * 50, Modality="MR", **WINDOW), ours=taking(unit="a.u.")),
        Variant("MR is not in HU", dicom(U2, Modality="MR"), ours=taking(unit="HU"), error="Modality is 'MR'"),
        Variant("CT is in HU alone", dicom(U2, Modality="CT"), ours=taking(unit="SUV"), error="are in HU"),
        Variant(
            "a modality table", dicom(U2, ModalityLUTSequence=table([60000 - 1000 * k for k in range(48)])),
            reference=lambda p: 60000 - 1000 * pixels(p).astype(float),
        ),
        Variant("a window", dicom(U2, **WINDOW), ours=DISPLAY, reference=displayed),
        Variant("a window of signed rescaled values", dicom((RAMP - 20).astype("<i2"), WindowCenter="10",
                WindowWidth="30", **SLOPE | {"RescaleIntercept": "5"}), ours=DISPLAY, reference=displayed),
        Variant("an exact window", dicom(U2, VOILUTFunction="LINEAR_EXACT", **WINDOW), ours=DISPLAY,
                reference=displayed),
        Variant("a sigmoid window", dicom(U2, VOILUTFunction="SIGMOID", **WINDOW), ours=DISPLAY, reference=displayed),
        Variant("a window of width 0", dicom(U2, WindowCenter="3", WindowWidth="0"), ours=DISPLAY,
                error="width 0"),
        Variant("a window, MONOCHROME1", dicom(U2, PhotometricInterpretation="MONOCHROME1", **WINDOW), ours=DISPLAY,
                reference=displayed),
        Variant("a VOI table", dicom(U2, VOILUTSequence=table([65535 - 1000 * k for k in range(48)])), ours=DISPLAY,
                reference=displayed),
        Variant("a VOI table of rescaled values",
                dicom(U2, VOILUTSequence=table([1000 * k for k in range(48)], first=-10),
                      RescaleSlope="1", RescaleIntercept="-10"), ours=DISPLAY, reference=displayed),
        Variant("8 bits without window", dicom(RAMP.astype("u1")), ours=DISPLAY, reference=pixels),
        Variant("8 bits, MONOCHROME1", dicom(RAMP.astype("u1"), PhotometricInterpretation="MONOCHROME1"),
                ours=DISPLAY, reference=lambda p: 255 - pixels(p)),
        Variant("16 bits without window", dicom(U2 + 100), ours=DISPLAY, differs="over the range of the frame",
                expected=np.rint(RAMP / 47 * 255)),
        Variant("CT without window", dicom((RAMP * 10).astype("<u2"), Modality="CT", RescaleIntercept="-200"),
                ours=DISPLAY, differs="in the window of soft tissue, never over its own range",
                expected=np.rint(np.clip((RAMP * 10.0 - 200 + 160) / 400, 0, 1) * 255)),
        Variant("levels of MONOCHROME1 for a window",
                dicom(U2, PhotometricInterpretation="MONOCHROME1", BitsStored=12),
                ours=taking(values="levels"), differs="bright is dense in every file", expected=4095.0 - RAMP),
        Variant("padding, displayed", padded(PixelPaddingValue=-32768, Modality="MR"), ours=DISPLAY,
                differs="padding is no signal", expected=TISSUE),
        Variant("padding, MONOCHROME1", padded("<u2", PixelPaddingValue=65535,
                PhotometricInterpretation="MONOCHROME1"), ours=DISPLAY, differs="padding is black",
                expected=np.where(np.arange(8) < 3, 0, np.rint((1 - (RAMP - 3) / 44) * 255))),
        Variant("padding, physical", padded(PixelPaddingValue=-32768, Modality="MR"),
                differs="padding is 0, or lower where values are", expected=BOUNDED),
        Variant("padding of CT", padded(PixelPaddingValue=-2000, Modality="CT"), ours=ours,
                differs="padding is air, -1024 HU", expected=np.where(np.arange(8) < 3, -1024.0, RAMP * 20.0)),
        Variant("a range of padding", padded(PixelPaddingValue=-32768, PixelPaddingRangeLimit=-32000), ours=DISPLAY,
                differs="padding is no signal", expected=TISSUE),
        Variant("colour", dicom(RGB), ours=ours, reference=pixels),
        Variant("colour, a plane each", sample("SC_rgb_rle_2frame.dcm"), ours=taking(frame=1),
                reference=lambda p: pixels(p)[1]),
        Variant("YBR", sample("SC_ybr_full_422_uncompressed.dcm"), ours=ours,
                reference=lambda p: pydicom.pixels.pixel_array(p)),
        Variant("colour of 16 bits", dicom(RGB.astype("<u2") * 257), ours=ours, differs="cut to 8 bits",
                expected=RGB),
        Variant("a palette of 8 bits", dicom(RAMP.astype("u1"), **palette(8)), ours=ours, reference=coloured),
        Variant("a palette of 16 bits", dicom(RAMP.astype("u1"), **palette(16)), ours=ours, reference=coloured),
        Variant("frames, none chosen", dicom(np.stack([U2, U2 + 1])), error="holds 2 frames"),
        Variant("frames, the middle one", dicom(np.stack([U2, U2 + 1, U2 * 3])), reference=lambda p: physical(p)[1],
                ours=taking(values="physical", frame="middle")),
        Variant("frames, all", dicom(np.stack([U2, U2 + 1, U2 * 3])),
                ours=taking(values="physical", frame="all"), reference=lambda p: np.moveaxis(physical(p), 0, -1)),
        Variant("frames of an enhanced file, rescaled together",
                dicom(np.stack([U2, U2 + 1]), SharedFunctionalGroupsSequence=shared(
                    "PixelValueTransformationSequence", RescaleSlope="3", RescaleIntercept="-7", RescaleType="US")),
                ours=taking(values="physical", frame=1), reference=lambda p: pixels(p)[1] * 3.0 - 7),
        Variant("one bit", sample("liver_1frame.dcm"), reference=lambda p: pixels(p).astype(float)),
        Variant("a header that claims too much", dicom(U2, Rows=600), error="claims 9600 bytes"),
        Variant("no pixels", dicom(U2, PixelData=b""), error="no pixel data"),
    ),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", cases(DICOM), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
