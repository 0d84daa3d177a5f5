"""NIHChestXray14 on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.nih_chest_xray14 import FINDINGS, NIHChestXray14, rarest
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "nih_chest_xray14.py"))["write"]
FOLDER = "nih_chest_xray14"


def opened(root: Path, **arguments: object) -> NIHChestXray14:
    source = NIHChestXray14(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    source = opened(tmp_path)
    assert len(source) == 24
    assert source.index["group"].value_counts().unique().tolist() == [2]
    assert source.index["split"].value_counts().to_dict() == {"": 18, "test": 6}
    assert source.impossible_ages == 6
    sample = source.read(1)
    assert sample.id == "00000001_001.png"
    assert sample.inputs["clinical"] == {"age": 33.0, "sex": "male", "view": "AP"}
    labels = sample.targets["radiographic_findings"]
    assert list(labels) == list(FINDINGS.values())
    assert {name for name, value in labels.items() if value} == {"cardiomegaly", "pleural_effusion"}
    assert sample.groups == {"view": 1, "sex": 1}
    assert np.array_equal(sample.inputs["xray"], read_image(tmp_path / FOLDER / "images_001" / "images" / sample.id))
    ages = [source.peek(row).inputs["clinical"]["age"] for row in range(4)]
    assert ages == [58.0, 33.0, None, pytest.approx(11 / 12)]


def test_no_finding(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    assert sum(opened(tmp_path).peek(0).targets["radiographic_findings"].values()) == 0
    source = opened(tmp_path, include_no_finding=True, task_name="findings")
    assert [source.peek(row).targets["findings"]["no_finding"] for row in range(6)] == [1, 0, 0, 0, 1, 0]
    assert source.card.tasks[0].classes[-1] == "no_finding"


def test_the_later_table_and_one_folder(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    folder = tmp_path / FOLDER
    (folder / "images").mkdir()
    for path in [*folder.glob("images_00*/images/*.png")]:
        path.rename(folder / "images" / path.name)
    text = (folder / "Data_Entry_2017.csv").read_text().replace("Patient Gender", "Patient Sex")
    (folder / "Data_Entry_2017.csv").unlink()
    (folder / "Data_Entry_2017_v2020.csv").write_text(text)
    assert opened(tmp_path).read(0).inputs["xray"].shape == (20, 24)


def test_lists(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    lists = tmp_path / FOLDER / "train_val_list.txt"
    text = lists.read_text()
    lists.write_text(text + "00000012_001.png\n")
    with pytest.raises(DataError, match=r"00000012_001\.png' is in both lists"):
        opened(tmp_path)
    lists.write_text(text.replace("00000001_000.png\n", ""))
    with pytest.raises(DataError, match=r"'00000001_000\.png' is in neither"):
        opened(tmp_path)
    lists.unlink()
    with pytest.raises(DataError, match=r"published_split=False.*train_val_list"):
        opened(tmp_path)
    assert set(opened(tmp_path, published_split=False).index["split"]) == {""}


def test_missing_images(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    (tmp_path / FOLDER / "images_002" / "images" / "00000012_001.png").unlink()
    with pytest.raises(DataError, match=r"1 of the 24 rows.*'00000012_001\.png'.*Data_Entry_2017\.csv.*row: 23"):
        opened(tmp_path)
    source = opened(tmp_path, missing_images="skip")
    assert (len(source), source.skipped) == (23, {"image is missing": 1})
    with pytest.raises(SpecError, match="'drop'"):
        NIHChestXray14(missing_images="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Mass,", "Flu,", r"finding 'Flu'.*row: 2"),
        ("No Finding,", "No Finding|Mass,", r"'No Finding' in 'No Finding\|Mass'.*row: 0"),
        ("Finding Labels", "Labels", "lacks a column"),
        ("Patient Gender", "Gender", "column of the sex"),
        ("058Y", "old", "Patient Age.*'old'.*row: 0"),
        (",F,", ",X,", "Patient Gender 'X'"),
        (",PA,", ",LL,", "View Position 'LL'"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / FOLDER)
    table = tmp_path / FOLDER / "Data_Entry_2017.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_broken_image(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    (tmp_path / FOLDER / "images_001" / "images" / "00000001_000.png").write_bytes(b"\x89PNG")
    source = opened(tmp_path)
    source.peek(0)
    with pytest.raises(DataError, match=r"00000001_000\.png"):
        source.read(0)


def test_rarest() -> None:
    positive = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], dtype=bool)
    assert rarest(positive, ("common", "rare"), "none") == ["common", "rare", "none", "common"]
