"""What a file is, by its first bytes: suffixes are often wrong or missing."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

HEAD = 4096
"""Bytes that are looked at."""
PICTURE, TIFF, DICOM, NIFTI, NPY, SLIDE = "picture", "tiff", "dicom", "nifti", "npy", "slide"
"""Kinds of files that can be read as an image."""


@dataclass(frozen=True)
class Content:
    """What a file is.

    Attributes:
        kind: PICTURE, TIFF, DICOM, NIFTI, NPY or SLIDE; "" for a file that is not read as an image.
        words: what it is, such as "a JPEG file".
        advice: what can be done where it is not read as an image; "" for what is always read.
    """

    kind: str
    words: str
    advice: str = ""


_EXPORT = "export it as DICOM, NIfTI, TIFF or PNG"
_CONVERT = "convert it, as with SimpleITK.WriteImage(SimpleITK.ReadImage(old), 'new.nii.gz')"
_SLIDE = "save it to a file: a slide is not read from bytes"
_AGAIN = "download it again"
_UNPACK = "unpack it, and name a file inside"
_SIGNATURES: tuple[tuple[int, bytes, Content], ...] = (
    (128, b"DICM", Content(DICOM, "a DICOM file")),  # first, since its preamble may be that of a TIFF
    (0, b"\xff\xd8\xff", Content(PICTURE, "a JPEG file")),
    (0, b"\x89PNG\r\n\x1a\n", Content(PICTURE, "a PNG file")),
    (0, b"II*\0", Content(TIFF, "a TIFF file")),
    (0, b"MM\0*", Content(TIFF, "a TIFF file")),
    (0, b"II+\0", Content(TIFF, "a BigTIFF file")),
    (0, b"MM\0+", Content(TIFF, "a BigTIFF file")),
    (0, b"\x93NUMPY", Content(NPY, "a NumPy array")),
    (0, b"GIF8", Content(PICTURE, "a GIF file")),
    (8, b"WEBP", Content(PICTURE, "a WebP file")),
    (0, b"BM", Content(PICTURE, "a BMP file")),
    (4, b"jP  \r\n\x87\n", Content(PICTURE, "a JPEG 2000 file")),
    (0, b"\xff\x4f\xff\x51", Content(PICTURE, "a JPEG 2000 stream")),
    (4, b"ftypavif", Content(PICTURE, "an AVIF file")),
    (0, b"P5", Content(PICTURE, "a PGM file")),
    (0, b"P6", Content(PICTURE, "a PPM file")),
    (4, b"ftyp", Content("", "a HEIC picture or a film", "export it as JPEG or PNG")),
    (0, b"[Virtual Microscope", Content(SLIDE, "a slide of Hamamatsu", _SLIDE)),
    (0, b"[Uncompressed Virtual", Content(SLIDE, "a slide of Hamamatsu", _SLIDE)),
    (0, b"ZISRAWFILE", Content(SLIDE, "a slide of Zeiss", _SLIDE)),
    (0, b"SQLite format 3\0", Content(SLIDE, "a database of SQLite, as are slides of Sakura", _SLIDE)),
    (0, b"NRRD", Content("", "an NRRD volume", _CONVERT)),
    (0, b"ObjectType", Content("", "a MetaImage header (.mhd or .mha)", _CONVERT)),
    (0, b"\x89HDF\r\n\x1a\n", Content("", "an HDF5 file (also .mat of version 7.3, .h5, .mnc)", _EXPORT)),
    (0, b"MATLAB 5.0", Content("", "a MATLAB file", _EXPORT)),
    (0, b"PK\x03\x04", Content("", "a zip archive (also .npz)", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", Content("", "a 7z archive", _UNPACK)),
    (257, b"ustar", Content("", "a tar archive", _UNPACK)),
    (0, b"%PDF", Content("", "a PDF document", "export its pages as PNG")),
    (0, b"version https://git-lfs", Content("", "a pointer of Git LFS, not the file itself", "run git lfs pull")),
    (0, b"<!DOCTYPE html", Content("", "a web page, perhaps of a failed download", _AGAIN)),
    (0, b"<html", Content("", "a web page, perhaps of a failed download", _AGAIN)),
    (0, b"<?xml", Content("", "an XML document", "name the image, not its description")),
    (0, b"<svg", Content("", "an SVG drawing", "export it as PNG")),
    (0, b"\x80\x04\x95", Content("", "a Python pickle, which is never opened", "save the array with numpy.save")),
)
_NO_IMAGE = "name an image: JPEG, PNG, TIFF, BMP, GIF, WebP, DICOM, NIfTI, .npy or a whole slide"


def content_of(head: bytes) -> Content:
    """Tell what a file is, by its first HEAD bytes.

    >>> content_of(b"GIF89a").words
    'a GIF file'
    >>> content_of(b"file,label").words
    'a text file'
    """
    if not head:
        return Content("", "an empty file", _AGAIN)
    for start, mark, content in _SIGNATURES:
        if head[start : start + len(mark)] == mark:
            return content
    if head[:2] == b"\x1f\x8b":
        return _packed(head)
    if volume := _nifti(head):
        return volume
    if _dicom_without_preamble(head):
        return Content(DICOM, "a DICOM file without preamble")
    if not head.strip(b"\0"):
        return Content("", "a file of zeros, perhaps of a download that was cut short", _AGAIN)
    text = all(b in b"\t\n\r\f" or 32 <= b < 127 or b >= 160 for b in head[:256])
    return Content("", "a text file" if text else "no image that is known here", _NO_IMAGE)


def content_of_file(path: Path) -> Content:
    """Tell what a file is.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as handle:
        return content_of(handle.read(HEAD))


def _packed(head: bytes) -> Content:
    """Look into a gzip stream."""
    try:
        inside = zlib.decompressobj(31).decompress(head, HEAD)
    except zlib.error:
        inside = b""
    found = content_of(inside) if inside[:2] != b"\x1f\x8b" and inside else Content("", "")
    if found.kind == NIFTI:
        return Content(NIFTI, f"{found.words}, compressed")
    words = f", in which lies {found.words}" if found.words else ""
    return Content("", f"a gzip-compressed file{words}", "gunzip it, and name the file inside")


def _nifti(head: bytes) -> Content | None:
    """Recognise a NIfTI header by its length and magic."""
    for order in "<>":
        length = struct.unpack_from(f"{order}i", head)[0] if len(head) >= 4 else 0
        magic = {348: head[344:348], 540: head[4:8]}.get(length, b"")
        if magic[:3] in (b"n+1", b"n+2"):
            return Content(NIFTI, "a NIfTI volume")
        if magic[:3] in (b"ni1", b"ni2"):
            advice = "save header and voxels as one .nii file"
            return Content("", "a NIfTI header whose voxels lie in another file", advice)
        if length == 348 and len(head) >= 348:
            return Content("", "a header of Analyze 7.5, which does not say where left is", "convert it to NIfTI")
    return None


def _dicom_without_preamble(head: bytes) -> bool:
    """Whether the file begins with an attribute of group 2 or 8, as DICOM without its preamble does."""
    if len(head) < 16:
        return False
    group, element, length = struct.unpack_from("<HHI", head)
    if group not in (2, 8) or element > 0x70:
        return False
    explicit = head[4:6] in (b"UL", b"UI", b"CS", b"DA", b"TM", b"SH", b"OB", b"LO", b"DT")
    return explicit or length <= 128
