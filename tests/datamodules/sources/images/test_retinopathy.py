"""RetinopathyGrades on a made-up folder and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from datamodules.sources.images.oct_fundus import RETINOPATHY
from datamodules.sources.images.retinopathy import GRADES, RetinopathyGrades
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "retinopathy.py"))["write"]


def opened(root: Path, grades: str = "three") -> RetinopathyGrades:
    source = RetinopathyGrades(grades=grades)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_classes() -> None:
    assert RetinopathyGrades().classes == RETINOPATHY
    assert RetinopathyGrades(grades="ten").classes == tuple(GRADES)
    with pytest.raises(SpecError, match="'five'"):
        RetinopathyGrades(grades="five")  # type: ignore[arg-type]


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "retinopathy", n=10)
    source = opened(tmp_path)
    assert source.index["label"].value_counts().to_dict() == {"npdr": 6, "pdr": 3, "no_dr": 1}
    assert source.index["group"].value_counts().unique().tolist() == [2]
    sample = source.read(0)
    assert sample.id == "10_Patient004_R.jpg"
    assert sample.targets == {"retinopathy": "pdr"}
    assert sample.inputs["fundus"].shape == (20, 24, 3)
    assert opened(tmp_path, "ten").peek(0).targets == {"retinopathy": "10 - ADED"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("10 - ADED", "11 - worse", "grade '11 - worse'.*row: 9"),
        ("10_Patient004_R.jpg", "10_004_R.jpg", "no patient in the file name '10_004_R.jpg'.*row: 9"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    folder = tmp_path / "retinopathy"
    write(folder, n=10)
    (folder / "10_004_R.jpg").write_bytes((folder / "10_Patient004_R.jpg").read_bytes())
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_real(shared_data: Path) -> None:
    source = opened(shared_data)
    assert source.index["label"].value_counts().to_dict() == {"npdr": 299, "no_dr": 276, "pdr": 23}
    assert source.index["group"].nunique() == 299
    assert source.read(0).inputs["fundus"].shape == (96, 96, 3)
