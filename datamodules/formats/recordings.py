"""Opening EEG recordings with MNE, lazily, so that no broken file can do more than raise DataError.

What a header claims is compared with the size of the file before MNE sees it, every error of MNE is wrapped, and
only the samples that are asked for are read. Nothing is unpickled.
"""

from __future__ import annotations

import math
import os
import re
import struct
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from datamodules.files import require_file
from zoo.errors import DataError, MissingExtraError

SUFFIXES = (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".set")
"""Suffixes, in lower case, of the recordings that can be opened."""
EDF_UNITS = ("uv", "\u00b5v", "\u03bcv", "\x83\xcav", "mv", "v")
"""Units, in lower case, of EDF and BDF channels that MNE brings to volt; it takes any other unit for volt."""
_GDF_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 16: 4, 17: 8}
"""Code of a GDF sample type -> bytes."""
_MATLAB_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Code of a MATLAB number type -> bytes."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LARGEST_TEXT = 16 << 20
_MOST_CHANNELS = 10_000

Value = TypeVar("Value")


@dataclass(frozen=True)
class EDFHeader:
    """What the header of an EDF or BDF file says of its signals, in the order of the file.

    Attributes:
        labels, units: as written, without blanks at the ends.
        samples: samples in a data record, one number a signal.
        records: data records; -1 where the recording was not closed.
        seconds: duration of a data record.
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    samples: tuple[int, ...]
    records: int
    seconds: float


def read_edf_header(path: Path) -> EDFHeader:
    """Read the header of an EDF or BDF file, and check it against the size of the file.

    Raises:
        DataError: the file is missing, is no EDF or BDF file, is cut short, too long or discontinuous (EDF+D), or
            claims what cannot be, such as an empty range.
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
        if not (0 < count <= _MOST_CHANNELS and length == 256 * (count + 1) <= size and seconds > 0):
            raise DataError(
                f"the header claims {count} channels, {length} bytes and records of {seconds:g} s; expected 256 "
                f"bytes a channel and 256 more, within the file's {size}: copy it again",
                file=path,
            )
        if fixed[192:197] in (b"EDF+D", b"BDF+D"):
            raise DataError("the recording has gaps (EDF+D), which MNE would close; export it as EDF+C", file=path)
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
    return EDFHeader(labels, units, samples, records, seconds)


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


def _check_gdf(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as handle:
        fixed = handle.read(256)
        version = re.fullmatch(rb"GDF (\d\.\d\d)", fixed[:8])
        if len(fixed) < 256 or version is None:
            raise DataError("the file does not begin with a GDF header; copy it again", file=path)
        old = float(version[1]) < 1.9
        length = struct.unpack_from("<q", fixed, 184)[0] if old else 256 * struct.unpack_from("<H", fixed, 184)[0]
        records, _, denominator = struct.unpack_from("<qII", fixed, 236)
        count = struct.unpack_from("<I" if old else "<H", fixed, 252)[0]
        if not (0 < count <= _MOST_CHANNELS and 256 * (count + 1) <= length <= size and denominator):
            raise DataError(f"the header claims {count} channels and {length} bytes of {size}", file=path)
        rest = handle.read(256 * count)
        samples = struct.unpack_from(f"<{count}I", rest, 216 * count)
        kinds = struct.unpack_from(f"<{count}I", rest, 220 * count)
        record = sum(n * _GDF_BYTES.get(k, 0) for n, k in zip(samples, kinds, strict=True))
        end = length + records * record
        table = _at(handle, end, 8) if 0 < end < size else b""
    if unknown := sorted(set(kinds) - set(_GDF_BYTES)):
        raise DataError(f"the header names the sample types {unknown}; known: {sorted(_GDF_BYTES)}", file=path)
    if not record or records < 1 or end > size:
        raise DataError(
            f"the header claims {records} records of {record} bytes and the file has {size}: it was cut short or "
            "changed; copy it again",
            file=path,
        )
    if len(table) == 8:
        events = int.from_bytes(table[4:8] if float(version[1]) < 1.94 else table[1:4], "little")
        if end + 8 + events * (12 if table[0] == 3 else 6) > size:
            raise DataError(f"the event table claims {events} events beyond the end of the file", file=path)


def _check_fif(path: Path) -> None:
    """Walk from tag to tag: each must end within the file, and the next one must come later."""
    size, position, tags = path.stat().st_size, 0, 0
    with path.open("rb") as handle:
        while position < size:
            handle.seek(position)
            head = handle.read(16)
            if len(head) < 16:
                break
            kind, _, length, following = struct.unpack(">iIii", head)
            end = position + 16 + length
            if (tags == 0 and (kind, length) != (100, 20)) or length < 0 or end > size or 0 < following <= position:
                raise DataError(
                    f"the tag at byte {position} claims {length} bytes and a next one at {following}, the file has "
                    f"{size}: it is no FIF file, was cut short or changed; copy it again",
                    file=path,
                )
            tags += 1
            if following < 0:
                return
            position = following or end
    raise DataError("the file ends without an end tag: it was cut short; copy it again", file=path)


def _check_brainvision(path: Path) -> None:
    if path.stat().st_size > _LARGEST_TEXT:
        raise DataError("a BrainVision header is a short text, and this file is not", file=path)
    text = path.read_bytes().decode("utf-8", "replace")
    found = dict(re.findall(r"(?m)^[ \t]*(\w+)[ \t]*=[ \t]*([^\r\n]*?)[ \t]*\r?$", text))
    count = found.get("NumberOfChannels", "")
    if not (count.isascii() and count.isdigit() and len(count) < 6 and 0 < int(count) <= _MOST_CHANNELS):
        raise DataError(f"NumberOfChannels is {count!r}; expected 1 to {_MOST_CHANNELS}", file=path)
    if found.get("DataFormat", "").upper() != "BINARY":
        raise DataError(
            f"DataFormat is {found.get('DataFormat')!r}; only BINARY can be read in parts: convert it", file=path
        )
    width = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}.get(found.get("BinaryFormat", "").upper())
    data = path.parent / found.get("DataFile", "").replace("$b", path.stem)
    if width is None or not data.is_file():
        raise DataError(
            f"BinaryFormat is {found.get('BinaryFormat')!r} and the DataFile '{data.name}' is "
            f"{'there' if data.is_file() else 'missing'}; restore the files that belong together",
            file=path,
        )
    size, row = data.stat().st_size, int(count) * width
    points = found.get("DataPoints", "")
    if not size or size % row or (points.isascii() and points.isdigit() and points != str(size // row)):
        raise DataError(
            f"the data file has {size} bytes, which are not {points or 'whole'} samples of {row}; copy it again",
            file=data,
        )


def _check_set(path: Path) -> None:
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


def _at(handle: BinaryIO, position: int, length: int) -> bytes:
    handle.seek(position)
    return handle.read(length)


_CHECKS: dict[str, Callable[[Path], object]] = {
    ".edf": read_edf_header,
    ".bdf": read_edf_header,
    ".gdf": _check_gdf,
    ".fif": _check_fif,
    ".vhdr": _check_brainvision,
    ".set": _check_set,
}


def open_recording(path: Path, *, exclude: Sequence[str] = ()) -> Any:
    """Open a recording with MNE; its samples stay on disk (those of a .set without .fdt until the first read).

    Args:
        path: a file with one of SUFFIXES.
        exclude: names of channels, as MNE gives them, to leave out (EDF and BDF only).

    Returns:
        an ``mne.io.Raw`` in volts, at least one sample long.

    Raises:
        DataError: the file is missing, of another kind, broken, cut short, or holds epochs.
        MissingExtraError: a .set file of MATLAB 7.3 without the library that reads it.
    """
    import mne

    suffix = require_file(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"recordings of the kind '{suffix}' cannot be read; known: {SUFFIXES}", file=path)
    _CHECKS[suffix](path)
    options: dict[str, Any] = {"preload": False, "verbose": "ERROR"}
    if suffix in (".edf", ".bdf"):
        options |= {"infer_types": True, "exclude": list(exclude), "exclude_after_unique": True}
    readers = {".vhdr": mne.io.read_raw_brainvision, ".set": mne.io.read_raw_eeglab, ".fif": mne.io.read_raw_fif}
    reader = readers.get(suffix) or getattr(mne.io, f"read_raw_{suffix[1:]}")
    raw = _guarded(lambda: reader(str(path), **options), path)
    _guarded(raw.get_channel_types, path)  # a kind of channel that MNE does not know
    held = sum(Path(f).stat().st_size for f in raw.filenames if f is not None)
    if not (raw.n_times > 0 and np.isfinite(raw.info["sfreq"]) and raw.info["sfreq"] > 0 and len(raw.ch_names)):
        raise DataError(f"it has {raw.n_times} samples at {raw.info['sfreq']} Hz: nothing to read", file=path)
    fdt = next((Path(f) for f in raw.filenames if f is not None and Path(f).suffix == ".fdt"), None)
    if suffix == ".set" and fdt is not None and held != 4 * raw.n_times * len(raw.ch_names):
        raise DataError(
            f"the data file has {held} bytes, expected {4 * raw.n_times * len(raw.ch_names)} for "
            f"{raw.n_times} samples of {len(raw.ch_names)} channels; copy it again",
            file=fdt,
        )
    if suffix != ".set" and raw.n_times > held:
        raise DataError(f"the header claims {raw.n_times} samples in {held} bytes; copy it again", file=path)
    return raw


def _guarded(action: Callable[[], Value], path: Path) -> Value:
    """Run something of MNE on a file, without its warnings, and wrap what it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action()
    except DataError:
        raise
    except ImportError as error:
        raise MissingExtraError(error.name or "pymatreader", "eeg") from error
    except Exception as error:
        text = str(error).replace(str(path), path.name)
        raise DataError(
            f"MNE cannot read the recording ({type(error).__name__}: {text[:300]}); copy it again, or open it in the "
            "program that wrote it and export it anew",
            file=path,
        ) from error


def stored_samples(raw: Any) -> list[int] | None:
    """Samples in a data record of each channel of an EDF, BDF or GDF recording; None for other kinds."""
    extras = raw._raw_extras[0] if len(raw._raw_extras) else None
    if not isinstance(extras, dict) or "n_samps" not in extras or "sel" not in extras:
        return None
    return [int(n) for n in np.asarray(extras["n_samps"])[np.asarray(extras["sel"])]]


def stored_units(raw: Any, path: Path) -> list[str]:
    """Unit of each channel of an EDF or BDF recording as the header writes it; [] for other kinds."""
    if path.suffix.lower() not in (".edf", ".bdf"):
        return []
    units = read_edf_header(path).units
    return [units[int(k)] for k in raw._raw_extras[0]["sel"]]


def read_samples(raw: Any, path: Path, picks: Sequence[int], start: int, stop: int) -> npt.NDArray[np.float64]:
    """Read samples ``start`` to ``stop`` (excluded) of the channels ``picks``: (len(picks), stop - start) in volts.

    Raises:
        DataError: they lie outside the recording, or the file changed since it was opened.
    """
    if not 0 <= start < stop <= raw.n_times:
        raise DataError(f"samples {start} to {stop} lie outside the recording of {raw.n_times}", file=path)
    values = _guarded(lambda: raw.get_data(picks=list(picks), start=start, stop=stop, verbose="ERROR"), path)
    return np.asarray(values, dtype=np.float64)


def list_events(
    raw: Any, path: Path, *, stim_channel: str = ""
) -> tuple[npt.NDArray[np.int64], list[str], list[tuple[int, int]]]:
    """List the events of a recording: samples from its start, descriptions, and the spans that are marked bad.

    Args:
        raw: an open recording.
        path: its file.
        stim_channel: take the rising edges of this channel instead of the annotations; they are described by their
            value (16 bits) as a decimal number. The whole of this one channel is read.

    Returns:
        samples (E,) in increasing order, E descriptions, and (start, stop) of annotations that begin with "bad" or
        "edge" or are called "boundary", which are no events.

    Raises:
        DataError: there is no such channel, or the annotations cannot be read.
    """
    import mne

    notes = raw.annotations
    onsets = _guarded(lambda: raw.time_as_index(notes.onset, use_rounding=True, origin=notes.orig_time), path)
    samples = np.asarray(onsets, dtype=np.int64)
    lengths = np.rint(np.nan_to_num(np.asarray(notes.duration)) * raw.info["sfreq"]).astype(np.int64)
    described = [str(d) for d in notes.description]
    spoiled = [bool(re.match(r"(?i)bad|edge|boundary$", d)) for d in described]
    bad = [(int(s), int(s + max(n, 1))) for s, n, b in zip(samples, lengths, spoiled, strict=True) if b]
    keep = [k for k in range(len(described)) if not spoiled[k]]
    samples, described = samples[keep], [described[k] for k in keep]
    if stim_channel:
        if stim_channel not in raw.ch_names:
            raise DataError(f"there is no channel '{stim_channel}'; channels: {raw.ch_names}", file=path)
        found = _guarded(
            lambda: mne.find_events(
                raw, stim_channel, shortest_event=1, initial_event=True, mask=0xFFFF, mask_type="and", verbose="ERROR"
            ),
            path,
        )
        samples, described = found[:, 0].astype(np.int64) - int(raw.first_samp), [str(int(v)) for v in found[:, 2]]
    order = np.argsort(samples, kind="stable")
    return samples[order], [described[k] for k in order], bad


class RecentlyUsed(Generic[Value]):
    """Keep the values that were used last, per process: a fork or a spawned worker begins with none.

    Args:
        most: number of values that are kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: OrderedDict[str, Value] = OrderedDict()
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: str, make: Callable[[str], Value]) -> Value:
        """Return the value of ``key``; ``make`` is called where it is not held."""
        if self._process != os.getpid():
            self._held, self._process = OrderedDict(), os.getpid()
        if key in self._held:
            self._held.move_to_end(key)
        else:
            self._held[key] = make(key)
            while len(self._held) > self.most:
                self._held.popitem(last=False)
        return self._held[key]

    def __getstate__(self) -> dict[str, Any]:
        return {"most": self.most, "_held": OrderedDict(), "_process": -1}
