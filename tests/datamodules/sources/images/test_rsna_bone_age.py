"""RSNABoneAge on made-up folders and on the real one with a single table."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.rsna_bone_age import RSNABoneAge
from zoo.errors import DataError, SpecError

generator = runpy.run_path(str(Path(__file__).parents[3] / "data" / "rsna_bone_age.py"))
write, write_single = generator["write"], generator["write_single"]
FOLDER = "rsna_bone_age"
TABLE = "boneage-training-dataset.csv"


def opened(root: Path, **arguments: object) -> RSNABoneAge:
    source = RSNABoneAge(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_training_part(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    source = opened(tmp_path)
    assert (len(source), set(source.index["split"])) == (12, {""})
    assert source.classes == ("0-4y", "4-8y", "8-12y", "12-16y", "16-20y")
    labels = dict(zip(source.index["months"], source.index["label"], strict=True))
    assert [labels[m] for m in (0, 40, 60, 80, 100, 140, 160, 180, 200)] == [
        *["0-4y"] * 2, *["4-8y"] * 2, *["8-12y"] * 2, *["12-16y"] * 2, "16-20y",
    ]  # fmt: skip
    sample = source.read(1)
    assert sample.id == "train/1378"
    assert set(sample.inputs) == {"xray"}
    path = tmp_path / FOLDER / "boneage-training-dataset" / "1378.png"
    assert np.array_equal(sample.inputs["xray"], read_image(path))
    low = opened(tmp_path, edges_months=[40, 200])
    assert low.classes == ("0-40m", "40-200m", "200-240m")
    assert low.index["label"].value_counts().to_dict() == {"40-200m": 8, "0-40m": 2, "200-240m": 2}


def test_all_parts(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    source = opened(tmp_path, parts=["train", "val", "test"], include_sex=True)
    assert source.index["split"].value_counts().to_dict() == {"": 12, "val": 4, "test": 2}
    rows = {name: source.peek(row) for row, name in enumerate(source.index["id"])}
    assert rows["val/1387"].targets == {"bone_age": "4-8y"}
    assert rows["val/1387"].inputs == {"xray": None, "demographics": {"sex": "male"}}
    assert rows["test/4361"].inputs["demographics"] == {"sex": "female"}
    assert rows["test/4361"].targets == {"bone_age": "8-12y"}
    assert all(source.read(row).inputs["xray"].shape == (20, 24) for row in range(len(source)))
    assert set(opened(tmp_path, parts=["train", "test"], published_split=False).index["split"]) == {""}
    (tmp_path / FOLDER / "Bone age ground truth.csv").unlink()
    with pytest.raises(DataError, match=r"Bone age ground truth\.csv"):
        opened(tmp_path, parts=["test"])


def test_single_table(tmp_path: Path) -> None:
    write_single(tmp_path / FOLDER)
    source = opened(tmp_path, include_sex=True)
    assert source.index["id"].tolist()[:2] == ["1400.jpg", "1401.jpg"]
    sexes = [source.peek(row).inputs["demographics"]["sex"] for row in range(3)]
    assert sexes == [None, "female", "male"]
    assert source.read(1).inputs["xray"].shape == (20, 24)


@pytest.mark.parametrize("text", ["240", "-1", "", "old", "nan"])
def test_bad_ages(tmp_path: Path, text: str) -> None:
    write(tmp_path / FOLDER)
    table = tmp_path / FOLDER / TABLE
    table.write_text(table.read_text().replace("1378,20,", f"1378,{text},"))
    with pytest.raises(DataError, match=r"boneage must.*dataset\.csv.*row: 1"):
        opened(tmp_path)


def test_bad_arguments_and_tables(tmp_path: Path) -> None:
    for edges in ([], [96, 48], [0, 48], [48, 240]):
        with pytest.raises(SpecError, match="edges_months"):
            RSNABoneAge(edges_months=edges)
    for parts in ([], ["valid"]):
        with pytest.raises(SpecError, match="parts must be"):
            RSNABoneAge(parts=parts)
    write(tmp_path / FOLDER)
    table = tmp_path / FOLDER / TABLE
    table.write_text(table.read_text().replace("20,False", "20,maybe"))
    assert len(opened(tmp_path)) == 12
    with pytest.raises(DataError, match=r"male 'maybe'.*row: 1"):
        opened(tmp_path, include_sex=True)
    (tmp_path / FOLDER / "boneage-training-dataset" / "1379.png").unlink()
    with pytest.raises(DataError, match=r"'1379\.png'.*row: 2"):
        opened(tmp_path)
    assert opened(tmp_path, missing_images="skip").skipped == {"image is missing": 1}


def test_real(shared_data: Path) -> None:
    source = opened(shared_data, folder="bone_age", include_sex=True)
    assert len(source) == 60
    assert source.read(0).inputs["xray"].shape == (128, 128)
    sexes = [source.peek(i).inputs["demographics"]["sex"] for i in range(60)]
    assert (sexes.count("male"), sexes.count("female")) == (32, 28)
