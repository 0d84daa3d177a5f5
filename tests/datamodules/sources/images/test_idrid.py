"""IDRiD on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.aptos import FIVE_GRADES
from datamodules.sources.images.idrid import EDEMA_RISKS, IDRiD
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "idrid.py"))["write"]
INNER = Path("idrid") / "B. Disease Grading"


def opened(root: Path, **arguments: object) -> IDRiD:
    source = IDRiD(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "idrid")
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"": 20, "test": 5}
    assert source.index["label"].value_counts().to_dict() == dict.fromkeys(FIVE_GRADES, 5)
    assert source.peek(1).targets == {"retinopathy": "mild_npdr", "macular_edema_risk": EDEMA_RISKS[1]}
    sample = source.read(8)
    assert sample.id == "train/IDRiD_004"
    assert sample.targets == {"retinopathy": "severe_npdr", "macular_edema_risk": EDEMA_RISKS[2]}
    path = tmp_path / INNER / "1. Original Images" / "a. Training Set" / "IDRiD_004.jpg"
    assert np.array_equal(sample.inputs["fundus"], read_image(path))


def test_arguments(tmp_path: Path) -> None:
    write(tmp_path / "idrid")
    source = opened(tmp_path, folder=str(INNER), edema_task="", grades="three", published_split=False)
    assert set(source.index["split"]) == {""}
    assert source.read(8).targets == {"retinopathy": "npdr"}
    assert [t.name for t in source.card.tasks] == ["retinopathy"]
    with pytest.raises(SpecError, match="one name"):
        IDRiD(edema_task="retinopathy")


def test_copies_share_a_group(tmp_path: Path) -> None:
    write(tmp_path / "idrid")
    images = tmp_path / INNER / "1. Original Images"
    (images / "b. Testing Set" / "IDRiD_002.jpg").write_bytes(
        (images / "a. Training Set" / "IDRiD_007.jpg").read_bytes()
    )
    table = opened(tmp_path).index
    assert table["id"][table["group"] != ""].tolist() == ["test/IDRiD_002", "train/IDRiD_007"]


def test_bad_input(tmp_path: Path) -> None:
    write(tmp_path / "idrid")
    image = tmp_path / INNER / "1. Original Images" / "a. Training Set" / "IDRiD_004.jpg"
    image.write_bytes(b"")
    with pytest.raises(DataError, match=image.name):
        opened(tmp_path).read(8)
    image.unlink()
    with pytest.raises(DataError, match=r"IDRiD_004\.jpg.*Training Labels\.csv.*row: 3"):
        opened(tmp_path)
    assert opened(tmp_path, missing_images="skip").skipped == {"image is missing": 1}
    table = tmp_path / INNER / "2. Groundtruths" / "a. IDRiD_Disease Grading_Training Labels.csv"
    text = table.read_text()
    for old, new, says in (
        ("_002,1,1", "_002,5,1", r"Retinopathy grade '5'.*row: 1"),
        ("_002,1,1", "_002,1,3", r"Risk of macular edema '3'.*row: 1"),
        ("Risk of macular edema", "Risk", "lacks a column"),
    ):
        table.write_text(text.replace(old, new))
        with pytest.raises(DataError, match=says):
            opened(tmp_path)
