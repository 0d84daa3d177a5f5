"""TIFF as tifffile and Pillow read it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from datamodules.io.frames import ImageReading
from datamodules.io.images import read_image
from tests.conformance.table import Case, Format, Variant, cases

GREY = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)
RGB = np.dstack([GREY, GREY[::-1], 255 - GREY])
FALLING = np.tile(np.arange(65536)[::-1], (3, 1)).astype(np.uint16)
STACK = np.stack([GREY // (k + 1) for k in range(5)])


def tiff(pixels: npt.NDArray[Any], **options: Any) -> Callable[[Path], Path]:
    """A file that tifffile writes."""

    def make(folder: Path) -> Path:
        tifffile.imwrite(folder / "a.tif", pixels, **options)
        return folder / "a.tif"

    return make


def pillow(image: Image.Image, **options: Any) -> Callable[[Path], Path]:
    """A file that Pillow writes."""

    def make(folder: Path) -> Path:
        image.save(folder / "a.tif", **options)
        return folder / "a.tif"

    return make


def raw(pixels: npt.NDArray[Any], bits: int, **tags: int) -> Callable[[Path], Path]:
    """A page of packed bits, which the writers do not write: its bytes, and TIFF tags by number."""

    def make(folder: Path) -> Path:
        rows = [np.packbits(np.unpackbits(r[:, None].astype(np.uint8), axis=1)[:, 8 - bits :]) for r in pixels]
        data = np.concatenate(rows).tobytes()
        entries = {256: pixels.shape[1], 257: pixels.shape[0], 258: bits, 259: 1, 262: 1, 273: 8, 277: 1}
        entries |= {278: pixels.shape[0], 279: len(data)} | {int(k[1:]): v for k, v in tags.items()}
        table = b"".join(
            np.array([k, 4, 1, 0, v & 0xFFFF, v >> 16], "<u2").tobytes() for k, v in sorted(entries.items())
        )
        start = 8 + len(data) + len(data) % 2
        head = b"II*\0" + np.array([start], "<u4").tobytes() + data + b"\0" * (len(data) % 2)
        (folder / "a.tif").write_bytes(head + np.array([len(entries)], "<u2").tobytes() + table + b"\0\0\0\0")
        return folder / "a.tif"

    return make


def pages(folder: Path) -> Path:
    """Three pages, of which the second is a thumbnail of the first and the third its mask."""
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        writer.write(GREY, metadata=None)
        writer.write(GREY[::2, ::2], subfiletype=1, metadata=None)
        writer.write(GREY > 9, subfiletype=4, metadata=None)
    return folder / "a.tif"


def pyramid(folder: Path) -> Path:
    """An OME-TIFF of two levels."""
    with tifffile.TiffWriter(folder / "a.ome.tif", ome=True) as writer:
        writer.write(RGB, subifds=1, photometric="rgb", metadata={"axes": "YXS"})
        writer.write(RGB[::2, ::2], subfiletype=1, photometric="rgb")
    return folder / "a.ome.tif"


def one_page_for_many(folder: Path) -> Path:
    """What ImageJ writes of large stacks: one page whose description says how many follow."""
    said = f"ImageJ=1.11a\nimages={len(STACK)}\nslices={len(STACK)}\n"
    tifffile.imwrite(folder / "a.tif", STACK[0], description=said, metadata=None)
    with (folder / "a.tif").open("ab") as handle:
        handle.write(b"")
    content = bytearray((folder / "a.tif").read_bytes())
    with tifffile.TiffFile(folder / "a.tif") as file:
        start = file.pages[0].dataoffsets[0]
    assert start + STACK[0].nbytes == len(content)
    (folder / "a.tif").write_bytes(bytes(content[:start]) + STACK.tobytes())
    return folder / "a.tif"


def circle(folder: Path) -> Path:
    """Two pages of which the second names the first as the one behind it."""
    path = tiff(STACK[:2], photometric="minisblack")(folder)
    with tifffile.TiffFile(path) as file:
        first, second = (page.offset for page in file.pages)
        tags = len(file.pages[1].tags)
    content = bytearray(path.read_bytes())
    content[second + 2 + 12 * tags : second + 6 + 12 * tags] = first.to_bytes(4, "little")
    path.write_bytes(bytes(content))
    return path


def ours(path: Path, **reading: Any) -> npt.NDArray[Any]:
    return read_image(path, reading=ImageReading(**reading))


def taking(**reading: Any) -> Callable[[Path], npt.NDArray[Any]]:
    return lambda path: ours(path, **reading)


def with_tifffile(path: Path, **options: Any) -> npt.NDArray[Any]:
    return np.asarray(tifffile.imread(path, **options))


def with_pillow(mode: str) -> Callable[[Path], npt.NDArray[Any]]:
    def read(path: Path) -> npt.NDArray[Any]:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))

    return read


def stack_last(path: Path) -> npt.NDArray[Any]:
    return np.moveaxis(with_tifffile(path), 0, -1)


def twelve_bits(folder: Path) -> Path:
    """Grey levels of 12 bits, two of them in three bytes, as microscopes and old scanners write them."""
    values = np.random.default_rng(0).integers(0, 4096, (5, 8))
    rows = [int("".join(f"{v:012b}" for v in row), 2).to_bytes(12, "big") for row in values.tolist()]
    data = b"".join(rows)
    tags = [(256, 8), (257, 5), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 5), (279, len(data))]
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    path = folder / "a.tif"
    path.write_bytes(head + data + struct.pack("<H", len(tags)) + listed + bytes(4))
    return path


def without_imagecodecs(path: Path) -> Any:
    """Read as where tifffile does not find the package, be it installed or not."""
    from tifffile import tifffile as module

    def missing(*_: Any, **__: Any) -> Any:
        raise NotImplementedError("packints_decode of 12-bit integers requires the 'imagecodecs' package")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.TiffPage, "asarray", missing)
        return read_image(path)


TIFF = Format(
    "TIFF",
    library="tifffile.imread, Pillow",
    reference=with_tifffile,
    ours=ours,
    variants=(
        Variant("8 bits", tiff(GREY)),
        Variant("16 bits", tiff(GREY.astype(np.uint16) * 257)),
        Variant("16 bits, big-endian", tiff(GREY.astype(np.uint16) * 200 + 7, byteorder=">")),
        Variant("signed 8 bits", tiff(GREY.astype(np.int8))),
        Variant("signed 16 bits", tiff(GREY.astype(np.int16) - 100)),
        Variant("32 bits beyond the signed range", tiff(GREY.astype(np.uint32) * 2**24)),
        Variant("decimal numbers of 16 bits", tiff(GREY.astype(np.float16) / 7)),
        Variant("decimal numbers of 32 bits, big-endian", tiff(GREY.astype(np.float32) / 7, byteorder=">")),
        Variant("NaN", tiff(np.where(GREY == 5, np.nan, GREY).astype(np.float32)), error="NaN or infinite"),
        Variant("decimal numbers of 64 bits", tiff(GREY / 8)),
        Variant("one bit", pillow(Image.fromarray(GREY > 100)), reference=with_pillow("L")),
        Variant("four bits", raw(GREY % 16, 4), reference=with_pillow("L")),
        Variant("one bit, min-is-white", raw(GREY % 2, 1, _262=0), reference=with_pillow("L")),
        Variant("8 bits, min-is-white", tiff(GREY, photometric="miniswhite"), reference=with_pillow("L")),
        Variant(
            "16 bits, min-is-white", tiff(GREY.astype(np.uint16) * 257, photometric="miniswhite"),
            reference=lambda p: 65535 - with_tifffile(p),
        ),
        Variant(
            "signed 16 bits, min-is-white", tiff(GREY.astype(np.int16) - 100, photometric="miniswhite"),
            reference=lambda p: -1 - with_tifffile(p),
        ),
        Variant(
            "decimal numbers, min-is-white", tiff(GREY.astype(np.float32), photometric="miniswhite"),
            error="min-is-white",
        ),
        Variant("colour", tiff(RGB, photometric="rgb")),
        Variant("colour of 16 bits", tiff(RGB.astype(np.uint16) * 257, photometric="rgb")),
        Variant(
            "colour, a plane each", tiff(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"),
            reference=lambda p: np.moveaxis(with_tifffile(p), 0, -1),
        ),
        Variant(
            "colour of 16 bits, a plane each",
            tiff(np.moveaxis(RGB, -1, 0).astype(np.uint16) * 257, photometric="rgb", planarconfig="separate"),
            reference=lambda p: np.moveaxis(with_tifffile(p), 0, -1),
        ),
        Variant(
            "colour with transparency", tiff(np.dstack([RGB, GREY]), photometric="rgb", extrasamples=["unassalpha"]),
            reference=lambda p: with_tifffile(p)[..., :3],
        ),
        Variant("grey with transparency", pillow(Image.fromarray(np.dstack([GREY, 255 - GREY]), "LA")),
                reference=lambda p: with_tifffile(p)[..., 0]),
        Variant("palette", pillow(Image.fromarray(RGB).quantize(16)), reference=with_pillow("RGB")),
        Variant(
            "palette of 16 bits",
            tiff(GREY.astype(np.uint16), photometric="palette", colormap=FALLING),
            reference=lambda p: np.dstack([(65535 - with_tifffile(p)) >> 8] * 3),
        ),
        Variant("CMYK", pillow(Image.fromarray(RGB).convert("CMYK")), reference=with_pillow("RGB")),
        Variant("CIE L*a*b*", pillow(Image.fromarray(RGB, "LAB")), error="CIE L*a*b*"),
        Variant("LZW", pillow(Image.fromarray(GREY), compression="tiff_lzw"), reference=with_pillow("L")),
        Variant("LZW of 16 bits", pillow(Image.fromarray(GREY.astype(np.uint16) * 257), compression="tiff_lzw"),
                reference=lambda p: GREY.astype(np.uint16) * 257),
        Variant("JPEG inside", pillow(Image.fromarray(RGB), compression="jpeg"), reference=with_pillow("RGB")),
        Variant("deflated, with a predictor", tiff(GREY.astype(np.uint16), compression="zlib", predictor=True)),
        Variant("tiles", tiff(np.tile(RGB, (8, 8, 1)), tile=(16, 16), photometric="rgb")),
        Variant("BigTIFF", tiff(GREY, bigtiff=True)),
        *(
            Variant(
                f"orientation {k}", tiff(GREY, extratags=[(274, "H", 1, k, True)]),
                reference=lambda p, f=turn: f(GREY)
            )
            for k, turn in {3: lambda a: a[::-1, ::-1], 6: lambda a: np.rot90(a, -1), 8: np.rot90}.items()
        ),
        Variant(
            "orientation 7 of 16 bits", tiff(GREY.astype(np.uint16), extratags=[(274, "H", 1, 7, True)]),
            reference=lambda p: GREY.T[::-1, ::-1],
        ),
        Variant("five pages, none chosen", tiff(STACK, photometric="minisblack"), error="holds 5 pages"),
        Variant(
            "five pages, the middle one", tiff(STACK, photometric="minisblack"), ours=taking(frame="middle"),
            reference=lambda p: with_tifffile(p, key=2),
        ),
        Variant(
            "five pages, all", tiff(STACK, photometric="minisblack"), ours=taking(frame="all"), reference=stack_last
        ),
        Variant("five pages, the seventh", tiff(STACK, photometric="minisblack"), ours=taking(frame=6),
                error="no frame 6"),
        Variant("pages that name each other as the next", circle, error="name each other in a circle"),
        Variant("a thumbnail and a mask beside the page", pages, reference=lambda p: with_tifffile(p, key=0)),
        Variant(
            "a stack of ImageJ with channels",
            tiff(STACK[:4].reshape(2, 2, 6, 8), imagej=True, metadata={"axes": "ZCYX"}),
            ours=taking(frame=3), reference=lambda p: with_tifffile(p)[1, 1],
        ),
        Variant("a stack of ImageJ of one page", one_page_for_many, ours=taking(frame=4),
                reference=lambda p: with_tifffile(p)[4]),
        Variant("OME-TIFF of two levels", pyramid, reference=lambda p: with_tifffile(p, level=0)),
        Variant("the second level of an OME-TIFF", pyramid, ours=taking(level=1),
                reference=lambda p: with_tifffile(p, level=1)),
        Variant("samples of 12 bits", twelve_bits, needs="imagecodecs"),
        Variant("samples of 12 bits without imagecodecs", twelve_bits, ours=without_imagecodecs,
                error="pip install -e '.[slides]'"),
        Variant("a third level of two", pyramid, ours=taking(level=2), error="no level 2"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(TIFF), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
