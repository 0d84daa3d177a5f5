"""A table of one's own: every kind of cell and label, what is unknown, and what is wrong with it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datamodules.core.prepare import prepare
from datamodules.io.table_values import TableCell
from datamodules.modalities.imaging import Image as ImageKind
from datamodules.sources.table import Table, TableModality
from tests.options import grouped_for
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.table_task import TableTask

made = runpy.run_path(str(Path(__file__).parents[2] / "data" / "table.py"))
write, rows = made["write"], made["rows"]

MODALITIES = {
    "scan": TableModality("image", path="scans/{}.png"),
    "trace": TableModality("signal", path="traces/{}.npy", unit="uV", sampling_rate=50.0),
    "report": TableModality("text"),
    "genomics": TableModality("dna", column="dna"),
    "clinical": TableModality("tabular", columns=("age", "sex")),
}
TASKS = {
    "dx": TableTask("classification"),
    "grade": TableTask("ordinal", classes=("low", "mid", "high")),
    "findings": TableTask("multilabel"),
    "score": TableTask("regression"),
}


def table(root: Path, **changes: Any) -> Table:
    options: dict[str, Any] = {"id": "visit", "group": "patient", "groups": ["site"], "unknown": ["", "unknown"]}
    options |= {"modalities": MODALITIES, "tasks": TASKS, "folder": "mydata"} | changes
    source = Table(**grouped_for(Table, **options))
    source.open(root)
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "mydata")
    return tmp_path


def test_rows_are_those_of_the_file(root: Path) -> None:
    source = table(root)
    assert len(source) == 40
    assert source.index["id"].tolist() == [r["visit"] for r in rows()]
    assert source.index["group"].tolist() == [r["patient"] for r in rows()]
    for i, row in enumerate(rows()):
        sample = source.read(i)
        assert sample.id == source.id(i) == row["visit"]
        assert ("scan" in sample.inputs) == bool(row["scan"])
        if row["scan"]:
            with Image.open(root / "mydata" / "scans" / f"{row['scan']}.png") as image:
                assert np.array_equal(sample.inputs["scan"], np.asarray(image))
        assert np.array_equal(sample.inputs["trace"], np.load(root / "mydata" / "traces" / f"{row['trace']}.npy"))
        assert sample.inputs["report"] == row["report"]
        assert sample.inputs["genomics"] == row["dna"]
        age, sex = row["age"], row["sex"]
        clinical = {"age": float(age) if age else None, "sex": None if sex == "unknown" else sex}
        assert sample.inputs.get("clinical") == (clinical if any(clinical.values()) else None)
        want: dict[str, Any] = {"grade": row["grade"]}
        if row["dx"]:
            want["dx"] = row["dx"]
        if row["score"]:
            want["score"] = {"score": float(row["score"])}
        if row["findings"]:
            want["findings"] = {c: int(c in row["findings"]) for c in ("effusion", "nodule")}
        assert sample.targets == want
        assert sample.groups == {"site": ("north", "south").index(row["site"])}
    assert source.group_names() == {"site": ("north", "south")}
    assert {t.name: t.classes for t in source.card.tasks} == {
        "dx": ("healthy", "ill"),
        "grade": ("low", "mid", "high"),
        "findings": ("effusion", "nodule"),
        "score": ("score",),
    }


def test_peeking_and_the_overview_agree_with_reading(root: Path) -> None:
    source = table(root)
    seen = source.overview()
    for i in range(len(source)):
        full, peeked = source.read(i), source.peek(i)
        assert peeked.targets == full.targets
        assert peeked.inputs.keys() == full.inputs.keys()
        assert peeked.inputs.get("scan") is None
        assert peeked.inputs["report"] == full.inputs["report"]
        assert {m for m, column in seen.present.items() if column[i]} == set(full.inputs)
        assert {t for t, column in seen.labelled.items() if column[i]} == set(full.targets)


def test_the_pipeline_is_the_same_with_and_without_columns(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = prepare([table(root)])
    monkeypatch.setattr(Table, "overview", lambda self: None)
    slow = prepare([table(root)])
    assert {s: r.tolist() for s, r in fast.rows.items()} == {s: r.tolist() for s, r in slow.rows.items()}
    assert fast.modality_specs == slow.modality_specs
    assert fast.task_specs == slow.task_specs
    patients = {s: {rows()[r]["patient"] for r in fast.rows[s].tolist()} for s in fast.rows}
    assert not patients["train"] & patients["test"]
    assert not patients["train"] & patients["val"]


def test_parquet_with_typed_and_nested_cells(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    Image.fromarray(np.full((9, 9), 77, np.uint8)).save(picture)
    (tmp_path / "mydata").mkdir()
    cells = {
        "photo": [{"bytes": picture.read_bytes(), "path": "p.png"}, None],
        "genes": [[1.0, 2.0, 0.0], [0.0, 0.0, 5.0]],
        "age": [41.5, None],
        "ward": [3, 4],
        "ill": [True, False],
        "level": [1.5, float("nan")],
    }
    pq.write_table(pa.table(cells), tmp_path / "mydata" / "t.parquet")
    source = Table(
        file="t.parquet",
        modalities={
            "photo": TableModality("image"),
            "scrna": TableModality("expression", column="genes", unit="counts"),
            "clinical": TableModality("tabular", columns=("age", "ward")),
        },
        tasks={"ill": TableTask("classification"), "level": TableTask("regression")},
    )
    source.open(tmp_path)
    one, two = source.read(0), source.read(1)
    assert [one.id, two.id] == ["0", "1"]
    assert np.array_equal(one.inputs["photo"], np.full((9, 9), 77))
    assert "photo" not in two.inputs
    assert one.inputs["scrna"].tolist() == [1.0, 2.0, 0.0]
    assert two.inputs["clinical"] == {"age": None, "ward": 4.0}
    assert one.targets == {"ill": "True", "level": {"level": 1.5}}
    assert two.targets == {"ill": "False"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"group": "patint"}, "unknown column 'patint'; did you mean 'patient'"),
        ({"id": "patient"}, "the id 'p00' occurs twice"),
        ({"file": "absent.csv"}, "the file is missing.*absent.csv"),
        ({"split": "site"}, r"column 'site' says \['north', 'south'\]; use train, val, test"),
        ({"tasks": {"score": TableTask("regression", column="dx")}}, "column 'dx' holds 'healthy', not a number"),
        ({"tasks": {"report": TableTask("classification", classes=("a", "b"))}}, "is none of its classes"),
        ({"modalities": {}}, "describe at least one of 'modalities'"),
    ],
)
def test_what_is_wrong_is_named(root: Path, changes: dict[str, Any], says: str) -> None:
    def read_all() -> None:
        pipe = prepare([table(root, **changes)])
        for split in pipe.rows.values():
            for row in split.tolist():
                pipe.dataset.processed(row)

    with pytest.raises((DataError, SpecError), match=says):
        read_all()


@pytest.mark.parametrize(
    ("tasks", "modalities", "says"),
    [
        ({"a": TableTask("guess")}, {}, "unknown task kind 'guess'"),
        ({"a": TableTask("ordinal")}, {}, "lists its 'classes'"),
        ({"a": TableTask("vqa")}, {}, "its head 'reads'"),
        ({}, {"a": TableModality("smell")}, "unknown modality kind 'smell'"),
        ({}, {"a": TableModality("tabular")}, "lists its 'columns'"),
    ],
)
def test_bad_descriptions(tasks: dict[str, Any], modalities: dict[str, Any], says: str) -> None:
    with pytest.raises((SpecError, UnknownNameError), match=says):
        Table(tasks=tasks, modalities=modalities)


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"a,b\n1\n", b"a,a\n1,2\n", b"\xff\xfe\x00x,\n1,2\n"])
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mydata").mkdir()
    (tmp_path / "mydata" / "table.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"table\.csv"):
        table(tmp_path)


def test_a_broken_file_is_named(root: Path) -> None:
    source = table(root)
    (root / "mydata" / "scans" / "scan000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"scan000\.png"):
        source.read(0)
    (root / "mydata" / "traces" / "trace001.npy").unlink()
    with pytest.raises(DataError, match=r"trace001\.npy"):
        source.read(1)


def test_an_image_in_a_cell_is_decoded_as_one_in_a_file(tmp_path: Path) -> None:
    deep = np.arange(81, dtype=np.uint16).reshape(9, 9) * 700
    Image.fromarray(deep).save(tmp_path / "deep.png")
    in_cell = ImageKind.read(TableCell({"photo": (tmp_path / "deep.png").read_bytes()}, tmp_path))
    in_file = ImageKind.read(TableCell({"photo": "deep.png"}, tmp_path, "{}"))
    assert in_cell.dtype == in_file.dtype == np.uint16
    assert np.array_equal(in_cell, deep)
    assert np.array_equal(in_file, deep)
