"""PNG, JPEG, GIF, WebP, BMP, JPEG 2000 and .npy as Pillow, imageio and NumPy read them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from datamodules.io.frames import ImageReading
from datamodules.io.images import decode_image, read_image
from tests.conformance.table import Case, Format, Variant, cases

GREY = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)
RGB = np.dstack([GREY, GREY[::-1], 255 - GREY])
SMOOTH = np.dstack([np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8) * k for k in (1, 2, 1)])


def saved(image: npt.NDArray[Any] | Image.Image, name: str, **options: Any) -> Callable[[Path], Path]:
    """A file that Pillow writes."""

    def make(folder: Path) -> Path:
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(folder / name, **options)
        return folder / name

    return make


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def frames(name: str, **options: Any) -> Callable[[Path], Path]:
    """Three frames of one size."""
    further = [Image.fromarray(255 - RGB), Image.fromarray(RGB // 2)]
    return saved(RGB, name, save_all=True, append_images=further, **options)


def array(values: npt.NDArray[Any], name: str = "a.npy") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with (folder / name).open("wb") as handle:
            np.save(handle, values)
        return folder / name

    return make


def archive(folder: Path) -> Path:
    np.savez(folder / "a.npz", a=GREY)
    return folder / "a.npz"


def written(content: bytes, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def png_of_16_bits(pixels: npt.NDArray[np.uint16]) -> Callable[[Path], Path]:
    """A PNG of 16 bits a sample, which Pillow does not write in colour."""
    kind = {2: 0, 3: 2}[pixels.ndim]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    return written(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), "a.png")


def ours(path: Path, **reading: Any) -> npt.NDArray[Any]:
    return read_image(path, reading=ImageReading(**reading))


def taking(**reading: Any) -> Callable[[Path], npt.NDArray[Any]]:
    return lambda path: ours(path, **reading)


def pillow(mode: str, frame: int = 0) -> Callable[[Path], npt.NDArray[Any]]:
    """Pillow's pixels of one frame, upright."""

    def read(path: Path) -> npt.NDArray[Any]:
        with Image.open(path) as image:
            image.seek(frame)
            upright = ImageOps.exif_transpose(image)
            return np.asarray(upright.convert(mode) if mode else upright)

    return read


def all_frames(path: Path) -> npt.NDArray[Any]:
    return np.dstack([pillow("RGB", k)(path) for k in range(3)])


def jpeg_bytes() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SMOOTH).save(stream, "JPEG")
    return stream.getvalue()


PICTURES = Format(
    "PNG, JPEG and other pictures",
    library="Pillow, imageio.v3.imread, numpy.load",
    reference=lambda path: np.asarray(imageio.imread(path)),
    ours=ours,
    variants=(
        Variant("PNG, grey", saved(GREY, "a.png")),
        Variant("PNG, colour", saved(RGB, "a.png")),
        Variant("PNG, grey of 16 bits", saved(GREY.astype(np.uint16) * 257, "a.png")),
        Variant("PNG, colour of 16 bits", png_of_16_bits(RGB.astype(np.uint16) * 257 + 5), reference=pillow("RGB")),
        Variant("PNG, one bit", saved(Image.fromarray(GREY > 99), "a.png"), reference=pillow("L")),
        Variant("PNG, palette", saved(Image.fromarray(RGB).quantize(8), "a.png"), reference=pillow("RGB")),
        Variant("PNG, palette with a transparent colour",
                saved(Image.fromarray(RGB).quantize(8), "a.png", transparency=1), reference=pillow("RGB")),
        Variant("PNG, colour with transparency", saved(np.dstack([RGB, GREY]), "a.png"),
                reference=lambda p: imageio.imread(p)[..., :3]),
        Variant("PNG, grey with transparency", saved(Image.fromarray(np.dstack([GREY, GREY]), "LA"), "a.png"),
                reference=lambda p: imageio.imread(p)[..., 0]),
        Variant("PNG, grey with a transparent level", saved(GREY, "a.png", transparency=0), reference=pillow("L")),
        Variant("PNG, turned by EXIF", saved(RGB, "a.png", exif=turned(6)), reference=pillow("")),
        Variant("PNG, named .jpg", saved(RGB, "a.jpg", format="PNG")),
        Variant("JPEG, without suffix", saved(SMOOTH, "a", format="JPEG")),
        Variant("JPEG, grey", saved(SMOOTH[..., 0], "a.jpg")),
        Variant("JPEG, colour", saved(SMOOTH, "a.jpg")),
        Variant("JPEG, progressive", saved(SMOOTH, "a.jpg", progressive=True)),
        Variant("JPEG, CMYK as Adobe writes it", saved(Image.fromarray(SMOOTH).convert("CMYK"), "a.jpg"),
                reference=pillow("RGB")),
        *(Variant(f"JPEG, EXIF orientation {k}", saved(SMOOTH, "a.jpg", exif=turned(k)), reference=pillow(""))
          for k in range(2, 9)),
        Variant("JPEG with a second picture, as phones write (MPO)",
                saved(SMOOTH, "a.jpg", format="MPO", save_all=True, append_images=[Image.fromarray(SMOOTH // 2)]),
                reference=pillow("RGB")),
        Variant("the bytes of a JPEG", saved(SMOOTH, "a.jpg"), ours=lambda p: decode_image(p.read_bytes())),
        Variant("JPEG cut short", written(jpeg_bytes()[:300], "a.jpg"), error="cannot be decoded"),
        Variant("BMP", saved(RGB, "a.bmp")),
        Variant("BMP, palette", saved(Image.fromarray(RGB).quantize(8), "a.bmp"), reference=pillow("RGB")),
        Variant("WebP", saved(RGB, "a.webp", lossless=True)),
        Variant("JPEG 2000", saved(RGB, "a.jp2")),
        Variant("JPEG 2000, grey of 16 bits", saved(GREY.astype(np.uint16) * 257, "a.jp2")),
        Variant("PGM of 16 bits", saved(GREY.astype(np.uint16) * 257, "a.pgm")),
        Variant("GIF, a palette of greys", saved(GREY, "a.gif"), reference=pillow("RGB")),
        Variant("GIF of three frames, none chosen", frames("a.gif"), error="holds 3 frames"),
        Variant("GIF, the second frame", frames("a.gif"), ours=taking(frame=1), reference=pillow("RGB", 1)),
        Variant("GIF, all frames", frames("a.gif"), ours=taking(frame="all"), reference=all_frames),
        Variant("APNG, none chosen", frames("a.png"), error="holds 3 frames"),
        Variant("APNG, the middle frame", frames("a.png"), ours=taking(frame="middle"), reference=pillow("RGB", 1)),
        Variant("WebP of three frames, the last", frames("a.webp", lossless=True), ours=taking(frame=2),
                reference=pillow("RGB", 2)),
        Variant(".npy of 16 bits", array(GREY.astype(np.uint16)), reference=np.load),
        Variant(".npy of 16 bits, big-endian", array(GREY.astype(">u2")), reference=np.load),
        Variant(".npy, decimal numbers of 64 bits", array(GREY / 8), reference=np.load),
        Variant(".npy, signed", array(GREY.astype(np.int32) - 9), reference=np.load),
        Variant(".npy, a mask", array(GREY > 9), differs="true is white", expected=(GREY > 9) * 255),
        Variant(".npy, a third axis of length 1", array(GREY[..., None]), reference=lambda p: np.load(p)[..., 0]),
        Variant(".npy, colour with transparency", array(np.dstack([RGB, GREY])),
                reference=lambda p: np.load(p)[..., :3]),
        Variant(".npy, frames, none chosen", array(np.stack([GREY] * 5)), error="holds 5 frames"),
        Variant(".npy, frames of colour, the fourth", array(np.stack([RGB // k for k in range(1, 6)])),
                ours=taking(frame=3), reference=lambda p: np.load(p)[3]),
        Variant(".npy, words", array(np.array([["a"]])), error="an array of an image is"),
        Variant("an empty file", written(b"", "a.png"), error="an empty file"),
        Variant("a web page named .jpg", written(b"<!DOCTYPE html><html>", "a.jpg"), error="a web page"),
        Variant("a pointer of Git LFS", written(b"version https://git-lfs.github.com/spec/v1\n", "a.png"),
                error="Git LFS"),
        Variant("an archive of arrays", archive, error="a zip archive"),
        Variant("a folder", lambda f: f, error="this is a folder"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(PICTURES), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
