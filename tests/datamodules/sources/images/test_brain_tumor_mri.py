"""BrainTumorMRI on a made-up folder and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from datamodules.sources.images.brain_tumor_mri import BrainTumorMRI
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "brain_tumor_mri.py"))["write"]


def opened(root: Path, drop_leaks: bool = True) -> BrainTumorMRI:
    source = BrainTumorMRI(drop_leaks=drop_leaks)
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "brain_tumor_mri")
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"": 11, "test": 4}
    assert sum(source.skipped.values()) == 1
    row = source.index["id"].tolist().index("Testing/glioma_tumor/image(1).jpg")
    sample = source.read(row)
    assert sample.targets == {"brain_tumor": "glioma"}
    assert sample.inputs["mri"].shape == (20, 24)
    assert source.peek(row).inputs == {"mri": None}


def test_leaks_may_be_kept_in_one_group(tmp_path: Path) -> None:
    write(tmp_path / "brain_tumor_mri")
    source = opened(tmp_path, drop_leaks=False)
    assert len(source) == 16
    assert sum(source.skipped.values()) == 0
    twins = source.index[source.index["group"] != ""]
    assert twins["id"].tolist() == ["Testing/no_tumor/image(1).jpg", "Training/no_tumor/image(1).jpg"]
    assert twins["group"].nunique() == 1


def test_folders_must_be_the_classes(tmp_path: Path) -> None:
    write(tmp_path / "brain_tumor_mri")
    (tmp_path / "brain_tumor_mri" / "Training" / "food").mkdir()
    with pytest.raises(DataError, match=r"unknown: \['food'\].*Training"):
        opened(tmp_path)


def test_missing_part(tmp_path: Path) -> None:
    (tmp_path / "brain_tumor_mri").mkdir()
    with pytest.raises(DataError, match="missing"):
        opened(tmp_path)


def test_unreadable_image(tmp_path: Path) -> None:
    write(tmp_path / "brain_tumor_mri")
    (tmp_path / "brain_tumor_mri" / "Testing" / "no_tumor" / "image(1).jpg").write_bytes(b"nothing")
    source = opened(tmp_path)
    with pytest.raises(DataError, match=r"image\(1\)\.jpg"):
        source.read(source.index["id"].tolist().index("Testing/no_tumor/image(1).jpg"))


def test_real(shared_data: Path) -> None:
    source = opened(shared_data)
    assert source.index["split"].value_counts().to_dict() == {"": 305, "test": 51}
    train = source.index[source.index["split"] == ""]
    assert train["label"].value_counts().to_dict() == {
        "glioma": 79,
        "meningioma": 78,
        "no_tumor": 77,
        "pituitary": 71,
    }
    assert source.read(0).inputs["mri"].ndim == 3


def test_both_folders_may_be_pooled(tmp_path: Path) -> None:
    write(tmp_path / "brain_tumor_mri")
    source = BrainTumorMRI(published_split=False)
    source.open(tmp_path)
    assert set(source.index["split"]) == {""}
    assert len(source) == 15


def test_equal_pixels_in_other_bytes_are_twins(tmp_path: Path) -> None:
    write(tmp_path / "brain_tumor_mri")
    folder = tmp_path / "brain_tumor_mri"
    tested = sorted((folder / "Testing" / "glioma_tumor").iterdir())[0]
    copy = folder / "Training" / "glioma_tumor" / "copy.jpg"
    copy.write_bytes(tested.read_bytes() + b"\0")  # a trailing byte: another file of the same image
    source = BrainTumorMRI()
    source.open(tmp_path)
    assert not source.index["id"].str.endswith("copy.jpg").any()
    assert source.skipped["Training image is also in Testing"] == 2
