"""KermanyChestXRay on made-up folders of both layouts."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.core.splits import assign_splits
from datamodules.sources.images.kermany_cxr import KermanyChestXRay
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "kermany_cxr.py"))["write"]


def opened(root: Path, source: KermanyChestXRay | None = None) -> KermanyChestXRay:
    source = KermanyChestXRay() if source is None else source
    source.open(root)
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "chest_xray")
    return tmp_path


def test_rows(root: Path) -> None:
    source = opened(root)
    # 24 of train less two of person2, the twin left out, and four of val; nine of test
    assert source.index["split"].value_counts().to_dict() == {"": 26, "test": 9}
    assert sum(source.skipped.values()) == 3
    assert "train/PNEUMONIA/person2_bacteria_1.jpeg" not in set(source.index["id"])
    row = source.index["id"].tolist().index("train/PNEUMONIA/person3_virus_1.jpeg")
    sample = source.read(row)
    assert sample.targets == {"disease": "pneumonia"}
    assert np.array_equal(sample.inputs["xray"], np.asarray(Image.open(source.path / sample.id)))
    assert source.index["group"][row] == "person3"
    assert source.peek(row).inputs == {"xray": None}
    assert set(assign_splits(source.index)) == {"train", "val", "test"}


def test_causes(root: Path) -> None:
    source = opened(root, KermanyChestXRay(causes=True, published_split=False))
    assert source.card.tasks[0].classes == ("normal", "bacterial pneumonia", "viral pneumonia")
    labels = dict(zip(source.index["id"], source.index["label"], strict=True))
    assert labels["train/PNEUMONIA/person2_bacteria_1.jpeg"] == "bacterial pneumonia"
    assert labels["test/PNEUMONIA/person2_virus_9.jpeg"] == "viral pneumonia"
    assert labels["train/NORMAL/IM-0001-0001.jpeg"] == "normal"
    assert set(labels.values()) == set(source.card.tasks[0].classes)
    groups = dict(zip(source.index["id"], source.index["group"], strict=True))
    assert groups["train/PNEUMONIA/person2_bacteria_1.jpeg"] == groups["test/PNEUMONIA/person2_virus_9.jpeg"]


def test_twins(root: Path) -> None:
    merged = opened(root, KermanyChestXRay(drop_leaks=False))
    assert len(merged) == 38
    groups = dict(zip(merged.index["id"], merged.index["group"], strict=True))
    assert groups["train/NORMAL/NORMAL2-IM-0001-0001.jpeg"] == groups["test/NORMAL/IM-0900-0001.jpeg"]
    assert groups["train/NORMAL/IM-0001-0001.jpeg"] != groups["train/NORMAL/NORMAL2-IM-0001-0001.jpeg"]
    assert sum(opened(root, KermanyChestXRay(merge_twins=False)).skipped.values()) == 2


def test_published_val(root: Path) -> None:
    source = opened(root, KermanyChestXRay(published_val=True))
    assert source.index["split"].value_counts().to_dict() == {"train": 22, "test": 9, "val": 4}


def test_dashed_names_without_val(tmp_path: Path) -> None:
    write(tmp_path / "chest_xray", dashed=True)
    source = opened(tmp_path, KermanyChestXRay(causes=True))
    assert source.index["split"].value_counts().to_dict() == {"": 22, "test": 9}
    row = source.index["id"].tolist().index("train/PNEUMONIA/VIRUS-3-0001.jpeg")
    assert source.peek(row).targets == {"disease": "viral pneumonia"}
    assert source.index["group"][row] == "3"
    with pytest.raises(DataError, match=r"missing.*val"):
        opened(tmp_path, KermanyChestXRay(published_val=True))


@pytest.mark.parametrize("name", ["NORMAL/person3_virus_8.jpeg", "PNEUMONIA/IM-0001-0007.jpeg", "NORMAL/child.jpeg"])
def test_names_must_tell_the_child(root: Path, name: str) -> None:
    (root / "chest_xray" / "train" / name).write_bytes(b"")
    with pytest.raises(DataError, match="not one of those published.*" + name.split("/")[1]):
        opened(root)


def test_long_published_names(root: Path) -> None:
    source = opened(root)
    for name in ("NORMAL/IM-0033-0001-0002.jpeg", "NORMAL/NORMAL2-IM-0441-0001-0002.jpeg"):
        assert source._told(name) == (name.split("/")[1].split("-0001")[0], "")


def test_broken_image(root: Path) -> None:
    (root / "chest_xray" / "test" / "NORMAL" / "IM-0903-0001.jpeg").write_bytes(b"no")
    source = opened(root)
    with pytest.raises(DataError, match=r"IM-0903-0001"):
        source.read(source.index["id"].tolist().index("test/NORMAL/IM-0903-0001.jpeg"))
