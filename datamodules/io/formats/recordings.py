"""Opening EEG recordings with MNE, lazily, so that no broken file can do more than raise DataError.

What a header claims is compared with the size of the file before MNE sees it, every error of MNE is wrapped, and
only the samples that are asked for are read. Nothing is unpickled.
"""

from __future__ import annotations

import os
import re
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from datamodules.io.files import require_file
from datamodules.io.formats.edf import EDF_UNITS, MOST_CHANNELS, Records, read_edf_header, read_records
from datamodules.io.formats.matlab import check_matlab
from zoo.errors import DataError, MissingExtraError

SUFFIXES = (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".set")
"""Suffixes, in lower case, of the recordings that can be opened."""
_GDF_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 16: 4, 17: 8}
"""Code of a GDF sample type -> bytes."""
_LARGEST_TEXT = 16 << 20

Value = TypeVar("Value")


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
        if not (0 < count <= MOST_CHANNELS and 256 * (count + 1) <= length <= size and denominator):
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
    if not (count.isascii() and count.isdigit() and len(count) < 6 and 0 < int(count) <= MOST_CHANNELS):
        raise DataError(f"NumberOfChannels is {count!r}; expected 1 to {MOST_CHANNELS}", file=path)
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


def _at(handle: BinaryIO, position: int, length: int) -> bytes:
    handle.seek(position)
    return handle.read(length)


_CHECKS: dict[str, Callable[[Path], object]] = {
    ".edf": read_edf_header,
    ".bdf": read_edf_header,
    ".gdf": _check_gdf,
    ".fif": _check_fif,
    ".vhdr": _check_brainvision,
    ".set": check_matlab,
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
        raise MissingExtraError(error.name or "pymatreader", "eeg", file=path) from error
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


def check_units(raw: Any, path: Path, picks: Sequence[int]) -> None:
    """Refuse channels that are not known to be voltages.

    Args:
        raw: the recording, as MNE opened it.
        path: its file, for errors.
        picks: positions of the channels.

    Raises:
        DataError: the file states another unit, or none that MNE knows.
    """
    from mne.io.constants import FIFF

    units, kinds = stored_units(raw, path), raw.get_channel_types()
    for k in picks:
        name = raw.ch_names[k]
        if units and units[k].lower() not in EDF_UNITS:
            raise DataError(f"channel '{name}' is in the unit {units[k]!r}; expected uV, mV or V", file=path)
        if raw.info["chs"][k]["unit"] != FIFF.FIFF_UNIT_V:
            raise DataError(
                f"channel '{name}' is of the kind '{kinds[k]}', in no unit that is known as a voltage; correct its "
                "unit in the header, or leave it out of 'channels'",
                file=path,
            )


def read_samples(raw: Any, path: Path, picks: Sequence[int], start: int, stop: int) -> npt.NDArray[np.float64]:
    """Read samples ``start`` to ``stop`` (excluded) of the channels ``picks``: (len(picks), stop - start) in volts.

    Args:
        raw: an opened recording of MNE.
        path: of it, for errors.
        picks: numbers of the channels.
        start: first sample.
        stop: sample behind the last.

    Raises:
        DataError: they lie outside the recording, or the file changed since it was opened.
    """
    if not 0 <= start < stop <= raw.n_times:
        raise DataError(f"samples {start} to {stop} lie outside the recording of {raw.n_times}", file=path)
    values = _guarded(lambda: raw.get_data(picks=list(picks), start=start, stop=stop, verbose="ERROR"), path)
    return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True)
class Events:
    """The events of a recording, in increasing order.

    Attributes:
        samples: (E,) samples from the start of the recording.
        descriptions: E words.
        bad: (start, stop) in samples of annotations that begin with "bad" or "edge" or are called "boundary", which
            are no events.
        lost: number of events that lie in a gap of a discontinuous recording.
    """

    samples: npt.NDArray[np.int64]
    descriptions: list[str]
    bad: list[tuple[int, int]]
    lost: int = 0


def records_of(path: Path) -> Records | None:
    """When the data records of an EDF+D or BDF+D file begin; None for recordings without gaps."""
    if path.suffix.lower() not in (".edf", ".bdf"):
        return None
    header = read_edf_header(path)
    return read_records(path, header) if header.discontinuous else None


def list_events(raw: Any, path: Path, *, stim_channel: str = "") -> Events:
    """List the events of a recording, as MNE's ``events_from_annotations`` places them.

    MNE joins the data records of a discontinuous EDF file, and leaves annotations at their times: there the samples
    are those of the record that was written at the time.

    Args:
        raw: an open recording.
        path: its file.
        stim_channel: take the rising edges of this channel instead of the annotations; they are described by their
            value (16 bits) as a decimal number. The whole of this one channel is read.

    Raises:
        DataError: there is no such channel, or the annotations cannot be read.
    """
    records = records_of(path)
    if records is not None:
        starts, stops, described = _placed_by_records(raw, path, records)
    else:
        starts, stops, described = _placed(raw, path)
    spoiled = [bool(re.match(r"(?i)bad|edge|boundary$", d)) for d in described]
    bad = [(int(s), int(max(e, s + 1))) for s, e, b in zip(starts, stops, spoiled, strict=True) if b and s >= 0]
    keep = [k for k, known in enumerate(spoiled) if not known]
    samples, described = starts[keep], [described[k] for k in keep]
    if stim_channel:
        samples, described = _triggers(raw, path, stim_channel)
    there = samples >= 0 if records is not None else np.ones(len(samples), dtype=bool)
    order = [int(k) for k in np.argsort(samples, kind="stable") if there[k]]
    return Events(samples[order], [described[k] for k in order], bad, int((~there).sum()))


Placed = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]


def _placed(raw: Any, path: Path) -> Placed:
    """First samples of the annotations, samples behind their ends, and their descriptions."""
    notes, rate = raw.annotations, float(raw.info["sfreq"])
    onsets = _guarded(lambda: raw.time_as_index(notes.onset, use_rounding=True, origin=notes.orig_time), path)
    starts = np.asarray(onsets, dtype=np.int64)
    if notes.orig_time is None:  # MNE counts such onsets from sample 0 of the acquisition, not from the first kept
        starts = starts - int(raw.first_samp)
    begins = np.asarray(notes.onset, dtype=np.float64) - int(raw.first_samp) / rate
    stops = np.rint((begins + np.nan_to_num(np.asarray(notes.duration))) * rate).astype(np.int64)
    return starts, stops, [str(d) for d in notes.description]


def _placed_by_records(raw: Any, path: Path, records: Records) -> Placed:
    """The same for a discontinuous recording; -1 for times at which nothing was written."""
    import mne

    notes, rate = _guarded(lambda: mne.read_annotations(str(path)), path), float(raw.info["sfreq"])
    onsets = np.asarray(notes.onset, dtype=np.float64)
    starts = records.samples(onsets, rate)
    lengths = np.rint(np.nan_to_num(np.asarray(notes.duration)) * rate).astype(np.int64)
    return starts, starts + lengths, [str(d) for d in notes.description]


def _triggers(raw: Any, path: Path, channel: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Samples and values of the rising edges of a channel."""
    import mne

    if channel not in raw.ch_names:
        raise DataError(f"there is no channel '{channel}'; channels: {raw.ch_names}", file=path)
    found = _guarded(
        lambda: mne.find_events(
            raw, channel, shortest_event=1, initial_event=True, mask=0xFFFF, mask_type="and", verbose="ERROR"
        ),
        path,
    )
    return found[:, 0].astype(np.int64) - int(raw.first_samp), [str(int(v)) for v in found[:, 2]]


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
