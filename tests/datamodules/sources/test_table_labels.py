"""Labels of a table that another column says more of: unknown at some words, masks, totals, open parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io.joined_table import JoinedTable
from datamodules.io.typed_table import TableReading
from datamodules.sources.table import Table, TableModality
from zoo.errors import DataError, SpecError
from zoo.table_task import TableTask


def table(root: Path, text: str, **options: Any) -> Table:
    (root / "mydata").mkdir(exist_ok=True)
    (root / "mydata" / "table.csv").write_text(text)
    source = Table(**{"modalities": {"note": TableModality("text")}, **options})
    source.open(root)
    return source


def labels(source: Table, task: str) -> list[Any]:
    found = [source.read(row).targets.get(task) for row in range(len(source))]
    assert [source.peek(row).targets.get(task) for row in range(len(source))] == found
    seen = source.overview().labelled[task]
    assert seen.tolist() == [label is not None for label in found]
    return found


@pytest.mark.parametrize(
    ("task", "want"),
    [
        (TableTask("multilabel", columns=("a", "b"), unless={"by": ["No Indexing"]}), {"a": 1, "b": 0}),
        (TableTask("classification", column="dx", unless={"by": ["No Indexing"]}), "ill"),
        (TableTask("regression", columns=("a", "b"), unless={"by": ["No Indexing"]}), {"a": 1.0, "b": 0.0}),
    ],
)
def test_a_word_of_another_column_makes_labels_unknown(tmp_path: Path, task: TableTask, want: Any) -> None:
    text = "note,a,b,dx,by\nx,1,0,ill,me\ny,0,0,well, No Indexing \nz,1,0,ill,\n"
    source = table(tmp_path, text, tasks={"t": task})
    assert labels(source, "t") == [want, None, want]
    assert any("task 't': unknown in 1 rows, where 'by' says No Indexing" in line for line in source.remarks)


def test_a_column_that_says_more_of_labels_must_be_there_and_is_no_input(tmp_path: Path) -> None:
    task = TableTask("classification", column="dx", unless={"read_by": ["nobody"]})
    text = "note,read_by,read_at,dx\nx,me,1,ill\ny,nobody,2,well\n"
    inputs = {"when": TableModality("tabular", columns=("read_*",))}
    source = table(tmp_path, text, tasks={"t": task}, modalities=inputs)
    assert source.read(0).inputs["when"] == {"read_at": 1.0}
    with pytest.raises(DataError, match="raed_by"):
        table(tmp_path, text, tasks={"t": TableTask("classification", column="dx", unless={"raed_by": ["x"]})})


def test_positions_that_a_mask_leaves_out_are_unknown(tmp_path: Path) -> None:
    task = TableTask("token_classification", column="ss", classes=("H", "C"), reads="chain", mask="seen")
    chain = {"chain": TableModality("protein")}
    text = "chain,ss,seen\nACDE,HHCC,0011\nACD,HCH,111\nAC,HH,\n"
    assert labels(table(tmp_path, text, tasks={"t": task}, modalities=chain), "t") == ["--CC", "HCH", None]
    for mask in ("01", "0021"):
        source = table(tmp_path, f"chain,ss,seen\nACDE,HHCC,{mask}\n", tasks={"t": task}, modalities=chain)
        with pytest.raises(DataError, match="a 0 or 1 for each of the 4 positions"):
            source.read(0)


def test_counts_are_divided_by_the_total_of_the_row(tmp_path: Path) -> None:
    task = TableTask("regression", columns=("gene_*",), library="all", unit="log1p CP10k")
    source = table(tmp_path, "note,gene_a,gene_b,all\nx,5,0,1000\ny,1,2,\nz,3,,600\n", tasks={"t": task})
    first, second, third = labels(source, "t")
    assert first == {"gene_a": pytest.approx(np.log1p(50.0)), "gene_b": 0.0}
    assert second is None
    assert third == {"gene_a": pytest.approx(np.log1p(50.0))}
    wrong = table(tmp_path, "note,gene_a,gene_b,all\nx,5,0,0\ny,1,1,9\n", tasks={"t": task})
    with pytest.raises(DataError, match="above 0, got a count of 0 and a total of 0"):
        wrong.read(0)


def test_open_words_leave_a_row_to_be_divided(tmp_path: Path) -> None:
    reading = TableReading(split_words={"open": ["train", "Training"], "test": ["Testing"]})
    task = {"t": TableTask("classification", column="dx")}
    text = "note,dx,part\nx,ill,Training\ny,well,train\nz,ill,Testing\n"
    source = table(tmp_path, text, tasks=task, split="part", reading=reading)
    assert source.index["split"].tolist() == ["", "", "test"]
    with pytest.raises(SpecError, match="opne"):
        table(tmp_path, text, tasks=task, split="part", reading=TableReading(split_words={"opne": ["train"]}))


def test_joined_columns_are_columns(tmp_path: Path) -> None:
    (tmp_path / "mydata").mkdir()
    (tmp_path / "mydata" / "more.csv").write_text("id,g_1,g_2,dx\n1,0.5,2,ill\n2,1.5,,well\n7,0,0,ill\n")
    source = table(
        tmp_path,
        "id,note\n1,x\n2,y\n3,z\n",
        id="id",
        join=[JoinedTable("more.csv", "id")],
        modalities={"genes": TableModality("tabular", columns=("g_*",))},
        tasks={"dx": TableTask("classification")},
    )
    assert [source.read(row).inputs for row in range(3)] == [
        {"genes": {"g_1": 0.5, "g_2": 2.0}}, {"genes": {"g_1": 1.5, "g_2": None}}, {}
    ]  # fmt: skip
    assert labels(source, "dx") == ["ill", "well", None]
    assert "1 of 3 rows of 'table.csv' have no row in 'more.csv'" in source.remarks[0]
    before = source.stamp(tmp_path)
    (tmp_path / "mydata" / "more.csv").write_text("id,g_1,g_2,dx\n1,0,0,ill\n2,0,0,well\n")
    assert source.stamp(tmp_path) != before
