"""EEG in a BIDS folder: trials by events.tsv, or windows by a column of participants.tsv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES
from datamodules.io.files import read_csv
from datamodules.io.formats.bids import SUFFIXES, entities, list_recordings, open_bids
from datamodules.io.unknown import RULE, Unknown
from datamodules.sources.signals.eeg_folder import EEGFolder, Recording
from datamodules.sources.signals.epochs import Opened
from datamodules.sources.signals.options import EpochOptions, ReadingOptions
from zoo.errors import DataError, SpecError, unknown_name

OUTSIDE = "the event of events.tsv lies outside the recording"
UNLISTED = "participants.tsv does not say the class of the subject"
MARKED = "channels.tsv marks a channel that is read as bad"


@dataclass(frozen=True)
class BIDSOptions(Settings):
    """What of a BIDS folder is read.

    Attributes:
        task: entity of the recordings, such as "rest"; "" for all.
        label: column of participants.tsv that is the class of every window; "" takes the class from the events.
        columns: columns of participants.tsv that become group columns, such as sex and site.
        bad_channels: "keep" reads channels that channels.tsv marks as bad like all others, and says how many; "skip"
            leaves recordings out in which one of the channels read is marked, and counts them.
        unknown: words of participants.tsv that stand for an unknown value, beside n/a and the like.
    """

    task: str = ""
    label: str = ""
    columns: tuple[str, ...] = ()
    bad_channels: Literal["keep", "skip"] = "keep"
    unknown: tuple[str, ...] = ()


@SOURCES.register
class EEGBIDS(EEGFolder):
    """Read epochs of EEG (C, T) in uV from a BIDS folder, by mne-bids (Appelhoff et al., JOSS 4:1896, 2019).

    Trials are the rows of events.tsv (``trial_type``, else ``value``); kinds and units of channels come from
    channels.tsv. Rows of a subject share a group; ``subject``, ``session`` and the columns that are named are group
    columns. See EEGFolder for how an epoch is cut.

    Args:
        folder: the BIDS folder below the root, which holds sub-*/.
        events: trial type -> class, others are left out and counted; None takes every trial type as a class.
        bids: what of the folder is read.
        epochs: how a recording becomes rows: times from the event, or windows.
        reading: what is read of a recording (channels, reference), and what is done to it (filter, rate).
        modality: name of the modality.
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "eeg_bids",
        events: dict[str, str] | None = None,
        bids: BIDSOptions = BIDSOptions(),
        epochs: EpochOptions = EpochOptions(),
        reading: ReadingOptions = ReadingOptions(),
        modality: str = "eeg",
        task_name: str = "trial_type",
    ) -> None:
        if bool(bids.label) != bool(epochs.window_seconds):
            raise SpecError(
                "EEGBIDS: a label of participants.tsv is the class of windows; give bids.label and "
                f"epochs.window_seconds together, got {bids.label!r} and {epochs.window_seconds:g}"
            )
        super().__init__(
            folder=folder, events=events, epochs=epochs, reading=reading, modality=modality, task_name=task_name
        )
        self.bids = bids
        self.group_columns = ("subject", "session", *bids.columns)
        self._participants: dict[str, dict[str, str]] = {}
        self._said: list[str] = []
        self._outside: dict[str, int] = {}
        self._without: set[str] = set()
        self.card = replace(
            self.card,
            title="A BIDS folder of EEG",
            citation="Pernet et al., EEG-BIDS, Scientific Data 6:103, 2019; Appelhoff et al., MNE-BIDS, JOSS 4:1896, "
            "2019 (the reader)",
            where="your own recordings, or OpenNeuro",
            layout=f"sub-*/[ses-*/]eeg/*_eeg with one of {', '.join(SUFFIXES)}, beside each *_events.tsv and "
            "*_channels.tsv, and participants.tsv",
            caution="Epochs of a subject are alike: they share a group unless group_by says otherwise.",
        )

    def _recordings(self) -> list[Recording]:
        self._said, self._outside, self._without = [], {}, set()
        self._participants = self._read_participants()
        paths = list_recordings(self.path, self.bids.task)
        if not paths:
            tasks = sorted({entities(p).get("task", "") for p in list_recordings(self.path)} - {""})
            raise DataError(
                f"{self.name}: no EEG recording of the task '{self.bids.task}'; there are the tasks {tasks}. "
                f"Expected: {self.card.layout}",
                file=self.path,
            )
        found = []
        for path in paths:
            told = entities(path)
            label = self._participants.get(told["sub"], {}).get(self.bids.label, "")
            if self.bids.label and not label:
                self._skip(UNLISTED, 1)
                continue
            file = path.relative_to(self.path).as_posix()
            found.append(Recording(file, told["sub"], told.get("ses", "none"), label))
        return found

    def _read_participants(self) -> dict[str, dict[str, str]]:
        """Subject -> column -> value, "" where unknown."""
        wanted = tuple(c for c in (self.bids.label, *self.bids.columns) if c)
        path = self.path / "participants.tsv"
        if not wanted:
            return {}
        table = read_csv(path, ("participant_id",), stripped=True, separator="\t")
        for column in wanted:
            if column not in table.columns:
                raise DataError(str(unknown_name("column of participants.tsv", column, table.columns)), file=path)
        rule = Unknown(self.bids.unknown) if self.bids.unknown else RULE
        cells: dict[str, Sequence[str]] = {}
        for column in wanted:
            cells[column], said = rule.blank(table[column].tolist(), column)
            self._said += said
        names = [str(n).removeprefix("sub-") for n in table["participant_id"]]
        twice = pd.Series(names).duplicated().to_numpy()
        if twice.any():
            row = int(twice.argmax())
            raise DataError(f"the participant '{names[row]}' is listed twice", file=path, row=row)
        return {name: {c: cells[c][row] for c in wanted} for row, name in enumerate(names)}

    def _raw(self, path: Path, exclude: Sequence[str] = ()) -> Any:
        if exclude:
            raise DataError(
                f"channels such as '{exclude[0]}' are stored at a higher rate than those that are read, which cannot "
                "be parted in a BIDS folder; export the recording at one rate",
                file=path,
            )
        opened = open_bids(self.path, path)
        file = path.relative_to(self.path).as_posix()
        self._outside[file] = opened.outside
        if not opened.events:
            self._without.add(file)
        return opened.raw

    def _rows(self, recording: Recording, opened: Opened, seen: set[str]) -> pd.DataFrame:
        if not self.window_seconds:
            self._skip(OUTSIDE, self._outside.get(recording.file, 0))
        table = super()._rows(recording, opened, seen)
        told = self._participants.get(recording.subject, {})
        for column in self.bids.columns:
            table[f"{column}_name"] = told.get(column, "")
        bad = sorted({opened.raw.ch_names[k] for k in opened.picks} & set(opened.raw.info["bads"]))
        if not bad:
            return table
        if self.bids.bad_channels == "skip":
            self._skip(MARKED, len(table))
            return table.iloc[:0]
        self._said.append(f"'{recording.file}': {bad} are marked as bad, and are read (bids.bad_channels: keep)")
        return table

    def _describe(self, rate: float, table: pd.DataFrame) -> None:
        if len(table) == 0:
            raise DataError(f"{self.name}: no epoch is left; left out are {self.skipped}", file=self.path)
        super()._describe(rate, table)
        without = sorted(self._without)
        if without and not self.window_seconds:
            self._said.append(
                f"{len(without)} recordings have no events.tsv, such as '{without[0]}': their own annotations "
                "are taken"
            )
        self.remarks = [*self.remarks, *self._said]
