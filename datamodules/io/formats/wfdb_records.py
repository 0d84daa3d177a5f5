"""WFDB records, a header (.hea) with files of samples (.dat, .mat): read by the wfdb package, checked beforehand.

What a header claims is compared with the size of its files before a sample is read, what the package would pass over
in silence is refused (units beyond ASCII, segments of several units), and whatever it raises is wrapped.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.formats.signal_header import SignalHeader, factor
from zoo.errors import DataError, MissingExtraError

SUFFIX = ".hea"
"""Suffix of a header, by which a record is found."""
MOST_VALUES = 2**28
"""Most values that one record may hold."""
_SAMPLE_FILES = (".dat", ".mat")
_VALUES_A_BYTE = 64
"""No compressed file holds more values for each of its bytes; larger claims are false."""


def header_of(path: Path) -> Path | None:
    """The header of the record that a path names, with or without a suffix; None where it names no record."""
    if path.suffix.lower() == SUFFIX:
        return path
    if path.suffix.lower() in _SAMPLE_FILES and path.with_suffix(SUFFIX).is_file():
        return path.with_suffix(SUFFIX)
    beside = path.with_name(path.name + SUFFIX)
    return beside if path.suffix.lower() == ".dat" or beside.is_file() else None


def read_header(path: Path) -> SignalHeader:
    """Read the header of a record, and those of its segments.

    Args:
        path: the header.

    Raises:
        DataError: it is missing or broken, names no signal, or contradicts its files or its segments.
        MissingExtraError: the wfdb package is not installed.
    """
    header = _parsed(path)
    if header.n_sig < 1 or not header.fs > 0:
        raise DataError(f"the header names {header.n_sig} signals at {header.fs} Hz: nothing to read", file=path)
    if not hasattr(header, "n_seg"):
        _check_sizes(header, path)
        return _signals(header, path)
    if not header.sig_len or header.sig_len * header.n_sig > MOST_VALUES:
        raise DataError(
            f"the header claims {header.sig_len} samples of {header.n_sig} signals; at most {MOST_VALUES} values are "
            "read: cut the record, for example by wfdb.rdrecord(sampfrom, sampto)",
            file=path,
        )
    return _of_segments(header, path)


def read_record(path: Path, *, unit: str = "", channels: Sequence[str] = (), rate: float = 0.0) -> npt.NDArray[Any]:
    """Read the physical values of a record; samples that are marked as missing, and gaps, are NaN.

    Args:
        path: the header.
        unit: that all channels are brought to; "" keeps those of the file.
        channels: names of the channels, in the order wanted; () for all in the order of the file.
        rate: that the record must have, in Hz; 0 for any.

    Returns:
        (C, T) float32.

    Raises:
        DataError: the record is broken, of another rate, lacks a channel, or has a channel of another quantity.
        MissingExtraError: the wfdb package is not installed.
    """
    header = read_header(path)
    places = header.places(channels, rate, path)
    names = header.names
    factors = [factor(header.units[k], unit, names[k], path) for k in places]
    import wfdb

    record = _guarded(lambda: wfdb.rdrecord(str(path.with_suffix(""))), path)
    values = np.asarray(record.p_signal, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(names) or len(values) == 0:
        raise DataError(f"it holds {values.shape} values for {len(names)} channels; copy it again", file=path)
    return np.ascontiguousarray((values[:, places] * factors).T, dtype=np.float32)


def _parsed(path: Path) -> Any:
    """The header as the package parses it, where no letter of it would be lost."""
    if not path.is_file():
        raise DataError("the header of the WFDB record is missing; restore it beside its samples", file=path)
    try:
        import wfdb
    except ImportError as error:
        raise MissingExtraError("wfdb", "wfdb", file=path) from error
    content = path.read_bytes()
    lines = [line for line in content.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    foreign = next((line for line in lines if not line.isascii()), None)
    if foreign is not None:
        raise DataError(
            f"the line {foreign.decode('utf-8', 'replace')!r} holds letters beyond ASCII, which the format does not "
            "have; write uV and plain names of channels",
            file=path,
        )
    header = _guarded(lambda: wfdb.rdheader(str(path.with_suffix(""))), path)
    described = len(lines) - 1
    expected = getattr(header, "n_seg", header.n_sig)
    if expected != described:
        raise DataError(f"the header announces {expected} lines and has {described}; copy it again", file=path)
    return header


def _signals(header: Any, path: Path) -> SignalHeader:
    names = tuple(str(n).strip() if n else f"channel {k}" for k, n in enumerate(header.sig_name))
    return SignalHeader(names, tuple(map(str, header.units)), float(header.fs))


def _of_segments(header: Any, path: Path) -> SignalHeader:
    """What the headers of the segments say together, where they agree."""
    layout = _parsed(_beside(path, header.seg_name[0])) if header.layout == "variable" else None
    units: dict[str, str] = {}
    first: SignalHeader | None = None
    for name, length in zip(header.seg_name, header.seg_len, strict=True):
        if name == "~" and layout is None:
            raise DataError("it has a gap ('~') and no layout, which wfdb does not read; write one", file=path)
        if name == "~" or (layout is not None and length == 0):
            continue
        segment = _beside(path, name)
        parsed = _parsed(segment)
        if hasattr(parsed, "n_seg") or parsed.sig_len not in (None, length):
            raise DataError(f"its header claims {parsed.sig_len} samples, and '{path.name}' {length}", file=segment)
        _check_sizes(parsed, segment)
        found = _signals(parsed, segment)
        if first is not None and layout is None and found != first:
            raise DataError(
                f"its signals are {found}, and those of the first segment {first}; a record of one layout has "
                "one list of signals",
                file=segment,
            )
        first = first or found
        for channel, unit in zip(found.names, found.units, strict=True):
            if units.setdefault(channel, unit) != unit:
                raise DataError(
                    f"channel '{channel}' is in {unit!r} here and in {units[channel]!r} in another segment; bring "
                    "them to one unit",
                    file=segment,
                )
    total = sum(header.seg_len)
    if total != header.sig_len or first is None:
        raise DataError(f"its segments have {total} samples, and the header claims {header.sig_len}", file=path)
    if layout is None:
        return first
    told = _signals(layout, path)
    known = tuple(units.get(name, unit) for name, unit in zip(told.names, told.units, strict=True))
    return SignalHeader(told.names, known, first.rate)


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{name}{SUFFIX}")


def _check_sizes(header: Any, path: Path) -> None:
    """Compare the samples that the header claims with the bytes of its files."""
    from wfdb.io._signal import BYTES_PER_SAMPLE

    length = header.sig_len
    for name in dict.fromkeys(header.file_name):
        file = path.with_name(str(name))
        if not file.is_file():
            raise DataError(f"the file of samples '{name}' is missing; restore it beside its header", file=path)
        here = [k for k, n in enumerate(header.file_name) if n == name]
        kinds = {header.fmt[k] for k in here}
        width = BYTES_PER_SAMPLE.get(next(iter(kinds)))
        if len(kinds) > 1 or width is None:
            raise DataError(
                f"'{name}' is in the formats {sorted(kinds)}; known, one a file: {sorted(BYTES_PER_SAMPLE)}",
                file=path,
            )
        size = file.stat().st_size
        frame = sum(header.samps_per_frame[k] or 1 for k in here)
        if length is not None:
            least = ceil(length * frame * width) + (header.byte_offset[here[0]] or 0)
            if size < least or (width == 0 and length * frame > _VALUES_A_BYTE * size):
                raise DataError(
                    f"the header claims {length} samples, and '{name}' has {size} bytes in the place of {least}: it "
                    "was cut short or changed; copy it again",
                    file=path,
                )
        if (length or size) * frame > MOST_VALUES:
            raise DataError(f"the record has more than {MOST_VALUES} values; cut it", file=path)


def _guarded(action: Any, path: Path) -> Any:
    """Run something of the package, without its warnings, and wrap what it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action()
    except Exception as error:
        text = " ".join(str(error).replace(str(path.parent), "").split())[:300]
        raise DataError(
            f"the WFDB record cannot be read ({type(error).__name__}: {text}); copy it again", file=path
        ) from error
