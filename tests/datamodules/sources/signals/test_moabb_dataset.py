"""MOABBDataset on tiny files of BNCI 2014-001, read by MOABB itself, and on its data set for tests."""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from datamodules.sources.signals.moabb_dataset import MOABBDataset
from tests.options import grouped_for
from zoo.errors import DataError, MissingExtraError, SpecError, UnknownNameError

moabb = pytest.importorskip("moabb")
generator = runpy.run_path(str(Path(__file__).parents[3] / "data" / "moabb_dataset.py"))
CLASSES = ("left_hand", "right_hand", "feet", "tongue")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("moabb")
    generator["write"](made / "moabb")
    return made


def opened(root: Path, **arguments: object) -> MOABBDataset:
    source = MOABBDataset(**grouped_for(MOABBDataset, **arguments))  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNE_DATASETS_BNCI_PATH", "elsewhere")
    source = opened(root, subjects=(1, 2))
    assert os.environ["MNE_DATASETS_BNCI_PATH"] == "elsewhere"
    assert len(source) == 16
    assert source.card.tasks[0].classes == CLASSES
    assert source.card.modalities[0].sampling_rate == 250.0
    assert len(source.card.modalities[0].features) == 22
    assert source.group_names()["session"] == (
        "subject001/0train", "subject001/1test", "subject002/0train", "subject002/1test",
    )  # fmt: skip
    assert source.index["group"].value_counts().to_dict() == {"subject001": 8, "subject002": 8}
    sample = source.read(6)
    assert (sample.targets, sample.groups) == ({"motor_imagery": "feet"}, {"subject": 0, "session": 1})
    cue = (2 * generator["SPACING"] + 1 + 2) * 250
    written = generator["signals"](0, 1, "E")[cue : cue + 1000, :22].T
    np.testing.assert_allclose(sample.inputs["eeg"], written, atol=1e-4)


def test_a_subject_is_prepared_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root, subjects=(3,))

    def never(self: MOABBDataset, *_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(MOABBDataset, "_load", never)
    source = opened(root, subjects=(3,), tmin=-1.0, tmax=1.0, channels=("Cz",), band_hz=(8.0, 30.0))
    assert source.read(0).inputs["eeg"].shape == (1, 500)
    named = opened(root, subjects=(3,), events={"feet": "feet", "tongue": "tongue"})
    assert named.index["stratum"].value_counts().to_dict() == {"feet": 2, "tongue": 2}
    assert sum(named.skipped.values()) == 4


def test_no_network(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo
    (tmp_path / "moabb").mkdir()
    with pytest.raises(DataError, match="could not load subject 1 of BNCI2014_001: its files are not there"):
        opened(tmp_path, subjects=(1,))
    assert socket.getaddrinfo is look_up
    monkeypatch.setattr(MOABBDataset, "_load", lambda *a: asked.append(a[-1]) or {})
    asked: list[bool] = []
    source = MOABBDataset(subjects=(1,), folder="new")
    with pytest.raises(DataError, match="there is no recording"):
        source.open(tmp_path, download=True)
    assert asked == [True]


def test_broken_files(tmp_path: Path) -> None:
    generator["write"](tmp_path / "moabb", n=18)
    for path in (tmp_path / "moabb").rglob("A01T.mat"):
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="could not load subject 1"):
        opened(tmp_path, subjects=(1,))
    note = tmp_path / "moabb" / "prepared" / "BNCI2014_001" / "subject002" / "runs.json"
    note.parent.mkdir(parents=True)
    for text in ("{", "[]", json.dumps({"runs": [1], "events": [], "interval": [0, 1]})):
        note.write_text(text)
        with pytest.raises(DataError, match=r"note of a prepared subject is broken.*runs\.json"):
            opened(tmp_path, subjects=(2,))


def test_arguments(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="unknown MOABB data set 'BNCI2014_01'; did you mean 'BNCI2014"):
        opened(root, dataset="BNCI2014_01")
    with pytest.raises(SpecError, match="refuses the options"):
        opened(root, options={"colour": 1})
    with pytest.raises(SpecError, match="no subject 10 in"):
        opened(root, subjects=(10,))
    with pytest.raises(SpecError, match="is no name of a class"):
        MOABBDataset(dataset="a-b")
    monkeypatch.setitem(sys.modules, "moabb.datasets", None)
    with pytest.raises(MissingExtraError, match=r"moabb.*\[eeg\]"):
        opened(root, subjects=(9,))


@pytest.mark.parametrize("stim", [True, False])
def test_another_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stim: bool) -> None:
    from moabb.datasets.fake import FakeDataset

    class Tiny(FakeDataset):
        def __init__(self) -> None:
            super().__init__(
                ("a", "b"), n_sessions=2, n_runs=1, n_subjects=3, duration=20, n_events=4, stim=stim,
                annotations=not stim, seed=0,
            )  # fmt: skip

    monkeypatch.setattr(moabb.datasets, "Tiny", Tiny, raising=False)
    (tmp_path / "moabb").mkdir()
    source = opened(tmp_path, dataset="Tiny")
    assert len(source) == 24
    assert source.card.tasks[0].classes == ("a", "b")
    assert set(source.index["group"]) == {"subject001", "subject002", "subject003"}
    raw = Tiny().get_data([2])[2]["0"]["0"]
    onset = raw.time_as_index(raw.annotations.onset, use_rounding=True)[1]
    expected = raw.get_data(picks="eeg")[:, onset : onset + 384] * 1e6
    sample = source.read(9)
    assert sample.targets == {"motor_imagery": "b"}
    np.testing.assert_allclose(sample.inputs["eeg"], expected, atol=1e-4)
