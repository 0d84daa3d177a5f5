"""OCTFundus on a made-up folder and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

from datamodules.sources.images.oct_fundus import OCTFundus
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "oct_fundus.py"))["write"]


def opened(root: Path, paired_only: bool = False) -> OCTFundus:
    source = OCTFundus(paired_only=paired_only)
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "oct_fundus", n=12)
    source = opened(tmp_path)
    both = (source.index["oct"] != "") & (source.index["fundus"] != "")
    assert len(source) == 13
    assert both.sum() == 4
    assert (source.index["oct"] != "").sum() == 9
    assert (source.index["fundus"] != "").sum() == 8
    assert len(opened(tmp_path, paired_only=True)) == 4


def test_pairs_and_labels_of_an_eye(tmp_path: Path) -> None:
    write(tmp_path / "oct_fundus", n=12)
    source = opened(tmp_path)
    ids = source.index["id"].tolist()
    first = source.read(ids.index("oct/1000_OD_o_1.jpg+fundus/1000_OD_f_1.jpg"))
    assert first.inputs["oct"].shape == (20, 24)
    assert first.inputs["fundus"].shape == (20, 24, 3)
    assert first.targets == {"disease": "normal", "retinopathy": "no_dr"}
    second = source.peek(ids.index("oct/1000_OD_o_2.jpg"))
    assert second.inputs == {"oct": None}
    assert second.targets == first.targets
    unknown = source.peek(ids.index("oct/1003_OD_o_1.jpg+fundus/1003_OD_f_1.jpg"))
    assert unknown.targets == {"disease": "DME"}
    groups = source.index.set_index("id")["group"]
    assert groups["oct/1000_OD_o_2.jpg"] == "1000"


def test_identical_bytes_join_patients(tmp_path: Path) -> None:
    write(tmp_path / "oct_fundus", n=12)
    folder = tmp_path / "oct_fundus" / "oct"
    (folder / "1004_OD_o_1.jpg").write_bytes((folder / "1000_OD_o_1.jpg").read_bytes())
    groups = opened(tmp_path).index["group"]
    assert groups.nunique() == 11
    assert (groups == "1000").sum() == 3


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1000,OD,0,0", "1000,OD,1,0", "disagree on disease.*1000 OD"),
        ("1000,OD,0,0", "1000,OD,0,PDR", None),
        ("1003,OD,1,-", "1003,OD,1,mild", "DR 'mild'.*labels.csv"),
        ("1003,OD,1,-", "1003,OX,1,-", "eye 'OX'"),
        ("1003,OD,1,-", "1003,OD,2,-", "DME '2'"),
        ("1003,OD,1,-", ",OD,1,-", "patient is empty"),
    ],
)
def test_bad_labels(tmp_path: Path, old: str, new: str, says: str | None) -> None:
    write(tmp_path / "oct_fundus", n=12)
    table = tmp_path / "oct_fundus" / "fundus" / "labels.csv"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))
    if says is None:
        source = opened(tmp_path)
        assert source.peek(source.index["id"].tolist().index("oct/1000_OD_o_2.jpg")).targets["retinopathy"] == "pdr"
        return
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_real(shared_data: Path) -> None:
    source = opened(shared_data)
    table = source.index
    assert (table["oct"] != "").sum() == 583
    assert (table["fundus"] != "").sum() == 750
    listed = {k: pd.read_csv(shared_data / "oct_fundus" / k / "labels.csv", dtype=str) for k in ("oct", "fundus")}
    eyes = {k: set(zip(t["patient"], t["eye"].str.upper(), strict=True)) for k, t in listed.items()}
    both = table[(table["oct"] != "") & (table["fundus"] != "")]
    paired = {(i.split("/")[1].split("_")[0], i.split("_")[1]) for i in both["oct"]}
    assert len(eyes["oct"] & eyes["fundus"]) == 393
    assert len(paired) == 393
    assert not table["group"].eq("").any()
    row = table["id"].tolist().index(both["id"].iloc[0])
    sample = source.read(row)
    assert sample.inputs["oct"].shape == (64, 128)
    assert sample.inputs["fundus"].shape == (96, 96, 3)
