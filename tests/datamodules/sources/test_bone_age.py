"""BoneAge on a made-up folder and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from datamodules.sources.bone_age import BoneAge
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[2] / "data" / "bone_age.py"))["write"]


def opened(root: Path, **arguments: object) -> BoneAge:
    source = BoneAge(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_classes_and_edges(tmp_path: Path) -> None:
    write(tmp_path / "bone_age")
    source = opened(tmp_path)
    assert source.classes == ("0-4y", "4-8y", "8-12y", "12-16y", "16-20y")
    labels = dict(zip(source.index["months"], source.index["label"], strict=True))
    assert [labels[m] for m in (0, 40, 60, 80, 100, 140, 160, 180, 200)] == [
        *["0-4y"] * 2, *["4-8y"] * 2, *["8-12y"] * 2, *["12-16y"] * 2, "16-20y",
    ]  # fmt: skip
    low = opened(tmp_path, edges_months=[40, 200])
    assert low.classes == ("0-40m", "40-200m", "200-240m")
    assert low.index["label"].value_counts().to_dict() == {"40-200m": 8, "0-40m": 2, "200-240m": 2}


def test_sex_is_optional(tmp_path: Path) -> None:
    write(tmp_path / "bone_age")
    plain = opened(tmp_path).read(1)
    assert set(plain.inputs) == {"xray"}
    assert plain.inputs["xray"].shape == (20, 24)
    source = opened(tmp_path, include_sex=True)
    assert [m.name for m in source.card.modalities] == ["xray", "demographics"]
    assert source.read(1).inputs["demographics"] == {"sex": "female"}
    assert source.peek(0).inputs == {"xray": None, "demographics": {"sex": "male"}}


@pytest.mark.parametrize("text", ["240", "-1", "", "old", "nan", "12.5"])
def test_bad_ages(tmp_path: Path, text: str) -> None:
    write(tmp_path / "bone_age")
    table = tmp_path / "bone_age" / "labels.csv"
    table.write_text(table.read_text().replace("1401.jpg,20,", f"1401.jpg,{text},"))
    with pytest.raises(DataError, match=r"boneage_months.*labels\.csv.*row: 1"):
        opened(tmp_path)


def test_bad_arguments_and_sex(tmp_path: Path) -> None:
    for edges in ([], [96, 48], [0, 48], [48, 240]):
        with pytest.raises(SpecError, match="edges_months"):
            BoneAge(edges_months=edges)
    write(tmp_path / "bone_age")
    table = tmp_path / "bone_age" / "labels.csv"
    table.write_text(table.read_text().replace("20,False", "20,maybe"))
    assert len(opened(tmp_path)) == 12
    with pytest.raises(DataError, match=r"male 'maybe'.*row: 1"):
        opened(tmp_path, include_sex=True)


def test_real(shared_data: Path) -> None:
    source = opened(shared_data, include_sex=True)
    assert len(source) == 60
    assert source.read(0).inputs["xray"].shape == (128, 128)
    sexes = [source.peek(i).inputs["demographics"]["sex"] for i in range(60)]
    assert (sexes.count("male"), sexes.count("female")) == (32, 28)
