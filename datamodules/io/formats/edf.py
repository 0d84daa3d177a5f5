"""Headers of EDF and BDF files, held against the size of the file, and the gaps of discontinuous ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datamodules.io.files import require_file
from zoo.errors import DataError

EDF_UNITS = ("uv", "\u00b5v", "\u03bcv", "\x83\xcav", "mv", "v")
"""Units, in lower case, of EDF and BDF channels that MNE brings to volt; it takes any other unit for volt."""
MOST_CHANNELS = 10_000
"""Channels that a recording may have."""


@dataclass(frozen=True)
class EDFHeader:
    """What the header of an EDF or BDF file says of its signals, in the order of the file.

    Attributes:
        labels, units: as written, without blanks at the ends.
        samples: samples in a data record, one number a signal.
        records: data records; -1 where the recording was not closed.
        seconds: duration of a data record.
        length: bytes of the header.
        discontinuous: whether there may be gaps between data records (EDF+D).
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    samples: tuple[int, ...]
    records: int
    seconds: float
    length: int
    discontinuous: bool


def read_edf_header(path: Path) -> EDFHeader:
    """Read the header of an EDF or BDF file, and check it against the size of the file.

    Raises:
        DataError: the file is missing, is no EDF or BDF file, is cut short or too long, or claims what cannot
            be, such as an empty range.
    """
    size, width = require_file(path).stat().st_size, 3 if path.suffix.lower() == ".bdf" else 2
    with path.open("rb") as handle:
        fixed = handle.read(256)
        if len(fixed) < 256 or not (fixed[:8].strip() == b"0" or fixed[:8] == b"\xffBIOSEMI"):
            raise DataError("the file does not begin with an EDF or BDF header; copy it again", file=path)
        records, count = _whole(fixed[236:244], path, "number of records"), _whole(fixed[252:256], path, "channels")
        length, seconds = (
            _whole(fixed[184:192], path, "length of the header"),
            _real(fixed[244:252], path, "duration"),
        )
        if not (0 < count <= MOST_CHANNELS and length == 256 * (count + 1) <= size and seconds > 0):
            raise DataError(
                f"the header claims {count} channels, {length} bytes and records of {seconds:g} s; expected 256 "
                f"bytes a channel and 256 more, within the file's {size}: copy it again",
                file=path,
            )
        rest = handle.read(256 * count)
    if len(rest) < 256 * count:
        raise DataError(f"the file ends within its header, after {size} bytes; copy it again", file=path)
    fields = [_column(rest, count, offset, wide) for offset, wide in ((0, 16), (96, 8), (216, 8))]
    samples = tuple(_whole(v, path, "samples in a record") for v in fields[2])
    labels, units = (tuple(v.decode("latin-1").strip("\0 ") for v in f) for f in fields[:2])
    _check_ranges(rest, labels, path)
    expected = length + records * sum(samples) * width
    if min(samples) < 1 or records < -1 or records == 0 or (records > 0 and expected != size):
        raise DataError(
            f"the header claims {records} records of {sum(samples)} samples, {expected} bytes, and the file has "
            f"{size}: it was cut short or changed; copy it again",
            file=path,
        )
    return EDFHeader(labels, units, samples, records, seconds, length, fixed[192:197] in (b"EDF+D", b"BDF+D"))


def _column(rest: bytes, count: int, offset: int, wide: int) -> list[bytes]:
    """One field of all channels; ``offset`` counts the bytes of one channel before it."""
    return [rest[offset * count + k * wide : offset * count + (k + 1) * wide] for k in range(count)]


def _whole(text: bytes, path: Path, what: str) -> int:
    value = _real(text, path, what)
    if value != int(value):
        raise DataError(f"the header gives {value} for the {what}, expected a whole number", file=path)
    return int(value)


def _real(text: bytes, path: Path, what: str) -> float:
    try:
        value = float(text.decode("ascii").strip("\0 ").replace(",", "."))
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e12:
        raise DataError(f"the header gives {text!r} for the {what}, expected a number; copy it again", file=path)
    return value


def _check_ranges(rest: bytes, labels: Sequence[str], path: Path) -> None:
    ranges = [_column(rest, len(labels), offset, 8) for offset in (104, 112, 120, 128)]
    for label, *texts in zip(labels, *ranges, strict=True):
        low, high, least, most = (_real(t, path, f"range of '{label}'") for t in texts)
        if low == high or least >= most:
            raise DataError(
                f"channel '{label}' has the physical range {low:g} to {high:g} for {least:g} to {most:g}, so its "
                "values are not known; export the recording again",
                file=path,
            )


@dataclass(frozen=True)
class Records:
    """When the data records of a discontinuous file begin.

    Attributes:
        starts: (R,) seconds from the beginning of the first one.
        seconds: duration of each.
    """

    starts: npt.NDArray[np.float64]
    seconds: float

    def breaks(self, rate: float) -> tuple[int, ...]:
        """First samples, at ``rate`` Hz, of the records before which there is a gap of a sample or more."""
        apart = np.abs(np.diff(self.starts) - self.seconds) > 0.5 / rate
        return tuple(int(k) * round(self.seconds * rate) for k in np.flatnonzero(apart) + 1)

    def samples(self, times: npt.NDArray[np.float64], rate: float) -> npt.NDArray[np.int64]:
        """Samples at ``rate`` Hz of ``times`` in seconds from the beginning; -1 for those in a gap."""
        record = np.maximum(np.searchsorted(self.starts, times + 0.5 / rate, side="right") - 1, 0)
        within = np.rint((times - self.starts[record]) * rate).astype(np.int64)
        size = round(self.seconds * rate)
        return np.where((within >= 0) & (within < size), record * size + within, -1)


def read_records(path: Path, header: EDFHeader) -> Records:
    """Read the time that each data record of an EDF+D or BDF+D file begins with.

    Args:
        path: of the file.
        header: what ``read_edf_header`` gave.

    Raises:
        DataError: a record does not say when it begins, or begins before the one before it ended.
    """
    width = 3 if path.suffix.lower() == ".bdf" else 2
    names = [label.lower() for label in header.labels]
    at = next((k for k, n in enumerate(names) if n in ("edf annotations", "bdf annotations")), None)
    size = sum(header.samples) * width
    if at is None or header.records < 1:
        raise DataError("the recording may have gaps (EDF+D), and no channel of annotations says where", file=path)
    first, room = sum(header.samples[:at]) * width, header.samples[at] * width
    body = np.memmap(path, dtype=np.uint8, mode="r", offset=header.length, shape=(header.records, size))
    starts = []
    for k in range(header.records):
        found = re.match(rb"([+-]\d+(?:\.\d*)?)\x14", body[k, first : first + room].tobytes())
        if found is None:
            raise DataError(
                "the data record does not say when it begins; export the recording anew", file=path, row=k
            )
        starts.append(float(found[1]))
    times = np.asarray(starts) - starts[0]
    if (np.diff(times) < header.seconds - 1e-3).any():
        raise DataError("its data records overlap in time; export the recording anew", file=path)
    return Records(times, header.seconds)
