"""The index: what is read back is what was built, and it is made again when anything changed."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.base import BaseDataModule
from datamodules.core.options import LoadingOptions
from datamodules.core.prepare import FIT_ROWS, prepare
from datamodules.core.query import Pipeline
from datamodules.core.state import from_plain, to_plain
from datamodules.phantom import PhantomCohort
from datamodules.sources.table import Table, TableModality
from tests.options import grouped
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality
from zoo.table_task import TableTask

write = runpy.run_path(str(Path(__file__).parents[2] / "data" / "table.py"))["write"]


def source() -> Table:
    return Table(
        id="visit",
        group="patient",
        groups=["site"],
        unknown=["", "unknown"],
        modalities={
            "scan": TableModality("image", path="scans/{}.png"),
            "trace": TableModality("signal", path="traces/{}.npy", unit="uV", sampling_rate=50.0),
            "report": TableModality("text"),
            "genomics": TableModality("dna", column="dna"),
            "clinical": TableModality("tabular", columns=("age", "sex")),
        },
        tasks={"dx": TableTask("classification"), "score": TableTask("regression")},
    )


def pipeline(root: Path, **options: Any) -> Pipeline:
    return prepare([source()], root=root, **grouped(index=str(root / "index"), **options))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "mydata")
    return tmp_path


def same(one: Pipeline, two: Pipeline) -> None:
    assert one.modality_specs == two.modality_specs
    assert one.task_specs == two.task_specs
    assert {s: r.tolist() for s, r in one.rows.items()} == {s: r.tolist() for s, r in two.rows.items()}
    for row in np.concatenate(list(one.rows.values())).tolist():
        a, b = one.dataset[(row, 3)], two.dataset[(row, 3)]
        assert (a.id, a.groups, a.unit) == (b.id, b.groups, b.unit)
        assert all(torch.equal(a.inputs[m], b.inputs[m]) for m in {*a.inputs, *b.inputs})
        assert all(torch.equal(a.targets[t], b.targets[t]) for t in {*a.targets, *b.targets})
    for task in one.dataset.codecs:
        pairs = zip(one.labels("train", task), two.labels("train", task), strict=True)
        assert all(torch.equal(x, y) for x, y in pairs)
    assert one.summary() == two.summary()


def test_what_is_read_back_is_what_was_built(root: Path) -> None:
    plain = prepare([source()], root=root)
    built, reopened = pipeline(root), pipeline(root)
    same(plain, built)
    same(plain, reopened)


def test_opening_an_index_reads_no_sample(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(root)
    monkeypatch.setattr(Table, "_index", lambda self: pytest.fail("the source was indexed again"))
    monkeypatch.setattr(Table, "ready", lambda self: pytest.fail("opened"))
    assert len(pipeline(root).rows["train"]) == 26


def test_another_source_and_joined_rows(tmp_path: Path) -> None:
    make = lambda: [PhantomCohort(n=60, seed=3)]  # noqa: E731
    index = str(tmp_path / "index")
    plain = prepare(make())
    same(plain, prepare(make(), loading=LoadingOptions(index=index)))
    same(plain, prepare(make(), loading=LoadingOptions(index=index)))


def test_a_change_makes_another_index(root: Path) -> None:
    first = pipeline(root)
    assert len(list((root / "index").glob("*/state.json"))) == 1
    pipeline(root, seed=1)
    assert len(list((root / "index").glob("*/state.json"))) == 2
    table = root / "mydata" / "table.csv"
    table.write_bytes(table.read_bytes().replace(b"v000,", b"w000,"))
    changed = pipeline(root)
    assert len(list((root / "index").glob("*/state.json"))) == 3
    assert changed.join.id(0) == "Table/w000"
    assert first.join.id(0) == "Table/v000"


def test_files_that_changed_behind_the_index_are_refused(root: Path) -> None:
    pipeline(root)
    table = root / "mydata" / "table.csv"
    before = table.stat()
    table.write_bytes(table.read_bytes().replace(b"v000,", b"w000,"))
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    for copy in (root / "index" / "tables").rglob("*.arrow"):
        copy.unlink()
    with pytest.raises(DataError, match=r"files changed since the index was made.*Table/v000.*w000"):
        pipeline(root).dataset.processed(0)


def test_a_broken_index_says_what_to_do(root: Path) -> None:
    pipeline(root)
    state = next((root / "index").glob("*/state.json"))
    content = state.read_text()
    state.write_text(content[:40])
    with pytest.raises(DataError, match="delete its folder"):
        pipeline(root)
    state.write_text(content)
    next((root / "index").glob("*/samples.arrow")).write_bytes(b"ARROW1")
    with pytest.raises(DataError, match="delete its folder"):
        pipeline(root)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_data_module_serves_the_same_batches(root: Path, workers: int) -> None:
    def ids(**options: Any) -> list[tuple[str, ...]]:
        data = BaseDataModule([source()], root=str(root), **grouped(batch_size=8, seed=5, **options))
        return [b.ids for b in data.train_dataloader()]

    plain = ids()
    index = str(root / "index")
    assert ids(index=index) == plain
    assert ids(index=index, num_workers=workers, cache_mib=0) == plain


def test_fitting_looks_at_a_bounded_number_of_rows(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FIT_ROWS > 1000
    monkeypatch.setattr("datamodules.core.prepare.FIT_ROWS", 5)
    pipe = pipeline(root)
    assert pipe.fitted_on["report"] == (5, 26)
    assert pipe.fitted_on["labels of score"][0] == 5
    assert pipeline(root).fitted_on == pipe.fitted_on


def test_state_survives_json() -> None:
    value = {
        "a": (1, 2.5, None, "x", True),
        3: np.arange(6, dtype=np.float32).reshape(2, 3),
        "n": np.float64(0.5),
        "m": RawModality("xray", "image", features=("f",)),
        "l": [("p", 1)],
    }
    back = from_plain(to_plain(value))
    assert back.keys() == value.keys()
    assert back["a"] == value["a"]
    assert back[3].dtype == np.float32
    assert np.array_equal(back[3], value[3])  # type: ignore[arg-type]
    assert back["m"] == value["m"]
    assert back["l"] == value["l"]
    with pytest.raises(SpecError, match="cannot be stored"):
        to_plain({"f": open})
    with pytest.raises(DataError, match="not a stored state"):
        from_plain({"type": "thing", "value": 1})
