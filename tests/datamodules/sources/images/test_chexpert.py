"""CheXpert on a made-up folder."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.chexpert import OBSERVATIONS, CheXpert
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "chexpert.py"))["write"]
SMALL = Path("chexpert") / "CheXpert-v1.0-small"


def opened(root: Path, **arguments: object) -> CheXpert:
    source = CheXpert(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "chexpert")
    source = opened(tmp_path)
    assert len(source) == 18
    assert source.index["group"].value_counts().unique().tolist() == [2]
    assert source.index["split"].value_counts().to_dict() == {"": 12, "test": 6}
    sample = source.read(2)
    assert sample.id == "train/patient00002/study1/view1_frontal.jpg"
    assert sample.inputs["clinical"] == {"age": None, "sex": "male", "view": "PA"}
    assert sample.groups == {"view": 1, "sex": 1}
    assert np.array_equal(sample.inputs["xray"], read_image(tmp_path / SMALL / sample.id))
    lateral = source.peek(1)
    assert lateral.inputs == {"xray": None, "clinical": {"age": 21.0, "sex": None, "view": "lateral"}}
    assert lateral.groups == {"view": 4, "sex": -1}
    assert set(opened(tmp_path, published_split=False).index["split"]) == {""}


def test_policies(tmp_path: Path) -> None:
    write(tmp_path / "chexpert")

    def labels(row: int = 2, **arguments: object) -> dict[str, int]:
        return dict(opened(tmp_path, **arguments).peek(row).targets["radiographic_findings"])

    certain = {"lung_opacity": 1, "pleural_effusion": 1}
    unsure = ("cardiomegaly", "edema")
    assert labels(unmentioned="unknown") == certain
    assert labels(unmentioned="unknown", uncertain="zeros") == certain | dict.fromkeys(unsure, 0)
    assert labels(unmentioned="unknown", uncertain="ones") == certain | dict.fromkeys(unsure, 1)
    zeros = dict.fromkeys(OBSERVATIONS.values(), 0)
    assert labels(uncertain="ones") == zeros | certain | dict.fromkeys(unsure, 1)
    assert labels() == {k: v for k, v in (zeros | certain).items() if k not in unsure}
    assert len(labels(row=17, unmentioned="unknown")) == 14
    with pytest.raises(SpecError, match=r"uncertain must be 'ignore', 'zeros' or 'ones', got 'maybe'"):
        CheXpert(uncertain="maybe")  # type: ignore[arg-type]


def test_frontal_only(tmp_path: Path) -> None:
    write(tmp_path / "chexpert")
    source = opened(tmp_path, frontal_only=True)
    assert len(source) == source.skipped["lateral image (frontal_only)"] == 9
    assert source.index["id"].str.endswith("frontal.jpg").all()


def test_folders(tmp_path: Path) -> None:
    write(tmp_path / "chexpert")
    assert len(opened(tmp_path, folder=str(SMALL))) == 18
    shutil.copytree(tmp_path / SMALL, tmp_path / "chexpert" / "CheXpert-v1.0")
    with pytest.raises(DataError, match="name one of them"):
        opened(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="Stanford"):
        opened(tmp_path, folder="empty")


def test_missing_images(tmp_path: Path) -> None:
    write(tmp_path / "chexpert")
    (tmp_path / SMALL / "train" / "patient00001" / "study1" / "view1_frontal.jpg").unlink()
    with pytest.raises(DataError, match=r"view1_frontal\.jpg"):
        opened(tmp_path).read(0)
    source = opened(tmp_path, missing_images="skip")
    assert (len(source), source.skipped["image is missing"]) == (17, 1)
    shutil.rmtree(tmp_path / SMALL / "train" / "patient00003")
    with pytest.raises(DataError, match=r"2 of the 12 rows.*patient00003.*train\.csv.*row: 4"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg", "a.jpg", r"Path must.*'a\.jpg'.*row: 0"),
        ("small/train/patient00002", "small/valid/patient00002", "Path must.*row: 2"),
        ("-1.0", "2.0", "Cardiomegaly '2.0'.*row: 2"),
        ("Unknown", "?", r"Sex '\?'"),
        (",Frontal,AP,", ",Frontal,XX,", "AP/PA 'XX'"),
        (",Frontal,AP,", ",Frontal,,", "AP/PA ''"),
        ("Unknown,20", "Unknown,old", "Age must.*'old'"),
        ("Pleural Other", "Other", "lacks a column"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / "chexpert")
    table = tmp_path / SMALL / "train.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)
