"""BCCD on a made-up folder and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.images.bccd import BCCD, Box, read_boxes
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "bccd.py"))["write"]


def opened(root: Path, **arguments: object) -> BCCD:
    source = BCCD(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows_are_crops(tmp_path: Path) -> None:
    write(tmp_path / "bccd", n=4)
    source = opened(tmp_path)
    counts = source.index["label"].value_counts().to_dict()
    assert counts == {"red blood cell": 8, "white blood cell": 4, "platelet": 4}
    assert source.skipped == {"RBC box beyond max_rbc_per_image": 4, "box without area": 4}
    assert source.index["group"].nunique() == 4
    everything = opened(tmp_path, max_rbc_per_image=0)
    assert len(everything) == 20
    assert everything.skipped == {"RBC box beyond max_rbc_per_image": 0, "box without area": 4}


def test_boxes_are_clipped(tmp_path: Path) -> None:
    write(tmp_path / "bccd", n=1)
    boxes = read_boxes(tmp_path / "bccd" / "Annotations" / "BloodImage_00000.xml")
    assert boxes[1] == Box("WBC", 19, 4, 40, 25)
    assert boxes[3] == Box("RBC", 4, 19, 4, 19)
    assert boxes[4] == Box("Platelets", 49, 29, 64, 48)


def test_crop_is_the_box_and_its_margin(tmp_path: Path) -> None:
    write(tmp_path / "bccd", n=1)
    whole = np.asarray(Image.open(tmp_path / "bccd" / "JPEGImages" / "BloodImage_00000.jpg"))
    for margin, corner in ((0.0, whole[4:25, 19:40]), (0.1, whole[2:27, 17:42]), (1.0, whole[0:46, 0:61])):
        source = opened(tmp_path, margin=margin)
        sample = source.read(source.index["id"].tolist().index("BloodImage_00000/001"))
        assert sample.targets == {"cell_type": "white blood cell"}
        assert np.array_equal(sample.inputs["pathology"], corner)
    assert source.peek(0).inputs == {"pathology": None}


def test_published_split(tmp_path: Path) -> None:
    write(tmp_path / "bccd", n=4)
    assert (opened(tmp_path).index["split"] == "").all()
    source = opened(tmp_path, published_split=True)
    assert source.index.groupby("split")["group"].nunique().to_dict() == {"test": 1, "train": 2, "val": 1}
    lists = tmp_path / "bccd" / "ImageSets" / "Main"
    (lists / "val.txt").write_text("BloodImage_00000\n")
    with pytest.raises(DataError, match="also listed in 'train'"):
        opened(tmp_path, published_split=True)
    (lists / "val.txt").write_text("")
    with pytest.raises(DataError, match="published_split=False"):
        opened(tmp_path, published_split=True)
    (lists / "val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt"):
        opened(tmp_path, published_split=True)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<name>WBC</name>", "<name>Virus</name>", "cell 'Virus'.*row: 1"),
        ("<xmin>20</xmin>", "<xmin>twenty</xmin>", "xmin.*'twenty'.*row: 1"),
        ("<width>64</width>", "", "size/width"),
        ("<width>64</width>", "<width>0</width>", "0 x 48"),
        ("</annotation>", "", "not valid XML"),
    ],
)
def test_bad_annotations(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / "bccd", n=2)
    path = tmp_path / "bccd" / "Annotations" / "BloodImage_00001.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=rf"{says}|{says}.*BloodImage_00001"):
        opened(tmp_path)


def test_bad_images_and_arguments(tmp_path: Path) -> None:
    write(tmp_path / "bccd", n=2)
    Image.new("RGB", (30, 30)).save(tmp_path / "bccd" / "JPEGImages" / "BloodImage_00001.jpg")
    source = opened(tmp_path)
    with pytest.raises(DataError, match=r"outside the image of 30 x 30.*row: BloodImage_00001/002"):
        source.read(source.index["id"].tolist().index("BloodImage_00001/002"))
    (tmp_path / "bccd" / "JPEGImages" / "BloodImage_00001.jpg").unlink()
    with pytest.raises(DataError, match="not in JPEGImages"):
        opened(tmp_path)
    with pytest.raises(SpecError, match="margin"):
        BCCD(margin=-0.1)


def test_real(shared_data: Path) -> None:
    source = opened(shared_data, max_rbc_per_image=0)
    assert source.index["label"].value_counts().to_dict() == {
        "red blood cell": 2605, "white blood cell": 236, "platelet": 232,
    }  # fmt: skip
    assert source.skipped["box without area"] == 1
    assert source.index["group"].nunique() == 230
    few = opened(shared_data)
    assert (few.index["label"] == "red blood cell").sum() == 436
    assert few.read(0).inputs["pathology"].shape[2] == 3
    assert set(opened(shared_data, published_split=True).index["split"]) == {"train", "val", "test"}
