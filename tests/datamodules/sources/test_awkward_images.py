"""Awkward images by each way that they come in: a table, class folders, DICOM and other readers, cells of bytes."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from datamodules.core.choice import tell_readings
from datamodules.core.source import SOURCES, Source
from datamodules.io.frames import ImageReading
from datamodules.io.images import read_image
from datamodules.modalities.imaging import ImageProcessor
from datamodules.sources.table import Table, TableModality
from zoo.errors import DataError, MissingExtraError
from zoo.table_task import TableTask

pytest.importorskip("pydicom")
DATA = Path(__file__).parents[2] / "data"
save_dicom = runpy.run_path(str(DATA / "rsna_pneumonia.py"))["save_dicom"]

GREY = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)
STACK = np.stack([np.full((6, 8), 20 * k, np.uint8) for k in range(5)])
Put = Callable[[Path], None]
"""Writes an awkward image at a path, whatever its suffix."""


def tiff(pixels: npt.NDArray[Any], **options: Any) -> Put:
    return lambda path: tifffile.imwrite(path, pixels, **options)


def min_is_white(path: Path) -> None:
    tifffile.imwrite(path, GREY.astype(np.uint16) * 257, photometric="miniswhite")


def padded_mr(path: Path) -> None:
    """An MR image of tissue from 0 to 940, a third of which is padding."""
    pixels = (np.arange(48).reshape(6, 8) * 20).astype(np.int16)
    pixels[:, :3] = -32768
    save_dicom(path, pixels.astype("<u2"), Modality="MR", PixelRepresentation=1, PixelPaddingValue=-32768)


def frames(path: Path) -> None:
    """A DICOM file of three frames of 10, 20 and 30."""
    stack = np.repeat(np.array([10, 20, 30], "u1"), 48).reshape(18, 8)
    save_dicom(path, stack, Modality="CR", Rows=6, NumberOfFrames=3)


def volume(path: Path) -> None:
    """A NIfTI volume of five slices of 0, 10, 20, 30 and 40."""
    nibabel = pytest.importorskip("nibabel")
    voxels = np.broadcast_to(np.arange(5, dtype=np.int16) * 10, (8, 6, 5))
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path.with_name("v.nii.gz"))
    path.with_name("v.nii.gz").rename(path)


def animation(path: Path) -> None:
    further = [Image.fromarray(a) for a in STACK[1:3]]
    Image.fromarray(STACK[0]).save(path, format="PNG", save_all=True, append_images=further)


def in_a_table(root: Path, put: Put) -> tuple[Source, str]:
    (root / "mydata").mkdir()
    put(root / "mydata" / "scan")
    (root / "mydata" / "table.csv").write_text("f,dx\nscan,a\nscan,b\n")
    return _table(TableModality("image", column="f", path="{}")), "img"


def in_a_cell(root: Path, put: Put) -> tuple[Source, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "mydata").mkdir()
    put(root / "scan")
    content = (root / "scan").read_bytes()
    pq.write_table(pa.table({"f": [content] * 2, "dx": ["a", "b"]}), root / "mydata" / "table.parquet")
    return _table(TableModality("image", column="f"), file="table.parquet"), "img"


def _table(modality: TableModality, file: str = "table.csv") -> Source:
    return Table(file=file, modalities={"img": modality}, tasks={"dx": TableTask("classification")})


def in_a_class_folder(root: Path, put: Put) -> tuple[Source, str]:
    for label in ("a", "b"):
        (root / "image_folder" / label).mkdir(parents=True)
        put(root / "image_folder" / label / "1.2.840.7")
    return SOURCES.get("ImageFolder")(), "image"


def of(name: str, modality: str, pattern: str, **options: Any) -> Callable[[Path, Put], tuple[Source, str]]:
    """The reader of a published data set, with every one of its images replaced."""

    def make(root: Path, put: Put) -> tuple[Source, str]:
        cls = SOURCES.get(name)
        source = cls()
        runpy.run_path(str(DATA / f"{cls.__module__.rsplit('.', 1)[1]}.py"))["write"](root / source.folder, **options)
        for path in list((root / source.folder).rglob(pattern)):
            path.unlink()
            put(path)
        return source, modality

    make.__name__ = name
    return make


READERS = (
    in_a_table, in_a_cell, in_a_class_folder, of("RSNAPneumonia", "xray", "*.dcm", n=12),
    of("VinDrCXR", "xray", "*.dicom"), of("HAM10000", "dermoscopy", "*.jpg", n=7),
    of("MIMICCXR", "xray", "*.jpg", n=4), of("KermanyOCT", "oct", "*.jpeg", n=8),
    of("CBISDDSM", "mammography", "*.dcm"),
)  # fmt: skip
each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda r: r.__name__)


def read(
    reader: Callable[[Path, Put], tuple[Source, str]], root: Path, put: Put, processor: ImageProcessor | None = None
) -> npt.NDArray[Any]:
    """The image of the first row, as the processor asks for it."""
    source, modality = reader(root, put)
    source.open(root)
    images = [m.name for m in source.card.modalities if m.kind == "image"]
    tell_readings([source], dict.fromkeys(images, processor or ImageProcessor(size=6)), {})
    return np.asarray(source.read(0).inputs[modality])


@each_reader
def test_padding_is_no_signal(reader: Any, tmp_path: Path) -> None:
    shown = read(reader, tmp_path, padded_mr)
    assert (shown[:, :3] == 0).all()
    assert (shown[:, 3:].min(), shown[:, 3:].max()) == (0, 255)


@each_reader
def test_physical_values_are_kept(reader: Any, tmp_path: Path) -> None:
    raw = read(reader, tmp_path, padded_mr, ImageProcessor(window=(-100.0, 1000.0)))
    assert (raw[:, :3] == -100).all()
    assert raw[0, 3:].tolist() == [60, 80, 100, 120, 140]
    assert raw.dtype == np.float32


@each_reader
def test_min_is_white_of_16_bits(reader: Any, tmp_path: Path) -> None:
    deep = read(reader, tmp_path, min_is_white)
    np.testing.assert_array_equal(deep, 65535 - GREY.astype(int) * 257)
    processor = ImageProcessor(size=8, channels=1, pad=False)
    shallow = processor(255 - GREY)
    np.testing.assert_allclose(processor(deep), shallow, atol=1e-5)  # one scale, whatever the range of the image


@pytest.mark.parametrize("reader", [*READERS[:4], READERS[6]], ids=lambda r: r.__name__)
@pytest.mark.parametrize(
    ("put", "said", "middle"),
    [
        (tiff(STACK, photometric="minisblack"), "holds 5 pages", 40),
        (frames, "holds 3 frames", 20),
        (volume, "holds 5 axial slices", 20),
        (animation, "holds 3 frames", 20),
    ],
    ids=("tiff", "dicom", "nifti", "apng"),
)
def test_several_frames_are_chosen(reader: Any, put: Put, said: str, middle: int, tmp_path: Path) -> None:
    for name in ("none", "middle", "all"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=said + r".*reading\.frame"):
        read(reader, tmp_path / "none", put)
    one = read(reader, tmp_path / "middle", put, ImageProcessor(reading=ImageReading(frame="middle")))
    assert (one == middle).all()
    processor = ImageProcessor(size=4, window=(0.0, 255.0), reading=ImageReading(frame="all"))
    several = read(reader, tmp_path / "all", put, processor)
    assert several.shape[:2] == one.shape[:2]
    count = several.shape[2]
    processor.fit(SOURCES.get("ImageFolder")().card.modalities[0], [several])
    assert processor(several).shape == (count, 4, 4)
    with pytest.raises(DataError, match=r"all frames are read, 2 of this image and \d of the first"):
        processor(several[..., :2])


@each_reader
def test_what_the_file_is(reader: Any, tmp_path: Path) -> None:
    def archive(path: Path) -> None:
        with path.open("wb") as handle:
            np.savez(handle, a=GREY)

    if reader is in_a_class_folder:  # what is no image is left out of a folder, and counted
        with pytest.raises(DataError, match="two are needed"):
            read(reader, tmp_path, archive)
        return
    with pytest.raises(DataError, match=r"this is a zip archive.*unpack it"):
        read(reader, tmp_path, archive)


def test_a_library_that_a_compression_needs_is_named_with_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, np.zeros((6, 8), np.float32), compression="deflate")
    content = bytearray(path.read_bytes())
    tag = content.index((259).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    content[tag + 8 : tag + 10] = (34712).to_bytes(2, "little")  # JPEG 2000
    path.write_bytes(bytes(content))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(MissingExtraError, match=r"'imagecodecs'.*\.\[slides\].*slide\.tif"):
        read_image(path)
