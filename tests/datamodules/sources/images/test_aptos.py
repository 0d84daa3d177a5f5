"""APTOS2019 on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.aptos import APTOS2019, FIVE_GRADES
from datamodules.sources.images.oct_fundus import RETINOPATHY
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "aptos.py"))["write"]


def opened(root: Path, **arguments: object) -> APTOS2019:
    source = APTOS2019(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "aptos2019")
    source = opened(tmp_path)
    assert source.index["label"].value_counts().to_dict() == dict.fromkeys(FIVE_GRADES, 4)
    sample = source.read(3)
    assert sample.id == "0003a24aab6d"
    assert sample.targets == {"retinopathy": "severe_npdr"}
    path = tmp_path / "aptos2019" / "train_images" / f"{sample.id}.png"
    assert np.array_equal(sample.inputs["fundus"], read_image(path))
    copies = source.index[source.index["group"] != ""]
    assert copies["id"].tolist() == ["0000a24aab6d", "0019a24aab6d"]
    assert copies["group"].nunique() == 1


def test_three_grades(tmp_path: Path) -> None:
    write(tmp_path / "aptos2019")
    source = opened(tmp_path, grades="three", task_name="dr")
    assert source.card.tasks[0].classes == RETINOPATHY
    assert [source.peek(row).targets["dr"] for row in range(5)] == ["no_dr", "npdr", "npdr", "npdr", "pdr"]
    with pytest.raises(SpecError, match=r"APTOS2019.*'ten'"):
        APTOS2019(grades="ten")  # type: ignore[arg-type]


def test_bad_input(tmp_path: Path) -> None:
    write(tmp_path / "aptos2019")
    image = tmp_path / "aptos2019" / "train_images" / "0003a24aab6d.png"
    image.write_bytes(b"no image")
    with pytest.raises(DataError, match=image.name):
        opened(tmp_path).read(3)
    image.unlink()
    with pytest.raises(DataError, match=r"0003a24aab6d\.png.*train\.csv.*row: 3"):
        opened(tmp_path)
    source = opened(tmp_path, missing_images="skip")
    assert (len(source), source.skipped) == (19, {"image is missing": 1})
    table = tmp_path / "aptos2019" / "train.csv"
    text = table.read_text()
    table.write_text(text.replace("aab6d,1", "aab6d,5"))
    with pytest.raises(DataError, match=r"diagnosis '5'.*row: 1"):
        opened(tmp_path)
    table.write_text(text.replace("diagnosis", "grade"))
    with pytest.raises(DataError, match="lacks a column"):
        opened(tmp_path)
