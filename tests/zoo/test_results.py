"""Results as data: written and read again, as JSON and CSV."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from zoo.errors import DataError, SpecError
from zoo.results import Column, Example, Figure, Result, Series, Table, joint_word, load_result


def made() -> Result:
    table = Table(
        "scores",
        "Scores",
        [Column("task"), Column("value", "value", "number", "low", "high"), Column("n", "n", "integer")],
        [{"task": "a, b", "value": torch.tensor(0.5), "low": 0.25, "high": float("nan"), "n": 3}, {"task": "c"}],
    )
    figure = Figure("bars", "Bars", "bars", series=[Series("x", ["a"], [float("inf")], n=[3], simulated=True)])
    return Result(
        "fit", "A run", data="mixed", tables=[table], figures=[figure], examples=[Example("t", "i", "a", "b")]
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    result = made()
    path = result.save(tmp_path / "run")
    again = load_result(tmp_path / "run")
    assert again.folder == tmp_path / "run"
    assert (again.command, again.title, again.data) == ("fit", "A run", "mixed")
    assert again.tables[0].columns == result.tables[0].columns
    assert again.tables[0].rows[0] == {"task": "a, b", "value": 0.5, "low": 0.25, "high": None, "n": 3}
    assert again.figures[0].series[0].y == [None]
    assert again.examples == result.examples
    assert again.machine
    assert again.created
    assert load_result(path).title == "A run"


def test_tables_are_written_as_csv(tmp_path: Path) -> None:
    made().save(tmp_path)
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines == ["task,value,low,high,n", '"a, b",0.5,0.25,,3', "c,,,,"]
    (tmp_path / "scores.csv").write_text("a logger's")
    made().save(tmp_path, tables=False)
    assert (tmp_path / "scores.csv").read_text() == "a logger's"


def test_broken_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the folder of a finished run"):
        load_result(tmp_path)
    path = made().save(tmp_path)
    content = json.loads(path.read_text())
    for change, message in (
        ({"schema": 99}, "schema 1"),
        ({"surprise": 1}, "surprise"),
        ({"tables": [{"name": "x"}]}, "does not hold a result"),
        ({"figures": [{"name": "x", "title": "x", "kind": "pie", "series": []}]}, "kind 'pie' is unknown"),
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(DataError, match=message):
            load_result(tmp_path)
    path.write_text("{")
    with pytest.raises(DataError, match="not a readable"):
        load_result(tmp_path)


def test_words_for_data() -> None:
    assert joint_word(["real", "real"]) == "real"
    assert joint_word(["real", "simulated"]) == "mixed"
    with pytest.raises(SpecError, match="data 'fake' is unknown"):
        Figure("x", "x", "bars", data="fake")
