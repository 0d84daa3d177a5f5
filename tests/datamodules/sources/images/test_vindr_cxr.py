"""VinDrCXR on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.core.splits import assign_splits
from datamodules.sources.images.vindr_cxr import FINDINGS, LABELS, VinDrCXR
from zoo.errors import DataError, SpecError

pytest.importorskip("pydicom")
made = runpy.run_path(str(Path(__file__).parents[3] / "data" / "vindr_cxr.py"))
write, picture = made["write"], made["picture"]


def opened(root: Path, **arguments: Any) -> VinDrCXR:
    source = VinDrCXR(**arguments)
    source.open(root)
    return source


def marked(source: VinDrCXR, name: str) -> set[str]:
    row = source.index["id"].tolist().index(name)
    labels = source.peek(row).targets["radiographic_findings"]
    assert tuple(labels) == LABELS
    return {k for k, v in labels.items() if v}


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / VinDrCXR().folder)
    source = opened(tmp_path)
    assert tuple(made["COLUMNS"]) == tuple(FINDINGS)
    assert len(LABELS) == len(set(LABELS)) == 28
    assert source.index["split"].value_counts().to_dict() == {"": 16, "test": 4}
    assert source.index["id"].iloc[0] == f"test/te{0:030x}"
    assert set(assign_splits(source.index)) == {"train", "val", "test"}
    assert source.index["stratum"].iloc[3] == "no_finding"
    for row, name in ((0, f"test/te{0:030x}"), (5, f"train/tr{1:030x}")):
        sample = source.read(row)
        assert sample.id == name
        wanted = np.rint(np.clip((picture(0, name.split("/")[0], row % 4) - 2047.5) / 4095 + 0.5, 0, 1) * 255)
        np.testing.assert_allclose(sample.inputs["xray"], 255 - wanted if row == 5 else wanted, atol=1)
    assert source.peek(0).inputs == {"xray": None}
    assert set(opened(tmp_path, published_split=False).index["split"]) == {""}


def test_rules(tmp_path: Path) -> None:
    write(tmp_path / "vindr_cxr")
    names = [f"train/tr{i:030x}" for i in range(4)]
    majority, any_reader = opened(tmp_path), opened(tmp_path, rule="any")
    assert [marked(majority, n) for n in names] == [
        {"aortic_enlargement"}, {"atelectasis", "other_diseases"}, {"calcification"}, {"no_finding"},
    ]  # fmt: skip
    assert marked(any_reader, names[0]) == {"aortic_enlargement", "tuberculosis"}
    path = tmp_path / "vindr_cxr" / "annotations" / "image_labels_train.csv"
    lines = path.read_text().splitlines()
    lines[10] = lines[10][:-1] + "0"  # the first reader of image 3 does not mark "No finding"
    path.write_text("\n".join(lines) + "\n")
    assert marked(opened(tmp_path), names[3]) == {"no_finding"}
    assert marked(opened(tmp_path, rule="any"), names[3]) == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("train", "Edema", "Oedema", r"lacks the columns \['Edema'\].*image_labels_train"),
        ("train", "rad_id", "reader", r"lacks the columns \['rad_id'\]"),
        ("test", "image_id", "image", "lacks a column"),
        ("train", "R1,1,", "R1,2,", "Aortic enlargement must be 0 or 1, got '2'.*row: 0"),
        ("train", "R2,1,", "R1,1,", "two lines of the reader 'R1'.*row: 1"),
        ("test", "te0000", "../te0", "image_id must be the name"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    write(tmp_path / "vindr_cxr")
    path = tmp_path / "vindr_cxr" / "annotations" / f"image_labels_{name}.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_bad_images(tmp_path: Path) -> None:
    write(tmp_path / "vindr_cxr")
    first = tmp_path / "vindr_cxr" / "train" / f"tr{0:030x}.dicom"
    first.write_bytes(first.read_bytes()[:400])
    source = opened(tmp_path)
    with pytest.raises(DataError, match=rf"tr{0:030x}\.dicom"):
        source.read(4)
    first.unlink()
    with pytest.raises(DataError, match=rf"1 of the 16 listed images.*tr{0:030x}\.dicom"):
        opened(tmp_path)
    source = opened(tmp_path, missing_images="skip")
    assert (len(source), source.skipped) == (19, {"image is missing": 1})
    (tmp_path / "vindr_cxr" / "annotations" / "image_labels_test.csv").unlink()
    with pytest.raises(DataError, match=r"missing.*image_labels_test\.csv"):
        opened(tmp_path, missing_images="skip")


def test_bad_arguments() -> None:
    with pytest.raises(SpecError, match=r"rule.*'all'"):
        VinDrCXR(rule="all")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="missing_images"):
        VinDrCXR(missing_images="ignore")  # type: ignore[arg-type]
