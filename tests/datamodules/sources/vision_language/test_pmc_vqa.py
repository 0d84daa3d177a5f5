"""PMCVQA on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.vision_language.pmc_vqa import PMCVQA
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "pmc_vqa.py"))["write"]


def opened(root: Path, **arguments: object) -> PMCVQA:
    source = PMCVQA(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


@pytest.mark.parametrize(("version", "images"), [("v1", "images"), ("v2", "images_2")])
def test_rows(tmp_path: Path, version: str, images: str) -> None:
    write(tmp_path / "pmc_vqa")
    source = opened(tmp_path, version=version)
    assert len(source) == 24
    assert source.index["split"].value_counts().to_dict() == {"train": 16, "test": 8}
    assert source.index["group"].nunique() == 12
    tail = "" if version == "v1" else "_2"
    sample = source.read(source.index["id"].tolist().index(f"train{tail}/PMC1001_F2.jpg/2"))
    assert sample.inputs["question"] == "What is shown in panel 1, if anything?"
    assert sample.targets == {"vqa": "2"}
    picture = np.asarray(Image.open(tmp_path / "pmc_vqa" / images / "PMC1001_F2.jpg"))
    assert np.array_equal(sample.inputs["figure"], picture)


def test_choices_and_clean_test(tmp_path: Path) -> None:
    write(tmp_path / "pmc_vqa")
    source = opened(tmp_path, as_choice=True, version="v1_clean", published_split=False)
    assert len(source) == 20
    assert set(source.index["split"]) == {""}
    sample = source.peek(source.index["id"].tolist().index("train/PMC1000_F1.jpg/2"))
    assert sample.targets == {"vqa": "b"}
    assert sample.inputs["question"].endswith("A: Focal uptake pattern B: CT scan C: Left lung D: Two")
    assert {source.peek(i).targets["vqa"] for i in range(20)} == set("abcd")


def test_missing_images(tmp_path: Path) -> None:
    write(tmp_path / "pmc_vqa")
    (tmp_path / "pmc_vqa" / "images" / "PMC1000_F1.jpg").unlink()
    with pytest.raises(DataError, match=r"2 questions are missing.*PMC1000_F1\.jpg.*missing_images='skip'"):
        opened(tmp_path)
    source = opened(tmp_path, missing_images="skip")
    assert len(source) == 22
    assert source.skipped == {"image is missing": 2}
    with pytest.raises(DataError, match=r"no folder of images \(pictures\)"):
        opened(tmp_path, images="pictures")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (",A\n", ",E\n", r"Answer_label 'E'.*train\.csv.*row: 0"),
        ("Choice B", "Choice X", "lacks a column"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / "pmc_vqa")
    table = tmp_path / "pmc_vqa" / "train.csv"
    table.write_text(table.read_text().replace("\r\n", "\n").replace(old, new, 1))
    with pytest.raises(DataError, match=says):
        opened(tmp_path, as_choice=True)


def test_empty_answer(tmp_path: Path) -> None:
    write(tmp_path / "pmc_vqa")
    table = tmp_path / "pmc_vqa" / "train.csv"
    table.write_text(table.read_text().replace(",Focal uptake pattern,", ", ,", 1))
    with pytest.raises(DataError, match=r"is empty.*skip_empty=True.*row: 0"):
        opened(tmp_path)
    assert opened(tmp_path, skip_empty=True).skipped == {"no question or no answer (skip_empty)": 1}


def test_bad_input(tmp_path: Path) -> None:
    for wrong in ({"version": "v3"}, {"missing_images": "x"}):
        with pytest.raises(SpecError, match=list(wrong)[-1]):
            PMCVQA(**wrong)  # type: ignore[arg-type]
    write(tmp_path / "pmc_vqa")
    (tmp_path / "pmc_vqa" / "images" / "PMC1000_F1.jpg").write_bytes(b"")
    source = opened(tmp_path)
    with pytest.raises(DataError, match=r"PMC1000_F1\.jpg"):
        source.read(source.index["id"].tolist().index("train/PMC1000_F1.jpg/1"))
    (tmp_path / "pmc_vqa" / "test.csv").unlink()
    with pytest.raises(DataError, match=r"file is missing.*test\.csv"):
        opened(tmp_path)
