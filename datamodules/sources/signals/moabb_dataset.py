"""Any data set that MOABB knows, by the name of its class, as lazily read EEG epochs."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES
from datamodules.io.formats.recordings import list_events, open_recording
from datamodules.sources.signals.eeg_folder import EEGFolder, Recording
from datamodules.sources.signals.options import EpochOptions, ReadingOptions, refuse
from zoo.errors import DataError, MissingExtraError, SpecError, unknown_name

KNOWN_CLASSES = {"BNCI2014_001": ("left_hand", "right_hand", "feet", "tongue")}
"""Data set -> its classes, where they are known without MOABB."""
LONGEST = 3600.0
"""Length of an epoch in seconds until the length of the trial interval is known."""
_NOTE = "runs.json"
_LOCAL = ("localhost", "127.0.0.1", "::1", None, "")


@SOURCES.register
class MOABBDataset(EEGFolder):
    """Read epochs of EEG (C, T) in uV of a MOABB data set, with the names of its events as classes.

    MOABB loads whole subjects. Each subject is loaded once and written, run by run, in single precision as FIF below
    ``prepared`` in the folder; epochs are then read lazily as by EEGFolder. Nothing is downloaded unless
    ``open(download=True)`` asks for it: then MOABB's own downloader puts the files into the folder.

    A row's group is its subject; subject and session are group columns. Time 0 is where the data set's trial
    interval begins (for BNCI2014_001 the cue, 2 s into the trial).

    Args:
        folder: MOABB's data folder (what MNE_DATA names) below the root.
        dataset: name of a class of ``moabb.datasets``.
        options: arguments of that class.
        subjects: numbers of the subjects to take; () takes all.
        events: name of an event -> class; others are left out and counted. None takes every event as a class.
        epochs: how a run becomes rows, by the start of the trial interval; ``tmax`` None takes its length.
        reading: what is read of a run, and what is done to it.
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "moabb",
        dataset: str = "BNCI2014_001",
        options: dict[str, Any] | None = None,
        subjects: tuple[int, ...] = (),
        events: dict[str, str] | None = None,
        epochs: EpochOptions = EpochOptions(),
        reading: ReadingOptions = ReadingOptions(),
        task_name: str = "motor_imagery",
    ) -> None:
        refuse("MOABBDataset", epochs, "stim_channel", "window_seconds", "stride_seconds")
        self._ends_with_interval = epochs.tmax is None
        super().__init__(
            folder=folder,
            events=events,
            epochs=replace(epochs, tmax=epochs.tmin + LONGEST) if epochs.tmax is None else epochs,
            reading=reading,
            task_name=task_name,
        )
        if not dataset.isidentifier():
            raise SpecError(f"MOABBDataset: dataset {dataset!r} is no name of a class of moabb.datasets")
        self.dataset, self.options, self.subjects = dataset, dict(options or {}), tuple(subjects)
        self._names: dict[str, str] = {}
        classes = tuple(dict.fromkeys(events.values())) if events else KNOWN_CLASSES.get(dataset, ())
        self.card = replace(
            self.card,
            title=f"{dataset}, through MOABB",
            tasks=(self._task(classes),),
            licence="that of the data set; see its page in MOABB's documentation",
            citation="Jayaram, Barachant, MOABB: trustworthy algorithm benchmarking for BCIs, J. Neural Eng. "
            "15:066011, 2018 (the reader); cite the data set too",
            where="--data.loading.download true lets MOABB's own downloader fetch it",
            layout="the files where MOABB keeps them, such as MNE-bnci-data/... (moabb's set_download_dir)",
            caution="MOABB may rescale, rename or drop channels and trials; versions differ. Names of classes are "
            "those of MOABB's events, such as left_hand.",
            size="see MOABB's tables",
        )

    # -- preparing -----------------------------------------------------------------------------------------

    @property
    def _prepared(self) -> str:
        said = json.dumps(self.options, sort_keys=True, default=str)
        suffix = f"-{blake2b(said.encode(), digest_size=4).hexdigest()}" if self.options else ""
        return f"prepared/{self.dataset}{suffix}"

    def _instance(self) -> Any:
        """Make MOABB's data set.

        Raises:
            MissingExtraError, UnknownNameError, SpecError: no moabb, no such class, or not its options.
        """
        try:
            import moabb.datasets
            from moabb.datasets.base import BaseDataset
        except ImportError as error:
            raise MissingExtraError("moabb", "eeg") from error
        known = {
            name: made
            for name, made in vars(moabb.datasets).items()
            if isinstance(made, type) and issubclass(made, BaseDataset)
        }
        if self.dataset not in known:
            raise unknown_name("MOABB data set", self.dataset, known)
        try:
            return known[self.dataset](**self.options)
        except (TypeError, ValueError, AssertionError) as error:
            raise SpecError(f"MOABBDataset: {self.dataset} refuses the options {self.options}: {error}") from error

    def _prepare(self, *, online: bool) -> dict[str, dict[str, Any]]:
        """Write the subjects that are not yet prepared; return the note of each subject."""
        notes: dict[str, dict[str, Any]] = {}
        wanted: dict[str, Any] = {_subject_name(s): s for s in self.subjects}
        instance: Any = None
        if not wanted or any(self._note(name) is None for name in wanted):
            instance = self._instance()
            wanted = wanted or {_subject_name(s): s for s in instance.subject_list}
        for name, subject in wanted.items():
            note = self._note(name)
            if note is None:
                if subject not in instance.subject_list:
                    raise SpecError(f"MOABBDataset: no subject {subject} in {self.dataset}: {instance.subject_list}")
                self._write(name, instance, self._load(instance, subject, online))
                note = self._note(name)
            notes[name] = note or {}
        return notes

    def _note(self, name: str) -> dict[str, Any] | None:
        """Read what was noted when a subject was prepared; None where it was not, or not to the end."""
        path = self.path / self._prepared / name / _NOTE
        if not path.is_file():
            return None
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            right = [isinstance(note[k], list) for k in ("runs", "events", "interval")]
            if not all(right) or not all(len(r) == 2 for r in note["runs"]) or len(note["interval"]) != 2:
                raise ValueError("not the note that was written")
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise DataError(
                f"the note of a prepared subject is broken ({error}); delete its folder, to have it made again",
                file=path,
            ) from error
        return dict(note)

    def _load(self, instance: Any, subject: Any, online: bool) -> Mapping[str, Mapping[str, Any]]:
        import mne

        tried: list[str] = []
        try:
            with _home(self.path), _network(online, tried), mne.utils.use_log_level("ERROR"):
                return dict(instance.get_data(subjects=[subject])[subject])
        except Exception as error:
            why = (
                f"its files are not there (MOABB wanted to ask {tried[0]})"
                if tried
                else f"{type(error).__name__}: {str(error)[:300]}"
            )
            raise DataError(
                f"MOABB could not load subject {subject} of {self.dataset}: {why}. Put its files where MOABB keeps "
                "them below this folder, or download them (--data.loading.download true)",
                file=self.path,
            ) from error

    def _write(self, name: str, instance: Any, sessions: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the runs of a subject as FIF, and a note of them last; other processes see all or nothing."""
        final = self.path / self._prepared / name
        partial = final.with_name(f".{name}.{os.getpid()}")
        runs = []
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for session, held in sessions.items():
                for run, raw in held.items():
                    path = partial / f"{_safe(session)}_{_safe(run)}_raw.fif"
                    raw.save(path, fmt="single", overwrite=True, verbose="ERROR")
                    _same_events(raw, path)
                    runs.append([path.name, str(session)])
            interval = [float(t) for t in instance.interval]
            note = {"runs": runs, "events": [str(e) for e in instance.event_id], "interval": interval}
            (partial / _NOTE).write_text(json.dumps(note), encoding="utf-8")
            try:
                partial.replace(final)
            except OSError:
                if self._note(name) is None:
                    raise
        except OSError as error:
            raise DataError(
                f"the runs of {name} could not be written ({error}); the folder must be writable, once", file=final
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def fetch(self) -> None:
        """Let MOABB download what is missing, and prepare it."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._prepare(online=True)

    # -- listing -------------------------------------------------------------------------------------------

    def _index(self) -> pd.DataFrame:
        notes = self._prepare(online=False)
        first = next(iter(notes.values()), {"interval": [0.0, 0.0], "events": []})
        if self._ends_with_interval:
            self.tmax = float(first["interval"][1]) - float(first["interval"][0])
        self._names = {str(e): str(e) for e in first["events"]}
        return super()._index()

    def _recordings(self) -> list[Recording]:
        found = []
        for name, note in self._prepare(online=False).items():
            found += [Recording(f"{self._prepared}/{name}/{file}", name, session) for file, session in note["runs"]]
        return found

    def _classes_of(self, recording: Recording) -> Mapping[str, str]:
        return self._names if self.events is None else self.events


def _subject_name(subject: Any) -> str:
    return f"subject{subject:03d}" if isinstance(subject, int) else f"subject{_safe(subject)}"


def _safe(name: object) -> str:
    return "".join(c if c.isalnum() else "-" for c in str(name))


def _same_events(raw: Any, path: Path) -> None:
    """Check that the events that were written are those that are read.

    Raises:
        DataError: a sample or a description differs.
    """
    before, after = list_events(raw, path), list_events(open_recording(path), path)
    if before.descriptions != after.descriptions or not np.array_equal(before.samples, after.samples):
        raise DataError(
            "the events changed when the run was written: the recording is too long or too fast", file=path
        )


@contextmanager
def _home(path: Path) -> Iterator[None]:
    """Let MNE and MOABB look for data below ``path`` only."""
    import mne

    configured = {
        k for k in {**mne.get_config(), **os.environ} if k.startswith("MNE_DATASETS_") and k.endswith("_PATH")
    }
    before = {k: os.environ.get(k) for k in (*configured, "MNE_DATA")}
    os.environ.update(dict.fromkeys(before, str(path.absolute())))
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextmanager
def _network(online: bool, tried: list[str]) -> Iterator[None]:
    """Unless ``online``, no host but this one can be looked up by this process; ``tried`` gets the others' names.

    MOABB's data sets download in many ways and as a part of loading, so this is where all of them can be stopped.
    """
    if online:
        yield
        return
    look_up, provider = socket.getaddrinfo, os.environ.get("MOABB_DOWNLOAD_PROVIDER")

    def refuse(host: Any, *arguments: Any, **named: Any) -> Any:
        if host in _LOCAL:
            return look_up(host, *arguments, **named)
        tried.append(host.decode() if isinstance(host, bytes) else str(host))
        raise OSError("downloading was not asked for")

    os.environ["MOABB_DOWNLOAD_PROVIDER"] = "upstream"
    socket.getaddrinfo = refuse
    from pooch import get_logger  # type: ignore[import-untyped]

    level = get_logger().level
    get_logger().setLevel("ERROR")  # it says "Downloading" before it is refused
    try:
        yield
    finally:
        socket.getaddrinfo = look_up
        get_logger().setLevel(level)
        if provider is None:
            os.environ.pop("MOABB_DOWNLOAD_PROVIDER", None)
        else:
            os.environ["MOABB_DOWNLOAD_PROVIDER"] = provider
