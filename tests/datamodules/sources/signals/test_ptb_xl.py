"""PTB-XL on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.sources.signals.ptb_xl import PTBXL
from zoo.errors import DataError, SpecError

wfdb = pytest.importorskip("wfdb")
write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "ptb_xl.py"))["write"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("root")
    write(folder / "ptb_xl")
    return folder


def opened(root: Path, **options: Any) -> PTBXL:
    source = PTBXL(**options)
    source.open(root)
    return source


def by_id(source: PTBXL, name: str) -> int:
    return source.index["id"].tolist().index(name)


def test_rows(root: Path) -> None:
    source = opened(root)
    assert len(source) == 23
    assert source.skipped == {"record is missing": 0, "no diagnostic statement": 1}
    assert source.group_names() == {"site": ("0", "1", "2"), "sex": ("male", "female")}
    sample = source.read(by_id(source, "1"))
    want = wfdb.rdrecord(str(root / "ptb_xl" / "records100/00000/00001_lr")).p_signal.T
    np.testing.assert_allclose(sample.inputs["ecg"], want, atol=1e-6)
    assert sample.inputs["clinical"] == {"age": 41.0, "sex": "female"}
    assert sample.targets == {"ecg_diagnosis": {"NORM": 0, "MI": 1, "STTC": 0, "CD": 1, "HYP": 0}}
    assert sample.groups == {"site": 1, "sex": 1}
    assert opened(root, sampling_rate=500).read(0).inputs["ecg"].shape == (12, 5000)


def test_what_is_unknown(root: Path) -> None:
    source = opened(root)
    assert source.peek(by_id(source, "2")).groups["site"] == -1
    three = source.peek(by_id(source, "3"))
    assert three.inputs["clinical"] == {"age": None, "sex": None}
    assert three.groups["sex"] == -1
    assert source.peek(by_id(source, "4")).inputs["clinical"]["age"] == 90
    assert "column 'age': 1 of 24 cells are unknown (1 'nan')" in source.remarks


def test_patients_and_folds(root: Path) -> None:
    source = opened(root)
    table = source.index.set_index("id")
    assert table.loc["2", "group"] == table.loc["3", "group"] == "1002"
    assert table.loc[["1", "9", "10"], "split"].tolist() == ["train", "val", "test"]
    assert set(opened(root, published_split=False).index["split"]) == {""}


@pytest.mark.parametrize(
    ("options", "classes", "first"),
    [
        ({"level": "subclass"}, ("NORM", "IMI", "AMI", "STTC", "LAFB/LPFB", "LVH"), {"IMI", "LAFB/LPFB"}),
        ({"level": "statement"}, ("NORM", "IMI", "ASMI", "NDT", "LAFB", "LVH"), {"IMI", "LAFB"}),
        ({"likelihood": 50.0}, ("NORM", "MI", "STTC", "CD", "HYP"), {"CD"}),
    ],
)
def test_levels(root: Path, options: dict[str, Any], classes: tuple[str, ...], first: set[str]) -> None:
    source = opened(root, **options)
    assert source.card.tasks[0].classes == classes
    target = source.peek(by_id(source, "1")).targets["ecg_diagnosis"]
    assert {name for name, there in target.items() if there} == first


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{'ASMI': 80.0}", "ASMI", "scp_codes must be a dictionary.*row: 2"),
        (",3,records100/00000/00003", ",11,records100/00000/00003", "strat_fold must be 1 to 10, got '11'.*row: 2"),
        (",41.0,1,", ",41.0,2,", "sex must be one of.*row: 0"),
        (",41.0,1,", ",-3,1,", "age must be 0 to 89"),
        ("00001_lr,", "00099_lr,", "1 of the 24 rows name.*00099_lr"),
        ("strat_fold", "fold", "lacks a column"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    write(tmp_path / "ptb_xl")
    table = tmp_path / "ptb_xl" / "ptbxl_database.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_a_part_of_the_records(tmp_path: Path) -> None:
    write(tmp_path / "ptb_xl")
    (tmp_path / "ptb_xl" / "records100/00000/00007_lr.hea").unlink()
    source = opened(tmp_path, missing_records="skip")
    assert source.skipped["record is missing"] == 1
    assert len(source) == 22
    data = tmp_path / "ptb_xl" / "records100/00000/00001_lr.dat"
    data.write_bytes(data.read_bytes()[:-2])
    with pytest.raises(DataError, match="cut short"):
        source.read(by_id(source, "1"))


@pytest.mark.parametrize("options", [{"sampling_rate": 250}, {"level": "all"}, {"likelihood": 101}])
def test_options(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="PTBXL"):
        PTBXL(**options)
