"""Write WFDB records: a header as text, and samples in the formats of which the files are plain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def encode(codes: np.ndarray, fmt: str) -> bytes:
    """Samples of whole numbers, one after another, in one of the formats 16, 61, 160, 32, 80, 24 and 212."""
    if fmt in ("16", "61", "32"):
        return codes.astype({"16": "<i2", "61": ">i2", "32": "<i4"}[fmt]).tobytes()
    if fmt in ("160", "80"):
        return (codes + (2**15 if fmt == "160" else 2**7)).astype("<u2" if fmt == "160" else "u1").tobytes()
    if fmt == "24":
        return codes.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    assert fmt == "212"
    pairs = np.concatenate([codes, np.zeros(len(codes) % 2, codes.dtype)]).reshape(-1, 2) & 0xFFF
    made = np.stack([pairs[:, 0] & 255, (pairs[:, 0] >> 8) | ((pairs[:, 1] >> 8) << 4), pairs[:, 1] & 255], axis=1)
    return made.astype("u1").tobytes()


def write_record(
    path: Path,
    codes: np.ndarray,
    names: Sequence[str],
    rate: float = 100,
    *,
    units: Sequence[str] | str = "mV",
    gain: str = "1000(0)",
    fmt: str = "16",
    samples: int | None = None,
    encoding: str = "ascii",
) -> Path:
    """Write (C, T) whole numbers as ``path``.hea and ``path``.dat, and return the header.

    Args:
        path: of the record, without a suffix.
        codes: stored numbers.
        names: of the channels.
        rate: in Hz.
        units: of all channels, or of each; "" leaves them out.
        gain: codes a unit, and the code that stands for 0, as the header writes them.
        fmt: of the samples, with further parts such as "16+24".
        samples: length that the header claims; None for the true one, -1 leaves it out.
        encoding: of the header.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    each = [units] * len(names) if isinstance(units, str) else units
    length = codes.shape[1] if samples is None else samples
    lines = [f"{path.name} {len(names)} {rate:g}" + (f" {length}" if length >= 0 else "")]
    for name, unit in zip(names, each, strict=True):
        told = gain + (f"/{unit}" if unit else "")
        lines.append(f"{path.name}.dat {fmt} {told} 16 0 0 0 0 {name}")
    header = path.with_name(f"{path.name}.hea")
    header.write_text("\n".join(lines) + "\n", encoding=encoding)
    offset = int(fmt.partition("+")[2] or 0)
    body = encode(np.ascontiguousarray(codes.T).reshape(-1), fmt.partition("+")[0])
    path.with_name(f"{path.name}.dat").write_bytes(b"\0" * offset + body)
    return header
