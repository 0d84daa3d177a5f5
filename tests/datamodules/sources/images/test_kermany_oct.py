"""KermanyOCT on made-up folders."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.core.splits import assign_splits
from datamodules.sources.images.kermany_oct import CLASSES, KermanyOCT
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "kermany_oct.py"))["write"]


def opened(root: Path, source: KermanyOCT | None = None) -> KermanyOCT:
    source = KermanyOCT() if source is None else source
    source.open(root)
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "OCT2017")
    return tmp_path


def test_rows_leave_out_patients_of_the_test_part(root: Path) -> None:
    source = opened(root)
    assert source.index["split"].value_counts().to_dict() == {"": 34, "test": 8}
    assert sum(source.skipped.values()) == 3  # of patient 1000
    assert source.index[source.index["group"] == "1000"]["id"].tolist() == ["test/CNV/CNV-1000-4.jpeg"]
    assert set(source.index[source.index["group"] == "1004"]["id"]) == {
        "train/CNV/CNV-1004-1.jpeg", "train/CNV/CNV-1004-2.jpeg", "val/CNV/CNV-1004-5.jpeg",
    }  # fmt: skip
    row = source.index["id"].tolist().index("train/DME/DME-1001-2.jpeg")
    sample = source.read(row)
    assert sample.targets == {"disease": CLASSES["DME"]}
    assert np.array_equal(sample.inputs["oct"], np.asarray(Image.open(source.path / sample.id)))
    assert sample.inputs["oct"].shape == (24, 28)
    assert source.peek(row).inputs == {"oct": None}
    splits = assign_splits(source.index)
    assert set(splits) == {"train", "val", "test"}
    assert set(splits[source.index["split"] == "test"]) == {"test"}


def test_published_val(root: Path) -> None:
    source = opened(root, KermanyOCT(published_val=True))
    assert source.index["split"].value_counts().to_dict() == {"train": 28, "test": 8, "val": 4}
    assert sum(source.skipped.values()) == 5  # patients 1000 and 1004


def test_leaks_may_be_kept_and_the_parts_pooled(root: Path) -> None:
    kept = opened(root, KermanyOCT(drop_leaks=False))
    assert len(kept) == 45
    assert set(assign_splits(kept.index)[kept.index["group"] == "1000"]) == {"test"}
    pooled = opened(root, KermanyOCT(published_split=False, task_name="oct_disease"))
    assert len(pooled) == 45
    assert set(pooled.index["split"]) == {""}
    assert sum(pooled.skipped.values()) == 0
    assert pooled.peek(0).targets == {"oct_disease": CLASSES["CNV"]}


@pytest.mark.parametrize("name", ["CNV-1.jpeg", "DME-5-1.jpeg", "CNV-abc-1.jpeg", "scan.png"])
def test_names_must_tell_the_patient(root: Path, name: str) -> None:
    (root / "OCT2017" / "train" / "CNV" / name).write_bytes(b"")
    with pytest.raises(DataError, match=rf"CNV-patient-number.*{name}"):
        opened(root)


def test_missing_and_broken(root: Path) -> None:
    image = root / "OCT2017" / "test" / "CNV" / "CNV-1000-4.jpeg"
    image.write_bytes(image.read_bytes()[:200])
    source = opened(root)
    with pytest.raises(DataError, match="CNV-1000-4"):
        source.read(source.index["id"].tolist().index("test/CNV/CNV-1000-4.jpeg"))
    (root / "OCT2017" / "train" / "DME").rename(root / "OCT2017" / "train" / "dme")
    with pytest.raises(DataError, match=r"missing: \['DME'\], unknown: \['dme'\].*train"):
        opened(root)
    with pytest.raises(DataError, match="does not exist"):
        opened(root / "OCT2017")
