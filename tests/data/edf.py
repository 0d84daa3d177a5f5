"""Write EDF+ and BDF+ files, and GDF 2 files, of a few channels and events."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

EVENTS = Sequence[tuple[float, float, str]]
"""Onset and duration in seconds, and description."""


def write_edf(
    path: Path,
    signals: np.ndarray,
    labels: Sequence[str],
    rate: int,
    events: EVENTS = (),
    *,
    step: float = 0.1,
    unit: str = "uV",
    slow: Sequence[str] = (),
    kind: str = "",
    starts: Sequence[float] = (),
) -> np.ndarray:
    """Write (C, T) values, T in whole seconds, and return them as they are stored, in multiples of ``step``.

    A path that ends in .bdf gives 24-bit BDF+. Channels in ``slow`` keep every second sample only. ``kind`` replaces
    the type in the header, such as "EDF+D"; ``starts`` are the seconds at which the records begin, where there are
    gaps.
    """
    bdf = path.suffix == ".bdf"
    width, top = (3, 2**23 - 1) if bdf else (2, 2**15 - 1)
    seconds = signals.shape[1] // rate
    codes = np.clip(np.rint(signals[:, : seconds * rate] / step), -top, top).astype(np.int64)
    begins = list(starts) or list(range(seconds))
    notes = [[b"+%g\x14\x14\0" % s] for s in begins]
    for onset, duration, text in events:
        notes[max(k for k, s in enumerate(begins) if s <= onset)].append(
            b"+%s\x15%s\x14%s\x14\0" % (repr(onset).encode(), repr(duration).encode(), text.encode())
        )
    texts = [b"".join(n) for n in notes]
    room = -(-max(map(len, texts)) // width)
    per = [rate // 2 if n in slow else rate for n in labels] + [room]
    count = len(per)
    name = "BDF" if bdf else "EDF"

    def column(values: Sequence[object], wide: int) -> bytes:
        return b"".join(f"{v!s:<{wide}}".encode("latin-1") for v in values)

    reach = f"{top * step:.6g}"
    head = (b"\xffBIOSEMI" if bdf else b"0       ") + b"%-80s%-80s01.01.2001.00.00" % (
        b"X X X X",
        b"Startdate X X X X",
    )
    head = head[:168] + b"01.01.0100.00.00" + f"{256 * (count + 1):<8}{kind or name + '+C':<44}".encode()
    head += f"{seconds:<8}{1:<8}{count:<4}".encode()
    head += column([*labels, f"{name} Annotations"], 16) + column([""] * count, 80)
    head += column([unit] * len(labels) + [""], 8)
    head += column([f"-{reach}"] * len(labels) + [-1], 8) + column([reach] * len(labels) + [1], 8)
    head += column([-top] * len(labels) + [-top - 1], 8) + column([top] * len(labels) + [top], 8)
    head += column([""] * count, 80) + column(per, 8) + column([""] * count, 32)
    body = bytearray()
    for second in range(seconds):
        for row, label in zip(codes, labels, strict=True):
            part = row[second * rate : (second + 1) * rate : 2 if label in slow else 1]
            body += part.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
        body += texts[second].ljust(room * width, b"\0")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(body))
    return codes * (float(reach) / top)


def write_gdf(
    path: Path, signals: np.ndarray, labels: Sequence[str], rate: int, events: Sequence[tuple[int, int]]
) -> None:
    """Write (C, T) values in uV as float32 in a GDF 2.20 file, with events as (sample, code)."""
    count, total = signals.shape
    head = bytearray(256 * (count + 1))
    head[:8] = b"GDF 2.20"
    struct.pack_into("<Q", head, 168, (730_000 << 32))
    struct.pack_into("<H", head, 184, count + 1)
    struct.pack_into("<qII", head, 236, total // rate, 1, 1)
    struct.pack_into("<H", head, 252, count)
    offset = 256
    for wide, values in (
        (16, [n.encode() for n in labels]),
        (80, [b""] * count),
        (6, [b"uV"] * count),
        (2, [struct.pack("<H", 4275)] * count),
        (8, [struct.pack("<d", -1000.0)] * count),
        (8, [struct.pack("<d", 1000.0)] * count),
        (8, [struct.pack("<d", -1000.0)] * count),
        (8, [struct.pack("<d", 1000.0)] * count),
        (68, [b""] * count),
        (4, [struct.pack("<f", 100.0)] * count),
        (4, [struct.pack("<f", 0.1)] * count),
        (4, [struct.pack("<f", 50.0)] * count),
        (4, [struct.pack("<I", rate)] * count),
        (4, [struct.pack("<I", 16)] * count),
    ):
        for value in values:
            head[offset : offset + len(value)] = value
            offset += wide
    records = signals.astype("<f4").reshape(count, -1, rate).swapaxes(0, 1)
    table = struct.pack("<BBBB", 1, len(events) & 255, len(events) >> 8, 0) + struct.pack("<f", rate)
    table += np.array([s + 1 for s, _ in events], "<u4").tobytes() + np.array([c for _, c in events], "<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(head) + records.tobytes() + table)
