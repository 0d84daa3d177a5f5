"""EEGFolder on files of every kind, against MNE on the same files."""

from __future__ import annotations

import os
import pickle
import re
import runpy
import shutil
from pathlib import Path

import mne
import numpy as np
import pytest

from datamodules.io.formats.recordings import RecentlyUsed
from datamodules.sources.signals.eeg_folder import EEGFolder
from tests.options import grouped_for
from zoo.errors import DataError, SpecError, UnknownNameError

DATA = Path(__file__).parents[3] / "data"
generator = runpy.run_path(str(DATA / "eeg_folder.py"))
writers = runpy.run_path(str(DATA / "edf.py"))
CHANNELS, ONSETS = ("C3", "Cz", "C4"), generator["ONSETS"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    generator["write"](tmp_path / "eeg_folder", n=12)
    return tmp_path


def opened(root: Path, **arguments: object) -> EEGFolder:
    source = EEGFolder(**grouped_for(EEGFolder, **arguments))  # type: ignore[arg-type]
    source.open(root)
    return source


def epochs_of_mne(path: Path, *, band=None, tmin=0.0, tmax=4.0, baseline=None, reference=None) -> np.ndarray:
    """(E, C, T) in uV of the whole recording in memory; MNE's epochs hold the sample at tmax too."""
    reader = mne.io.read_raw_edf if path.suffix == ".edf" else mne.io.read_raw
    options = {"infer_types": True} if path.suffix in (".edf", ".bdf") else {}
    raw = reader(path, preload=True, verbose="ERROR", **options)
    names = {n: n.strip(". ").removeprefix("EEG ").strip(".") for n in raw.ch_names}
    raw.rename_channels(names).pick(list(CHANNELS))
    if reference:
        raw.set_eeg_reference(reference, verbose="ERROR")
    if band:
        raw.filter(*band, verbose="ERROR")
    events, kinds = mne.events_from_annotations(raw, verbose="ERROR")
    made = mne.Epochs(raw, events, kinds, tmin, tmax, baseline=baseline, preload=True, verbose="ERROR")
    return made.get_data(copy=False)[:, :, :-1] * 1e6


def rows(source: EEGFolder, start: int = 0) -> np.ndarray:
    return np.stack([source.read(start + k).inputs["eeg"] for k in range(len(ONSETS))])


def test_rows(root: Path) -> None:
    source = opened(root)
    assert len(source) == 12
    assert source.index["id"].tolist()[:2] == ["sub01/run1.edf#00000", "sub01/run1.edf#00001"]
    assert source.index["group"].value_counts().to_dict() == {"sub01": 4, "sub02": 4, "sub03": 4}
    assert set(source.index["subject"]) == {""}
    card = source.card
    assert (card.modalities[0].features, card.modalities[0].sampling_rate) == (("C3..", "Cz..", "C4.."), 100.0)
    assert card.tasks[0].classes == ("left", "right")
    assert source.group_names() == {
        "subject": ("sub01", "sub02", "sub03"),
        "session": ("sub01/run1", "sub02/run1", "sub03/run1"),
    }
    sample = source.read(5)
    assert (sample.targets, sample.groups) == ({"motor_imagery": "right"}, {"subject": 1, "session": 1})
    assert sample.inputs["eeg"].shape == (3, 400)
    assert sample.inputs["eeg"].dtype == np.float32
    peeked = source.peek(5)
    assert (peeked.inputs, peeked.targets, peeked.groups) == ({"eeg": None}, sample.targets, sample.groups)
    written = np.rint(generator["recording"](1)[:3, 725:1125] / 0.1) * 0.1
    np.testing.assert_allclose(sample.inputs["eeg"], written, atol=1e-3)  # 16 bits over the header's rounded range


@pytest.mark.parametrize("tmin", [0.0, -1.5])
def test_epochs_are_those_of_mne(root: Path, tmin: float) -> None:
    source = opened(root, tmin=tmin, tmax=2.0)
    expected = epochs_of_mne(root / "eeg_folder/sub01/run1.edf", tmin=tmin, tmax=2.0)
    np.testing.assert_allclose(rows(source), expected, atol=5e-6)  # float32 of tens of uV
    exact = source._open("sub01/run1.edf").epoch(200).astype(np.float64)
    assert np.abs(exact - expected[0].astype(np.float32)).max() <= 1e-6


@pytest.mark.parametrize("band", [(8.0, 30.0), (0.0, 30.0), (1.0, 40.0)])
def test_filtered_epochs_are_those_of_the_filtered_recording(root: Path, band: tuple[float, float]) -> None:
    source = opened(root, band_hz=band, baseline=(0.0, 0.5), reference=("average",))
    whole = (band[0] or None, band[1])
    path = root / "eeg_folder/sub02/run1.edf"
    expected = epochs_of_mne(path, band=whole, baseline=(0.0, 0.5), reference="average")
    np.testing.assert_allclose(rows(source, 4), expected, atol=1e-5)  # uV; the first event is at 2 s, by the edge


def test_only_the_epoch_and_its_margin_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(root, band_hz=(8.0, 30.0))
    spans = []
    get_data = mne.io.BaseRaw.get_data

    def watched(self, picks=None, start=0, stop=None, **rest):
        spans.append(stop - start)
        return get_data(self, picks, start, stop, **rest)

    monkeypatch.setattr(mne.io.BaseRaw, "get_data", watched)
    source.read(1)
    assert spans == [400 + 2 * 82]  # the filter has 165 taps at 100 Hz


@pytest.mark.parametrize("rate", [50.0, 128.0, 250.0])
def test_resampling_keeps_times(root: Path, rate: float) -> None:
    seconds = np.arange(2400) / 100
    wave = np.sin(2 * np.pi * 7 * seconds)
    writers["write_edf"](
        root / "one/s/a.edf", 100 * np.stack([wave, wave]), ["C3", "C4"], 100, [(5.0, 1, "a"), (9.5, 1, "b")]
    )
    source = opened(root, folder="one", sampling_rate=rate, tmin=-1.0, tmax=2.0)
    assert source.card.modalities[0].sampling_rate == rate
    signal = source.read(0).inputs["eeg"]
    assert signal.shape == (2, round(3 * rate))
    expected = 100 * np.sin(2 * np.pi * 7 * (4.0 + np.arange(signal.shape[1]) / rate))
    np.testing.assert_allclose(signal[0], expected, atol=1.0)  # 1 %: the ripple of the polyphase filter


def save(folder: Path, kind: str, events: list[tuple[float, float, str]], signals: np.ndarray) -> None:
    """Write (3, T) uV at 100 Hz as a recording of ``kind``."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind in ("edf", "bdf"):
        writers["write_edf"](
            folder / f"a.{kind}", signals, CHANNELS, 100, events, step=0.01 if kind == "bdf" else 0.1
        )
        return
    if kind == "gdf":
        codes = [(round(t * 100), 769 + (text == "right")) for t, _, text in events]
        writers["write_gdf"](folder / "a.gdf", signals, CHANNELS, 100, codes)
        return
    if kind == "vhdr":
        marks = [f"Mk{k + 1}=Stimulus,{text},{round(t * 100) + 1},1,0" for k, (t, _, text) in enumerate(events)]
        intro = "Brain Vision Data Exchange {} File, Version 1.0"
        (folder / "a.vmrk").write_text(
            "\n".join([intro.format("Marker"), "[Common Infos]", "DataFile=a.eeg", "[Marker Infos]", *marks])
        )
        names = [f"Ch{k + 1}={n},,0.1,uV" for k, n in enumerate(CHANNELS)]
        head = ["DataFile=a.eeg", "MarkerFile=a.vmrk", "DataFormat=BINARY", "DataOrientation=MULTIPLEXED"]
        head += [
            "NumberOfChannels=3",
            f"DataPoints={signals.shape[1]}",
            "SamplingInterval=10000",
            "[Binary Infos]",
            "BinaryFormat=INT_16",
        ]
        (folder / "a.vhdr").write_text(
            "\n".join(
                [
                    intro.format("Data").replace("Data File", "Header File"),
                    "[Common Infos]",
                    *head,
                    "[Channel Infos]",
                    *names,
                ]
            )
        )
        np.rint(signals.T * 10).astype("<i2").tofile(folder / "a.eeg")
        return
    raw = mne.io.RawArray(signals * 1e-6, mne.create_info(list(CHANNELS), 100.0, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations(*zip(*events, strict=True)))
    if kind == "fif":
        raw.save(folder / "a_raw.fif", verbose="ERROR")
        return
    from scipy.io import savemat

    spots = np.array(
        [(n, 0.0, 0.0, 0.0) for n in CHANNELS], dtype=[("labels", "O"), ("X", "O"), ("Y", "O"), ("Z", "O")]
    )
    marks = np.array(
        [(text, t * 100 + 1, 1.0) for t, _, text in events],
        dtype=[("type", "O"), ("latency", "O"), ("duration", "O")],
    )
    eeg = {
        "nbchan": 3.0,
        "pnts": float(signals.shape[1]),
        "trials": 1.0,
        "srate": 100.0,
        "xmin": 0.0,
        "xmax": 1.0,
        "icawinv": [],
    }
    eeg |= {
        "chanlocs": spots,
        "event": marks,
        "epoch": [],
        "setname": "a",
        "ref": "common",
        "icaweights": [],
        "icasphere": [],
    }
    eeg["data"] = "a.fdt" if kind == "fdt" else signals.astype(np.float32)
    if kind == "fdt":
        signals.T.astype("<f4").tofile(folder / "a.fdt")
    savemat(folder / "a.set", {"EEG": eeg}, appendmat=False)


KINDS = ("edf", "bdf", "gdf", "fif", "vhdr", "set", "fdt")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    signals = generator["recording"](3)[:3]
    events = [(t, 4.0, ("left", "right")[i % 2]) for i, t in enumerate(ONSETS)]
    save(tmp_path / "eeg_folder" / "s1", kind, events, signals)
    source = opened(tmp_path)
    named = {"gdf": ("769", "770"), "vhdr": ("Stimulus/left", "Stimulus/right")}.get(kind, ("left", "right"))
    assert source.index["stratum"].tolist() == [named[k % 2] for k in range(4)]
    assert source.index["onset"].tolist() == [round(t * 100) for t in ONSETS]
    assert source.card.modalities[0].features == CHANNELS
    step = {"edf": 0.1, "vhdr": 0.1, "bdf": 0.01}.get(kind, 1e-4)
    for k, t in enumerate(ONSETS):
        part = signals[:, round(t * 100) : round(t * 100) + 400]
        np.testing.assert_allclose(source.read(k).inputs["eeg"], part, atol=0.51 * step)
    path = next(
        p
        for p in (tmp_path / "eeg_folder/s1").iterdir()
        if p.suffix in (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".set")
    )
    np.testing.assert_allclose(rows(source), epochs_of_mne(path), atol=5e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_broken_files(tmp_path: Path, kind: str) -> None:
    """Cut short, emptied or with flipped bytes: DataError that names a file, or values that are still whole."""
    folder = tmp_path / "eeg_folder" / "s1"
    save(folder, kind, [(2.0, 1.0, "left"), (5.0, 1.0, "right")], generator["recording"](0)[:3, :1000])
    suffix = {"vhdr": ".eeg", "fdt": ".fdt", "set": ".set", "fif": ".fif"}.get(kind, f".{kind}")
    path = next(p for p in folder.iterdir() if p.suffix == suffix)
    whole = path.read_bytes()
    for cut in (0, 7, 100, 300, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=re.escape(str(folder))):
            opened(tmp_path).read(0)
    head = next(p for p in folder.iterdir() if p.suffix in (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".set"))
    path.write_bytes(whole)
    whole = head.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(25):
        flipped = bytearray(whole)
        for position in random.integers(0, min(len(whole), 1500), 3):
            flipped[position] = int(random.integers(256))
        head.write_bytes(bytes(flipped))
        try:
            assert opened(tmp_path, incomplete="skip").read(0).inputs["eeg"].ndim == 2
        except (DataError, UnknownNameError):
            continue


def test_huge_claims(tmp_path: Path) -> None:
    folder = tmp_path / "eeg_folder" / "s1"
    save(folder, "edf", [(2.0, 1.0, "left")], generator["recording"](0)[:3, :1000])
    path = folder / "a.edf"
    whole = path.read_bytes()
    for start, stop, text, says in (
        (236, 244, b"99999999", "cut short or changed"),
        (252, 256, b"9999", "the header claims 9999 channels"),
        (244, 252, b"nan     ", "for the duration"),
        (0, 8, b"1       ", "does not begin with"),
    ):
        path.write_bytes(whole[:start] + text + whole[stop:])
        with pytest.raises(DataError, match=says):
            opened(tmp_path)


def test_events_to_classes(root: Path) -> None:
    source = opened(root, events={"left": "L", "right": "R"}, task_name="side")
    assert source.card.tasks[0].classes == ("L", "R")
    assert source.read(0).targets == {"side": "L"}
    with pytest.raises(DataError, match=r"unknown event 'lefd'; did you mean 'left'\? known: left, right"):
        opened(root, events={"lefd": "L", "right": "R"})
    with pytest.raises(DataError, match="every epoch is of the class 'L'"):
        opened(root, events={"left": "L"})


def test_left_out_only_when_asked(tmp_path: Path) -> None:
    events = [
        (1.0, 1.0, "a"),
        (3.0, 1.0, "b"),
        (5.0, 1.0, "a"),
        (5.5, 0.2, "BAD_jump"),
        (7.0, 1.0, "b"),
        (9.5, 0.1, "c"),
    ]
    writers["write_edf"](tmp_path / "eeg_folder/s/a.edf", np.ones((2, 1000)), ["C3", "C4"], 100, events)
    with pytest.raises(DataError, match=r"event 'c' at 9.500 s needs 0 to 1 s, and the recording has 10.000 s"):
        opened(tmp_path, tmax=1.0)
    source = opened(tmp_path, tmax=1.0, events={"a": "a", "b": "b"})
    assert (len(source), sum(source.skipped.values())) == (4, 1)
    source = opened(tmp_path, tmax=1.0, incomplete="skip", drop_bad=True)
    assert source.index["onset"].tolist() == [100, 300, 700]
    assert sorted(source.skipped.values()) == [1, 1]


def test_channels(root: Path) -> None:
    source = opened(root, channels=("c4", "cz"), montage="standard_1005")
    assert source.card.modalities[0].features == ("C4", "Cz")
    np.testing.assert_array_equal(source.read(0).inputs["eeg"], opened(root).read(0).inputs["eeg"][[2, 1]])
    eog = opened(root, channels=("Eye",), rename={"left": "Eye"}).read(0).inputs["eeg"]
    assert eog.shape == (1, 400)
    to_cz = opened(root, reference=("Cz",)).read(0).inputs["eeg"]
    plain = opened(root).read(0).inputs["eeg"]
    np.testing.assert_allclose(to_cz, plain - plain[1], atol=1e-5)
    with pytest.raises(DataError, match=r"unknown channel 'C33'; did you mean 'C3..'.*sub01"):
        opened(root, channels=("C33",))
    with pytest.raises(DataError, match="channel 'left' is not in the montage"):
        opened(root, channels=("left",), montage="standard_1005")
    with pytest.raises(UnknownNameError, match="unknown montage 'standart'"):
        opened(root, montage="standart")


def test_channels_and_recordings_that_give_nothing_are_named(tmp_path: Path) -> None:
    """The first recording lacks Cz, as one whose unit is misspelled does, and one has no event."""
    folder, signals = tmp_path / "eeg_folder", generator["recording"](0)[:3]
    events = [(2.0, 1.0, "a"), (8.0, 1.0, "b")]
    for name in ("s1", "s2", "s3"):
        save(folder / name, "vhdr", events if name != "s3" else [], signals)
    assert opened(tmp_path).remarks == ["1 of 3 recordings gave no epoch, such as 's3/a.vhdr'"]
    header = folder / "s1" / "a.vhdr"
    header.write_text(header.read_text().replace("Cz,,0.1,uV", "Cz,,0.1,XV"))
    source = opened(tmp_path)
    assert source.card.modalities[0].features == ("C3", "C4")
    assert source.remarks[0] == (
        "1 EEG channels of 2 recordings are left out, since 's1/a.vhdr' has none of that name: Cz; "
        "see 'channels' and 'rename'"
    )
    with pytest.raises(DataError, match=r"channel 'Cz' is of the kind 'misc', in no unit that is known.*s1/a\.vhdr"):
        opened(tmp_path, channels=("C3", "Cz", "C4"))


def test_rates_and_units(tmp_path: Path) -> None:
    signals, events = generator["recording"](0)[:3], [(2.0, 1.0, "a"), (8.0, 1.0, "b")]
    path = tmp_path / "eeg_folder" / "s1" / "a.edf"
    writers["write_edf"](path, signals, CHANNELS, 100, events, slow=("C4",))
    with pytest.raises(DataError, match="stored at different rates"):
        opened(tmp_path)
    slow = opened(tmp_path, channels=("C4",))
    assert slow.card.modalities[0].sampling_rate == 50.0
    np.testing.assert_allclose(slow.read(0).inputs["eeg"][0], signals[2, 200:600:2], atol=0.06)
    fast = opened(tmp_path, channels=("C3",)).read(1).inputs["eeg"]
    np.testing.assert_allclose(fast[0], signals[0, 800:1200], atol=0.06)
    writers["write_edf"](tmp_path / "eeg_folder" / "s2" / "a.edf", signals, CHANNELS, 200, events)
    with pytest.raises(DataError, match=r"its rate is 200 Hz and that of 's1/a.edf' 100 Hz; give sampling_rate"):
        opened(tmp_path, channels=("C3",))
    assert opened(tmp_path, channels=("C3",), sampling_rate=100.0).read(3).inputs["eeg"].shape == (1, 400)
    writers["write_edf"](path, signals, CHANNELS, 100, events, unit="nV")
    with pytest.raises(DataError, match="channel 'C3' is in the unit 'nV'"):
        opened(tmp_path)


def test_windows_and_patterns(tmp_path: Path) -> None:
    for k, label in enumerate(("open", "closed")):
        for person in ("anna", "ben", "cleo"):
            signals = np.random.default_rng(k).normal(0, 9, (2, 1000))
            writers["write_edf"](tmp_path / "eeg_folder" / label / f"{person}.edf", signals, ["C3", "C4"], 100)
    source = opened(tmp_path, window_seconds=3.0, stride_seconds=2.0)
    assert source.index["onset"].tolist() == [0, 200, 400, 600] * 6
    assert source.card.tasks[0].classes == ("closed", "open")
    assert set(source.index["group"]) == {"anna", "ben", "cleo"}
    assert source.read(0).inputs["eeg"].shape == (2, 300)
    source = opened(
        tmp_path, window_seconds=5.0, pattern=r"(?P<label>\w+)/(?P<subject>\w)", events={"open": "O", "closed": "C"}
    )
    assert set(source.index["group"]) == {"a", "b", "c"}
    assert source.index["stratum"].value_counts().to_dict() == {"O": 6, "C": 6}
    with pytest.raises(DataError, match=r"finds a subject in none of 6 recordings, such as 'closed/anna\.edf'"):
        opened(tmp_path, window_seconds=5.0, pattern=r"(?P<subject>\d+)")


def test_recordings_that_the_pattern_does_not_match_are_counted(tmp_path: Path) -> None:
    for run in ("03", "04", "08", "12", "14"):
        writers["write_edf"](
            tmp_path / f"eeg_folder/S001/S001R{run}.edf", np.ones((1, 400)), ["C3"], 100, [(0, 1, "a"), (1, 1, "b")]
        )
    source = opened(tmp_path, tmax=1.0, pattern=r"(?P<subject>S\d+)R(?P<session>04|08|12)\.")
    assert set(source.index["session_name"]) == {"S001/04", "S001/08", "S001/12"}
    assert source.skipped == {"the pattern does not match the path of the recording": 2}
    windows = opened(tmp_path, window_seconds=1.0, pattern=r"(?P<subject>S\d+)R(?P<label>03|14)")
    assert windows.index["stratum"].value_counts().to_dict() == {"03": 4, "14": 4}
    assert windows.skipped == {"the pattern does not match the path of the recording": 3}


def test_a_trigger_channel(tmp_path: Path) -> None:
    signals = np.zeros((3, 1000))
    signals[2, 200:210], signals[2, 500:510] = 1, 2
    raw = mne.io.RawArray(
        signals, mne.create_info(["C3", "C4", "STI"], 100.0, ["eeg", "eeg", "stim"]), verbose="ERROR"
    )
    (tmp_path / "eeg_folder").mkdir()
    raw.save(tmp_path / "eeg_folder" / "a_raw.fif", verbose="ERROR")
    source = opened(tmp_path, stim_channel="STI")
    assert source.index[["onset", "stratum"]].to_numpy().tolist() == [[200, "1"], [500, "2"]]
    with pytest.raises(DataError, match="there is no channel 'STJ'"):
        opened(tmp_path, stim_channel="STJ")


@pytest.mark.parametrize("date", [None, 1_000_000_000])
@pytest.mark.parametrize("start", [0.0, 5.0, 5.005])
def test_a_cropped_fif_counts_from_its_start(tmp_path: Path, date: int | None, start: float) -> None:
    signals = generator["recording"](0)[:3]
    raw = mne.io.RawArray(signals * 1e-6, mne.create_info(list(CHANNELS), 100.0, "eeg"), verbose="ERROR")
    raw.set_meas_date(date)
    notes = mne.Annotations(
        [6.0, 8.0, 12.0, 13.0], [1, 0.5, 1, 1], ["a", "BAD", "b", "a"], orig_time=raw.info["meas_date"]
    )
    raw.set_annotations(notes)
    (tmp_path / "eeg_folder").mkdir()
    path = tmp_path / "eeg_folder" / "a_raw.fif"
    raw.crop(start, 20.0).save(path, verbose="ERROR")
    source = opened(tmp_path)
    held = mne.io.read_raw_fif(path, preload=True, verbose="ERROR")
    events, _ = mne.events_from_annotations(held, verbose="ERROR")
    assert source.index["onset"].tolist() == (events[:, 0] - held.first_samp).tolist()
    epochs = mne.Epochs(held, events, None, 0.0, 4.0, baseline=None, preload=True, verbose="ERROR")
    read = np.stack([s.inputs["eeg"] for s in map(source.read, range(len(source)))])
    assert len(opened(tmp_path, drop_bad=True)) == len(epochs) == 2
    np.testing.assert_allclose(read[1:], epochs.get_data(copy=False)[:, :, :-1] * 1e6, atol=1e-4)
    np.testing.assert_allclose(read[1:], [signals[:, 1200:1600], signals[:, 1300:1700]], atol=1e-4)


def test_names_of_channels_are_those_of_the_file(tmp_path: Path) -> None:
    writers["write_edf"](
        tmp_path / "eeg_folder/s/a.edf", np.ones((2, 400)), ["Fc5.", "C3.."], 100, [(0, 1, "a"), (1, 1, "b")]
    )
    kept = opened(tmp_path, tmax=1.0)
    assert kept.card.modalities[0].features == ("Fc5.", "C3..")
    asked = opened(tmp_path, tmax=1.0, channels=("c3", "FC5"), montage="standard_1005")
    assert asked.card.modalities[0].features == ("C3", "FC5")
    assert opened(tmp_path, tmax=1.0, rename={"fc5": "left"}).card.modalities[0].features == ("left", "C3..")


def test_arguments() -> None:
    for arguments, says in (
        ({"tmin": 1.0, "tmax": 1.0}, "tmin must be below tmax"),
        ({"band_hz": (30.0, 8.0)}, "band_hz must be"),
        ({"baseline": (-1.0, 0.0)}, "baseline"),
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": "x"}, "needs the named group"),
        ({"group_by": "hand"}, "group_by is 'hand'"),
        ({"incomplete": "x"}, "incomplete is 'x'"),
        ({"sampling_rate": -1.0}, "sampling_rate must be"),
        ({"window_seconds": 1.0, "stim_channel": "STI"}, "not both"),
        ({"channels": ("C3", "c3")}, "names one channel twice"),
    ):
        with pytest.raises(SpecError, match=says):
            EEGFolder(**grouped_for(EEGFolder, **arguments))  # type: ignore[arg-type]


def test_missing(root: Path) -> None:
    with pytest.raises(DataError, match="the folder does not exist"):
        opened(root, folder="nowhere")
    with pytest.raises(DataError, match="no recording matches"):
        opened(root, files="*.edf")
    source = opened(root, open_recordings=1)
    shutil.rmtree(root / "eeg_folder" / "sub01")
    with pytest.raises(DataError, match=r"the file is missing.*sub01"):
        source.read(0)


def test_open_files_are_few_and_not_shared(root: Path) -> None:
    source = opened(root, open_recordings=2)
    for row in (0, 4, 8):
        source.read(row)
    assert len(source._open_files) == 2
    copied = pickle.loads(pickle.dumps(source))
    assert len(copied._open_files) == 0
    np.testing.assert_array_equal(copied.read(3).inputs["eeg"], source.read(3).inputs["eeg"])
    held: RecentlyUsed[int] = RecentlyUsed(2)
    held.get("a", lambda _: os.getpid())
    held._process = -1  # as after a fork
    assert held.get("a", lambda _: 7) == 7
