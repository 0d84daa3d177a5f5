"""Recordings as MNE reads them: samples in uV, rates, names of channels, events from the first sample, bad spans."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
from scipy.io import savemat

from datamodules.io.formats.recordings import list_events, open_recording, read_samples
from tests.conformance.table import Case, Format, Variant, cases

Make = Callable[[Path], Path]
written = runpy.run_path(str(Path(__file__).parents[1] / "data" / "edf.py"))
CHANNELS = ("C3", "Cz", "C4")
EVENTS = ((0.5, 0.0, "left"), (2.25, 1.0, "right"), (5.0, 0.5, "left"))
SIGNALS = np.round(np.random.default_rng(0).normal(0, 30, (3, 800)), 1)


def ours(path: Path) -> dict[str, Any]:
    raw = open_recording(path)
    events = list_events(raw, path)
    spoiled = np.zeros(int(raw.n_times), dtype=bool)
    for start, stop in events.bad:
        spoiled[start:stop] = True
    return {
        "rate": float(raw.info["sfreq"]),
        "channels": list(raw.ch_names),
        "signals": read_samples(raw, path, range(len(raw.ch_names)), 0, raw.n_times) * 1e6,
        "events": [[int(s), d] for s, d in zip(events.samples, events.descriptions, strict=True)],
        "bad": spoiled.astype(int),
    }


def with_mne(path: Path) -> dict[str, Any]:
    options = {"infer_types": True} if path.suffix in (".edf", ".bdf") else {}
    raw = mne.io.read_raw(path, preload=True, verbose="ERROR", **options)
    words = sorted(set(raw.annotations.description))
    numbers = {w: k + 1 for k, w in enumerate(words) if not w.lower().startswith(("bad", "edge"))}
    events, _ = mne.events_from_annotations(raw, numbers, verbose="ERROR")
    held = raw.get_data(reject_by_annotation="NaN", verbose="ERROR")
    names = {k: w for w, k in numbers.items()}
    return {
        "rate": float(raw.info["sfreq"]),
        "channels": list(raw.ch_names),
        "signals": raw.get_data() * 1e6,
        "events": [[int(s - raw.first_samp), names[k]] for s, _, k in events],
        "bad": np.isnan(held).all(axis=0).astype(int),
    }


def edf(
    suffix: str = "edf",
    signals: np.ndarray = SIGNALS,
    labels: Sequence[str] = CHANNELS,
    events: Sequence[tuple[float, float, str]] = EVENTS,
    **options: Any,
) -> Make:
    def make(folder: Path) -> Path:
        path = folder / f"a.{suffix}"
        written["write_edf"](path, signals, labels, options.pop("rate", 100), events, **options)
        return path

    return make


def changed(make: Make, place: int, content: bytes) -> Make:
    """The file of ``make`` with other bytes at a place."""

    def write(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        data[place : place + len(content)] = content
        path.write_bytes(bytes(data))
        return path

    return write


def shortened(make: Make, count: int) -> Make:
    def write(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(path.read_bytes()[:-count])
        return path

    return write


HEADER = 256 * (len(CHANNELS) + 2)
GAPS = {"kind": "EDF+D", "starts": (0, 1, 2, 10, 11, 12, 13, 14)}
LATE = ((0.5, 0.0, "left"), (2.25, 0.0, "right"), (10.5, 0.0, "left"))

EDF = Format(
    "EDF and BDF",
    library="mne.io.read_raw_edf, read_raw_bdf",
    reference=with_mne,
    ours=ours,
    atol=1e-6,
    variants=(
        Variant("EDF+ with annotations", edf()),
        Variant("BDF+ of 24 bits", edf("bdf", step=0.01)),
        Variant("suffix in capitals", edf("EDF"), reference=lambda p: with_mne(p.rename(p.with_suffix(".edf")))),
        Variant("millivolt", edf(unit="mV", signals=SIGNALS / 100, step=0.001)),
        Variant("volt", edf(unit="V", signals=SIGNALS / 1e5, step=1e-5)),
        Variant("channels called EEG C3..", edf(labels=("EEG C3..", "EEG Cz..", "EOG left"))),
        Variant("two channels of one name", edf(labels=("C3", "C3", "C4"))),
        Variant("no annotations", edf(events=())),
        Variant("two events at one time", edf(events=((1.0, 0.0, "a"), (1.0, 0.0, "b")))),
        Variant("an event between two samples", edf(events=((1.004, 0.0, "a"), (1.006, 0.0, "b")))),
        Variant("an event in the last sample", edf(events=((7.99, 0.0, "a"),))),
        Variant("a description beyond ASCII", edf(events=((1.0, 0.0, "Lid schließen"), (2.0, 0.0, "閉眼")))),
        Variant("a bad span", edf(events=(*EVENTS, (3.003, 0.755, "BAD_jump")))),
        Variant("a bad span to the end", edf(events=(*EVENTS, (6.0, 2.0, "bad")))),
        Variant("the first record begins 0.25 s late", changed(edf(), HEADER + 600, b"+0.25\x14\x14\0")),
        Variant("EDF+D whose records follow each other", edf(kind="EDF+D")),
        Variant(
            "EDF+D with a gap",
            edf(events=LATE, **GAPS),
            ours=lambda p: ours(p)["events"],
            differs="events lie where they were written; MNE joins the records and leaves events at their times",
            expected=[[50, "left"], [225, "right"], [350, "left"]],
        ),
        Variant(
            "EDF+D with an event in the gap",
            edf(events=(*LATE, (5.0, 0.0, "lost")), **GAPS),
            ours=lambda p: list_events(open_recording(p), p).lost,
            differs="an event at which nothing was written is left out and counted",
            expected=1,
        ),
        Variant(
            "annotations called edge and boundary",
            edf(events=(*EVENTS, (3.0, 0.1, "EDGE"), (4.0, 0.0, "boundary"))),
            ours=lambda p: ours(p)["events"],
            differs="seams of a recording are bad spans, and no events",
            expected=[[50, "left"], [225, "right"], [500, "left"]],
        ),
        Variant("one byte short", shortened(edf(), 1), error="cut short or changed"),
        Variant("an empty range of values", edf(signals=SIGNALS * 0, step=0), error="physical range"),
        Variant("another file of this suffix", changed(edf(), 0, b"NOT EDF!"), error="begin with an EDF"),
    ),
)


def recording(
    date: int | None = 1_000_000_000, channels: Sequence[str] = CHANNELS, kinds: str | Sequence[str] = "eeg"
) -> mne.io.RawArray:
    raw = mne.io.RawArray(SIGNALS * 1e-6, mne.create_info(list(channels), 100.0, kinds), verbose="ERROR")
    raw.set_meas_date(date)
    onsets, durations, words = zip(*EVENTS, (6.0, 0.5, "BAD"), strict=True)
    return raw.set_annotations(mne.Annotations(onsets, durations, words))


def fif(edit: Callable[[mne.io.RawArray], Any] = lambda raw: None, name: str = "a_raw.fif", **options: Any) -> Make:
    def make(folder: Path) -> Path:
        raw = recording(options.pop("date", 1_000_000_000))
        raw = edit(raw) or raw
        raw.save(folder / name, verbose="ERROR", **options)
        return folder / name

    return make


def joined(raw: mne.io.RawArray) -> mne.io.RawArray:
    return mne.concatenate_raws([raw, raw.copy()], verbose="ERROR")


WORDS = ("onset", "duration", "description")


def prolonged(raw: mne.io.RawArray, times: int = 250, rate: float = 100.0) -> mne.io.RawArray:
    info = mne.create_info(list(CHANNELS), rate, "eeg")
    longer = mne.io.RawArray(np.tile(SIGNALS, (1, times)) * 1e-6, info, verbose="ERROR")
    return longer.set_annotations(mne.Annotations(*(getattr(raw.annotations, n) for n in WORDS)))


def marked(raw: mne.io.RawArray) -> None:
    raw.info["bads"] = ["Cz"]


def shifted(raw: mne.io.RawArray) -> mne.io.RawArray:
    """Annotations whose times count from another moment than the recording."""
    origin = raw.info["meas_date"].timestamp() + 2.0
    return raw.set_annotations(mne.Annotations([0.5, 1.5], 0.0, ["left", "right"], orig_time=origin))


FIF = Format(
    "FIF",
    library="mne.io.read_raw_fif",
    reference=with_mne,
    ours=ours,
    atol=1e-4,
    variants=(
        Variant("as MNE saves it", fif()),
        Variant("no measurement date", fif(date=None)),
        Variant("cropped", fif(lambda raw: raw.crop(0.3, 6.2))),
        Variant("cropped, no measurement date", fif(lambda raw: raw.crop(0.3, 6.2), date=None)),
        Variant("cropped twice", fif(lambda raw: raw.crop(0.2).crop(0.2, 6.0), date=None)),
        Variant("cropped within an event", fif(lambda raw: raw.crop(2.5, 7.0), date=None)),
        Variant("cropped in the middle of a bad span", fif(lambda raw: raw.crop(2.0, 6.2))),
        Variant("annotations from another origin", fif(shifted)),
        Variant("annotations from another origin, cropped", fif(lambda raw: shifted(raw).crop(1.0, 7.0))),
        Variant("double precision", fif(fmt="double")),
        Variant("whole numbers of 16 bits", fif(fmt="short"), ours=lambda p: ours(p)["events"],
                reference=lambda p: with_mne(p)["events"]),
        Variant("compressed", fif(name="a_raw.fif.gz"), error="cannot be read; known"),
        Variant("a rate that is no whole number", fif(lambda raw: prolonged(raw, 1, 99.7))),
        Variant("filtered and re-referenced", fif(lambda raw: raw.set_eeg_reference("average", verbose="ERROR"))),
        Variant("a channel that is marked as bad", fif(marked)),
        Variant("a trigger channel", fif(lambda raw: raw.set_channel_types({"C4": "stim"}, verbose="ERROR"))),
        Variant("split in several files", fif(prolonged, split_size="2MB")),
        Variant(
            "two recordings joined",
            fif(joined),
            ours=lambda p: ours(p)["events"],
            differs="the seam is a bad span and no event",
            expected=[[50, "left"], [225, "right"], [500, "left"], [850, "left"], [1025, "right"], [1300, "left"]],
        ),
        Variant("one byte short", shortened(fif(), 1), error="cut short"),
    ),
)  # fmt: skip


def brainvision(
    markers: Sequence[str] = ("Stimulus,S  1,51,1,0", "Stimulus,S  2,226,1,0", "Response,R  3,501,1,0"),
    *,
    head: str = "",
    resolution: str = "0.1,µV",
    format: str = "INT_16",
    orientation: str = "MULTIPLEXED",
    encoding: str = "utf-8",
    lost: bool = False,
) -> Make:
    def make(folder: Path) -> Path:
        channels = "\n".join(f"Ch{k + 1}={n},,{resolution}" for k, n in enumerate(CHANNELS))
        (folder / "a.vhdr").write_text(
            f"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage={encoding.upper()}\n"
            f"DataFile=a.eeg\nMarkerFile=a.vmrk\nDataFormat=BINARY\nDataOrientation={orientation}\n"
            f"NumberOfChannels=3\nSamplingInterval=10000\n{head}[Binary Infos]\nBinaryFormat={format}\n"
            f"[Channel Infos]\n{channels}\n",
            encoding=encoding,
        )
        lines = ["Mk1=New Segment,,1,1,0,20200101120000000000", *(f"Mk{k + 2}={m}" for k, m in enumerate(markers))]
        text = "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nDataFile=a.eeg\n[Marker Infos]\n"
        (folder / "a.vmrk").write_text(text + "\n".join(lines) + "\n", encoding=encoding)
        values = np.rint(SIGNALS * 10) if format.startswith("INT") else SIGNALS * 10
        values = values.T if orientation == "MULTIPLEXED" else values
        kind = {"INT_16": "<i2", "INT_32": "<i4", "IEEE_FLOAT_32": "<f4"}[format]
        if not lost:
            (folder / "a.eeg").write_bytes(np.ascontiguousarray(values).astype(kind).tobytes())
        return folder / "a.vhdr"

    return make


def eeglab(*, apart: bool = False, events: bool = True, unit: float = 1.0, boundary: bool = False) -> Make:
    def make(folder: Path) -> Path:
        made: list[tuple[str, float]] = [("left", 51.0), ("right", 226.0), ("left", 501.4)]
        made += [("boundary", 300.5)] if boundary else []
        record = np.array(made, dtype=[("type", object), ("latency", object)]) if events else np.zeros((0, 0))
        places = np.array([(n,) for n in CHANNELS], dtype=[("labels", object)])
        held: dict[str, Any] = {
            "setname": "a", "nbchan": 3, "pnts": 800, "trials": 1, "srate": 100.0, "xmin": 0.0, "xmax": 7.99,
            "data": "a.fdt" if apart else (SIGNALS * unit).astype(np.float32), "chanlocs": places, "event": record,
            "urevent": np.zeros((0, 0)), "ref": "common", "icawinv": np.zeros((0, 0)), "history": "",
        }  # fmt: skip
        if apart:
            (folder / "a.fdt").write_bytes(SIGNALS.T.astype("<f4").tobytes())
        savemat(folder / "a.set", {"EEG": held}, appendmat=False)
        return folder / "a.set"

    return make


def gdf(events: Sequence[tuple[int, int]] = ((50, 769), (225, 770))) -> Make:
    def make(folder: Path) -> Path:
        written["write_gdf"](folder / "a.gdf", SIGNALS, CHANNELS, 100, events)
        return folder / "a.gdf"

    return make


OTHERS = Format(
    "BrainVision, EEGLAB and GDF",
    library="mne.io.read_raw_brainvision, read_raw_eeglab, read_raw_gdf",
    reference=with_mne,
    ours=ours,
    atol=1e-4,
    variants=(
        Variant("BrainVision", brainvision()),
        Variant("BrainVision, whole numbers of 32 bits", brainvision(format="INT_32")),
        Variant("BrainVision, floats", brainvision(format="IEEE_FLOAT_32")),
        Variant("BrainVision, channel by channel", brainvision(orientation="VECTORIZED")),
        Variant("BrainVision, unit left out", brainvision(resolution="0.1")),
        Variant("BrainVision, nanovolt", brainvision(resolution="100,nV")),
        Variant("BrainVision, a comment with a comma", brainvision(("Comment,eyes\\1 closed,101,1,0",))),
        Variant("BrainVision, a bad interval", brainvision(("Bad Interval,Bad,101,50,0", "Stimulus,S 1,301,1,0"))),
        Variant("BrainVision, marker of the amplifier", brainvision(("SyncStatus,Sync On,11,1,0",))),
        Variant("BrainVision without its data", brainvision(lost=True), error="missing"),
        Variant("EEGLAB in one file", eeglab()),
        Variant("EEGLAB with .fdt", eeglab(apart=True)),
        Variant("EEGLAB without events", eeglab(events=False)),
        Variant(
            "EEGLAB with a boundary",
            eeglab(boundary=True),
            ours=lambda p: ours(p)["events"],
            differs="a boundary is a bad span and no event",
            expected=[[50, "left"], [225, "right"], [500, "left"]],
        ),
        Variant("GDF 2", gdf()),
        Variant("GDF 2 without events", gdf(())),
        Variant("GDF 2 of which a part is lacking", shortened(gdf(()), 4000), error="cut short or changed"),
    ),
)


@pytest.mark.parametrize("case", cases(EDF, FIF, OTHERS), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
