"""Damage the bytes of one file in a way that follows from a seed."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]
HUGE = (0x7F, 0xFF)
OTHERS = (
    b"hello, this is a text\n" * 20,
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\x00\x00\x00" + bytes(64),
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(200),
    b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(200),
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + bytes(range(100)),
    b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 4,
    b"%PDF-1.7\n" + bytes(range(256)),
    b"<html><body>404: not found</body></html>\n",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
    b'{"error": [[[[[[[[[[1]]]]]]]]]]}',
    b"[" * 100_000,
    bytes(4096),
    b"\xff" * 4096,
    b"\n" * 1000,
    b"a,b,c\n" + b"1,2,3\n" * 50,
)
"""The beginnings of files of other types, and what web servers and version control leave in place of a file."""


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    """Keep the beginning, or rarely the end."""
    at = int(rng.integers(0, len(data)))
    return data[at:] if rng.random() < 0.15 else data[:at]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Change one to eight bytes, in the first 512 bytes or anywhere."""
    out = bytearray(data)
    end = min(len(out), 512) if rng.random() < 0.5 else len(out)
    for at in rng.integers(0, end, int(rng.integers(1, 9))):
        out[at] ^= int(rng.integers(1, 256))
    return bytes(out)


def replaced(data: bytes, rng: np.random.Generator) -> bytes:
    """Put the bytes of another type in its place, or noise."""
    pick = int(rng.integers(0, len(OTHERS) + 1))
    return OTHERS[pick] if pick < len(OTHERS) else rng.bytes(len(data))


def emptied(data: bytes, rng: np.random.Generator) -> bytes:
    """Leave nothing, or blanks."""
    return b"" if rng.random() < 0.7 else b" " * int(rng.integers(1, 50))


def enlarged(data: bytes, rng: np.random.Generator) -> bytes:
    """Set a field to a huge number: bytes of 0xff near the beginning or anywhere, or the digits of a number."""
    digits = list(re.finditer(rb"\d+", data))
    if digits and rng.random() < 0.5:
        found = digits[int(rng.integers(0, min(len(digits), 60)))]
        width = found.end() - found.start()
        new = b"9" * (width if rng.random() < 0.5 else int(rng.integers(9, 20)))
        return data[: found.start()] + (b"-" if rng.random() < 0.2 else b"") + new + data[found.end() :]
    out, width = bytearray(data), int(rng.choice([2, 4, 8]))
    reach = min(len(out), 1024) if rng.random() < 0.7 else len(out)
    at = int(rng.integers(0, max(reach - width, 1))) // 2 * 2
    last = HUGE[int(rng.integers(0, 2))]
    little = rng.random() < 0.5
    field = b"\xff" * (width - 1) + bytes([last]) if little else bytes([last]) + b"\xff" * (width - 1)
    out[at : at + width] = field
    return bytes(out)


def inserted(data: bytes, rng: np.random.Generator) -> bytes:
    """Repeat or remove a stretch in the middle, as a copy that was taken up at the wrong place does."""
    at, wide = int(rng.integers(0, len(data))), int(rng.integers(1, 65))
    return data[: at + wide] + data[at:] if rng.random() < 0.5 else data[:at] + data[at + wide :]


WAYS: dict[str, Damage] = {
    "truncated": truncated, "flipped": flipped, "replaced": replaced, "emptied": emptied, "enlarged": enlarged,
    "shifted": inserted,
}  # fmt: skip


def damage(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damage a file; the bytes differ from before. Half of packed files are damaged below their checksums.

    Returns:
        the new bytes, and the way in words.
    """
    if not data:
        return b"\0", "grown"
    way = str(rng.choice(list(WAYS), p=[0.25, 0.3, 0.1, 0.05, 0.2, 0.1]))
    inside = rng.random() < 0.5 and way not in ("replaced", "emptied")
    for _ in range(100):
        new = _inside(data, WAYS[way], rng) if inside else WAYS[way](data, rng)
        if new is not None and new != data:
            return new, f"{way}{' inside' if inside else ''}"
        inside = inside and new is not None
    return b"", "emptied"


def _inside(data: bytes, way: Damage, rng: np.random.Generator) -> bytes | None:
    """Damage what a gzip or zip file holds, and pack it again; None for other files."""
    if data[:2] == b"\x1f\x8b":
        return gzip.compress(way(gzip.decompress(data), rng), mtime=0)
    if data[:4] != b"PK\x03\x04":
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    chosen = str(rng.choice(sorted(members)))
    members[chosen] = way(members[chosen] or b"\0", rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()
