"""HeadCT on a made-up folder and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from datamodules.sources.images.head_ct import HeadCT
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "head_ct.py"))["write"]


def opened(root: Path) -> HeadCT:
    source = HeadCT()
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "head_ct")
    source = opened(tmp_path)
    assert len(source) == 12
    sample = source.read(1)
    assert sample.id == "001.jpg"
    assert sample.inputs["ct"].shape == (20, 24)
    assert sample.targets == {"radiographic_findings": {"hemorrhage": 1}}
    assert source.peek(1).inputs == {"ct": None}
    groups = source.index.set_index("id")["group"]
    assert groups["000.jpg"] == groups["011.jpg"] != ""
    assert (groups.drop(["000.jpg", "011.jpg"]) == "").all()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("001.jpg,1", "001.jpg,2", "hemorrhage '2'.*labels.csv.*row: 1"),
        ("001.jpg,1", "001.jpg,", "hemorrhage ''.*row: 1"),
        ("001.jpg,1", "999.jpg,1", r"999\.jpg.*row: 1"),
        ("file,hemorrhage", "file,bleed", "lacks a column"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / "head_ct")
    table = tmp_path / "head_ct" / "labels.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_unreadable_image(tmp_path: Path) -> None:
    write(tmp_path / "head_ct")
    (tmp_path / "head_ct" / "002.jpg").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(DataError, match=r"002\.jpg"):
        opened(tmp_path).read(2)


def test_real(shared_data: Path) -> None:
    source = opened(shared_data)
    assert source.index["stratum"].value_counts().to_dict() == {"0": 100, "1": 100}
    assert source.index["group"].ne("").sum() == 2
    assert source.read(0).inputs["ct"].shape == (128, 128)
