"""EyePACS on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.aptos import FIVE_GRADES
from datamodules.sources.images.eyepacs import EyePACS
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "eyepacs.py"))["write"]


def opened(root: Path, **arguments: object) -> EyePACS:
    source = EyePACS(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "eyepacs")
    source = opened(tmp_path)
    assert len(source) == 20
    assert set(source.index["split"]) == {""}
    assert source.index["group"].value_counts().unique().tolist() == [2]
    assert source.index["label"].value_counts().to_dict() == dict.fromkeys(FIVE_GRADES, 4)
    sample = source.read(3)
    assert (sample.id, sample.targets, sample.groups) == ("train/11_right", {"retinopathy": "mild_npdr"}, {"eye": 1})
    assert np.array_equal(sample.inputs["fundus"], read_image(tmp_path / "eyepacs" / "train" / "11_right.jpeg"))
    assert opened(tmp_path, grades="three").peek(3).targets == {"retinopathy": "npdr"}


def test_test_part(tmp_path: Path) -> None:
    write(tmp_path / "eyepacs")
    source = opened(tmp_path, include_test=True)
    assert source.index["split"].value_counts().to_dict() == {"": 20, "test": 4}
    assert source.read(3).id == "test/2_right"
    assert set(opened(tmp_path, include_test=True, published_split=False).index["split"]) == {""}
    (tmp_path / "eyepacs" / "retinopathy_solution.csv").unlink()
    assert len(opened(tmp_path)) == 20
    with pytest.raises(DataError, match="retinopathy_solution"):
        opened(tmp_path, include_test=True)


def test_images_at_a_smaller_scale(tmp_path: Path) -> None:
    write(tmp_path / "eyepacs")
    source = opened(tmp_path)
    source.image_size = 8
    assert source.read(0).inputs["fundus"].shape == (10, 12, 3)


def test_bad_input(tmp_path: Path) -> None:
    write(tmp_path / "eyepacs")
    with pytest.raises(SpecError, match="missing_images"):
        EyePACS(missing_images="")  # type: ignore[arg-type]
    image = tmp_path / "eyepacs" / "train" / "11_right.jpeg"
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(DataError, match=image.name):
        opened(tmp_path).read(3)
    image.unlink()
    with pytest.raises(DataError, match=r"11_right\.jpeg.*trainLabels\.csv.*row: 3"):
        opened(tmp_path)
    assert opened(tmp_path, missing_images="skip").skipped == {"image is missing": 1}
    table = tmp_path / "eyepacs" / "trainLabels.csv"
    text = table.read_text()
    for old, new, says in (
        ("10_left", "10_up", r"such as 10_left, got '10_up'.*row: 0"),
        ("left,4", "left,5", r"level '5'.*row: 8"),
        ("level", "grade", "lacks a column"),
    ):
        table.write_text(text.replace(old, new))
        with pytest.raises(DataError, match=says):
            opened(tmp_path)
