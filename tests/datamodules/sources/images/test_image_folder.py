"""ImageFolder on made-up folders: classes, splits, groups, and images of every format and name."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.images.image_folder import ImageFolder
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "image_folder.py"))["write"]
save_dicom = runpy.run_path(str(Path(__file__).parents[3] / "data" / "rsna_pneumonia.py"))["save_dicom"]


def opened(root: Path, **options: Any) -> ImageFolder:
    source = ImageFolder(**options)
    source.open(root)
    return source


def test_classes_are_folders(tmp_path: Path) -> None:
    write(tmp_path / "image_folder")
    source = opened(tmp_path, modality="xray", task_name="dx", unit="a.u.")
    assert source.card.tasks[0].classes == ("2", "NORMAL")
    assert source.card.modalities[0].unit == "a.u."
    assert len(source) == 24
    assert source.skipped["file is no image"] == 1
    sample = source.read(0)
    assert (sample.id, sample.targets) == ("2/patient00_1.png", {"dx": "2"})
    assert np.array_equal(sample.inputs["xray"], np.asarray(Image.open(tmp_path / "image_folder" / sample.id)))


def test_published_parts_and_groups(tmp_path: Path) -> None:
    write(tmp_path / "image_folder", parts=("Training", "val", "TEST"))
    source = opened(tmp_path, group=r"(patient\d+)_")
    assert source.index.groupby("split")["group"].nunique().to_dict() == {"test": 4, "train": 4, "val": 4}
    assert set(opened(tmp_path, published_split=False).index["split"]) == {""}
    twice = tmp_path / "image_folder" / "Training" / "2" / "patient02_9.png"
    Image.new("L", (8, 8)).save(twice)
    source = opened(tmp_path, group=r"(patient\d+)_")
    assert source.skipped["group is also in a part that is held out"] == 1
    assert len(source) == 24
    twice.rename(twice.with_name("nobody.png"))
    with pytest.raises(DataError, match=r"not found in 'Training/2/nobody\.png'"):
        opened(tmp_path, group=r"(patient\d+)_")


def test_images_of_every_name(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    for k, name in enumerate(("a/1.2.840.1", "a/deep/IM0001", "b/c.DCM")):
        save_dicom(tmp_path / "image_folder" / name, np.full((4, 5), 50 + k, "u1"), Modality="CR")
    (tmp_path / "image_folder" / "b" / ".hidden.png").write_bytes(b"")
    (tmp_path / "image_folder" / "b" / "1.2.3").write_text("words")
    source = opened(tmp_path)
    assert source.index["id"].tolist() == ["a/1.2.840.1", "a/deep/IM0001", "b/c.DCM"]
    assert [int(source.read(i).inputs["image"][0, 0]) for i in range(3)] == [50, 51, 52]


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no regular expression"):
        ImageFolder(group="(")
    with pytest.raises(SpecError, match="no brackets"):
        ImageFolder(group="patient")
    with pytest.raises(DataError, match="does not exist"):
        opened(tmp_path)
    write(tmp_path / "image_folder", parts=("train", "test"))
    (tmp_path / "image_folder" / "masks").mkdir()
    with pytest.raises(DataError, match=r"beside \['test', 'train'\] lie the folders \['masks'\]"):
        opened(tmp_path)
    (tmp_path / "image_folder" / "masks").rmdir()
    (tmp_path / "image_folder" / "Test").mkdir()
    with pytest.raises(DataError, match="name one split"):
        opened(tmp_path)
    (tmp_path / "one" / "only").mkdir(parents=True)
    with pytest.raises(DataError, match="two are needed"):
        opened(tmp_path, folder="one")
