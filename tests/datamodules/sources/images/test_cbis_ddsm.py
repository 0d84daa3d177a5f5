"""CBISDDSM on made-up folders of its three layouts."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.core.splits import assign_splits
from datamodules.sources.images.cbis_ddsm import CBISDDSM
from zoo.errors import DataError, SpecError

pytest.importorskip("pydicom")
made = runpy.run_path(str(Path(__file__).parents[3] / "data" / "cbis_ddsm.py"))
write, mammogram, LAYOUTS = made["write"], made["mammogram"], made["LAYOUTS"]
FIRST = "Mass-Training_P_00000_LEFT_CC"
MASSES, CALCS = "mass_case_description_train_set.csv", "calc_case_description_test_set.csv"


def opened(root: Path, **arguments: Any) -> CBISDDSM:
    source = CBISDDSM(**arguments)
    source.open(root)
    return source


def row_of(source: CBISDDSM, name: str) -> int:
    return int(source.index["id"].tolist().index(name))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    write(tmp_path / CBISDDSM().folder, layout=layout)
    source = opened(tmp_path)
    assert len(source) == 24
    sample = source.read(row_of(source, FIRST))
    image = sample.inputs["mammography"]
    assert image.shape == (28, 18)
    assert image.dtype == np.uint8
    stored = mammogram(0, 0).astype(float)
    if layout == "jpeg":
        assert abs(image.astype(float) - stored // 257).mean() < 20
    else:
        wanted = (stored - stored.min()) / (stored.max() - stored.min()) * 255
        np.testing.assert_allclose(image, wanted, atol=0.51)
    assert sample.inputs["clinical"] == {"density": 1.0, "side": "left", "view": "CC", "abnormality": "mass"}
    assert sample.targets == {"breast_cancer": "benign"}
    assert sample.groups == {"abnormality": 0}
    crops = opened(tmp_path, region="abnormality")
    assert len(crops) == 30
    for row in range(4):
        assert crops.read(row).inputs["mammography"].shape in ((9, 8), (10, 8))
    assert crops.read(row_of(crops, FIRST + "_1")).inputs["mammography"].shape == (9, 8)


def test_labels(tmp_path: Path) -> None:
    write(tmp_path / "cbis_ddsm")
    source = opened(tmp_path)
    labels = dict(zip(source.index["id"], source.index["label"], strict=True))
    assert labels["Mass-Training_P_00000_LEFT_MLO"] == "malignant"
    assert labels["Mass-Training_P_00001_RIGHT_CC"] == "benign"  # published as without callback
    assert labels["Mass-Training_P_00001_RIGHT_MLO"] == "malignant"  # benign and malignant abnormalities
    assert source.peek(row_of(source, "Mass-Training_P_00000_LEFT_MLO")).inputs["clinical"]["density"] is None
    three = opened(tmp_path, without_callback="separate", task_name="pathology")
    assert three.peek(row_of(three, "Mass-Training_P_00001_RIGHT_CC")).targets == {
        "pathology": "benign_without_callback"
    }
    fewer = opened(tmp_path, without_callback="skip")
    assert fewer.skipped["benign without callback"] == 24 - len(fewer) > 0
    crops = opened(tmp_path, region="abnormality", without_callback="separate")
    assert crops.index["label"].value_counts().to_dict() == {
        "malignant": 14, "benign": 8, "benign_without_callback": 8,
    }  # fmt: skip


def test_patients_stay_together(tmp_path: Path) -> None:
    write(tmp_path / "cbis_ddsm")
    source = opened(tmp_path)
    table = source.index.assign(assigned=assign_splits(source.index))
    assert (table.groupby("group")["assigned"].nunique() == 1).all()
    assert set(table["assigned"]) == {"train", "val", "test"}
    both = table[table["group"] == "P_00000"]
    assert len(both) == 4
    assert set(both["split"]) == {"test"}
    assert (table["split"] == "test").sum() == 10
    assert set(opened(tmp_path, published_split=False).index["split"]) == {""}


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (MASSES, "BENIGN,", "FINE,", "pathology 'FINE'.*mass_case_description_train_set.*row: 0"),
        (MASSES, ",LEFT,CC", ",MIDDLE,CC", "left or right breast 'MIDDLE'"),
        (MASSES, ",LEFT,CC", ",LEFT,XX", "image view 'XX'"),
        (MASSES, "P_00000,1,", "P_00000,7,", "breast density '7'"),
        (MASSES, "/1.3.6.0.2/000000.dcm", "/000000.dcm", "image_file_path must be <case>"),
        (MASSES, "/1.3.6.0.2/000000.dcm", "/9.9.9/000000.dcm", f"'{FIRST}' must have one image.*none"),
        (CALCS, "breast density", "density", r"lacks the columns \['breast_density'\]"),
        (CALCS, "pathology", "diagnosis", "lacks a column"),
        ("metadata.csv", "./CBIS-DDSM", "../CBIS-DDSM", "File Location must lie below"),
        ("metadata.csv", "Series UID", "Series", "lacks a column"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    write(tmp_path / "cbis_ddsm")
    path = tmp_path / "cbis_ddsm" / name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_bad_images(tmp_path: Path) -> None:
    write(tmp_path / "cbis_ddsm", layout="uids")
    root = tmp_path / "cbis_ddsm" / "CBIS-DDSM"
    path = root / FIRST / "1.3.6.0.1" / "1.3.6.0.2" / "1-1.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    source = opened(tmp_path)
    with pytest.raises(DataError, match=r"1-1\.dcm"):
        source.read(row_of(source, FIRST))
    path.unlink()
    with pytest.raises(DataError, match=f"'{FIRST}' must have one image"):
        opened(tmp_path)
    source = opened(tmp_path, missing_images="skip")
    assert (len(source), source.skipped["image is missing"]) == (23, 1)
    pair = root / f"{FIRST}_1" / "1.3.6.0.13" / "1.3.6.0.14"
    (pair / "1-1.dcm").write_bytes((pair / "1-2.dcm").read_bytes())
    crops = opened(tmp_path, region="abnormality")
    with pytest.raises(DataError, match="crop cannot be told from its mask"):
        crops.read(row_of(crops, FIRST + "_1"))
    (pair / "1-1.dcm").unlink()
    with pytest.raises(DataError, match=f"'{FIRST}_1' must have a crop and its mask"):
        opened(tmp_path, region="abnormality")
    (tmp_path / "cbis_ddsm" / MASSES).unlink()
    with pytest.raises(DataError, match=r"missing.*mass_case_description_train_set"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["region", "without_callback", "missing_images"])
def test_bad_arguments(name: str) -> None:
    with pytest.raises(SpecError, match=f"{name} must be .*, got 'other'"):
        CBISDDSM(**{name: "other"})
