"""What an image file is like beside its picture: format, size, compression, device, header; they may tell a label."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

from datamodules.io.sniff import DICOM, HEAD, PICTURE, TIFF, content_of

WORDED = ("header: description", "header: protocol")
"""Traits that hold words which a person wrote."""
_DICOM = {
    "device": ("Manufacturer", "ManufacturerModelName"),
    "header: station": ("StationName",),
    "header: institution": ("InstitutionName", "InstitutionalDepartmentName"),
    "header: software": ("SoftwareVersions",),
    "header: protocol": ("ProtocolName", "SeriesDescription"),
    "header: description": ("StudyDescription", "ImageComments", "DerivationDescription"),
    "header: burnt-in annotation": ("BurnedInAnnotation",),
}
_TIFF = {
    "device": (271, 272),
    "header: software": (305,),
    "header: station": (316,),  # HostComputer
    "header: institution": (315,),  # Artist
    "header: description": (270, 37510),
}
"""Trait -> tags of TIFF, which JPEG, PNG and WebP hold as EXIF."""
_PNG = {"header: software": ("Software",), "header: description": ("Description", "Comment", "comment", "Title")}
_LONGEST = 200


def file_traits(file: Path | bytes) -> dict[str, str]:
    """Read the traits of an image file from its header; the picture is not decoded.

    Returns:
        Name of a trait -> value, as far as the header tells: "file format", "width and height", "compression" (of
        JPEG: the tables of its quality), "device" (manufacturer and model), and "header: ..." for station,
        institution, software, protocol, description and the flag of burnt-in annotation of DICOM, for the same tags
        of TIFF and EXIF, and for the texts of PNG. {} where it cannot be read.
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
        tags: Any = getattr(image, "tag_v2", None) or image.getexif()
        traits |= _words(_TIFF, tags) if tags else {}
        traits |= _words(_PNG, image.info)
    return traits


def _words(wanted: dict[str, tuple[Any, ...]], held: Any) -> dict[str, str]:
    """Trait -> what a header says under its keys, in one line."""
    traits = {}
    for trait, keys in wanted.items():
        words = " ".join(_text(held.get(key)) for key in keys)
        if words.strip():
            traits[trait] = " ".join(words.split())[:_LONGEST]
    return traits


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1").replace("\0", " ")
    return "" if value is None else str(value)


def _of_dicom(file: Path | bytes) -> dict[str, str]:
    from pydicom import dcmread

    header = dcmread(io.BytesIO(file) if isinstance(file, bytes) else file, stop_before_pixels=True, force=True)
    size = {"width and height": f"{header.get('Columns')} x {header.get('Rows')}"}
    return {**size, **_words(_DICOM, header)}
