"""MosMedData on made-up volumes."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path

import numpy as np
import pytest

nib = pytest.importorskip("nibabel")

from datamodules.core.splits import assign_splits  # noqa: E402
from datamodules.sources.images.mosmed import GRADES, MosMedData  # noqa: E402
from zoo.errors import DataError, SpecError  # noqa: E402

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "mosmed.py"))["write"]


def opened(root: Path, source: MosMedData | None = None) -> MosMedData:
    source = MosMedData() if source is None else source
    source.open(root)
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "mosmed")
    return tmp_path


def test_the_middle_slice(root: Path) -> None:
    source = opened(root)
    assert len(source) == 20
    assert source.card.tasks[0].classes == GRADES
    row = source.index["id"].tolist().index("CT-1/study_0002.nii.gz:1of1")
    sample = source.read(row)
    assert sample.targets == {"covid_severity": "CT-1"}
    image = sample.inputs["ct"]
    assert image.shape == (10, 12)
    assert image.dtype == np.float32
    assert image[0, 0] == 300.0  # right and anterior, in slice 3 of 7
    voxels = np.asarray(nib.load(root / "mosmed" / "studies" / "CT-1" / "study_0002.nii.gz").dataobj)
    assert np.array_equal(image, voxels[:, :, 3].T)  # stored as LPS: the order in which it is shown
    assert source.peek(row).inputs == {"ct": None}
    assert set(assign_splits(source.index)) == {"train", "val", "test"}


def test_several_slices_of_a_volume_share_its_group(root: Path) -> None:
    source = opened(root, MosMedData(slices_per_volume=3, extent=(0.0, 1.0)))
    assert len(source) == 60
    assert source.index["group"].nunique() == 20
    rows = [r for r, name in enumerate(source.index["id"]) if "study_0001" in name]
    samples = source.read_many(rows[::-1])
    assert [s.id for s in samples] == [f"CT-0/study_0001.nii.gz:{k}of3" for k in (3, 2, 1)]
    assert [s.inputs["ct"][0, 0] for s in samples] == [500.0, 300.0, 100.0]  # of six slices


def test_severe_grades_may_be_merged(root: Path) -> None:
    source = opened(root, MosMedData(merge_severe=True, task_name="grade"))
    assert source.card.tasks[0].classes == ("CT-0", "CT-1", "CT-2", "CT-3 or CT-4")
    assert source.index["label"].value_counts()["CT-3 or CT-4"] == 8
    assert source.peek(len(source) - 1).targets == {"grade": "CT-3 or CT-4"}


def test_unpacked_volumes_and_other_files(root: Path) -> None:
    folder = root / "mosmed" / "studies" / "CT-0"
    packed = folder / "study_0001.nii.gz"
    (folder / "study_0001.nii").write_bytes(gzip.decompress(packed.read_bytes()))
    (folder / "notes.txt").write_text("")
    with pytest.raises(DataError, match="study_0001 is there both"):
        opened(root)
    before = packed.read_bytes()
    packed.unlink()
    source = opened(root)
    assert before
    assert source.read(source.index["id"].tolist().index("CT-0/study_0001.nii:1of1")).inputs["ct"][0, 0] == 300.0


def test_damage(root: Path) -> None:
    path = root / "mosmed" / "studies" / "CT-2" / "study_0003.nii.gz"
    path.write_bytes(path.read_bytes()[:300])
    source = opened(root)
    with pytest.raises(DataError, match=r"study_0003"):
        source.read(source.index["id"].tolist().index("CT-2/study_0003.nii.gz:1of1"))
    eight = opened(root, MosMedData(slices_per_volume=8))
    with pytest.raises(DataError, match=r"7 slices, fewer than slices_per_volume=8"):
        eight.read(eight.index["id"].tolist().index("CT-1/study_0002.nii.gz:1of8"))
    (root / "mosmed" / "studies" / "CT-4").rename(root / "CT-4")
    with pytest.raises(DataError, match=r"missing: \['CT-4'\]"):
        opened(root)


def test_bad_arguments() -> None:
    with pytest.raises(SpecError, match="slices_per_volume"):
        MosMedData(slices_per_volume=0)
    with pytest.raises(SpecError, match="extent"):
        MosMedData(extent=(0.9, 0.1))
