"""What an image file is like beside its picture: format, size, compression and device; they may tell a label."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

from datamodules.io.sniff import DICOM, HEAD, PICTURE, TIFF, content_of


def file_traits(file: Path | bytes) -> dict[str, str]:
    """Read the traits of an image file from its header; the picture is not decoded.

    Returns:
        Name of a trait -> value, as far as the header tells: "file format", "width and height", "compression" (of
        JPEG: the tables of its quality) and "device" (manufacturer and model of DICOM). {} where it cannot be read.
    """
    try:
        head = file[:HEAD] if isinstance(file, bytes) else _head(file)
        content = content_of(head)
        traits = {"file format": content.words}
        if content.kind in (PICTURE, TIFF):
            traits |= _of_picture(file)
        elif content.kind == DICOM:
            traits |= _of_dicom(file)
    except Exception:  # the reader says what is wrong with a file; this only looks at it
        return {}
    return traits


def _head(file: Path) -> bytes:
    with file.open("rb") as handle:
        return handle.read(HEAD)


def _of_picture(file: Path | bytes) -> dict[str, str]:
    from PIL import Image

    with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
        traits = {"width and height": f"{image.width} x {image.height}"}
        tables = getattr(image, "quantization", None)
        if tables:
            traits["compression"] = f"tables {zlib.crc32(repr(sorted(tables.items())).encode()):08x}"
    return traits


def _of_dicom(file: Path | bytes) -> dict[str, str]:
    from pydicom import dcmread

    header = dcmread(io.BytesIO(file) if isinstance(file, bytes) else file, stop_before_pixels=True, force=True)
    names = (str(header.get(key, "")).strip() for key in ("Manufacturer", "ManufacturerModelName"))
    traits = {
        "width and height": f"{header.get('Columns')} x {header.get('Rows')}",
        "device": " ".join(names).strip(),
    }
    return {name: value for name, value in traits.items() if value}
