"""The abstracts source, on a made-up layout and on the real files."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from datamodules.sources.text.medical_abstracts import CLASSES, MedicalAbstracts
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "medical_abstracts.py"))["write"]


def opened(root: Path, **settings: str) -> MedicalAbstracts:
    source = MedicalAbstracts(**settings)
    source.open(root)
    return source


def test_rows_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "medical_abstracts", n=12)
    source = opened(tmp_path)
    assert len(source) == 12
    assert source.index["group"].nunique() == 11
    assert set(source.index["split"]) == {""}
    clue = dict(zip(CLASSES, ("tumor", "gastric", "seizure", "cardiac", "fever"), strict=True))
    hits = [clue[s.targets["disease"]] in s.inputs["text"] for s in (source.read(r) for r in range(12))]
    assert sum(hits) >= 10
    assert source.read(0).inputs["text"].endswith(", and so on.")


def test_both_files_fix_the_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "medical_abstracts"
    write(folder, seed=1, n=8)
    (folder / "medical_tc_test.csv").rename(folder / "medical_tc_train.csv")
    write(folder, seed=2, n=5)
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"": 8, "test": 5}
    assert len(opened(tmp_path, train_file="")) == 5
    assert set(opened(tmp_path, test_file="").index["split"]) == {""}


def test_bad_input(tmp_path: Path) -> None:
    folder = tmp_path / "medical_abstracts"
    write(folder, n=3)
    path = folder / "medical_tc_test.csv"
    good = path.read_text()
    for line, message in (
        ('6,"text"', "'6' is none of"),
        ('1,""', "abstract is empty"),
        ("1", "row has 1 cells"),
    ):
        path.write_text(good + line + "\n")
        with pytest.raises(DataError, match=message) as caught:
            opened(tmp_path)
        assert (caught.value.file, caught.value.row) == (path, 3)
    path.unlink()
    with pytest.raises(DataError, match=r"neither 'medical_tc_train.csv' nor 'medical_tc_test.csv'"):
        opened(tmp_path)
    (folder / "medical_tc_labels.csv").write_text("condition_label,condition_name\n1,flu\n")
    with pytest.raises(DataError, match="flu"):
        opened(tmp_path)
    with pytest.raises(SpecError, match="at least one"):
        MedicalAbstracts(train_file="", test_file="")


def test_real_file(shared_data: Path) -> None:
    source = opened(shared_data)
    counts = dict(zip(CLASSES, (633, 299, 385, 610, 961), strict=True))
    assert source.index["stratum"].value_counts().to_dict() == counts
    assert source.index["group"].nunique() == 2888 - 118
    assert source.read(0).targets["disease"] in CLASSES
