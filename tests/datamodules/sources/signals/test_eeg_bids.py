"""EEG-BIDS on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.sources.signals.eeg_bids import EEGBIDS, BIDSOptions
from datamodules.sources.signals.options import EpochOptions, ReadingOptions
from zoo.errors import DataError, SpecError

pytest.importorskip("mne_bids")
written = runpy.run_path(str(Path(__file__).parents[3] / "data" / "eeg_bids.py"))
WINDOWS = EpochOptions(window_seconds=6.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("root")
    written["write"](folder / "eeg_bids", n=4)
    return folder


def opened(root: Path, **options: Any) -> EEGBIDS:
    source = EEGBIDS(**options)
    source.open(root)
    return source


def test_trials(root: Path) -> None:
    source = opened(root, bids=BIDSOptions(columns=("sex", "group")))
    assert len(source) == 20
    assert source.card.tasks[0].classes == ("left", "right")
    assert source.card.modalities[0].features == ("C3", "Cz", "C4")
    assert source.group_names()["session"] == ("01/a", "02/a", "02/b", "03/a", "04/a")
    assert source.group_names()["sex"] == ("F", "M")
    assert "column 'sex': 1 of 4 cells are unknown (1 'n/a')" in source.remarks
    sample = source.read(1)
    want = written["recording"](0)[:3, 725:1125]
    np.testing.assert_allclose(sample.inputs["eeg"], want, atol=0.06)
    assert sample.targets == {"trial_type": "right"}
    assert sample.groups == {"subject": 0, "session": 0, "sex": 0, "group": 0}
    third = source.index["subject_name"].tolist().index("03")
    assert source.peek(third).groups["sex"] == -1


def test_windows_of_a_group(root: Path) -> None:
    source = opened(root, bids=BIDSOptions(label="group"), epochs=WINDOWS)
    assert source.card.tasks[0].classes == ("control", "patient")
    assert len(source) == 20
    assert source.read(0).inputs["eeg"].shape == (3, 600)
    left = opened(root, bids=BIDSOptions(label="sex"), epochs=WINDOWS)
    assert left.skipped == {"participants.tsv does not say the class of the subject": 1}


def test_bad_channels(tmp_path: Path) -> None:
    folder = tmp_path / "eeg_bids"
    written["write"](folder, n=2)
    channels = next((folder / "sub-01").rglob("*_channels.tsv"))
    channels.write_text(channels.read_text().replace("Cz\tEEG\tuV\tgood", "Cz\tEEG\tuV\tbad"))
    kept = opened(tmp_path)
    assert any("['Cz'] are marked as bad, and are read" in r for r in kept.remarks)
    skipped = opened(tmp_path, bids=BIDSOptions(bad_channels="skip"))
    assert skipped.skipped == {"channels.tsv marks a channel that is read as bad": 4}
    assert set(skipped.index["subject_name"]) == {"02"}
    without = opened(tmp_path, bids=BIDSOptions(bad_channels="skip"), reading=ReadingOptions(channels=("C3", "C4")))
    assert len(without) == len(kept)


def test_events_outside_and_recordings_without_events(tmp_path: Path) -> None:
    folder = tmp_path / "eeg_bids"
    written["write"](folder, n=2)
    events = next((folder / "sub-01").rglob("*_events.tsv"))
    events.write_text(events.read_text() + "99.0\t4.0\tleft\n")
    next((folder / "sub-02" / "ses-b").rglob("*_events.tsv")).unlink()
    source = opened(tmp_path)
    assert source.skipped == {"the event of events.tsv lies outside the recording": 1}
    assert any("1 recordings have no events.tsv" in r for r in source.remarks)


@pytest.mark.parametrize(
    ("bids", "epochs", "says"),
    [
        (BIDSOptions(task="rest"), EpochOptions(), r"no EEG recording of the task 'rest'; there are .*'motor'"),
        (BIDSOptions(label="diagnosis"), WINDOWS, "unknown column of participants.tsv 'diagnosis'"),
        (BIDSOptions(columns=("sexx",)), EpochOptions(), "did you mean 'sex'"),
    ],
)
def test_what_is_not_there(root: Path, bids: BIDSOptions, epochs: EpochOptions, says: str) -> None:
    with pytest.raises(DataError, match=says):
        opened(root, bids=bids, epochs=epochs)


def test_a_label_is_of_windows() -> None:
    with pytest.raises(SpecError, match="together"):
        EEGBIDS(bids=BIDSOptions(label="group"))


def test_a_trial_type_that_says_nothing_is_no_class(tmp_path: Path) -> None:
    folder = tmp_path / "eeg_bids"
    written["write"](folder, n=1)
    events = next((folder / "sub-01").rglob("*_events.tsv"))
    events.write_text(events.read_text().replace("left", "nan", 1))
    source = opened(tmp_path)
    assert source.card.tasks[0].classes == ("left", "right")
    assert source.skipped == {"the description 'nan' has no class in 'events'": 1}
