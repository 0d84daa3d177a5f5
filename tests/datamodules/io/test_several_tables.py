"""Several files as one table: parts, joined tables, long tables and JSON, compared with pandas."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datamodules.io.arrow_table import ArrowTable
from datamodules.io.joined_table import JoinedTable
from datamodules.io.long_table import LongTable
from datamodules.io.table_file import TextFormat, read_table_file
from datamodules.io.unknown import Unknown
from zoo.errors import DataError, SpecError

EYES = "file,grade,age\n1_l.jpg,0,50\n1_r.jpg,2,50\n2_r.jpg,1,60\n9_l.jpg,4,70\n"
PATIENTS = "id,left,right,age\n1,1_l.jpg,1_r.jpg,50\n2,2_l.jpg,2_r.jpg,60\n3,,NA,70\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def cells(table: ArrowTable, name: str) -> list[Any]:
    return [table.value(name, row) for row in range(len(table))]


# -- joined ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indexed", [False, True])
def test_rows_that_are_named_lie_beside_those_that_name_them(tmp_path: Path, indexed: bool) -> None:
    write(tmp_path, patients__csv=PATIENTS, eyes__csv=EYES)
    joined = [
        JoinedTable("eyes.csv", "left", "file", "left.", ("file", "grade")),
        JoinedTable("eyes.csv", "right", "file", "right.", ("grade",)),
    ]
    for _ in range(2):  # an index is made, and then used
        folder = tmp_path / "index" if indexed else None
        table = ArrowTable(tmp_path / "patients.csv", folder, joined=joined)
        assert table.names == ("id", "left", "right", "age", "left.file", "left.grade", "right.grade")
        assert cells(table, "left.file") == ["1_l.jpg", None, None]
        assert cells(table, "left.grade") == ["0", None, None]
        assert cells(table, "right.grade") == ["2", "1", None]
        assert len(table.remarks) == 4
        assert "2 of 3 rows of 'patients.csv' have no row in 'eyes.csv'" in table.remarks[0]
        assert "3 of 4 rows of 'eyes.csv' belong to no row" in table.remarks[1]


def test_a_changed_partner_makes_a_new_index(tmp_path: Path) -> None:
    write(tmp_path, a__csv="id\n1\n", b__csv="id,x\n1,old\n")
    joined = [JoinedTable("b.csv", "id")]
    assert cells(ArrowTable(tmp_path / "a.csv", tmp_path / "i", joined=joined), "x") == ["old"]
    write(tmp_path, b__csv="id,x\n1,newer\n")
    assert cells(ArrowTable(tmp_path / "a.csv", tmp_path / "i", joined=joined), "x") == ["newer"]


def test_a_join_is_that_of_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"key": rng.integers(0, 50, 200), "y": rng.random(200)})
    further = pd.DataFrame({"": np.arange(60), "a b": rng.random(60), "x": rng.integers(0, 9, 60)})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with gzip.open(tmp_path / "further.csv.gz", "wt") as file:
        further.to_csv(file, index=False)
    table = ArrowTable(tmp_path / "rows.csv", joined=[JoinedTable("further.csv.gz", "key", "")])
    both = rows.merge(further.rename(columns={"": "key"}), on="key", how="left")
    assert len(table) == len(both)
    for name in ("y", "a b", "x"):
        assert np.allclose([float(v) for v in cells(table, name)], both[name])


def test_keys_are_one_whichever_type_a_file_stored_them_in(tmp_path: Path) -> None:
    write(tmp_path, rows__csv="key,x\n1,a\n01,b\n2,c\n -9 ,d\n")
    pd.DataFrame({"key": [1.0, 2.0, np.nan], "z": [10, 20, 30]}).to_parquet(tmp_path / "more.parquet")
    joined = [JoinedTable("more.parquet", "key")]
    table = ArrowTable(tmp_path / "rows.csv", unknown=Unknown(("-9",)), joined=joined)
    assert cells(table, "z") == [10, None, 20, None]  # 01 is another name than 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (JoinedTable("no.csv", "left"), "no.csv"),
        (JoinedTable("eyes.csv", "lefd", "file"), "left"),
        (JoinedTable("eyes.csv", "left"), "file"),
        (JoinedTable("eyes.csv", "left", "file"), "'age' is there already; give a 'prefix'"),
        (JoinedTable("eyes.csv", "age"), "'50' more than once"),
        (JoinedTable("eyes.csv", "left", "file", columns=("grad",)), "grade"),
        (JoinedTable("eyes.csv", "left", "file", columns=("g_*",)), "no column matches"),
    ],
)
def test_a_join_that_cannot_be_says_why(tmp_path: Path, how: JoinedTable, said: str) -> None:
    write(tmp_path, patients__csv=PATIENTS, eyes__csv=EYES)
    with pytest.raises(DataError) as error:
        ArrowTable(tmp_path / "patients.csv", joined=[how])
    assert said in str(error.value)


# -- parts -----------------------------------------------------------------------------------------------------------


def test_parts_lie_below_each_other_and_their_names_say_which(tmp_path: Path) -> None:
    write(tmp_path, labels_train__csv="id,y\na,1\nb,0\n", labels_test__csv="y,id\n1,c\n", other__csv="id\nz\n")
    write(tmp_path, x_train__csv="id,g\na,1.5\nb,2.5\n", x_test__csv="id,g\nc,3.5\n")
    table = ArrowTable(tmp_path / "labels_*.csv", told=TextFormat(part="part"), joined=[JoinedTable("x_*.csv", "id")])
    found = {n: cells(table, n) for n in table.names}
    assert found == {"y": ["1", "1", "0"], "id": ["c", "a", "b"], "part": ["test", "train", "train"],
                     "g": ["3.5", "1.5", "2.5"]}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "name", "part", "said"),
    [
        ({}, "t_*.csv", "", "no file matches 't_*.csv'"),
        ({"t_a__csv": "x\n1\n", "t_b__csv": "y\n1\n"}, "t_*.csv", "", "the columns x, y are not in both"),
        ({"t_a__csv": "x\n1\n"}, "t_*.csv", "x", "is a column already"),
        ({"t_a__csv": "x\n1\n"}, "t_a.csv", "p", "has no *"),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, files: dict[str, str], name: str, part: str, said: str) -> None:
    write(tmp_path, **files)
    with pytest.raises(DataError) as error:
        ArrowTable(tmp_path / name, told=TextFormat(part=part))
    assert said in str(error.value)


# -- long ------------------------------------------------------------------------------------------------------------


def long_table(folder: Path, **options: Any) -> ArrowTable:
    how = LongTable("what", "value", **options)
    return ArrowTable(folder / "who.csv", unknown=Unknown(("-1",)), joined=[JoinedTable("long.csv", "who", long=how)])


def test_a_long_table_is_summed_up_as_by_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"who": rng.integers(0, 9, 400), "t": rng.permutation(400), "what": rng.choice(["HR", "pH", "K+"], 400)}
    )
    frame["value"] = rng.normal(size=400).round(3)
    frame.loc[::17, "value"] = -1
    frame.to_csv(tmp_path / "long.csv", index=False)
    write(tmp_path, who__csv="who\n" + "".join(f"{k}\n" for k in range(10)))
    summaries = ("mean", "min", "max", "first", "last", "std", "count", "slope")
    table = long_table(tmp_path, time="t", summaries=summaries)
    known = frame[frame["value"] != -1].sort_values("t")
    for who in range(9):
        for what in ("HR", "pH", "K+"):
            held = known[(known["who"] == who) & (known["what"] == what)]
            want = {s: getattr(held["value"], s)() for s in ("mean", "min", "max", "std", "count")}
            want |= {"first": held["value"].iloc[0], "last": held["value"].iloc[-1]}
            want["slope"] = np.polyfit(held["t"], held["value"], 1)[0]
            found = {s: table.value(f"{what}.{s}", who) for s in summaries}
            assert found == pytest.approx(want)
    assert table.value("HR.mean", 9) is None
    assert "1 of 10 rows of 'who.csv' have no row in 'long.csv'" in table.remarks[0]


def test_what_was_not_measured_is_unknown_and_counted_as_0(tmp_path: Path) -> None:
    write(tmp_path, who__csv="who\na\nb\n", long__csv="who,what,value\na,HR,5\na,pH,7\nb,HR,-1\nb,pH,7.5\n")
    table = long_table(tmp_path, summaries=("mean", "std", "count"))
    assert cells(table, "HR.mean") == [5.0, None]
    assert cells(table, "HR.std") == [None, None]  # of one value
    assert cells(table, "HR.count") == [1.0, 0.0]
    assert cells(table, "pH.mean") == [7.0, 7.5]


def test_a_long_table_with_a_word_among_its_numbers(tmp_path: Path) -> None:
    write(tmp_path, who__csv="who\na\n", long__csv="who,what,value\na,HR,5\na,HR,high\n")
    with pytest.raises(DataError, match="'high', not a number") as error:
        long_table(tmp_path)
    assert error.value.row == "1" or error.value.row == 1
    with pytest.raises(SpecError, match="median"):
        LongTable("what", "value", summaries=("median",))
    with pytest.raises(SpecError, match="slope needs"):
        LongTable("what", "value", summaries=("slope",))


# -- JSON ------------------------------------------------------------------------------------------------------------


def test_json_lines_and_a_list_of_objects_are_one_table(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "age": 40, "Case": {"History": "ill", "n": 1}, "codes": ["x", "y"], "trace": [1, 2.5]},
        {"id": "b", "age": 40.5, "Case": {"History": None}, "late": True, "date": "2020-01-02"},
    ]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    with gzip.open(tmp_path / "t.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, rows)) + "\n\n")
    want = {
        "id": ["a", "b"], "age": [40.0, 40.5], "Case.History": ["ill", None], "Case.n": [1, None],
        "codes": ['["x", "y"]', None], "trace": [[1.0, 2.5], None], "late": [None, True],
        "date": [None, "2020-01-02"],
    }  # fmt: skip
    for name in ("t.json", "t.jsonl.gz"):
        assert read_table_file(tmp_path / name).to_pydict() == want


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n{"a": }\n', "no JSON"),
        ('{"a": 1}\n[1]\n', "must be an object"),
        ('{"a": 1, "a": 2}\n', "repeats the names"),
        ('{"a.b": 1, "a": {"b": 2}}\n', "called 'a.b'"),
        ("", "no rows"),
    ],
)
def test_json_that_is_no_table(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(DataError, match=said):
        read_table_file(tmp_path / "t.jsonl")
    (tmp_path / "t.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="a table is a list of objects"):
        read_table_file(tmp_path / "t.json")
