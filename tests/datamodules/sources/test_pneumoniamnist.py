"""PneumoniaMNIST on made-up archives and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.sources.pneumoniamnist import PneumoniaMNIST
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[2] / "data" / "pneumoniamnist.py"))["write"]


def opened(root: Path, **arguments: object) -> PneumoniaMNIST:
    source = PneumoniaMNIST(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows_and_splits(tmp_path: Path) -> None:
    write(tmp_path / "pneumoniamnist")
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"train": 12, "test": 6, "val": 6}
    row = source.index["id"].tolist().index("train/00003")
    sample = source.read(row)
    archive = np.load(tmp_path / "pneumoniamnist" / "pneumoniamnist.npz")
    assert np.array_equal(sample.inputs["xray"], archive["train_images"][3])
    assert sample.targets == {"disease": "pneumonia"}
    assert source.peek(row).inputs == {"xray": None}
    assert source.peek(row).targets == sample.targets


def test_another_medmnist_archive(tmp_path: Path) -> None:
    arrays = {f"{s}_images": np.zeros((3, 8, 8, 3), dtype=np.uint8) for s in ("train", "val", "test")}
    arrays |= {f"{s}_labels": np.array([[0], [1], [2]]) for s in ("train", "val", "test")}
    np.savez(tmp_path / "breastmnist.npz", **arrays)
    names = {"folder": str(tmp_path), "file": "breastmnist.npz", "modality": "oct", "task_name": "tissue"}
    source = opened(tmp_path, classes=("a", "b", "c"), **names)
    assert len(source) == 9
    assert source.read(8).inputs["oct"].shape == (8, 8, 3)
    with pytest.raises(DataError, match=r"outside the 2 classes.*test|outside the 2 classes.*train/00002"):
        opened(tmp_path, classes=("a", "b"), **names)


def test_bad_archives(tmp_path: Path) -> None:
    path = tmp_path / "pneumoniamnist" / "pneumoniamnist.npz"
    with pytest.raises(DataError, match="MedMNIST"):
        opened(tmp_path)
    write(path.parent)
    good = dict(np.load(path))
    for key, value, says in (
        ("train_images", np.zeros((12, 4, 4, 4), dtype=np.uint8), "train_images"),
        ("val_labels", np.zeros((6, 14)), "one class an image"),
        ("test_labels", np.zeros((5, 1)), r"\(6, 1\)"),
    ):
        np.savez(path, **(good | {key: value}))
        with pytest.raises(DataError, match=says):
            opened(tmp_path)
    np.savez(path, **(good | {"train_images": np.zeros((12, 4, 4))}))
    source = opened(tmp_path)
    row = source.index["id"].tolist().index("train/00000")
    with pytest.raises(DataError, match=r"float64.*row: train"):
        source.read(row)
    path.write_bytes(b"not an archive")
    with pytest.raises(DataError, match=r"pneumoniamnist\.npz"):
        opened(tmp_path)
    with pytest.raises(SpecError, match="at least 2"):
        PneumoniaMNIST(classes=("one",))


def test_real(shared_data: Path) -> None:
    source = opened(shared_data)
    assert source.index["split"].value_counts().to_dict() == {"train": 4707, "val": 524, "test": 624}
    sample = source.read(0)
    assert sample.inputs["xray"].shape == (28, 28)
    assert sample.inputs["xray"].dtype == np.uint8
