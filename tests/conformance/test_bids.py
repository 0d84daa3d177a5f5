"""Recordings of BIDS folders as mne-bids reads them, and what it drops without a word."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io.formats.bids import list_recordings, open_bids
from datamodules.io.formats.recordings import list_events, read_samples
from tests.conformance.table import Case, Format, Variant, cases

Make = Callable[[Path], Path]
write_one = runpy.run_path(str(Path(__file__).parents[1] / "data" / "eeg_bids.py"))["write_one"]
HEAD = "onset\tduration\ttrial_type\n"
PLACES = "name\ttype\tunits\tstatus\n"


def root_of(path: Path) -> Path:
    return next(p for p in path.parents if (p / "dataset_description.json").is_file())


def ours(path: Path) -> dict[str, Any]:
    raw = open_bids(root_of(path), path).raw
    events = list_events(raw, path)
    return {
        "rate": float(raw.info["sfreq"]),
        "channels": list(raw.ch_names),
        "kinds": raw.get_channel_types(),
        "bad": list(raw.info["bads"]),
        "signals": read_samples(raw, path, range(len(raw.ch_names)), 0, raw.n_times) * 1e6,
        "events": [[int(s), d] for s, d in zip(events.samples, events.descriptions, strict=True)],
    }


def with_mne_bids(path: Path) -> dict[str, Any]:
    import mne
    import mne_bids

    told = mne_bids.get_bids_path_from_fname(str(path)).update(root=str(root_of(path)))
    raw = mne_bids.read_raw_bids(told, verbose="ERROR")
    words = sorted(set(raw.annotations.description))
    numbers = {w: k + 1 for k, w in enumerate(words) if not w.lower().startswith(("bad", "edge"))}
    events, _ = mne.events_from_annotations(raw, numbers, verbose="ERROR")
    names = {k: w for w, k in numbers.items()}
    return {
        "rate": float(raw.info["sfreq"]),
        "channels": list(raw.ch_names),
        "kinds": raw.get_channel_types(),
        "bad": list(raw.info["bads"]),
        "signals": raw.get_data() * 1e6,
        "events": [[int(s), names[k]] for s, _, k in events],
    }


def one(session: str = "", **options: Any) -> Make:
    return lambda folder: write_one(folder, "01", session, **options)


def places(*rows: str) -> str:
    return PLACES + "".join(f"{r}\n" for r in rows)


def inherited(folder: Path) -> Path:
    """The channels of all recordings stand once, at the top."""
    path = write_one(folder, "01")
    found = next(path.parent.glob("*_channels.tsv"))
    shutil.move(found, folder / "task-motor_channels.tsv")
    return path


def run(folder: Path) -> Path:
    path = write_one(folder, "01", task="motor_run-02")
    write_one(folder, "01", task="motor_run-01", seed=5)
    return path


BIDS = Format(
    "EEG-BIDS",
    library="mne_bids.read_raw_bids",
    reference=with_mne_bids,
    ours=ours,
    atol=1e-6,
    variants=(
        Variant("one session", one()),
        Variant("a session", one("pre")),
        Variant("the second of two runs", run),
        Variant("a bad channel", one(channels=places("C3\tEEG\tuV\tgood", "Cz\tEEG\tuV\tbad", "C4\tEEG\tuV\tgood",
                                                      "EOG\tEOG\tuV\tgood"))),
        Variant("no column of the status", one(channels="name\ttype\tunits\nC3\tEEG\tuV\nCz\tEEG\tuV\nC4\tEEG\tuV\n"
                                                       "EOG\tEOG\tuV\n")),
        Variant("a kind in small letters", one(channels=places("C3\teeg\tuV\tgood", "Cz\tEEG\tuV\tgood",
                                                               "C4\tEEG\tuV\tgood", "EOG\tVEOG\tuV\tgood"))),
        Variant("a kind that MNE has not", one(channels=places("C3\tEEG\tuV\tgood", "Cz\tEEG\tuV\tgood",
                                                               "C4\tEEG\tuV\tgood", "EOG\tLASER\tn/a\tgood"))),
        Variant("channels of all recordings at the top", inherited),
        Variant("no channels.tsv", one(channels="")),
        Variant("no trial types, but values", one(events="onset\tduration\tvalue\n1.0\t0\t7\n2.5\t0\t9\n")),
        Variant("trial types of n/a, but values",
                one(events="onset\tduration\ttrial_type\tvalue\n1.0\t0\tn/a\t7\n2.5\t0\tn/a\t9\n")),
        Variant("one trial type of two values",
                one(events="onset\tduration\ttrial_type\tvalue\n1\t0\tgo\t1\n2\t0\tgo\t2\n3\t0\tstop\t3\n")),
        Variant("a trial type of n/a", one(events=HEAD + "1.0\t0\tleft\n2.0\t0\tn/a\n3.0\t0\tright\n")),
        Variant("an onset of n/a", one(events=HEAD + "n/a\t0\tleft\n3.0\t0\tright\n")),
        Variant("a duration of n/a", one(events=HEAD + "1.0\tn/a\tleft\n3.0\t0\tright\n")),
        Variant("events in another order", one(events=HEAD + "9.0\t0\tright\n1.0\t0\tleft\n")),
        Variant("two events at one time", one(events=HEAD + "1.0\t0\tleft\n1.0\t0\tright\n")),
        Variant("an event between two samples", one(events=HEAD + "1.004\t0\tleft\n1.006\t0\tright\n")),
        Variant("words beyond ASCII", one(events=HEAD + "1.0\t0\tzurück\n2.0\t0\t閉眼\n")),
        Variant("a bad span", one(events=HEAD + "1.0\t0\tleft\n3.0\t1.5\tBAD_jump\n")),
        Variant("further columns", one(events="onset\tduration\tsample\ttrial_type\tresponse\n1\t0\t100\tgo\t0.4\n")),
        Variant("no events.tsv", one(events="")),
        Variant("millivolt in the file", one(unit="mV", signals=np.ones((4, 800)), step=0.001)),
        Variant(
            "events before and behind the recording, which MNE drops",
            one(events=HEAD + "-1.0\t0\tleft\n1.0\t0\tleft\n99\t0\tright\n"),
            ours=lambda p: open_bids(root_of(p), p).outside,
            differs="they are counted",
            expected=2,
        ),
        Variant(
            "a folder of derivatives",
            lambda f: [write_one(f, "01"), write_one(f / "derivatives" / "clean", "01")][0],
            ours=lambda p: [q.name for q in list_recordings(root_of(p))],
            differs="derivatives are no recordings of the folder",
            expected=["sub-01_task-motor_eeg.edf"],
        ),
        Variant("channels.tsv of other names", one(channels=places("A\tEEG\tuV\tgood", "B\tEEG\tuV\tgood",
                "C\tEEG\tuV\tgood", "D\tEOG\tuV\tgood")), error="Channel mismatch"),
        Variant("channels.tsv in another order", one(channels=places("Cz\tEEG\tuV\tgood", "C3\tEEG\tuV\tgood",
                "C4\tEEG\tuV\tgood", "EOG\tEOG\tuV\tgood")), error="Channel mismatch"),
        Variant("an onset that is no number", one(events=HEAD + "soon\t0\tleft\n"), error="mne-bids cannot read"),
        Variant("gaps in the file (EDF+D)", one(kind="EDF+D"), error="gaps (EDF+D)"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", cases(BIDS), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    pytest.importorskip("mne_bids")
    case.check(tmp_path)
