"""PhysioNet EEG Motor Movement/Imagery Dataset (eegmmidb): 109 people imagine or move fists and feet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, SourceCard
from datamodules.sources.signals.eeg_folder import EEGFolder, Recording
from datamodules.sources.signals.options import EpochOptions, ReadingOptions, refuse
from zoo.errors import DataError, MissingExtraError, SpecError, check_choice

SUBJECTS = 109
CLASSES = ("left", "right", "fists", "feet", "rest")
"""Left or right fist, both fists, both feet, rest."""
IMAGERY = {"left_right": (4, 8, 12), "fists_feet": (6, 10, 14)}
"""Contrast -> runs of imagery; each is preceded by the run of the same movement, executed."""
_DOWNLOADED = Path("MNE-eegbci-data", "files", "eegmmidb", "1.0.0")
"""Where MNE's downloader puts the folders of subjects."""


@dataclass(frozen=True)
class Movements(Settings):
    """Which movements are told apart.

    Attributes:
        contrast: "left_right", "fists_feet" or "both".
        executed: take the runs of executed instead of imagined movements.
        rest: also take T0, as the class rest; its epochs must fit those of the movements.
    """

    contrast: Literal["left_right", "fists_feet", "both"] = "both"
    executed: bool = False
    rest: bool = False


@SOURCES.register
class EEGMMIDB(EEGFolder):
    """Read 64-channel EEG (64, T) in uV at 160 Hz of imagined or executed movements, and which one it was.

    In the runs of left and right, T1 is the left and T2 the right fist; in the others T1 is both fists and T2 both
    feet; T0 is rest. Channels take the names of the 10-05 system. Epochs are read lazily; see EEGFolder.

    Args:
        folder: folder of ``S001`` ... ``S109`` below the root, or what MNE's downloader makes there.
        movements: which movements are told apart, imagined or executed.
        subjects: numbers of the subjects to take; () takes all that are there.
        exclude_subjects: numbers of subjects to leave out, counted; the default are those that are commonly left out.
        missing_runs: "raise" if a run of a subject is missing, or "skip" and count it.
        epochs: how a run becomes rows, by the onsets of its events; movements last about 4.1 s.
        reading: what is read of a run, and what is done to it; the montage is fixed.
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "eegmmidb",
        movements: Movements = Movements(),
        subjects: tuple[int, ...] = (),
        exclude_subjects: tuple[int, ...] = (88, 92, 100, 104),
        missing_runs: Literal["raise", "skip"] = "raise",
        epochs: EpochOptions = EpochOptions(),
        reading: ReadingOptions = ReadingOptions(),
        task_name: str = "motor_imagery",
    ) -> None:
        refuse("EEGMMIDB", epochs, "stim_channel", "window_seconds", "stride_seconds")
        refuse("EEGMMIDB", reading, "montage")
        super().__init__(
            folder=folder, epochs=epochs, reading=replace(reading, montage="standard_1005"), task_name=task_name
        )
        check_choice(self, "missing_runs", missing_runs, ("raise", "skip"))
        for number in (*subjects, *exclude_subjects):
            if not 1 <= number <= SUBJECTS:
                raise SpecError(f"EEGMMIDB: there is no subject {number}; subjects are 1 to {SUBJECTS}")
        self.rest, self.missing_runs = movements.rest, missing_runs
        self.subjects, self.exclude_subjects = tuple(subjects), tuple(exclude_subjects)
        shift = 1 if movements.executed else 0
        chosen = {k: v for k, v in IMAGERY.items() if movements.contrast in (k, "both")}
        self._runs = {run - shift: pair for pair, runs in chosen.items() for run in runs}
        self.card = self._own_card([c for pair in chosen for c in pair.split("_")] + (["rest"] if self.rest else []))

    def _own_card(self, taken: Sequence[str]) -> SourceCard:
        return replace(
            self.card,
            title="EEG Motor Movement/Imagery Dataset (eegmmidb 1.0.0)",
            modalities=(replace(self.card.modalities[0], sampling_rate=self.sampling_rate or 160.0),),
            tasks=(self._task(tuple(c for c in CLASSES if c in taken)),),
            licence="Open Data Commons Attribution License v1.0 (ODC-By)",
            access="open",
            citation="Schalk, McFarland, Hinterberger, Birbaumer, Wolpaw, BCI2000: a general-purpose brain-computer "
            "interface (BCI) system, IEEE Trans. Biomed. Eng. 51(6):1034-1043, 2004; Goldberger et al., PhysioBank, "
            "PhysioToolkit, and PhysioNet, Circulation 101(23):e215-e220, 2000",
            where="PhysioNet, physionet.org/content/eegmmidb/1.0.0, or --data.loading.download true",
            layout="S001/S001R01.edf ... S109/S109R14.edf, directly below the folder or below "
            f"{_DOWNLOADED.as_posix()}",
            caution="Some subjects (88 among them) were recorded at 128 instead of 160 Hz or with other timings; 88, "
            "92, 100 and 104 are commonly left out. Split by subject. Few subjects are far above chance.",
            size="109 subjects, 14 runs of one or two minutes each (over 1500 recordings), 64 channels",
        )

    def _bases(self) -> list[Path]:
        return [self.path / part for part in (Path(), Path("files"), _DOWNLOADED)]

    def _numbers(self) -> list[int]:
        """List the subjects that are wanted and not excluded, and count those that are."""
        there = {
            int(entry.name[1:])
            for base in self._bases()
            if base.is_dir()
            for entry in base.iterdir()
            if re.fullmatch(r"S\d{3}", entry.name)
        }
        wanted = set(self.subjects) or there
        self._skip("a subject is excluded (exclude_subjects)", len(wanted & set(self.exclude_subjects)))
        return sorted(wanted - set(self.exclude_subjects))

    def _find(self, subject: int, run: int) -> Path | None:
        name = f"S{subject:03d}/S{subject:03d}R{run:02d}.edf"
        return next((base / name for base in self._bases() if (base / name).is_file()), None)

    def _recordings(self) -> list[Recording]:
        numbers = self._numbers()
        if not numbers:
            raise self.absent("there is no folder of a subject")
        found = []
        for subject in numbers:
            for run in sorted(self._runs):
                path = self._find(subject, run)
                if path is None and self.missing_runs == "raise":
                    raise DataError(
                        f"run {run} of subject {subject} is missing; download it (--data.loading.download true), or "
                        "give missing_runs='skip'",
                        file=self.path / f"S{subject:03d}" / f"S{subject:03d}R{run:02d}.edf",
                    )
                if path is None:
                    self._skip("a run is missing (missing_runs: skip)", 1)
                else:
                    relative = path.relative_to(self.path).as_posix()
                    found.append(Recording(relative, f"S{subject:03d}", f"R{run:02d}", self._runs[run]))
        if not found:
            raise self.absent(f"no file of the runs {sorted(self._runs)} is there")
        return found

    def _classes_of(self, recording: Recording) -> Mapping[str, str]:
        first, second = recording.label.split("_")
        return {"T1": first, "T2": second, "T0": "rest" if self.rest else ""}

    def _skip(self, reason: str, count: int) -> None:
        rest = "the description 'T0' has no class in 'events'"
        super()._skip("rest between the movements (rest: false)" if reason == rest else reason, count)

    def fetch(self) -> None:
        """Download the missing runs of the subjects with MNE's downloader, which knows their checksums.

        Raises:
            DataError: a transfer failed.
            MissingExtraError: the library that the downloader needs is not installed.
        """
        numbers = sorted(set(self.subjects or range(1, SUBJECTS + 1)) - set(self.exclude_subjects))
        missing = {s: [r for r in sorted(self._runs) if self._find(s, r) is None] for s in numbers}
        if not any(missing.values()):
            return
        from mne.datasets import eegbci

        self.path.mkdir(parents=True, exist_ok=True)
        for subject, runs in missing.items():
            try:
                if runs:
                    eegbci.load_data(subject, runs, path=str(self.path), update_path=False, verbose="ERROR")
            except ImportError as error:
                raise MissingExtraError(error.name or "pooch", "eeg") from error
            except Exception as error:
                raise DataError(
                    f"the runs {runs} of subject {subject} could not be downloaded ({type(error).__name__}: "
                    f"{error}); try again, or get them: {self.card.where}",
                    file=self.path,
                ) from error
