"""One pipeline by its name: which fit, and that tables, pairs and single modalities are read as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.options import SplitOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from tests.datamodules.fakes import Fake, Row
from zoo.baselines.domain import read_rows
from zoo.baselines.molecule import AffinityBaseline
from zoo.baselines.named import Reading, fit_named, readings
from zoo.baselines.table_models import fit_table_model
from zoo.contract import TaskSpec
from zoo.errors import SpecError, UnknownNameError
from zoo.raw import RawModality, RawTask

CLASSES = ("a", "b", "c")
TABLES = RawModality("clinical", "tabular"), RawModality("record", "tabular")
PAIR = RawModality("drug", "molecule"), RawModality("target", "protein")
SPLITS = ("train", "train", "train", "val", "test")


def source() -> Fake:
    """Two tables, of which some rows lack the second; every second row is a pair of drug and protein instead."""
    g, rows = np.random.default_rng(0), []
    for i in range(60):
        k = int(g.integers(3))
        inputs: dict[str, Any] = {
            "clinical": {"age": float(g.integers(90))},
            "record": {"level": k + float(g.normal(0, 0.3))},
        }
        if i % 6 == 0:
            del inputs["record"]
        rows.append(Row(f"r{i:03d}", inputs, {"sick": CLASSES[k]}, split=SPLITS[i % 5]))
        pair = {"drug": "C" * (1 + i % 4) + "O", "target": "".join(g.choice(list("AELKGP"), 20))}
        rows.append(Row(f"p{i:03d}", pair, {"bound": {"pKd": i % 4 + float(g.normal())}}, split=SPLITS[i % 5]))
    tasks = (
        RawTask("sick", "classification", CLASSES, ("clinical", "record")),
        RawTask("bound", "regression", ("pKd",), ("drug", "target")),
    )
    return Fake(rows, modalities=(*TABLES, *PAIR), tasks=tasks)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return prepare([source()], split=SplitOptions(seed=0))


def test_which_pipelines_read_what() -> None:
    sick, bound = TaskSpec("sick", "classification", 3, CLASSES), TaskSpec("bound", "regression", 1)
    joint = {r.name: r for r in readings(sick, TABLES)}
    assert joint["TabularBaseline"] == Reading("TabularBaseline", "table", tables=("clinical", "record"))
    assert {"LogisticRegressionTable", "RandomForestTable", "SVMTable"} <= set(joint)
    assert readings(bound, PAIR) == readings(bound, PAIR[::-1]) == [Reading("AffinityBaseline", "drug", "target")]
    assert [r.name for r in readings(bound, PAIR[:1])] == ["AffinityBaseline", "FingerprintBaseline"]
    assert [r.name for r in readings(bound, PAIR[1:])] == ["PeptideKmerBaseline"]
    assert readings(bound, (*PAIR, *TABLES)) == readings(sick, (TABLES[0], PAIR[0])) == []


def test_tables_are_read_as_one(pipeline: Pipeline) -> None:
    found = fit_named(pipeline, "sick", "LogisticRegressionTable", seed=0)
    other = fit_table_model(pipeline, "sick", "LogisticRegressionTable", ["clinical", "record"], seed=0)
    assert set(found.results) == {"val", "test"}
    for split, result in found.results.items():
        assert result.ids == other[split].ids
        torch.testing.assert_close(result.prediction, other[split].prediction)
    (candidate,) = found.candidates
    assert (candidate.n_train, candidate.n_val, candidate.predicted) == (36, 12, {"val": 12, "test": 12})
    alone = fit_named(pipeline, "sick", "LogisticRegressionTable", ["record"], seed=0, splits=("test",))
    assert set(alone.results) == {"test"}
    assert len(alone.results["test"].ids) == 10  # of twelve rows two have no record


def test_a_pair_is_read_together(pipeline: Pipeline) -> None:
    found = fit_named(pipeline, "bound", "AffinityBaseline", seed=0).results["test"]
    spec = next(t for t in pipeline.task_specs if t.name == "bound")
    train, test = (read_rows(pipeline, spec, s, ["drug", "target"]) for s in ("train", "test"))
    own = AffinityBaseline(spec, "drug")
    own.partner = "target"
    own.fit(train.inputs, train.target)
    assert found.ids == test.ids
    torch.testing.assert_close(found.prediction, own.predict(test.inputs))


def test_what_does_not_fit_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(SpecError, match=r"cannot learn task 'bound' from \['drug', 'target'\].*AffinityBaseline"):
        fit_named(pipeline, "bound", "FingerprintBaseline", seed=0)
    with pytest.raises(UnknownNameError, match="did you mean 'CoxBaseline'"):
        fit_named(pipeline, "bound", "CoxBaselin", seed=0)
