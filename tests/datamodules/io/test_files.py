"""Images at reduced scale, TIFF files, and the helpers that look up listed images."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as transforms

from datamodules.io.files import all_of, image_files, image_tree, listed_there, read_csv
from datamodules.io.frames import ImageReading
from datamodules.io.images import read_image
from zoo.errors import DataError, SpecError


def smooth(height: int, width: int, colour: bool = False) -> npt.NDArray[np.uint8]:
    """A picture of low frequencies, so that every good way of shrinking it agrees."""
    y, x = np.mgrid[:height, :width]
    grey = 127 + 60 * np.sin(2 * np.pi * x / width) + 60 * np.cos(2 * np.pi * y / height)
    image = grey.clip(0, 255).astype(np.uint8)
    return np.dstack([image, image // 2, 255 - image]) if colour else image


def save(path: Path, image: npt.NDArray[np.uint8], **options: object) -> Path:
    Image.fromarray(image).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("at_least", "shape"),
    [(0, (200, 300)), (201, (200, 300)), (101, (200, 300)), (100, (100, 150)), (51, (100, 150)), (50, (50, 75)),
     (26, (50, 75)), (25, (25, 38)), (1, (25, 38))],
)  # fmt: skip
def test_jpeg_scales(tmp_path: Path, at_least: int, shape: tuple[int, int]) -> None:
    for colour in (False, True):
        path = save(tmp_path / f"{colour}.jpg", smooth(200, 300, colour), quality=95)
        assert read_image(path, at_least=at_least).shape == (*shape, *((3,) if colour else ()))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_other_formats_stay_at_full_size(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", smooth(64, 48))
    assert np.array_equal(read_image(path, at_least=8), smooth(64, 48))


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 150), st.integers(8, 150), st.integers(1, 160), st.booleans())
def test_any_size(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, at_least: int, turn: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if turn else 1
    path = save(tmp_path_factory.mktemp("any") / "a.jpg", smooth(height, width), quality=95, exif=exif)
    image = read_image(path, at_least=at_least)
    full = read_image(path)
    assert full.shape == ((width, height) if turn else (height, width))
    scale = next(s for s in (8, 4, 2, 1) if min(height, width) >= s * at_least or s == 1)
    assert image.shape == tuple(-(-side // scale) for side in full.shape)
    assert min(image.shape) >= min(at_least, *full.shape)


@pytest.mark.parametrize("colour", [False, True])
def test_reduced_decoding_agrees_with_a_full_one(tmp_path: Path, colour: bool) -> None:
    path = save(tmp_path / "a.jpg", smooth(240, 320, colour), quality=95)
    for at_least in (120, 60, 32):
        shrunk = [
            transforms.resize(
                torch.from_numpy(np.atleast_3d(read_image(path, at_least=n))).permute(2, 0, 1), [32, 32]
            )
            for n in (0, at_least)
        ]
        difference = (shrunk[0].float() - shrunk[1].float()).abs()
        assert difference.mean() < 1.0
        assert difference.max() <= 8


def test_tiff(tmp_path: Path) -> None:
    grey = smooth(20, 24)
    deep = grey.astype(np.uint16) * 200 + 7
    for order in ("<u2", ">u2"):
        Image.fromarray(deep.astype(order)).save(tmp_path / "deep.tif")
        assert np.array_equal(read_image(tmp_path / "deep.tif"), deep.astype(np.float32))
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        save(tmp_path / "a.tiff", smooth(20, 24, colour=True), compression=compression)
        assert np.array_equal(read_image(tmp_path / "a.tiff"), smooth(20, 24, colour=True))
    Image.fromarray(grey / np.float32(3)).save(tmp_path / "float.tif")
    assert np.allclose(read_image(tmp_path / "float.tif"), grey / 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    for compression in (None, "tiff_lzw"):
        save(tmp_path / "turned.tif", grey, exif=exif, compression=compression)
        assert np.array_equal(read_image(tmp_path / "turned.tif"), np.rot90(grey, -1))
    assert image_files(tmp_path) == ["a.tiff", "deep.tif", "float.tif", "turned.tif"]


def test_tiff_pages(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((4 + k, 5), k, dtype=np.uint8)) for k in range(3)]
    pages[0].save(tmp_path / "many.tif", save_all=True, append_images=pages[1:])
    for k in range(3):
        assert np.array_equal(
            read_image(tmp_path / "many.tif", reading=ImageReading(frame=k)), np.full((4 + k, 5), k)
        )
    with pytest.raises(DataError, match=r"holds 3 pages.*reading\.frame.*many\.tif"):
        read_image(tmp_path / "many.tif")
    with pytest.raises(DataError, match=r"no frame 3: the file has 3 pages.*many\.tif"):
        read_image(tmp_path / "many.tif", reading=ImageReading(frame=3))
    with pytest.raises(DataError, match=r"differ in shape.*many\.tif"):
        read_image(tmp_path / "many.tif", reading=ImageReading(frame="all"))
    save(tmp_path / "one.png", smooth(4, 4))
    with pytest.raises(DataError, match=r"one\.png"):
        read_image(tmp_path / "one.png", reading=ImageReading(frame=1))
    with pytest.raises(SpecError, match="got -1"):
        read_image(tmp_path / "one.png", at_least=-1)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["jpg", "png", "tif", "lzw"]), st.data())
def test_broken_files_raise_data_errors(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    suffix = "tif" if kind == "lzw" else kind
    options = {"compression": "tiff_lzw"} if kind == "lzw" else {}
    path = save(tmp_path_factory.mktemp("broken") / f"a.{suffix}", smooth(32, 40, colour=True), **options)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 6)) if content else 0):
        content[data.draw(st.integers(0, min(len(content), 400) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        image = read_image(path, at_least=data.draw(st.sampled_from([0, 8])))
    except DataError as error:
        assert path.name in str(error)  # noqa: PT017
    else:
        assert image.ndim in (2, 3)


def test_a_size_that_the_file_cannot_hold(tmp_path: Path) -> None:
    path = save(tmp_path / "bomb.png", smooth(8, 8))
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 9000, 9000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"9000 x 9000 pixels.*bomb\.png"):
        read_image(path)


def test_image_tree(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/b/2.TIF", "a/.hidden.png", "a/notes.txt", "c/3.jpg", "d/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert image_tree(tmp_path, ("a", "c", "absent")) == {
        "1.png": "a/1.png",
        "2.TIF": "a/b/2.TIF",
        "3.jpg": "c/3.jpg",
    }
    (tmp_path / "c" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"'1\.png' is there twice, also as 'a/1\.png'"):
        image_tree(tmp_path, ("a", "c"))


def test_listed_there_and_all_of(tmp_path: Path) -> None:
    assert listed_there(["a", "b"], {"a"}, "skip", tmp_path).tolist() == [True, False]
    assert listed_there([], set(), "raise", tmp_path).tolist() == []
    with pytest.raises(DataError, match=r"2 of the 3 rows.*the first is 'b'.*skip.*row: 1"):
        listed_there(["a", "b", "c"], {"a"}, "raise", tmp_path)
    all_of(["0", "1"], ("0", "1"), "grade", file=tmp_path)
    with pytest.raises(DataError, match=r"grade '2' is unknown.*row: 1"):
        all_of(["0", "2"], ("0", "1"), "grade", file=tmp_path)


def test_lines_of_commas_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,grade ,,\n\na,1,,\n,,,\nb,2,,\n")
    assert read_csv(path, ("file", "grade"))["file"].tolist() == ["a", "b"]


def test_blanks_and_tabs(tmp_path: Path) -> None:
    """Blanks around cells go where asked, nothing means missing, and behind tabs quotes are letters."""
    path = tmp_path / "a.tsv"
    path.write_text(' x \ty\n NA \t"2\n\t\n', encoding="utf-8")
    assert read_csv(path, ("x", "y"), separator="\t").to_numpy().tolist() == [[" NA ", '"2']]
    assert read_csv(path, ("x", "y"), separator="\t", stripped=True).to_numpy().tolist() == [["NA", '"2']]
    path.write_bytes(b"x\ty\n\xff\xfe\t1\n")
    with pytest.raises(DataError, match="expected tab-separated UTF-8 text"):
        read_csv(path, ("x",), separator="\t")
