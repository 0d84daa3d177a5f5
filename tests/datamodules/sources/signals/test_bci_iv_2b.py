"""BCIIV2b on a tiny file of the same layout, and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.modalities.whitening import euclidean_alignment
from datamodules.sources.signals.bci_iv_2b import BCIIV2b
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "bci_iv_2b.py"))["write"]
FILE = "bci4_2b_100hz_int16.npz"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "bci_iv_2b")
    return tmp_path


def opened(root: Path, **arguments: str | bool) -> BCIIV2b:
    source = BCIIV2b(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def rewrite(root: Path, **changes: object) -> None:
    path = root / "bci_iv_2b" / FILE
    with np.load(path) as archive:
        arrays = {k: archive[k] for k in archive.files}
    arrays.update(changes)
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


def test_rows(folder):
    source = opened(folder)
    assert len(source) == 12
    assert source.index["id"].tolist()[:2] == ["subject01/session01/trial000", "subject01/session01/trial001"]
    assert set(source.index["group"]) == {"subject01", "subject02", "subject03"}
    sample = source.read(0)
    with np.load(folder / "bci_iv_2b" / FILE) as archive:
        trial = archive["x"][int(source.index["trial"][0])]
    np.testing.assert_allclose(sample.inputs["eeg"], trial * 0.01, rtol=1e-5)
    assert sample.inputs["eeg"].dtype == np.float32
    assert sample.targets["motor_imagery"] in ("left", "right")
    assert sample.groups == {"subject": 0, "session": 0}
    peeked = source.peek(0)
    assert (peeked.inputs, peeked.targets, peeked.groups) == ({"eeg": None}, sample.targets, sample.groups)


def test_alignment_whitens_each_session_by_its_own_trials(folder):
    source = opened(folder, align=True)
    assert source.card.modalities[0].unit == "sd"
    trials = [source.read(row) for row in range(len(source))]
    for session in {s.groups["session"] for s in trials}:
        x = np.stack([np.asarray(s.inputs["eeg"], dtype=float) for s in trials if s.groups["session"] == session])
        covariance = np.einsum("nct,ndt->cd", x, x) / (len(x) * x.shape[-1])
        np.testing.assert_allclose(covariance, np.eye(3), atol=1e-4)
    plain = opened(folder)
    rows = [r for r, s in enumerate(trials) if s.groups["session"] == 0]
    raw = np.stack([np.asarray(plain.read(r).inputs["eeg"], dtype=float) for r in rows])
    np.testing.assert_allclose(trials[rows[0]].inputs["eeg"], euclidean_alignment(raw) @ raw[0], rtol=1e-4, atol=1e-5)


def test_a_broken_trial_is_refused_and_does_not_spoil_the_session(folder):
    with np.load(folder / "bci_iv_2b" / FILE) as archive:
        x = archive["x"].astype(np.float32)
    x[0, 1, 5] = np.nan
    rewrite(folder, x=x)
    source = opened(folder, align=True)
    broken = source.index["trial"].tolist().index(0)
    with pytest.raises(DataError, match="not finite"):
        source.read(broken)
    others = [r for r in range(len(source)) if r != broken]
    assert all(np.isfinite(source.read(r).inputs["eeg"]).all() for r in others)


def test_card_follows_the_file(folder):
    source = opened(folder)
    eeg = source.card.modalities[0]
    assert (eeg.unit, eeg.sampling_rate, eeg.features) == ("uV", 100.0, ("C3", "Cz", "C4"))
    assert source.group_names()["subject"] == ("subject01", "subject02", "subject03")
    rewrite(folder, sfreq=np.float32(250))
    assert opened(folder).card.modalities[0].sampling_rate == 250.0


@pytest.mark.parametrize(("group_by", "groups"), [("subject", 3), ("session", 6), ("none", 1)])
def test_groupings(folder, group_by, groups):
    assert opened(folder, group_by=group_by).index["group"].nunique() == groups


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": None}, r"lacks the arrays \['y'\]"),
        ({"y": np.full(12, 2)}, "the label 2 is no class"),
        ({"y": np.zeros(11, dtype=int)}, "expected 12 whole numbers"),
        ({"y": np.zeros(12)}, "expected 12 whole numbers"),
        ({"x": np.zeros((12, 400))}, "expected"),
        ({"x": np.zeros((12, 2, 400))}, "3 channels"),
        ({"scale": np.float32(0)}, "scale is 0"),
        ({"channels": np.array(["C3", "Cz", "C4"], dtype=object)}, "not a readable npz"),
    ],
)
def test_bad_archives(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(DataError, match=message) as caught:
        opened(folder)
    assert FILE in str(caught.value)


def test_bad_files(folder):
    path = folder / "bci_iv_2b" / FILE
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="not a readable npz"):
        opened(folder)
    path.unlink()
    with pytest.raises(DataError, match="does not exist"):
        opened(folder)
    with pytest.raises(DataError, match="Get it: BNCI"):
        opened(folder / "nowhere")
    with pytest.raises(SpecError, match=r"group_by must be .* got 'hand'"):
        BCIIV2b(group_by="hand")  # type: ignore[arg-type]


def test_a_signal_that_is_not_finite(folder):
    x = np.ones((12, 3, 400), dtype=np.float32)
    x[:, 1, 5] = np.nan
    rewrite(folder, x=x)
    with pytest.raises(DataError, match="channel 'Cz' is not finite everywhere") as caught:
        opened(folder).read(3)
    assert "trial" in str(caught.value.row)


def test_real(shared_data):
    source = opened(shared_data)
    assert len(source) == 5400
    assert source.index["group"].value_counts().tolist() == [600] * 9
    assert source.index["stratum"].value_counts().to_dict() == {"left": 2700, "right": 2700}
    assert len(source.group_names()["session"]) == 45
    sample = source.read(4321)
    assert sample.inputs["eeg"].shape == (3, 400)
    assert 1 < sample.inputs["eeg"].std() < 50
