"""Any folder of EEG recordings with annotations, cut into labelled epochs as they are asked for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.formats.recordings import (
    SUFFIXES,
    RecentlyUsed,
    check_units,
    list_events,
    open_recording,
    records_of,
    stored_samples,
)
from datamodules.io.unknown import RULE
from datamodules.sources.signals.epochs import Cut, Opened
from datamodules.sources.signals.options import DEFAULT_END, EpochOptions, ReadingOptions
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, unknown_name
from zoo.raw import RawModality, RawTask

SPOILED = "the epoch touches a stretch that is annotated as bad (drop_bad)"
UNMATCHED = "the pattern does not match the path of the recording"
GAP = "the epoch crosses a gap of the recording, or its event lies in one (EDF+D)"
INCOMPLETE = "the epoch reaches beyond the recording (incomplete: skip)"


@dataclass(frozen=True)
class Recording:
    """A file of the folder: its relative path, and what the path says of it."""

    file: str
    subject: str
    session: str
    label: str = ""


@SOURCES.register
class EEGFolder(Source):
    """Read epochs of EEG (C, T) in uV around annotated events, or windows of equal length, from a folder of files.

    EDF, BDF, GDF, FIF, BrainVision (.vhdr) and EEGLAB (.set) files are opened by MNE. Opening lists the events of
    every file (an EDF+ or BDF+ file is gone through once for its annotations); an epoch is then read by itself,
    with a margin for the filter, so that no recording is ever in memory as a whole. The exception is a .set file
    without .fdt file, whose samples lie within a MATLAB array.

    Channel names are kept as the first file writes them (a montage gives its own spelling), and compared without
    regard to case, to outer dots and to a leading "EEG ". Rows of a subject share a
    group; ``subject`` and ``session`` are group columns.

    Args:
        folder: folder of the files below the root, searched with all its subfolders.
        files: pattern of the relative paths, as of pathlib's glob.
        pattern: regular expression searched in the relative path (with "/"), with the named group ``subject`` and,
            if wanted, ``session`` and ``label``, such as "(?P<subject>S[0-9]+)R(04|08|12)"; recordings that it
            does not match are left out and counted. "" takes the first folder as the subject and the rest of the path
            as the session; for files in no folder, or with ``window_seconds``, the file's stem is both.
        events: description of an annotation -> class (with ``window_seconds``: label of a file -> class); others
            are left out and counted. None takes every description as a class.
        epochs: how a recording becomes rows: times from the event, or windows.
        reading: what is read of a recording (channels, reference), and what is done to it (filter, rate).
        modality: name of the modality.
        task_name: name of the task.
    """

    group_columns: tuple[str, ...] = ("subject", "session")

    def __init__(
        self,
        *,
        folder: str = "eeg_folder",
        files: str = "**/*",
        pattern: str = "",
        events: dict[str, str] | None = None,
        epochs: EpochOptions = EpochOptions(),
        reading: ReadingOptions = ReadingOptions(),
        modality: str = "eeg",
        task_name: str = "motor_imagery",
    ) -> None:
        super().__init__(folder=folder)
        if epochs.tmax is None:
            epochs = replace(epochs, tmax=DEFAULT_END)
        self.files, self.pattern, self.events, self.stim_channel = files, pattern, events, epochs.stim_channel
        self.window_seconds = window = epochs.window_seconds
        self.stride_seconds = epochs.stride_seconds or window
        self.tmin, self.tmax = (0.0, window) if window else (epochs.tmin, epochs.tmax or 0.0)
        self.baseline, self.drop_bad, self.incomplete = epochs.baseline, epochs.drop_bad, epochs.incomplete
        self.channels = reading.names
        self.rename = {k.lower(): v for k, v in (reading.rename or {}).items()}
        self.montage, self.reference, self.band_hz = reading.montage, tuple(reading.reference), reading.band_hz
        self.sampling_rate = reading.sampling_rate
        self.modality, self.task_name = modality, task_name
        self.group_by = self.group_unit = epochs.group_by
        self._check()
        self._open_files: RecentlyUsed[Opened] = RecentlyUsed(reading.open_recordings)
        self._features: tuple[str, ...] = self.channels
        self._group_names: dict[str, tuple[str, ...]] = {}
        self._columns: dict[str, list[Any]] = {}
        self.card = SourceCard(
            title="A folder of EEG recordings",
            modalities=(RawModality(modality, "signal", "uV", self.sampling_rate, self.channels),),
            tasks=(self._task(tuple(dict.fromkeys((events or {}).values()))),),
            licence="that of the recordings",
            access="open",
            citation="Gramfort et al., MEG and EEG data analysis with MNE-Python, Front. Neurosci. 7:267, 2013 (the "
            "reader)",
            where="your own recordings",
            layout=f"files of the kinds {', '.join(SUFFIXES)} with annotations, in folders of subjects, or labelled "
            "by their folders (window_seconds)",
            caution="Epochs of a subject are alike: they share a group unless group_by says otherwise. Channels that "
            "a file marks as bad are read like all others.",
            size="that of the folder",
        )

    def _check(self) -> None:
        """Raise SpecError where the pattern is none, or names no subject."""
        name = self.name
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise SpecError(f"{name}: pattern {self.pattern!r} is no regular expression: {error}") from error
        if self.pattern and "subject" not in groups:
            raise SpecError(
                f"{name}: pattern {self.pattern!r} needs the named group (?P<subject>...); it has {groups}"
            )

    def _task(self, classes: tuple[str, ...]) -> RawTask:
        return RawTask(self.task_name, "classification", classes, (self.modality,))

    # -- listing -------------------------------------------------------------------------------------------

    def _recordings(self) -> list[Recording]:
        """List the files, with subject, session and label from their paths; other sources override this."""
        found = []
        try:
            paths = sorted(p for p in self.path.glob(self.files) if p.suffix.lower() in SUFFIXES and p.is_file())
        except (ValueError, NotImplementedError) as error:
            raise SpecError(f"{self.name}: files {self.files!r} is no relative pattern: {error}") from error
        files = [path.relative_to(self.path) for path in paths]
        files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
        if not files:
            raise DataError(
                f"{self.name}: no recording matches '{self.files}'; kinds that are read: {SUFFIXES}", file=self.path
            )
        found = [recording for file in files if (recording := self._recording(file)) is not None]
        self._skip(UNMATCHED, len(files) - len(found))
        if not found:
            raise DataError(
                f"{self.name}: the pattern {self.pattern!r} finds a subject in none of {len(files)} recordings, such "
                f"as '{files[0].as_posix()}'; correct it",
                file=self.path,
            )
        return found

    def _recording(self, relative: Path) -> Recording | None:
        """Say what the path of a file tells; None where the pattern does not match it."""
        folders = relative.parts[:-1]
        subject = folders[0] if folders and not self.window_seconds else relative.stem
        session = "/".join([*folders[1:], relative.stem])
        label = folders[-1] if folders else ""
        if self.pattern:
            match = re.search(self.pattern, relative.as_posix())
            said = match.groupdict() if match else {}
            if not said.get("subject"):
                return None
            subject, session, label = said["subject"], said.get("session") or session, said.get("label") or label
        if self.window_seconds and not label:
            raise DataError(
                "the file lies in no folder that would be its class; move it into one, or give a pattern with "
                "(?P<label>...)",
                file=self.path / relative,
            )
        return Recording(relative.as_posix(), subject, session, label)

    def _classes_of(self, recording: Recording) -> Mapping[str, str] | None:
        """Map description -> class in this recording; None where every description is its own class."""
        return self.events

    def _index(self) -> pd.DataFrame:
        self.skipped, self._features, self._columns = {}, self.channels, {}
        recordings = self._recordings()
        if not recordings:
            raise DataError(f"{self.name}: there is no recording. Expected: {self.card.layout}", file=self.path)
        self._open_files = RecentlyUsed(self._open_files.most)
        parts: set[str] = set()
        seen: set[str] = set()
        frames, found = [], list[tuple[str, list[str]]]()
        rate, first = 0.0, recordings[0].file
        for recording in recordings:
            path = self.path / recording.file
            if str(path.resolve()) in parts:
                self._skip("the file is a later part of a split recording", 1)
                continue
            opened = self._open_files.get(recording.file, self._open)
            parts |= {str(Path(f).resolve()) for f in opened.raw.filenames[1:] if f is not None}
            if rate and opened.cut.new_rate != rate:
                raise DataError(
                    f"its rate is {opened.cut.new_rate:g} Hz and that of '{first}' {rate:g} Hz; give sampling_rate",
                    file=path,
                )
            rate = opened.cut.new_rate
            frames.append(self._rows(recording, opened, seen))
            found.append((recording.file, self._eeg_of(opened.raw)))
        unheard = [d for d in self.events or {} if d not in seen]
        if unheard:
            raise DataError(
                f"{self.name}: {unknown_name('event', unheard[0], seen)}, in {len(recordings)} recordings",
                file=self.path,
            )
        table = pd.concat(frames, ignore_index=True)
        self.remarks = self._remarks(found, {str(frame["file"].iloc[0]) for frame in frames if len(frame)})
        self._describe(rate, table)
        return table

    def _remarks(self, found: Sequence[tuple[str, list[str]]], used: Collection[str]) -> list[str]:
        """Say which EEG channels are not read, since the first recording lacks them, and which files gave nothing.

        Args:
            found: each recording with its EEG channels.
            used: recordings that gave an epoch.
        """
        told = []
        first, taken = found[0][0], {self._key(name) for name in self._features}
        further = {name: file for file, names in found for name in names if self._key(name) not in taken}
        if further and not self.channels:
            holders = sum(any(name in further for name in names) for _, names in found)
            told.append(
                f"{len(further)} EEG channels of {holders} recordings are left out, since '{first}' has none of that "
                f"name: {', '.join(list(further)[:8])}; see 'channels' and 'rename'"
            )
        empty = [file for file, _ in found if file not in used]
        if empty:
            told.append(f"{len(empty)} of {len(found)} recordings gave no epoch, such as '{empty[0]}'")
        return told

    def _describe(self, rate: float, table: pd.DataFrame) -> None:
        """Complete the card and the names of groups from what was found."""
        found = set(table["stratum"])
        known = tuple(self.card.tasks[0].classes)
        classes = known if found <= set(known) else tuple(sorted(found))
        if len(found) == 1:
            raise DataError(
                f"{self.name}: every epoch is of the class '{next(iter(found))}'; at least two are needed, "
                "see 'events'",
                file=self.path,
            )
        modality = RawModality(self.modality, "signal", "uV", rate, self._features)
        self.card = replace(self.card, modalities=(modality,), tasks=(self._task(classes),))
        self._group_names = {g: tuple(sorted(set(table[f"{g}_name"]) - {""})) for g in self.group_columns}
        for group, names in self._group_names.items():
            codes = {n: k for k, n in enumerate(names)} | {"": -1}
            table[f"{group}_code"] = table[f"{group}_name"].map(codes)
        table["group"] = table[f"{self.group_by}_name"]

    def _skip(self, reason: str, count: int) -> None:
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def _rows(self, recording: Recording, opened: Opened, seen: set[str]) -> pd.DataFrame:
        """List the epochs of a recording."""
        path, cut, total = opened.path, opened.cut, int(opened.raw.n_times)
        events = list_events(opened.raw, path, stim_channel=self.stim_channel)
        onsets, described, bad = events.samples, events.descriptions, events.bad
        self._skip(GAP, events.lost)
        if self.window_seconds:
            step = max(round(self.stride_seconds * cut.rate), 1)
            onsets = np.arange(0, total - cut.length + 1, step, dtype=np.int64)
            described = [recording.label] * len(onsets)
        seen.update(described or [recording.label] if self.window_seconds else described)
        classes = self._classes_of(recording)
        labels = [d if classes is None else classes.get(d, "") for d in described]
        if classes is None and not self.window_seconds:
            labels = ["" if RULE(label) else label for label in labels]
        keep = np.array([bool(label) for label in labels], dtype=bool)
        for description in sorted({d for d, k in zip(described, keep, strict=True) if not k}):
            count = sum(d == description for d in described)
            self._skip(f"the description '{description}' has no class in 'events'", count)
        low, high = onsets + cut.start, onsets + cut.start + cut.length
        outside = keep & ((low < 0) | (high > total))
        if outside.any() and self.incomplete == "raise":
            k = int(np.flatnonzero(outside)[0])
            raise DataError(
                f"the event '{described[k]}' at {onsets[k] / cut.rate:.3f} s needs {self.tmin:g} to {self.tmax:g} s, "
                f"and the recording has {total / cut.rate:.3f} s; change tmin and tmax, or give incomplete='skip'",
                file=path,
                row=k,
            )
        self._skip(INCOMPLETE, int(outside.sum()))
        keep &= ~outside
        if opened.breaks:
            crossing = keep & np.any([(low < b) & (high > b) for b in opened.breaks], axis=0)
            self._skip(GAP, int(crossing.sum()))
            keep &= ~crossing
        if self.drop_bad and bad:
            spoiled = keep & np.any([(low < e) & (high > s) for s, e in bad], axis=0)
            self._skip(SPOILED, int(spoiled.sum()))
            keep &= ~spoiled
        chosen = np.flatnonzero(keep)
        return pd.DataFrame(
            {
                "id": [f"{recording.file}#{k:05d}" for k in chosen],
                "file": recording.file,
                "onset": onsets[chosen],
                "subject": "",
                "subject_name": recording.subject,
                "session_name": f"{recording.subject}/{recording.session}",
                "stratum": [labels[k] for k in chosen],
                "split": "",
            }
        ).astype({"onset": np.int64, "id": object, "stratum": object})

    # -- opening -------------------------------------------------------------------------------------------

    def _open(self, file: str) -> Opened:
        """Open a recording, find its channels, and leave out those of another rate."""
        path = self.path / file
        raw = self._raw(path)
        picks, references = self._picks(raw, path)
        samples = stored_samples(raw)
        if samples is not None:
            wanted = {samples[k] for k in (*picks, *references)}
            if len(wanted) > 1 or (wanted != {max(samples)} and path.suffix.lower() == ".gdf"):
                raise DataError(
                    f"the channels wanted are stored at different rates ({sorted(set(samples))} samples in a "
                    "record); choose channels of one rate, or export the recording at one rate",
                    file=path,
                )
            if wanted != {max(samples)}:
                other = [n for n, s in zip(raw.ch_names, samples, strict=True) if s not in wanted]
                raw = self._raw(path, exclude=other)
                picks, references = self._picks(raw, path)
        check_units(raw, path, (*picks, *references))
        rate = float(raw.info["sfreq"])
        cut = Cut.make(rate, self.sampling_rate, self.tmin, self.tmax, self.band_hz, self.baseline, path)
        if cut.size < 1:
            raise DataError(f"an epoch of {self.tmax - self.tmin:g} s holds no sample at {rate:g} Hz", file=path)
        records = records_of(path)
        breaks = records.breaks(rate) if records is not None else ()
        return Opened(raw, path, picks, references, self.reference == ("average",), cut, breaks)

    def _raw(self, path: Path, exclude: Sequence[str] = ()) -> Any:
        """Open a file by itself; other sources add what lies beside it."""
        return open_recording(path, exclude=exclude)

    def _picks(self, raw: Any, path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Positions of the channels and of the reference channels in the recording."""
        where: dict[str, int] = {}
        twice: set[str] = set()
        for position, name in enumerate(raw.ch_names):
            key = self._key(name)
            if key in where:
                twice.add(key)
            where.setdefault(key, position)
        if not self._features:
            self._features = tuple(self._eeg_of(raw))
            if not self._features:
                raise DataError(f"no channel is of type EEG; name the channels. There are {raw.ch_names}", file=path)
        if self.montage:
            self._features = self._spelled(self._features, path)
        extra = () if self.reference == ("average",) else self.reference
        for name in (*self._features, *extra):
            if self._key(name) not in where:
                raise DataError(
                    f"{unknown_name('channel', name, map(self._renamed, raw.ch_names))}; see 'channels' and 'rename'",
                    file=path,
                )
            if self._key(name) in twice:
                raise DataError(f"'{name}' names two channels; give 'rename' for one of {raw.ch_names}", file=path)
        return tuple(where[self._key(n)] for n in self._features), tuple(where[self._key(n)] for n in extra)

    def _eeg_of(self, raw: Any) -> list[str]:
        """Names of the channels of a recording that are of type EEG."""
        return [
            self._renamed(n) for n, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "eeg"
        ]

    def _renamed(self, name: str) -> str:
        """Name of a channel of a file, or what ``rename`` makes of it."""
        return self.rename.get(name.lower(), self.rename.get(_plain(name).lower(), name))

    def _key(self, name: str) -> str:
        """What names of one channel have in common: letters without case, outer dots and a leading "EEG "."""
        return _plain(self._renamed(name)).lower()

    def _spelled(self, names: tuple[str, ...], path: Path) -> tuple[str, ...]:
        from mne.channels import get_builtin_montages, make_standard_montage

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                montage = make_standard_montage(self.montage)
        except ValueError as error:
            raise unknown_name("montage", self.montage, get_builtin_montages()) from error
        known = {n.lower(): n for n in montage.ch_names}
        for name in names:
            if self._key(name) not in known:
                raise DataError(
                    f"channel '{name}' is not in the montage '{self.montage}'; choose channels, or 'rename' it",
                    file=path,
                )
        return tuple(known[self._key(n)] for n in names)

    # -- reading -------------------------------------------------------------------------------------------

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the subjects, and of their sessions as subject/session."""
        return dict(self._group_names)

    def peek(self, row: int) -> Sample:
        """Return the class and the groups of a row, with None for the EEG."""
        if not self._columns:
            table = self.index
            names = ("id", "file", "onset", "stratum", *(f"{g}_code" for g in self.group_columns))
            self._columns = {name: table[name].tolist() for name in names}
        columns = self._columns
        groups = {g: int(columns[f"{g}_code"][row]) for g in self.group_columns}
        targets = {self.task_name: columns["stratum"][row]}
        return Sample(columns["id"][row], {self.modality: None}, targets, groups)

    def read(self, row: int) -> Sample:
        """Read the epoch (C, T) in uV of a row, with its class and groups.

        Raises:
            DataError: the recording cannot be read any more, or a value is not finite.
        """
        sample = self.peek(row)
        opened = self._open_files.get(self._columns["file"][row], self._open)
        values = opened.epoch(self._columns["onset"][row])
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise DataError(
                f"channel '{self._features[int(np.flatnonzero(bad)[0])]}' is not finite everywhere; drop the epoch "
                "or the channel",
                file=opened.path,
                row=sample.id,
            )
        sample.inputs[self.modality] = values
        return sample


def _plain(name: str) -> str:
    """Drop outer dots and blanks, and a leading "EEG ", from the name of a channel."""
    plain = name.strip(" .")
    return plain[4:].strip(" .") if plain.lower().startswith("eeg ") else plain
