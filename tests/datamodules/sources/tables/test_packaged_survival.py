"""The sources of censored times on the tables that ship with scikit-survival."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from datamodules.core.source import SOURCES
from zoo.errors import MissingExtraError

datasets: Any = pytest.importorskip("sksurv.datasets")
SETS = {
    "TransbigBreastCancer": ("load_breast_cancer", 198, 51, {"clinical": 4, "genes": 76}),
    "GBSG2": ("load_gbsg2", 686, 299, {"clinical": 8}),
    "WHAS500": ("load_whas500", 500, 215, {"clinical": 14}),
}


@pytest.mark.parametrize("name", SETS)
def test_rows(name: str):
    loader, count, events, widths = SETS[name]
    table, truth = getattr(datasets, loader)()
    event, time = truth.dtype.names
    source = SOURCES.get(name)()
    source.open()
    assert len(source) == count
    assert Counter(source.index["stratum"]) == {"event": events, "censored": count - events}
    (task,) = source.card.tasks
    assert (task.kind, task.unit, task.modalities) == ("survival", "days", tuple(widths))
    for row in (0, 17, count - 1):
        sample = source.read(row)
        case = int(sample.id.split("/")[1])
        assert {m: len(v) for m, v in sample.inputs.items()} == widths
        assert sample.targets == {task.name: {"time": truth[time][case], "event": int(truth[event][case])}}
        joined = {c: v for block in sample.inputs.values() for c, v in block.items()}
        assert set(joined) == set(table.columns)
        for column, value in joined.items():
            expected = table[column].iloc[case]
            assert value == expected if isinstance(value, str) else np.isclose(value, float(expected))


def test_a_grade_that_is_unknown_is_no_category():
    table, _ = datasets.load_breast_cancer()
    source = SOURCES.get("TransbigBreastCancer")()
    source.open()
    unknown = np.flatnonzero(table["grade"] == "unkown")
    assert len(unknown) == 2
    for row in unknown:
        assert source.read(int(row)).inputs["clinical"]["grade"] is None


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "sksurv.datasets", None)
    with pytest.raises(MissingExtraError, match="survival"):
        SOURCES.get("GBSG2")().open()
