"""CCCCII on made-up folders."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.core.splits import assign_splits
from datamodules.sources.images.cc_ccii import CCCCII
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "cc_ccii.py"))["write"]


def opened(root: Path, source: CCCCII | None = None) -> CCCCII:
    source = CCCCII() if source is None else source
    source.open(root)
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "cc_ccii")
    return tmp_path


def test_the_middle_slice_of_each_scan(root: Path) -> None:
    source = opened(root)
    assert len(source) == 21
    assert source.index["group"].nunique() == 15
    assert all(name.endswith("/8.png") for name in source.index["id"])
    row = source.index["id"].tolist().index("CP/2/1002/8.png")
    sample = source.read(row)
    assert sample.targets == {"disease": "common pneumonia"}
    assert np.array_equal(sample.inputs["ct"], np.asarray(Image.open(source.path / sample.id)))
    assert source.peek(row).inputs == {"ct": None}
    assert set(source.index["label"]) == {"COVID-19", "common pneumonia", "normal"}
    assert set(assign_splits(source.index)) == {"train", "val", "test"}


def test_more_slices(root: Path) -> None:
    three = opened(root, CCCCII(slices_per_scan=3))
    assert len(three) == 63
    scan = [n for n in three.index["id"] if n.startswith("NCP/1/1000/")]
    assert scan == ["NCP/1/1000/0.png", "NCP/1/1000/16.png", "NCP/1/1000/8.png"]
    assert len(opened(root, CCCCII(slices_per_scan=0))) == 105
    assert len(opened(root, CCCCII(slices_per_scan=50))) == 105


def test_a_scan_of_the_table_is_missing(root: Path) -> None:
    (root / "cc_ccii" / "CP" / "2").rename(root / "2")
    with pytest.raises(DataError, match=r"1 of the 21 scans.*'CP/2/1002'.*row: 1"):
        opened(root)
    source = opened(root, CCCCII(missing_images="skip"))
    assert len(source) == 20
    assert sum(source.skipped.values()) == 1
    (root / "cc_ccii" / "unzip_filenames.csv").unlink()
    assert len(opened(root)) == 20


def test_a_scan_without_images(root: Path) -> None:
    (root / "cc_ccii" / "Normal" / "3" / "99999").mkdir()
    with pytest.raises(DataError, match=r"no image.*'Normal/3/99999'"):
        opened(root)
    assert sum(opened(root, CCCCII(missing_images="skip")).skipped.values()) == 1


def test_damage(root: Path) -> None:
    (root / "cc_ccii" / "CP" / "2" / "1002" / "8.png").write_bytes(b"\x89PNG")
    source = opened(root)
    with pytest.raises(DataError, match=r"1002/8\.png"):
        source.read(source.index["id"].tolist().index("CP/2/1002/8.png"))
    table = root / "cc_ccii" / "unzip_filenames.csv"
    table.write_text(table.read_text().replace("patient_id", "patient"))
    with pytest.raises(DataError, match=r"lacks a column.*patient_id.*unzip_filenames"):
        opened(root)
    (root / "cc_ccii" / "CP").rename(root / "cc_ccii" / "cp")
    with pytest.raises(DataError, match=r"missing: \['CP'\], unknown: \['cp'\]"):
        opened(root)


def test_bad_arguments() -> None:
    with pytest.raises(SpecError, match="slices_per_scan"):
        CCCCII(slices_per_scan=-1)
    with pytest.raises(SpecError, match="missing_images"):
        CCCCII(missing_images="no")  # type: ignore[arg-type]
