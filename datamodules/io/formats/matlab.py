"""A check of MATLAB 5 files, whose sizes and types scipy's reader trusts."""

from __future__ import annotations

import math
import struct
import zlib
from mmap import ACCESS_READ, mmap
from pathlib import Path

from zoo.errors import DataError

_MATLAB_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Code of a MATLAB number type -> bytes."""
_HDF5 = b"\x89HDF\r\n\x1a\n"


def check_matlab(path: Path) -> None:
    """Walk over all elements of a MATLAB 5 file: scipy's reader trusts their sizes and types, and may crash."""
    with path.open("rb") as handle:
        head = handle.read(128)
        if head[:8] == _HDF5 or (head.startswith(b"MATLAB 7.3") and head[124:128] == b"\x00\x02IM"):
            return
        if len(head) < 128 or not head.startswith(b"MATLAB 5") or head[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
            raise DataError("the file does not begin with a MATLAB 5 header; save it again from EEGLAB", file=path)
        try:
            held = mmap(handle.fileno(), 0, access=ACCESS_READ)  # closed when the last view of it is gone
            _Elements("<" if head[126:128] == b"IM" else ">").walk(memoryview(held)[128:])
        except (ValueError, struct.error, zlib.error, RecursionError) as error:
            raise DataError(
                f"the MATLAB file is broken ({type(error).__name__}: {error}); save it again from EEGLAB", file=path
            ) from error


class _Elements:
    """Check that the elements of a MATLAB 5 file are of known types and lie within their parents."""

    def __init__(self, order: str) -> None:
        self.order = order

    def tag(self, view: memoryview, at: int) -> tuple[int, int, int, int]:
        """Type, first byte, bytes and position of the next element."""
        kind, length = struct.unpack_from(self.order + "II", view, at)
        if kind >> 16:  # a small element: two bytes of length, two of type, up to four of data
            kind, length = kind & 0xFFFF, kind >> 16
            start, after = at + 4, at + 8
            if length > 4 or kind == 14:
                raise ValueError(f"a small element of {length} bytes")
        else:
            start, after = at + 8, at + 8 + length + (0 if kind == 15 else -length % 8)
        if kind not in (1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18) or start + length > len(view):
            raise ValueError(f"an element of type {kind} and {length} bytes where {len(view) - at} remain")
        return kind, start, length, after

    def walk(self, view: memoryview) -> None:
        """Check the variables of a file."""
        at = 0
        while at < len(view):
            kind, start, length, at = self.tag(view, at)
            if kind == 15:
                inflater = zlib.decompressobj()
                inner = inflater.decompress(view[start : start + length], 8)
                _, size = struct.unpack_from(self.order + "II", inner)
                if size > 1100 * length:  # deflate reaches 1032 to 1
                    raise ValueError(f"{length} compressed bytes claim to be {size}")
                inner += inflater.decompress(inflater.unconsumed_tail, size + 1)
                kind, start, length, after = self.tag(memoryview(inner), 0)
                if kind != 14 or after != len(inner):
                    raise ValueError(f"a compressed element of type {kind} and {length} bytes in {len(inner)}")
                self.matrix(memoryview(inner)[start:], 0)
            elif kind == 14:
                self.matrix(view[start : start + length], 0)
            else:
                raise ValueError(f"a variable of type {kind}")

    def matrix(self, view: memoryview, depth: int) -> None:
        """Check one array: flags, sizes, name, and what its class holds."""
        if not len(view):
            return
        if depth > 40:
            raise ValueError("arrays within arrays, more than 40 deep")
        kind, start, length, at = self.tag(view, 0)
        if (kind, length) != (6, 8):
            raise ValueError("an array without flags")
        flags = struct.unpack_from(self.order + "I", view, start)[0]
        group, number = flags & 0xFF, 1
        if not (1 <= group <= 15 or group == 17):
            raise ValueError(f"an array of the class {group}")
        if group != 17:
            kind, start, length, at = self.tag(view, at)
            sizes = struct.unpack_from(f"{self.order}{length // 4}i", view, start)
            if kind != 5 or not 2 <= len(sizes) <= 32 or min(sizes) < 0:
                raise ValueError(f"an array of the sizes {sizes}")
            number = math.prod(sizes)
        at = self.plain(view, at, (1, 2, 16), "name")
        if group == 17:  # an opaque object: two names and an array
            at = self.plain(view, self.plain(view, at, (1, 2, 16), "name"), (1, 2, 16), "name")
        elif group in (2, 3):
            at = self.plain(view, at, (1, 2, 16), "class") if group == 3 else at
            kind, start, length, at = self.tag(view, at)
            wide = struct.unpack_from(self.order + "i", view, start)[0] if (kind, length) == (5, 4) else 0
            kind, start, length, at = self.tag(view, at)
            if wide < 1 or kind != 1 or length % wide:
                raise ValueError("a struct whose field names are not whole")
            number *= length // wide
        elif group != 1:
            parts = 1 + bool(flags & 0x800) + (2 if group == 5 else 0)
            allowed = (1, 2, 3, 4, 16, 17, 18) if group == 4 else (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
            for _ in range(parts):
                at = self.plain(view, at, allowed, "values", number if group not in (4, 5) else -1)
            return
        if number * 8 > len(view) - at:
            raise ValueError(f"{number} arrays in {len(view) - at} bytes")
        for _ in range(number):
            kind, start, length, at = self.tag(view, at)
            if kind != 14:
                raise ValueError(f"an element of type {kind} where an array belongs")
            self.matrix(view[start : start + length], depth + 1)

    def plain(self, view: memoryview, at: int, allowed: tuple[int, ...], what: str, number: int = -1) -> int:
        """Check an element of numbers or letters; return where the next one begins."""
        kind, _, length, after = self.tag(view, at)
        if kind not in allowed or (number >= 0 and length != number * _MATLAB_BYTES[kind]):
            raise ValueError(f"{what} of type {kind} and {length} bytes")
        return after
