"""What is unknown, which types columns have, and which columns and splits are meant: of a table of one's own."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datamodules.core.prepare import prepare
from datamodules.io.typed_table import TableReading
from datamodules.sources.table import Table, TableModality
from zoo.errors import DataError, SpecError
from zoo.table_task import TableTask

CLINICAL = {"clinical": TableModality("tabular", columns=("age",))}


def opened(folder: Path, content: str | pd.DataFrame, name: str = "table.csv", **options: Any) -> Table:
    """A table of this content, opened."""
    (folder / "mydata").mkdir(exist_ok=True)
    path = folder / "mydata" / name
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif name.endswith(".parquet"):
        content.to_parquet(path)
    elif name.endswith(".xlsx"):
        pytest.importorskip("openpyxl", reason="the extra 'excel' is missing")
        content.to_excel(path, index=False)
    else:
        content.to_feather(path)
    source = Table(file=name, **{"modalities": CLINICAL, **options})
    source.open(folder)
    return source


def labels(source: Table, task: str) -> list[Any]:
    return [source.read(i).targets.get(task) for i in range(len(source))]


def column(source: Table, name: str, modality: str = "clinical") -> list[Any]:
    return [source.read(i).inputs.get(modality, {}).get(name) for i in range(len(source))]


# -- what is unknown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "table.feather", "table.xlsx"])
@pytest.mark.parametrize("kind", ["ordinal", "classification", "multilabel"])
def test_a_word_that_is_a_declared_class_is_a_class(tmp_path: Path, name: str, kind: str) -> None:
    frame = pd.DataFrame({"age": [50, 60, 70, 55], "severity": ["None", "mild", "severe", "None"]})
    content = frame.to_csv(index=False) if name.endswith("csv") else frame
    task = TableTask(kind, classes=("None", "mild", "severe"))
    source = opened(tmp_path, content, name, tasks={"severity": task})
    assert source.overview().labelled["severity"].tolist() == [True] * 4
    got = labels(source, "severity")
    if kind == "multilabel":
        got = [next(c for c, v in one.items() if v) for one in got]
    assert got == ["None", "mild", "severe", "None"]
    assert not [r for r in source.remarks if "severity" in r]


@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "table.feather", "table.xlsx"])
def test_what_is_unknown_in_every_role(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(
        {
            "age": ["50", None, "70", "55", "nan"],
            "sex": ["f", "m", None, "-9", "None"],
            "note": ["well", "nan", "-9", None, "ill"],
            "patient": ["a", None, "-9", "nan", "b"],
            "site": ["x", "y", None, "-9", "NaN"],
            "dx": ["ill", "well", None, "-9", "nan"],
        }
    )
    content = frame.to_csv(index=False) if name.endswith("csv") else frame
    source = opened(
        tmp_path, content, name, unknown=["-9"], group="patient", groups=["site"], tasks=DX,
        modalities={"clinical": TableModality("tabular", columns=("age", "sex")), "note": TableModality("text")},
    )  # fmt: skip
    assert source.classes("dx") == ("ill", "well")
    assert labels(source, "dx") == ["ill", "well", None, None, None]
    assert source.group_names() == {"site": ("x", "y")}
    assert [source.read(i).groups["site"] for i in range(5)] == [0, 1, -1, -1, -1]
    assert source.index["group"].tolist() == ["a", "", "", "", "b"]
    assert source.index["stratum"].tolist() == ["ill", "well", "", "", ""]
    assert [source.read(i).inputs.get("note") for i in range(5)] == ["well", None, None, None, "ill"]
    assert column(source, "age") == [50.0, None, 70.0, 55.0, None]
    assert column(source, "sex") == ["f", "m", None, None, None]
    assert source.overview().present["clinical"].tolist() == [True, True, True, True, False]
    assert source.overview().labelled["dx"].tolist() == [True, True, False, False, False]
    told = next(r for r in source.remarks if "'dx'" in r)
    assert told == "column 'dx': 3 of 5 cells are unknown (1 empty, 1 '-9', 1 'nan')"


def test_words_can_be_values_and_are_so_in_every_role(tmp_path: Path) -> None:
    content = "age,allergy,dx\n50,None,NA\n60,nuts,NB\n70,None,NA\n,milk,\n"
    source = opened(
        tmp_path, content, reading=TableReading(values=("None", "NA")), tasks={"dx": TableTask("classification")},
        modalities={"clinical": TableModality("tabular", columns=("age", "allergy"))}, groups=["allergy"],
    )  # fmt: skip
    assert column(source, "allergy") == ["None", "nuts", "None", "milk"]
    assert source.classes("dx") == ("NA", "NB")
    assert labels(source, "dx") == ["NA", "NB", "NA", None]
    assert source.group_names()["allergy"] == ("None", "milk", "nuts")


def test_an_id_that_means_unknown_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the id column 'name' is empty, since 'NA' counts as unknown"):
        opened(tmp_path, "name,age,dx\nJB,1,a\nNA,2,b\n", id="name", tasks={"dx": TableTask("classification")})


def test_a_number_can_stand_for_unknown(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [50, -9, 70], "score": [-9.0, 2.0, 3.5]})
    tasks = {"score": TableTask("regression")}
    for name, content in (("t.parquet", frame), ("t.csv", frame.to_csv(index=False))):
        source = opened(tmp_path, content, name, unknown=["-9"], tasks=tasks)
        assert column(source, "age") == [50.0, None, 70.0]
        assert labels(source, "score") == [None, {"score": 2.0}, {"score": 3.5}]
        assert source.overview().labelled["score"].tolist() == [False, True, True]


# -- types ---------------------------------------------------------------------------------------------------


def lab(cells: list[str]) -> str:
    return "crp,dx\n" + "".join(f'"{c}",{("ok", "ill")[i % 2]}\n' for i, c in enumerate(cells))


ASSAY = {"clinical": TableModality("tabular", columns=("crp",))}
DX = {"dx": TableTask("classification")}


@pytest.mark.parametrize("odd", ["<5", "1,5", "n.d.", "pending", "1_0", "inf", "5 mg", "0x1F", "1.2.3"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_one_exception_leaves_a_column_of_numbers(tmp_path: Path, odd: str, kind: str) -> None:
    cells = [str(i / 2) for i in range(8)]
    cells[6] = odd
    frame = pd.DataFrame({"crp": cells, "dx": ["ok", "ill"] * 4})
    content = lab(cells) if kind == "csv" else frame
    source = opened(tmp_path, content, f"t.{kind}", modalities=ASSAY, tasks=DX)
    assert column(source, "crp") == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, None, 3.5]
    assert source.overview().present["clinical"].tolist() == [True] * 6 + [False, True]
    assert f"column 'crp' holds numbers and 1 of its 8 cells are none ({odd!r} in row 6)" in source.remarks[0]
    assert "read as numbers: crp" in source.remarks


def test_the_policy_for_exceptions(tmp_path: Path) -> None:
    cells = ["1", "2", "3", "4.5", "<5", "1,5", "n.d.", "8"]
    options = {"modalities": ASSAY, "tasks": {"crp": TableTask("regression"), **DX}}
    by_number = opened(tmp_path, lab(cells), reading=TableReading(exceptions="number"), **options)
    assert column(by_number, "crp") == [1.0, 2.0, 3.0, 4.5, 5.0, 1.5, None, 8.0]
    assert labels(by_number, "crp")[4:7] == [{"crp": 5.0}, {"crp": 1.5}, None]
    assert by_number.overview().labelled["crp"].tolist() == [True] * 6 + [False, True]
    missing = opened(tmp_path, lab(cells), **options)
    assert labels(missing, "crp")[3:] == [{"crp": 4.5}, None, None, None, {"crp": 8.0}]
    assert missing.overview().labelled["crp"].tolist() == [True] * 4 + [False] * 3 + [True]
    refusing = opened(tmp_path, lab(cells), reading=TableReading(exceptions="error"), **options)
    with pytest.raises(DataError, match=r"column 'crp' holds '<5' among numbers.*table\.csv.*row: 4"):
        refusing.read(4)


def test_a_processor_gets_numbers(tmp_path: Path) -> None:
    content = "crp,dx\n" + "".join(f"{'<5' if i == 7 else i / 2},{('ok', 'ill')[i % 2]}\n" for i in range(40))
    source = opened(tmp_path, content, modalities=ASSAY, tasks=DX)
    spec = prepare([source]).modality_specs[0]
    assert spec.cardinalities in ((0,), (0, 3))


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        (["00123", "02139", "90210"], ["00123", "02139", "90210"]),  # codes
        (["1234567890123456789", "1234567890123456788"], ["1234567890123456789", "1234567890123456788"]),
        (["1,5", "2,75", "3"], [1.5, 2.75, 3.0]),  # decimals after a comma, all of them
        (["1,234", "2,500", "3.5"], ["1,234", "2,500", "3.5"]),  # thousands or decimals: not guessed
        (["1", "2", "3a", "3b"], ["1", "2", "3a", "3b"]),  # stages
        (["f", "m", "f"], ["f", "m", "f"]),
        ([" 1 ", "+2", "-.5", "1e3", "05"], [1.0, 2.0, -0.5, 1000.0, 5.0]),
    ],
)
def test_inferred_types(tmp_path: Path, cells: list[str], want: list[Any]) -> None:
    source = opened(tmp_path, lab(cells), modalities=ASSAY, tasks=DX)
    assert column(source, "crp") == want


def test_types_can_be_set(tmp_path: Path) -> None:
    content = "sex,stage,g_1,g_2,dx\n1,1,1,0,a\n2,2,0,1,b\n1,3a,1,1,a\n"
    columns = TableModality("tabular", columns=("sex", "stage", "g_*"))
    reading = TableReading(types={"sex": "category", "g_*": "category", "stage": "number"})
    source = opened(tmp_path, content, modalities={"clinical": columns}, tasks=DX, reading=reading)
    assert source.read(0).inputs["clinical"] == {"sex": "1", "stage": 1.0, "g_1": "1", "g_2": "0"}
    assert column(source, "stage") == [1.0, 2.0, None]
    with pytest.raises(DataError, match="unknown column 'sexx'; did you mean 'sex'"):
        opened(tmp_path, content, tasks=DX, reading=TableReading(types={"sexx": "number"}))


def test_codes_and_ids_never_pass_through_float(tmp_path: Path) -> None:
    big = 2**53 + 1
    frame = pd.DataFrame({"name": pd.array([big, 7], "Int64"), "ward": pd.array([3, None], "Int64"), "age": [1, 2]})
    frame["dx"] = pd.array([1, 2], "Int64")
    source = opened(tmp_path, frame, "t.parquet", id="name", group="ward", tasks=DX)
    assert source.index["id"].tolist() == [str(big), "7"]
    assert source.index["group"].tolist() == ["3", ""]
    assert source.classes("dx") == ("1", "2")
    csv = opened(tmp_path, "name,ward,age,dx\n007,03,1,01\n7,,2,1\n", id="name", group="ward", tasks=DX)
    assert csv.index["id"].tolist() == ["007", "7"]
    assert csv.index["group"].tolist() == ["03", ""]
    assert csv.classes("dx") == ("01", "1")


# -- columns and splits --------------------------------------------------------------------------------------


def test_patterns_of_columns(tmp_path: Path) -> None:
    names = ["age", *(f"mrna_{i}" for i in (2, 10, 1)), "dx", "mut_a"]
    content = ",".join(names) + "\n" + "1,2,3,4,a,0\n5,6,7,8,b,1\n"

    def given(*columns: str, kind: str = "tabular") -> list[str]:
        source = opened(tmp_path, content, tasks=DX, modalities={"m": TableModality(kind, columns=columns)})
        features = list(source.card.modalities[0].features)
        if kind == "tabular":
            assert list(source.read(0).inputs["m"]) == features
        return features

    assert given("mrna_*") == ["mrna_2", "mrna_10", "mrna_1"]
    assert given("mut_?", "age", "mrna_1*", "mrna_1") == ["mut_a", "age", "mrna_10", "mrna_1"]
    assert given("mrna_*", kind="expression") == ["mrna_2", "mrna_10", "mrna_1"]
    assert given("*") == ["age", "mrna_2", "mrna_10", "mrna_1", "mut_a"]  # never a label
    with pytest.raises(DataError, match=r"no column matches the pattern 'rna_\*'.*table\.csv"):
        given("rna_*")


def test_patterns_of_labels(tmp_path: Path) -> None:
    content = "age,y_b,y_a\n1,0,1\n2,1,1\n3,1,0\n"
    tasks = {"found": TableTask("multilabel", columns=("y_*",)), "score": TableTask("regression", columns=("y_?",))}
    source = opened(tmp_path, content, tasks=tasks)
    assert {t.name: t.classes for t in source.card.tasks} == {"found": ("y_b", "y_a"), "score": ("y_b", "y_a")}
    assert source.read(0).targets == {"found": {"y_b": 0, "y_a": 1}, "score": {"y_b": 0.0, "y_a": 1.0}}


def test_words_of_the_split(tmp_path: Path) -> None:
    content = "age,dx,part\n1,a,training\n2,b,tr\n3,a,validation\n4,b,test\n5,a,\n"
    words = {"train": ["training", "tr"], "val": ["validation"]}
    source = opened(tmp_path, content, split="part", tasks=DX, reading=TableReading(split_words=words))
    assert source.index["split"].tolist() == ["train", "train", "val", "test", ""]
    with pytest.raises(DataError, match=r"says \['tr', 'training', 'validation'\].*split_words: \{train: \[tr\]\}"):
        opened(tmp_path, content, split="part", tasks=DX)
    with pytest.raises(SpecError, match=r"split_words names \['dev'\]"):
        Table(modalities=CLINICAL, tasks=DX, reading=TableReading(split_words={"dev": ["d"]}))


@pytest.mark.parametrize("name", ["table.csv", "big.parquet"])
def test_a_large_field(tmp_path: Path, name: str) -> None:
    note = "word " * 450_000
    frame = pd.DataFrame({"note": [note, "short"], "dx": ["ill", "ok"]})
    content = frame.to_csv(index=False) if name.endswith("csv") else frame
    source = opened(tmp_path, content, name, modalities={"note": TableModality("text")}, tasks=DX)
    assert source.read(0).inputs["note"] == note.strip()


def test_the_index_keeps_the_remarks_and_the_types(tmp_path: Path) -> None:
    from datamodules.core.options import LoadingOptions

    cells = [str(i) for i in range(39)] + ["<5"]
    (tmp_path / "mydata").mkdir()
    with gzip.open(tmp_path / "mydata" / "table.csv.gz", "wt") as file:
        file.write(lab(cells))

    def made() -> Any:
        source = Table(file="table.csv.gz", modalities=ASSAY, tasks=DX)
        return prepare([source], root=tmp_path, loading=LoadingOptions(index=str(tmp_path / "index")))

    first, second = made(), made()
    assert first.sources[0].remarks == second.sources[0].remarks
    assert any("'<5' in row 39" in r for r in second.sources[0].remarks)
    assert first.modality_specs == second.modality_specs
    values = [second.dataset.raw(r).inputs["clinical"]["crp"] for r in second.rows["train"].tolist()]
    assert all(isinstance(v, float) for v in values)
    assert np.isfinite(values).all()


def test_the_summary_and_the_audit_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from datamodules.audit.check import check
    from datamodules.audit.opening import Entry
    from datamodules.core.base import BaseDataModule

    source = opened(tmp_path, lab([*map(str, range(38)), "<5", "nan"]), modalities=ASSAY, tasks=DX)
    BaseDataModule([source], root=str(tmp_path)).print_summary()
    said = capsys.readouterr().out
    report = check(Entry(Table, {"modalities": ASSAY, "tasks": DX}), tmp_path).report
    for remark in ("'<5' in row 38", "column 'crp': 1 of 40 cells are unknown (1 'nan')", "read as numbers: crp"):
        assert remark in said
        assert any(remark in r for r in report.remarks)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_whole_numbers_beyond_two_to_the_53(tmp_path: Path, form: str) -> None:
    """As names and groups they keep every digit; as numbers they are rounded, and this is said."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    (tmp_path / "x").mkdir()
    first = 2**53 + 1
    rows = pa.table(
        {
            "id": pa.array([first + k for k in range(4)], pa.int64()),
            "patient": pa.array([2**64 - 1, 2**64 - 2, 2**64 - 3, None], pa.uint64()),
            "count": pa.array([first + k for k in range(4)], pa.int64()),
            "age": pa.array([1, 2, 3, 4], pa.int64()),
        }
    )
    path = tmp_path / "x" / f"t.{form}"
    parquet.write_table(rows, path) if form == "parquet" else csv.write_csv(rows, path)
    source = Table(
        folder="x",
        file=path.name,
        id="id",
        group="patient",
        modalities={"clinical": TableModality("tabular", columns=("age",))},
        tasks={"count": TableTask("regression")},
    )
    source.open(tmp_path)
    assert source.index["id"].tolist() == [str(first + k) for k in range(4)]
    assert source.index["group"].tolist() == [str(2**64 - 1), str(2**64 - 2), str(2**64 - 3), ""]
    assert any("column 'count' is read as numbers, of which 4 are whole" in r for r in source.remarks)
    assert not any("'age'" in r for r in source.remarks)


def test_what_is_asked_for_of_a_row_is_what_the_row_says(tmp_path: Path) -> None:
    content = "site,age,weight,sick,grade\nA,50,70,yes,1\nB,60,NA,no,2\n"
    source = opened(
        tmp_path,
        content,
        modalities={n: TableModality("tabular", columns=(n,)) for n in ("age", "weight")},
        tasks={"sick": TableTask("classification"), "grade": TableTask("regression")},
        groups=("site",),
    )
    for row in range(2):
        whole = source.peek(row)
        part = source.peek_at(row, ("weight", "grade"))
        assert part.inputs == {n: v for n, v in whole.inputs.items() if n == "weight"}
        assert part.targets == {"grade": whole.targets["grade"]}
        assert (part.id, part.groups) == (whole.id, whole.groups)
        assert source.peek_at(row, ()).inputs == source.peek_at(row, ()).targets == {}
