"""HAM10000 on a made-up folder and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from datamodules.sources.images.ham10000 import DIAGNOSES, HAM10000, SITES
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "ham10000.py"))["write"]


def opened(root: Path, task_name: str = "disease") -> HAM10000:
    source = HAM10000(task_name=task_name)
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "ham10000")
    source = opened(tmp_path)
    assert len(source) == 12
    assert source.index["group"].nunique() == 11
    sample = source.read(0)
    assert sample.id == "ISIC_0000000"
    assert sample.inputs["dermoscopy"].shape == (20, 24, 3)
    assert sample.inputs["clinical"] == {"age": 30.0, "sex": "female", "localization": "back"}
    assert sample.targets == {"disease": "actinic keratosis"}
    assert sample.groups == {"site": SITES.index("back")}
    assert opened(tmp_path, "lesion").peek(1).targets == {"lesion": "basal cell carcinoma"}


def test_unknown_is_none(tmp_path: Path) -> None:
    write(tmp_path / "ham10000")
    source = opened(tmp_path)
    assert source.peek(1).inputs["clinical"] == {"age": None, "sex": "male", "localization": "face"}
    two = source.peek(2)
    assert two.inputs == {"dermoscopy": None, "clinical": {"age": 40.0, "sex": None, "localization": None}}
    assert two.groups == {"site": -1}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (",bcc,", ",flu,", "dx 'flu'.*HAM10000_metadata.csv.*row: 1"),
        (",male,face", ",male,moon", "localization 'moon'.*row: 1"),
        (",female,back", ",F,back", "sex 'F'"),
        ("30.0,", "300,", "age must be.*'300'.*row: 0"),
        ("30.0,", "x,", "age must be.*'x'"),
        ("30.0,", "inf,", "age must be.*'inf'"),
        ("ISIC_0000003", "ISIC_0009999", "ISIC_0009999.*row: 3"),
        ("lesion_id,", "lesion,", "lacks a column"),
    ],
)
def test_bad_metadata(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / "ham10000")
    table = tmp_path / "ham10000" / "HAM10000_metadata.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_real(shared_data: Path) -> None:
    source = opened(shared_data)
    assert len(source) == 680
    assert source.index["group"].nunique() == 680
    counts = {"nv": 130, "mel": 110, "bkl": 110, "bcc": 100, "akiec": 90, "vasc": 80, "df": 60}
    assert source.index["label"].value_counts().to_dict() == {DIAGNOSES[k]: n for k, n in counts.items()}
    assert sum(source.peek(i).inputs["clinical"]["age"] is None for i in range(680)) == 2
    assert source.read(0).inputs["dermoscopy"].shape == (224, 224, 3)
