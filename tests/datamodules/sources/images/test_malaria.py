"""MalariaCells on made-up folders."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.core.splits import assign_splits
from datamodules.sources.images.malaria import MalariaCells
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "malaria.py"))["write"]


def opened(root: Path) -> MalariaCells:
    source = MalariaCells()
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "cell_images")
    source = opened(tmp_path)
    assert len(source) == 24
    assert set(source.index["group"]) == {
        "C1", "C33P1", "C37BP2", "C39P4", "C47P8", "C59P20", "C99P60", "C100P61", "C203", "C241", "C181P142",
    }  # fmt: skip
    assert source.index["group"].value_counts()["C47P8"] == 4
    name = "Parasitized/C33P1thinF_IMG_20150619_114756a_cell_2.png"
    row = source.index["id"].tolist().index(name)
    sample = source.read(row)
    assert sample.targets == {"disease": "parasitized"}
    assert np.array_equal(sample.inputs["pathology"], np.asarray(Image.open(source.path / name)))
    assert source.peek(row).inputs == {"pathology": None}
    assert set(source.index["label"]) == {"parasitized", "uninfected"}
    assert set(assign_splits(source.index)) == {"train", "val", "test"}


def test_the_nested_copy_is_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "cell_images", nested=True)
    source = opened(tmp_path)
    assert len(source) == 24
    assert sum(source.skipped.values()) == 24
    extra = tmp_path / "cell_images" / "cell_images" / "Uninfected" / "C7P1thinF_IMG_1_cell_1.png"
    extra.write_bytes(b"")
    with pytest.raises(DataError, match=r"1 images of the nested folder.*C7P1thinF"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "name", ["cell_1.png", "P1thinF_IMG_1_cell_1.png", "C33P1thinF.png", "C33P1thinF_cell_1.jpg"]
)
def test_names_must_tell_the_patient(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cell_images")
    (tmp_path / "cell_images" / "Parasitized" / name).write_bytes(b"")
    with pytest.raises(DataError, match=rf"must begin with the smear.*{name}"):
        opened(tmp_path)


def test_damage(tmp_path: Path) -> None:
    write(tmp_path / "cell_images")
    name = "Parasitized/C1_thinF_IMG_20150619_114756a_cell_0.png"
    path = tmp_path / "cell_images" / name
    path.write_bytes(path.read_bytes()[:60])
    source = opened(tmp_path)
    with pytest.raises(DataError, match="C1_thinF"):
        source.read(source.index["id"].tolist().index(name))
    (tmp_path / "cell_images" / "Uninfected").rename(tmp_path / "Uninfected")
    with pytest.raises(DataError, match=r"missing: \['Uninfected'\]"):
        opened(tmp_path)
