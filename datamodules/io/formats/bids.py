"""EEG recordings of a BIDS folder, with what lies beside them: read by mne-bids, checked beforehand."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.io.formats.recordings import open_recording, records_of
from zoo.errors import DataError, MissingExtraError

SUFFIXES = (".edf", ".bdf", ".vhdr", ".set")
"""Suffixes, in lower case, of the recordings that BIDS allows for EEG."""


def entities(path: Path) -> dict[str, str]:
    """The parts of a name of BIDS.

    >>> entities(Path("sub-01_ses-a_task-rest_run-02_eeg.edf"))
    {'sub': '01', 'ses': 'a', 'task': 'rest', 'run': '02'}
    """
    return dict(re.findall(r"(?:^|_)([a-z]+)-([0-9A-Za-z+]+)", path.stem))


def list_recordings(root: Path, task: str = "") -> list[Path]:
    """The EEG recordings of a BIDS folder, sorted; derivatives and sources of the data are none of them.

    Args:
        root: the folder.
        task: entity of the recordings that are wanted; "" for all.
    """
    found = [p for p in root.glob("sub-*/**/eeg/*_eeg.*") if p.suffix.lower() in SUFFIXES and p.is_file()]
    return sorted(p for p in found if not task or entities(p).get("task") == task)


@dataclass(frozen=True)
class BIDSRecording:
    """A recording with what lies beside it.

    Attributes:
        raw: an ``mne.io.Raw`` in volts, whose samples stay on disk.
        events: whether there is an events.tsv; else the events are the annotations of the recording.
        outside: events that lie before or behind the recording, which MNE drops.
    """

    raw: Any
    events: bool
    outside: int


def open_bids(root: Path, path: Path) -> BIDSRecording:
    """Open a recording with the events of events.tsv, and the kinds, units and bad channels of channels.tsv.

    Args:
        root: the BIDS folder.
        path: the recording.

    Raises:
        DataError: the recording or what lies beside it is missing or broken, or they contradict each other.
        MissingExtraError: mne-bids is not installed.
    """
    try:
        import mne_bids
    except ImportError as error:
        raise MissingExtraError("mne-bids", "bids", file=path) from error
    open_recording(path)
    if records_of(path) is not None:
        raise DataError(
            "the recording has gaps (EDF+D), which BIDS does not allow; export it without them", file=path
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = mne_bids.get_bids_path_from_fname(str(path), check=False).update(root=str(root), datatype="eeg")
            raw = mne_bids.read_raw_bids(told, verbose="ERROR")
            events = told.find_matching_sidecar(suffix="events", extension=".tsv", on_error="ignore")
            given = mne_bids.events_file_to_annotation_kwargs(events, verbose="ERROR")["onset"] if events else []
    except Exception as error:
        text = " ".join(str(error).replace(str(root), "").split())[:300]
        raise DataError(
            f"mne-bids cannot read the recording ({type(error).__name__}: {text}); correct the files beside it, as "
            "the BIDS validator says",
            file=path,
        ) from error
    end = raw.n_times / float(raw.info["sfreq"])
    return BIDSRecording(raw, events is not None, sum(not 0 <= float(onset) < end for onset in given))
