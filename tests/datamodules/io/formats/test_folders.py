"""Listings of class folders, and groups on both sides of a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.io.formats.folders import class_images, leaking, published_images, spread, subfolders
from zoo.errors import DataError

CLASSES = {"A": "a", "B": "b"}


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_images_of_classes(tmp_path: Path) -> None:
    make(tmp_path, "A/2.png", "A/1.jpg", "A/Thumbs.db", "A/.hidden.png", "B/x.JPEG", "__MACOSX/A/1.jpg", ".git/x")
    assert class_images(tmp_path, CLASSES, prefix="p/") == [
        ("p/A/1.jpg", "a"),
        ("p/A/2.png", "a"),
        ("p/B/x.JPEG", "b"),
    ]
    assert subfolders(tmp_path) == ["A", "B"]
    make(tmp_path, "C/1.png")
    with pytest.raises(DataError, match=r"missing: \[\], unknown: \['C'\]"):
        class_images(tmp_path, CLASSES)
    assert len(class_images(tmp_path, CLASSES, beside=("C",))) == 3


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder is missing.*nowhere"):
        class_images(tmp_path / "nowhere", CLASSES)
    make(tmp_path, "A/1.jpg")
    with pytest.raises(DataError, match=r"missing: \['B'\]"):
        class_images(tmp_path, CLASSES)


def test_published_parts(tmp_path: Path) -> None:
    make(tmp_path, *(f"{p}/{c}/1.png" for p in ("train", "val", "test") for c in CLASSES))

    def splits(published_split: bool, published_val: bool) -> list[str]:
        rows = published_images(tmp_path, CLASSES, published_split=published_split, published_val=published_val)
        assert [r[0].split("/")[0] for r in rows] == ["train", "train", "val", "val", "test", "test"]
        return [r[2] for r in rows][::2]

    assert splits(True, True) == ["train", "val", "test"]
    assert splits(True, False) == ["", "", "test"]
    assert splits(False, True) == ["", "", ""]


def test_val_may_be_absent_unless_it_is_wanted(tmp_path: Path) -> None:
    make(tmp_path, *(f"{p}/{c}/1.png" for p in ("train", "test") for c in CLASSES))
    assert len(published_images(tmp_path, CLASSES, published_split=True, published_val=False)) == 4
    with pytest.raises(DataError, match=r"missing.*val"):
        published_images(tmp_path, CLASSES, published_split=True, published_val=True)


def test_leaking_goes_by_the_most_held_out_part() -> None:
    groups = ["a", "a", "a", "b", "b", "c", "", ""]
    splits = ["train", "val", "test", "train", "val", "", "", "test"]
    assert leaking(groups, splits).tolist() == [True, True, False, True, False, False, False, False]


@pytest.mark.parametrize("of", [1, 2, 7, 40, 999])
def test_spread_covers_and_stays_inside(of: int) -> None:
    assert spread(of, of) == list(range(of))
    for count in range(1, of + 1, max(1, of // 5)):
        chosen = spread(count, of)
        assert chosen == sorted(set(chosen))
        assert chosen[0] >= 0
        assert chosen[-1] < of
    assert spread(1, of, (1.0, 1.0)) == [of - 1]
