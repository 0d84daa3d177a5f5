"""RSNAPneumonia on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.core.splits import assign_splits
from datamodules.sources.images.rsna_pneumonia import BINARY, CLASSES, MAPPING, RSNAPneumonia
from zoo.errors import DataError, SpecError

pytest.importorskip("pydicom")
made = runpy.run_path(str(Path(__file__).parents[3] / "data" / "rsna_pneumonia.py"))
write, picture = made["write"], made["picture"]
INFO, BOXES = "stage_2_detailed_class_info.csv", "stage_2_train_labels.csv"


def opened(root: Path, **arguments: Any) -> RSNAPneumonia:
    source = RSNAPneumonia(**arguments)
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / RSNAPneumonia().folder)
    source = opened(tmp_path)
    assert len(source) == 18
    assert source.index["label"].value_counts().to_dict() == dict.fromkeys(CLASSES.values(), 6)
    assert source.index["group"].nunique() == 18
    sample = source.read(2)
    assert sample.id == "00000002-a0ff-4b09"
    assert sample.targets == {"disease": "lung opacity"}
    np.testing.assert_array_equal(sample.inputs["xray"], picture(0, 2))
    assert source.peek(1).inputs == {"xray": None}
    assert source.peek(1).targets == {"disease": "abnormal without lung opacity"}
    assert source.skipped == {"image is missing": 0}
    assert set(assign_splits(source.index)) == {"train", "val", "test"}


def test_binary(tmp_path: Path) -> None:
    write(tmp_path / "rsna_pneumonia")
    source = opened(tmp_path, binary=True, task_name="pneumonia")
    assert source.card.tasks[0].classes == BINARY
    assert [source.peek(i).targets["pneumonia"] for i in range(3)] == ["no pneumonia", "no pneumonia", "pneumonia"]


def test_group_by_patient(tmp_path: Path) -> None:
    write(tmp_path / "rsna_pneumonia")
    source = opened(tmp_path, group_by="patient")
    assert source.index["group"].tolist()[:4] == ["nih:00000000", "nih:00000000", "nih:00000001", "nih:00000001"]
    table = source.index.assign(assigned=assign_splits(source.index))
    assert (table.groupby("group")["assigned"].nunique() == 1).all()
    path = tmp_path / "rsna_pneumonia" / MAPPING
    path.write_text(path.read_text().replace("00000003-", "000000ff-"))
    with pytest.raises(DataError, match=r"no NIH image.*00000003-.*mappings_2018\.json"):
        opened(tmp_path, group_by="patient")


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (INFO, "4b09,Normal", "4b09,Fine", "class 'Fine' is unknown.*detailed_class_info.*row: 0"),
        (INFO, "00000000-a0ff-4b09,Normal", "00000000-a0ff-4b09,Lung Opacity", "Target 0"),
        (INFO, "00000002-a0ff-4b09,Lung Opacity\n00000002", "00000002-a0ff-4b09,Normal\n00000002", "differ in class"),
        (INFO, "00000000-", "../00000-", "patientId must be the name"),
        (INFO, "00000000-", "0000aaaa-", "2 images are in only one"),
        (INFO, "patientId", "patient", "lacks a column"),
        (BOXES, ",,,,0", ",,,,2", "Target '2' is unknown"),
        (BOXES, "Target", "target", "lacks a column"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    write(tmp_path / "rsna_pneumonia")
    path = tmp_path / "rsna_pneumonia" / name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_bad_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder does not exist"):
        opened(tmp_path)
    write(tmp_path / "rsna_pneumonia")
    images = tmp_path / "rsna_pneumonia" / "stage_2_train_images"
    (images / "00000004-a0ff-4b09.dcm").unlink()
    with pytest.raises(DataError, match=r"1 of the 18 listed images.*00000004-a0ff-4b09\.dcm"):
        opened(tmp_path)
    source = opened(tmp_path, missing_images="skip")
    assert (len(source), source.skipped) == (17, {"image is missing": 1})
    path = images / "00000000-a0ff-4b09.dcm"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"00000000-a0ff-4b09\.dcm"):
        source.read(0)


def test_bad_arguments() -> None:
    with pytest.raises(SpecError, match=r"missing_images.*'ignore'"):
        RSNAPneumonia(missing_images="ignore")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"group_by.*'study'"):
        RSNAPneumonia(group_by="study")  # type: ignore[arg-type]
