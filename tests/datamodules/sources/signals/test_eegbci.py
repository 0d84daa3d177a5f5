"""EEGMMIDB on tiny files of the same layout; its download is replaced."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import mne
import numpy as np
import pytest

from datamodules.sources.signals.eegbci import EEGMMIDB, Movements
from tests.options import grouped_for
from zoo.errors import DataError, SpecError

generator = runpy.run_path(str(Path(__file__).parents[3] / "data" / "eegbci.py"))
write = generator["write"]
DOWNLOADED = Path("MNE-eegbci-data") / "files" / "eegmmidb" / "1.0.0"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("eegbci")
    write(made / "eegmmidb", n=24)
    return made


def opened(root: Path, *, download: bool = False, **arguments: object) -> EEGMMIDB:
    source = EEGMMIDB(**grouped_for(EEGMMIDB, **arguments))  # type: ignore[arg-type]
    source.open(root, download=download)
    return source


def test_rows(root: Path) -> None:
    source = opened(root)
    assert source.index["id"].tolist()[:2] == ["S001/S001R04.edf#00001", "S001/S001R04.edf#00003"]
    labels = dict(zip(source.index["id"], source.index["stratum"], strict=True))
    some = ((4, 1), (4, 3), (6, 1), (6, 3), (12, 1), (14, 3))
    assert [labels[f"S001/S001R{r:02d}.edf#{k:05d}"] for r, k in some] == [
        "left", "right", "fists", "feet", "left", "feet",
    ]  # fmt: skip
    assert source.index["group"].value_counts().to_dict() == {"S001": 12, "S002": 12}
    assert source.skipped == {"rest between the movements (rest: false)": 24}
    assert source.card.modalities[0].features == ("FC5", "C3", "Cz", "Fp1")
    assert source.card.tasks[0].classes == ("left", "right", "fists", "feet")
    assert source.group_names()["session"][0] == "S001/R04"
    sample = source.read(1)
    written = np.rint(np.random.default_rng([0, 0, 4]).normal(0, 20, (4, 18 * 160)))
    np.testing.assert_allclose(sample.inputs["eeg"], written[:, 2000:2640], atol=1e-2)
    assert (sample.targets, sample.groups) == ({"motor_imagery": "right"}, {"subject": 0, "session": 0})


def test_which_runs(root: Path) -> None:
    hands = opened(root, contrast="left_right", rest=True)
    assert hands.card.tasks[0].classes == ("left", "right", "rest")
    assert hands.index["stratum"].value_counts().to_dict() == {"rest": 12, "left": 6, "right": 6}
    assert {Path(f).stem[-3:] for f in hands.index["file"]} == {"R04", "R08", "R12"}
    assert EEGMMIDB(movements=Movements(executed=True))._runs == {
        3: "left_right", 7: "left_right", 11: "left_right", 5: "fists_feet", 9: "fists_feet", 13: "fists_feet",
    }  # fmt: skip
    assert set(opened(root, subjects=(2,)).index["group"]) == {"S002"}
    left = opened(root, exclude_subjects=(2,))
    assert left.skipped["a subject is excluded (exclude_subjects)"] == 1


def test_missing_runs(tmp_path: Path) -> None:
    write(tmp_path / "eegmmidb", n=24)
    (tmp_path / "eegmmidb/S002/S002R10.edf").unlink()
    with pytest.raises(DataError, match=r"run 10 of subject 2 is missing.*S002R10\.edf"):
        opened(tmp_path)
    source = opened(tmp_path, missing_runs="skip")
    assert source.skipped["a run is missing (missing_runs: skip)"] == 1
    with pytest.raises(DataError, match="run 4 of subject 3 is missing"):
        opened(tmp_path, subjects=(3,))
    shutil.rmtree(tmp_path / "eegmmidb")
    (tmp_path / "eegmmidb").mkdir()
    with pytest.raises(DataError, match=r"no folder of a subject.*PhysioNet"):
        opened(tmp_path)


def test_arguments() -> None:
    for arguments, says in (
        ({"contrast": "hands"}, "contrast is 'hands'"),
        ({"subjects": (110,)}, "no subject 110"),
        ({"missing_runs": "x"}, "missing_runs must be 'raise' or 'skip', got 'x'"),
    ):
        with pytest.raises(SpecError, match=says):
            EEGMMIDB(**grouped_for(EEGMMIDB, **arguments))  # type: ignore[arg-type]


def test_download_fetches_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_data(subject: int, runs: list[int], *, path: str, update_path: bool, verbose: str) -> None:
        asked.append((subject, tuple(runs)))
        assert not update_path
        if subject == 3:
            raise OSError("no route")
        write(tmp_path / "other", n=24, runs=tuple(runs))
        shutil.copytree(tmp_path / "other", Path(path) / DOWNLOADED, dirs_exist_ok=True)

    monkeypatch.setattr(mne.datasets.eegbci, "load_data", load_data)
    write(tmp_path / "eegmmidb", n=2, runs=(4,))
    source = opened(tmp_path, download=True, subjects=(1, 2), contrast="left_right")
    assert asked == [(1, (8, 12)), (2, (4, 8, 12))]
    assert len(source) == 12
    opened(tmp_path, download=True, subjects=(1, 2), contrast="left_right")
    assert len(asked) == 2
    with pytest.raises(DataError, match=r"subject 3 could not be downloaded.*no route.*PhysioNet"):
        opened(tmp_path, download=True, subjects=(3,))
