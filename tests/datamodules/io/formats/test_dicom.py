"""Reading DICOM: exact values for each encoding, and errors for broken files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io.files import require_file
from datamodules.io.formats import dicom
from datamodules.io.formats.dicom import decode_dicom, dicom_files, dicom_header, stream_shape
from datamodules.io.frames import ImageReading
from zoo.errors import DataError, SpecError

pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import (  # noqa: E402
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

PHYSICAL = ImageReading(values="physical")
RAMP = np.arange(48).reshape(6, 8)


def read_dicom(path: Path, reading: ImageReading = ImageReading()) -> np.ndarray:
    return decode_dicom(require_file(path).read_bytes(), reading=reading, file=path)


def make(path: Path, pixels: np.ndarray, syntax: Any = ExplicitVRLittleEndian, **attributes: Any) -> Dataset:
    """Save pixels (frames, H, W) or (H, W) or, for colour, (H, W, 3) with the given attributes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    dataset.Rows, dataset.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    if pixels.ndim == 3 and not colour:
        dataset.NumberOfFrames = len(pixels)
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless]
)
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2"])
def test_values_survive_each_syntax(tmp_path: Path, syntax: Any, dtype: str) -> None:
    pixels = (RAMP * 3).astype(dtype) - (20 if dtype == "<i2" else 0)
    make(tmp_path / "a.dcm", pixels.astype(dtype), syntax)
    image = read_dicom(tmp_path / "a.dcm", reading=PHYSICAL)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, pixels)


def test_ct_is_in_hu(tmp_path: Path) -> None:
    make(tmp_path / "a.dcm", RAMP.astype("<u2"), Modality="CT", RescaleSlope="2", RescaleIntercept="-1024")
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm"), RAMP * 2.0 - 1024)


def test_grey_is_displayed(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    make(path, RAMP.astype("u1"))
    np.testing.assert_array_equal(read_dicom(path), RAMP)
    make(path, RAMP.astype("u1"), PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_dicom(path), 255 - RAMP)
    make(path, (RAMP * 10 + 100).astype("<u2"), BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_dicom(path), np.rint(RAMP / 47 * 255))
    make(path, np.full((4, 4), 7, "<u2"))
    assert (read_dicom(path) == 0).all()


def test_unused_high_bits_do_not_count(tmp_path: Path) -> None:
    make(tmp_path / "a.dcm", (RAMP | 0xF000).astype("<u2"), BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm", reading=PHYSICAL), RAMP)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", lambda x: (x - 19.5) / 19 + 0.5),
        ("LINEAR_EXACT", lambda x: (x - 20) / 20 + 0.5),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 20) / 20))),
    ],
)
def test_window_of_the_file(tmp_path: Path, function: str, expected: Any) -> None:
    window = {"WindowCenter": ["20", "9"], "WindowWidth": ["20", "2"], "VOILUTFunction": function}
    make(tmp_path / "a.dcm", RAMP.astype("<u2"), **window)
    wanted = np.rint(np.clip(expected(RAMP.astype(float)), 0, 1) * 255)
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm"), wanted)
    make(tmp_path / "a.dcm", RAMP.astype("<u2"), PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_allclose(read_dicom(tmp_path / "a.dcm"), 255 - wanted, atol=1)


def test_voi_table(tmp_path: Path) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [48, 0, 16])
    table.add_new("LUTData", "US", [65535 - 1000 * int(v) for v in range(48)])
    make(tmp_path / "a.dcm", RAMP.astype("<u2"), VOILUTSequence=Sequence([table]))
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm"), np.rint((65535 - 1000 * RAMP) / 65535 * 255))


def test_frames(tmp_path: Path) -> None:
    frames, groups = np.stack([RAMP, RAMP + 100]).astype("<u2"), []
    for slope in ("1", "3"):
        value, group = Dataset(), Dataset()
        value.RescaleSlope, value.RescaleIntercept = slope, "-5"
        group.PixelValueTransformationSequence = Sequence([value])
        groups.append(group)
    path = tmp_path / "a.dcm"
    make(path, frames, Modality="CT", PerFrameFunctionalGroupsSequence=Sequence(groups))
    with pytest.raises(DataError, match=r"holds 2 frames.*reading\.frame.*a\.dcm"):
        read_dicom(path)
    np.testing.assert_array_equal(read_dicom(path, reading=ImageReading(frame=0)), RAMP - 5)
    both = read_dicom(path, reading=ImageReading(frame="all"))
    np.testing.assert_array_equal(both, np.dstack([RAMP - 5, (RAMP + 100) * 3 - 5]))
    np.testing.assert_array_equal(read_dicom(path, reading=ImageReading(frame=1)), (RAMP + 100) * 3 - 5)
    with pytest.raises(DataError, match="no frame 2: the file has 2"):
        read_dicom(path, reading=ImageReading(frame=2))


def test_colour(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype("u1")
    make(tmp_path / "a.dcm", rgb)
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm"), rgb)
    make(tmp_path / "a.dcm", rgb.astype("<u2") * 256)
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm"), rgb)
    grey = np.stack([RAMP, np.full_like(RAMP, 128), np.full_like(RAMP, 128)], axis=2).astype("u1")
    make(tmp_path / "a.dcm", grey, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm"), np.repeat(RAMP[..., None], 3, axis=2))


@pytest.mark.parametrize("name", ["PixelSpacing", "ImagerPixelSpacing"])
def test_spacing(tmp_path: Path, name: str) -> None:
    halves = np.repeat(np.repeat(RAMP, 2, axis=0), 4, axis=1).astype("<u2")
    make(tmp_path / "a.dcm", halves, Modality="CT", **{name: ["0.5", "0.25"]})
    image = read_dicom(tmp_path / "a.dcm", reading=ImageReading(spacing_mm=1.0))
    assert image.shape == RAMP.shape
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[1:-1, 1:-1], RAMP[1:-1, 1:-1], atol=1e-4)
    with pytest.raises(DataError, match="more than"):
        read_dicom(tmp_path / "a.dcm", reading=ImageReading(spacing_mm=1e-5))
    make(tmp_path / "a.dcm", halves)
    with pytest.raises(DataError, match=r"spacing_mm needs PixelSpacing.*None.*a\.dcm"):
        read_dicom(tmp_path / "a.dcm", reading=ImageReading(spacing_mm=1.0))


def test_header(tmp_path: Path) -> None:
    make(tmp_path / "a.dcm", RAMP.astype("u1"), PatientSex="F")
    header = dicom_header(tmp_path / "a.dcm")
    assert header.PatientSex == "F"
    assert "PixelData" not in header
    (tmp_path / "b.DICOM").touch()
    (tmp_path / ".c.dcm").touch()
    assert dicom_files(tmp_path) == ["a.dcm", "b.DICOM"]
    with pytest.raises(DataError, match="folder is missing"):
        dicom_files(tmp_path / "none")


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"Rows": 60000, "Columns": 60000}, "60000 x 60000 pixels; a frame must have"),
        ({"Rows": 600, "Columns": 800}, "claims 480000 bytes of pixels and the file holds 48"),
        ({"NumberOfFrames": 2_000_000_000}, "claims 96000000000 bytes"),
        ({"Rows": 0}, "0 x 8 pixels"),
        ({"BitsAllocated": 64}, "64 bits a pixel is not supported"),
        ({"PhotometricInterpretation": "HSV"}, "'HSV'"),
        ({"SamplesPerPixel": 3}, "with 3 sample"),
        ({"PixelData": b""}, "no pixel data"),
        ({"WindowCenter": "3", "WindowWidth": "0"}, "the window has the width 0.0"),
        ({"WindowCenter": "3", "WindowWidth": "9", "VOILUTFunction": "SPLINE"}, "VOILUTFunction 'SPLINE'"),
    ],
)
def test_bad_attributes(tmp_path: Path, attributes: dict[str, Any], says: str) -> None:
    make(tmp_path / "a.dcm", RAMP.astype("u1"), **attributes)
    with pytest.raises(DataError, match=says + r".*a\.dcm"):
        read_dicom(tmp_path / "a.dcm")


def test_no_dicom(tmp_path: Path) -> None:
    for content in (b"", b"no dicom at all" * 50, b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 40):
        (tmp_path / "a.dcm").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.dcm"):
            read_dicom(tmp_path / "a.dcm")
    for read in (read_dicom, dicom_header):
        with pytest.raises(DataError, match=r"missing.*b\.dcm"):
            read(tmp_path / "b.dcm")
        (tmp_path / "c.dcm").write_bytes(b"nothing")
        with pytest.raises(DataError, match=r"not a readable DICOM.*c\.dcm"):
            read(tmp_path / "c.dcm")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_damage_ends_in_data_error(tmp_path: Path, syntax: Any) -> None:
    """Cut and flipped files are read, where the damage does not show, or refused; nothing else happens."""
    make(tmp_path / "a.dcm", RAMP.astype("<u2"), syntax, Modality="CT", PixelSpacing=["1", "1"])
    whole = (tmp_path / "a.dcm").read_bytes()
    generator = np.random.default_rng(0)
    for trial in range(150):
        broken = bytearray(whole)
        if trial % 2:
            del broken[int(generator.integers(0, len(whole))) :]
        else:
            for at in generator.integers(128, len(whole), 4):
                broken[at] = int(generator.integers(0, 256))
        (tmp_path / "b.dcm").write_bytes(bytes(broken))
        message = "b.dcm"
        try:
            image = read_dicom(tmp_path / "b.dcm", reading=ImageReading(spacing_mm=2.0))
            assert image.size <= dicom.MAX_PIXELS * 3
        except DataError as error:
            message = str(error)
        assert "b.dcm" in message


def test_deflated_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "a.dcm", RAMP.astype("u1"), DeflatedExplicitVRLittleEndian)
    content = (tmp_path / "a.dcm").read_bytes()
    start = 144 + int(pydicom.filereader.read_file_meta_info(tmp_path / "a.dcm").FileMetaInformationGroupLength)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    (tmp_path / "a.dcm").write_bytes(content[:start] + packer.compress(b"\0" * 2**22) + packer.flush())
    monkeypatch.setattr(dicom, "MAX_INFLATED", 2**21)
    for read in (read_dicom, dicom_header):
        with pytest.raises(DataError, match=r"unpacks to more than 2097152 bytes.*a\.dcm"):
            read(tmp_path / "a.dcm")


def test_stream_shape() -> None:
    siz = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + b"".join(n.to_bytes(4, "big") for n in (640, 480, 40, 30))
    assert stream_shape(siz) == (450, 600)
    assert stream_shape(b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 30 + siz) == (450, 600)
    app = b"\xff\xd8\xff\xe0\x00\x04ab"
    assert stream_shape(app + b"\xff\xc0\x00\x0b\x08\x01\x02\x03\x04\x01") == (258, 772)
    assert stream_shape(b"\x01\x00\x00\x00 an RLE header") is None
    with pytest.raises(struct.error, match="no start of frame"):
        stream_shape(app)


def test_compressed_files_of_the_library() -> None:
    """The decoders agree with the uncompressed original."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    original = read_dicom(folder / "MR_small.dcm", reading=PHYSICAL)
    for name in ("MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_implicit"):
        np.testing.assert_array_equal(read_dicom(folder / f"{name}.dcm", reading=PHYSICAL), original)


@pytest.mark.parametrize("spacing", [-1.0, float("inf"), float("nan")])
def test_bad_spacing(spacing: float) -> None:
    with pytest.raises(SpecError, match="spacing_mm must be 0 or a side"):
        ImageReading(spacing_mm=spacing)
