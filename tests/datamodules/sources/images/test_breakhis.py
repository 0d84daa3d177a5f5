"""BreakHis on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.breakhis import BreakHis
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "breakhis.py"))["write"]
BREAST = Path("breakhis") / "BreaKHis_v1" / "histology_slides" / "breast"


def opened(root: Path, **arguments: object) -> BreakHis:
    source = BreakHis(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "breakhis")
    source = opened(tmp_path)
    assert len(source) == 22
    assert source.index["label"].value_counts().to_dict() == {"malignant": 12, "benign": 10}
    assert source.index["subtype"].nunique() == 8
    sample = source.read(0)
    assert sample.id == "SOB_B_A-14-22549AB-100-002.png"
    assert sample.targets == {"breast_cancer": "benign", "breast_cancer_subtype": "adenosis"}
    assert sample.groups == {"magnification": 1}
    path = tmp_path / BREAST / "benign" / "SOB" / "adenosis" / "SOB_B_A_14-22549AB" / "100X" / sample.id
    assert np.array_equal(sample.inputs["pathology"], read_image(path))
    assert opened(tmp_path, subtype_task="").peek(0).targets == {"breast_cancer": "benign"}


def test_slides_of_a_case_share_a_group(tmp_path: Path) -> None:
    write(tmp_path / "breakhis")
    groups = opened(tmp_path).index.groupby("group")
    assert len(groups) == 9
    assert set(groups.get_group("14-22549")["subtype"]) == {"adenosis"}
    assert len(groups.get_group("14-22549")) == 4
    assert set(groups.get_group("14-13412")["subtype"]) == {"ductal_carcinoma", "lobular_carcinoma"}


def test_magnifications(tmp_path: Path) -> None:
    write(tmp_path / "breakhis", n=4)
    source = opened(tmp_path, magnifications=[40, 400])
    assert len(source) == source.skipped["magnification not asked for"] == 22
    assert set(source.index["magnification"]) == {40, 400}
    for wrong in ([], [50]):
        with pytest.raises(SpecError, match="magnifications"):
            BreakHis(magnifications=wrong)
    with pytest.raises(SpecError, match="one name"):
        BreakHis(subtype_task="breast_cancer")


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "breakhis").mkdir()
    with pytest.raises(DataError, match="no folder histology_slides"):
        opened(tmp_path)
    write(tmp_path / "breakhis")
    slide = tmp_path / BREAST / "benign" / "SOB" / "adenosis" / "SOB_B_A_14-22549AB" / "40X"
    path = slide / "SOB_B_A-14-22549AB-40-001.png"
    other = path.rename(slide / "SOB_B_F-14-22549AB-40-001.png")
    with pytest.raises(DataError, match=r"says benign and fibroadenoma.*another folder"):
        opened(tmp_path)
    other = other.rename(slide / "slide.png")
    with pytest.raises(DataError, match=r"'slide\.png' is none of BreakHis"):
        opened(tmp_path)
    other.rename(path).write_bytes(b"")
    with pytest.raises(DataError, match=path.name):
        opened(tmp_path).read(1)
