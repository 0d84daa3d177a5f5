"""Whole slides of a few tiles, made by code as scanners lay them out."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

Pixels = npt.NDArray[np.uint8]
TILE = 128
_LOW = np.random.default_rng(0).integers(0, 256, (20, 26, 3)).astype(np.uint8)
FINE: Pixels = np.asarray(Image.fromarray(_LOW).resize((520, 400), Image.Resampling.BICUBIC))
COARSE: Pixels = np.asarray(Image.fromarray(FINE).resize((130, 100), Image.Resampling.BOX))
APERIO = "Aperio Image Library v11.2.1\r\n520x400 [0,0 520x400] (128x128){then} J2K/RGB Q=80|AppMag = 20|MPP = 0.5"
"""What Aperio writes of a page."""
JPEG = {"format": "JPEG", "quality": 80, "subsampling": "4:2:0"}
JPEG_2000 = {"format": "JPEG2000", "no_jp2": True, "mct": 0, "irreversible": False}


def coded(pixels: Pixels, how: Mapping[str, Any]) -> bytes:
    """A picture as bytes, as Pillow codes it."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, **how)
    return held.getvalue()


def tiles(pixels: Pixels, how: Mapping[str, Any]) -> Iterator[bytes]:
    """The coded tiles of a picture, row by row; those at the border are filled up."""
    for y in range(0, len(pixels), TILE):
        for x in range(0, pixels.shape[1], TILE):
            part = pixels[y : y + TILE, x : x + TILE]
            missing = ((0, TILE - part.shape[0]), (0, TILE - part.shape[1]), (0, 0))
            yield coded(np.pad(part, missing, mode="edge"), how)


def write_pyramid(path: Path, how: Mapping[str, Any], *, aperio: bool) -> Path:
    """A tiled TIFF of two levels; tags are set afterwards, since tifffile codes no tile without imagecodecs.

    Args:
        path: of the file.
        how: how tiles are coded, for Pillow; a format of "" codes none.
        aperio: write the levels as Aperio does, behind a thumbnail; else as reduced pages.
    """
    with tifffile.TiffWriter(path) as writer:
        for level, pixels in enumerate((FINE, COARSE)):
            said = APERIO.format(then=" -> 130x100" if level else "") if aperio else None
            if level and aperio:
                writer.write(
                    COARSE[::2, ::2], photometric="rgb", metadata=None, description=APERIO.format(then=" - ")
                )
            coding: dict[str, Any] = {"data": tiles(pixels, how), "compression": "zlib"}
            writer.write(
                **(coding if how["format"] else {"data": pixels}), shape=pixels.shape, dtype=np.uint8,
                tile=(TILE, TILE), photometric="rgb", metadata=None, description=said,
                subfiletype=int(level > 0 and not aperio),
                extratags=[(530, "H", 2, (2, 2), True)] if how["format"] == "JPEG" else [],
            )  # fmt: skip
    with tifffile.TiffFile(path, mode="r+b") as file:
        for page in file.pages:
            if page.is_tiled and how["format"]:
                page.tags["Compression"].overwrite(7 if how["format"] == "JPEG" else 33005)
                page.tags["PhotometricInterpretation"].overwrite(6 if how["format"] == "JPEG" else 2)
    return path


def write_vms(folder: Path) -> Path:
    """A slide of Hamamatsu: a text that names a JPEG with marks in the same places of each row."""
    marked = {**JPEG, "subsampling": "4:4:4", "restart_marker_blocks": 4}
    (folder / "fine.jpg").write_bytes(coded(FINE[:, :512], marked))
    (folder / "map.jpg").write_bytes(coded(FINE[::4, :512:4], marked))
    lines = ["[Virtual Microscope Specimen]", "NoLayers=1", "NoJpegColumns=1", "NoJpegRows=1",
             "ImageFile=fine.jpg", "MapFile=map.jpg", "SourceLens=20"]  # fmt: skip
    (folder / "a.vms").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "a.vms"


def write_mirax(folder: Path) -> Path:
    """A slide of 3DHISTECH of two tiles side by side and a place without one, below a JPEG of its label."""
    slide, parts = folder / "a", [FINE[:TILE, :TILE], FINE[:TILE, TILE : 2 * TILE]]
    slide.mkdir()
    (folder / "a.mrxs").write_bytes(coded(COARSE, JPEG))
    data = [coded(p, JPEG) for p in parts]
    (slide / "Data0000.dat").write_bytes(b"".join(data))
    name = b"0123456789ABCDEF0123456789ABCDEF"
    head = b"01.02" + name
    start = len(head) + 8  # behind the two places that the head names
    records = [(0, 0, len(data[0]), 0), (1, len(data[0]), len(data[1]), 0)]
    page = struct.pack("<ii", len(records), 0) + b"".join(struct.pack("<iiii", *r) for r in records)
    first = struct.pack("<ii", 0, start + 12)  # an empty page, and where the next one lies
    (slide / "Index.dat").write_bytes(
        head + struct.pack("<ii", start, 0) + struct.pack("<i", start + 4) + first + page
    )
    (slide / "Slidedat.ini").write_text(_slidedat(name.decode()), encoding="utf-8")
    return folder / "a.mrxs"


def _slidedat(name: str) -> str:
    """The description of ``write_mirax``."""
    sections: dict[str, dict[str, Any]] = {
        "GENERAL": {"SLIDE_ID": name, "IMAGENUMBER_X": 3, "IMAGENUMBER_Y": 1, "CameraImageDivisionsPerSide": 1,
                    "OBJECTIVE_MAGNIFICATION": 20},
        "HIERARCHICAL": {"HIER_COUNT": 1, "NONHIER_COUNT": 0, "INDEXFILE": "Index.dat",
                         "HIER_0_NAME": "Slide zoom level", "HIER_0_COUNT": 1, "HIER_0_VAL_0_SECTION": "LEVEL_0"},
        "DATAFILE": {"FILE_COUNT": 1, "FILE_0": "Data0000.dat"},
        "LEVEL_0": {"OVERLAP_X": 0, "OVERLAP_Y": 0, "MICROMETER_PER_PIXEL_X": 0.5, "MICROMETER_PER_PIXEL_Y": 0.5,
                    "IMAGE_FORMAT": "JPEG", "IMAGE_FILL_COLOR_BGR": 0x00FFFE, "DIGITIZER_WIDTH": TILE,
                    "DIGITIZER_HEIGHT": TILE, "IMAGE_CONCAT_FACTOR": 0},
    }  # fmt: skip
    return "\n".join(f"[{s}]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items()) for s, keys in sections.items())
