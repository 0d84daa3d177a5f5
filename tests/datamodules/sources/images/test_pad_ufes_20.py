"""PADUFES20 on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from datamodules.io.images import read_image
from datamodules.sources.images.pad_ufes_20 import CLINICAL, DIAGNOSES, PADUFES20, REGIONS
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "pad_ufes_20.py"))["write"]
FOLDER = "pad_ufes_20"


def opened(root: Path, **arguments: object) -> PADUFES20:
    source = PADUFES20(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def row_of(source: PADUFES20, number: int) -> int:
    return source.index["id"].str.endswith(f"_{number}.png").to_numpy().argmax().item()


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    source = opened(tmp_path)
    assert len(source) == 30
    assert source.index["label"].value_counts().to_dict() == dict.fromkeys(DIAGNOSES.values(), 5)
    assert source.index["group"].value_counts()["PAT_1"] == 2
    sample = source.read(row_of(source, 0))
    assert sample.id == "PAT_1_800_0.png"
    assert sample.targets == {"disease": "basal cell carcinoma"}
    assert sample.groups == {"site": REGIONS.index("NECK"), "skin_type": 0}
    path = tmp_path / FOLDER / "images" / "imgs_part_1" / sample.id
    assert np.array_equal(sample.inputs["clinical_photo"], read_image(path))


def test_true_false_and_unknown(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    source = opened(tmp_path)
    told = source.peek(row_of(source, 0)).inputs["clinical"]
    assert told == {
        "age": 30.0, "gender": "FEMALE", "smoke": "no", "drink": "yes", "background_father": None,
        "background_mother": "BRAZIL", "pesticide": "no", "skin_cancer_history": "yes", "cancer_history": "yes",
        "has_piped_water": "yes", "has_sewage_system": "no", "fitspatrick": 1.0, "region": "NECK",
        "diameter_1": 6.0, "diameter_2": 5.0, "itch": "yes", "grew": None, "hurt": "no", "changed": "no",
        "bleed": "no", "elevation": "yes",
    }  # fmt: skip
    silent = source.peek(row_of(source, 1))
    known = {"age": 31.0, "region": "FACE", "itch": "yes", "hurt": "no", "bleed": "no", "elevation": "yes"}
    assert silent.inputs["clinical"] == dict.fromkeys(CLINICAL) | known
    assert silent.groups == {"site": REGIONS.index("FACE"), "skin_type": -1}


def test_no_leak(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    source = opened(tmp_path)
    assert len(CLINICAL) == 21
    assert not {"biopsed", "diagnostic", "patient_id", "lesion_id", "img_id"} & set(source.peek(0).inputs["clinical"])
    for column in ("biopsed", "diagnostic"):
        with pytest.raises(SpecError, match=f"got \\['{column}'\\]"):
            PADUFES20(columns=["age", column])
    few = opened(tmp_path, columns=["region", "age"])
    assert few.peek(row_of(few, 0)).inputs["clinical"] == {"region": "NECK", "age": 30.0}


def test_nested_folders(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    write(folder)
    for part in (folder / "images").iterdir():
        (folder / part.name).mkdir()
        part.rename(folder / part.name / part.name)
    assert opened(tmp_path).read(0).inputs["clinical_photo"].shape == (20, 24, 3)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (",MEL,", ",XYZ,", "diagnostic 'XYZ'.*row: 5"),
        (",NECK,", ",TAIL,", "region 'TAIL'.*row: 0"),
        ("FEMALE", "WOMAN", "gender 'WOMAN'"),
        ("BRAZIL,30,", "BRAZIL,old,", "age must.*'old'.*row: 0"),
        (",1.0,NECK", ",1.5,NECK", "fitspatrick must.*'1.5'"),
        ("PAT_1,800,False", "PAT_1,800,maybe", "smoke 'maybe'"),
        ("PAT_1,800", ",800", "patient_id is empty.*row: 0"),
        ("biopsed", "biopsy", "lacks a column"),
        ("PAT_1_800_0.png", "PAT_0.png", r"'PAT_0\.png'.*row: 0"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / FOLDER)
    table = tmp_path / FOLDER / "metadata.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_missing_and_broken_images(tmp_path: Path) -> None:
    write(tmp_path / FOLDER)
    path = tmp_path / FOLDER / "images" / "imgs_part_1" / "PAT_1_800_0.png"
    path.write_bytes(path.read_bytes()[:60])
    source = opened(tmp_path)
    with pytest.raises(DataError, match=path.name):
        source.read(row_of(source, 0))
    path.unlink()
    assert opened(tmp_path, missing_images="skip").skipped == {"image is missing": 1}
