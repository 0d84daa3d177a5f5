"""Table models: they learn, keep out of the domain-specific row, and learn everything from training rows."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.options import SplitOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from tests.datamodules.fakes import Fake, Row
from zoo.baselines.base import BASELINES, baselines_for
from zoo.baselines.table_models import TABLE_MODELS, TableJoin, fit_table_model
from zoo.contract import TaskSpec
from zoo.errors import MissingExtraError, SpecError, UnknownNameError
from zoo.raw import RawModality, RawTask

TASK = TaskSpec("t", "classification", 4, ("a", "b", "c", "d"))
NAMES = ("LogisticRegressionTable", "RandomForestTable", "SVMTable", "XGBoostTable")
CLASSES = ("a", "b", "c")
TABLE, RECORD, NOTE = (
    RawModality("clinical", "tabular"),
    RawModality("record", "tabular"),
    RawModality("note", "text"),
)
SICK = RawTask("sick", "classification", CLASSES, ("clinical", "record", "note"))


def rows_of(n: int, seed: int = 0, rare: int = 3) -> tuple[list[dict[str, Any]], torch.Tensor]:
    """Two clouds and a rare class 3; class 2 never occurs."""
    g = np.random.default_rng(seed)
    target = g.integers(0, 2, n)
    target[:rare] = 3
    level = np.where(target == 3, 4.0, target * 2.0) + g.normal(0, 0.3, n)
    inputs = [
        {"x": {"level": None if i % 9 == 8 else float(level[i]), "site": "pq"[target[i] % 2]}} for i in range(n)
    ]
    return inputs, torch.from_numpy(target)


def test_names_and_that_none_is_a_candidate_of_the_domain_row() -> None:
    assert tuple(TABLE_MODELS) == NAMES
    assert not {*NAMES} & {*BASELINES}
    assert [b.__name__ for b in baselines_for(TASK, TABLE)] == ["TabularBaseline"]


@pytest.mark.parametrize("weight", ["", "balanced"])
@pytest.mark.parametrize("name", NAMES)
def test_each_model_learns(name: str, weight: str) -> None:
    inputs, target = rows_of(90)
    models = []
    for _ in range(2):
        models.append(TABLE_MODELS.get(name)(TASK, "x", seed=0, class_weight=weight))
        models[-1].fit(inputs, target)
    seen, truth = rows_of(60, seed=1)
    found = models[0].predict(seen)
    assert torch.equal(found, models[1].predict(seen))
    assert found.shape == (60, 4)
    torch.testing.assert_close(found.sum(1), torch.ones(60))
    assert bool((found[:, 2] == 0).all())
    assert float((found.argmax(1) == truth).float().mean()) > 0.9
    assert models[0].predict([]).shape == (0, 4)


def test_two_classes_and_the_decision_of_the_machine() -> None:
    from sklearn.svm import SVC

    inputs, target = rows_of(60, rare=0)
    model = TABLE_MODELS.get("SVMTable")(TASK, "x")
    model.fit(inputs, target)
    seen, _ = rows_of(40, seed=2, rare=0)
    features = model.features([r["x"] for r in inputs], target)
    own = SVC().fit(features, target).predict(model.features([r["x"] for r in seen]))
    assert model.predict(seen).argmax(1).tolist() == own.tolist()


def test_weights_favour_the_rare_class() -> None:
    g = np.random.default_rng(0)
    target = torch.tensor([0] * 95 + [1] * 5)
    inputs = [{"x": {"level": float(g.normal(t, 1.0))}} for t in target.tolist()]
    shares = []
    for weight in ("", "balanced"):
        model = TABLE_MODELS.get("LogisticRegressionTable")(TASK, "x", class_weight=weight)  # type: ignore[arg-type]
        model.fit(inputs, target)
        shares.append(float(model.predict(inputs)[:, 1].mean()))
    assert shares[1] > 3 * shares[0]


def source(poison: bool = False) -> Fake:
    g, rows = np.random.default_rng(0), []
    for i in range(90):
        split = ("train", "train", "train", "val", "test")[i % 5]
        k = int(g.integers(3))
        found = {"level": k + float(g.normal(0, 0.3)), "visual_findings": ("dark; round", "Round", "red; flat")[k]}
        if poison and split == "test":
            found = {"level": 1e6, "visual_findings": "poison; dark"}
        inputs: dict[str, Any] = {"clinical": {"age": float(g.integers(90))}, "note": "n", "record": found}
        if i % 6 == 0:
            del inputs["record"]
        rows.append(Row(f"r{i:03d}", inputs, {"sick": CLASSES[k]}, split=split))
    return Fake(rows, modalities=(TABLE, RECORD, NOTE), tasks=(SICK,))


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return prepare([source()], split=SplitOptions(seed=0))


def test_tables_are_joined(pipeline: Pipeline) -> None:
    both = fit_table_model(pipeline, "sick", "LogisticRegressionTable", ["clinical", "record"], seed=0)
    alone = fit_table_model(pipeline, "sick", "LogisticRegressionTable", ["clinical"], seed=0)
    record = fit_table_model(pipeline, "sick", "LogisticRegressionTable", ["record"], seed=0)

    def right(done: Any) -> float:
        return float((done["test"].prediction.argmax(1) == done["test"].target).float().mean())

    assert set(both) == {"val", "test"}
    assert both["test"].ids == alone["test"].ids == sorted(both["test"].ids)
    assert len(record["test"].ids) < len(both["test"].ids) == 18
    assert right(both) > right(alone) + 0.2
    assert both["test"].prediction.shape == (18, 3)


def test_nothing_of_the_test_rows_is_learned(pipeline: Pipeline) -> None:
    first = fit_table_model(pipeline, "sick", "LogisticRegressionTable", ["record"], seed=0, splits=("val",))
    poisoned = prepare([source(poison=True)], split=SplitOptions(seed=0))
    second = fit_table_model(poisoned, "sick", "LogisticRegressionTable", ["record"], seed=0, splits=("val",))
    assert torch.equal(first["val"].prediction, second["val"].prediction)


def test_words_of_lists() -> None:
    join = TableJoin(["record"])
    join.fit([{"record": {"orders": "biopsy; excision", "n": 1.0}}, {"record": {"orders": "Biopsy"}}, {}])
    assert join.words == {"record.orders": ("biopsy", "excision")}
    told, silent, other, none = join(
        [{"record": {"orders": "excision", "n": 2.0}}, {"record": {"orders": ""}}, {}, {"record": {"orders": None}}]
    )
    assert told["table"] == {"record.orders=biopsy": 0.0, "record.orders=excision": 1.0, "record.n": 2.0}
    assert silent["table"] == {"record.orders=biopsy": 0.0, "record.orders=excision": 0.0}
    assert other["table"] == {}
    assert none["table"] == {"record.orders=biopsy": None, "record.orders=excision": None}


def test_what_cannot_be_fitted(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'SVMTable'"):
        fit_table_model(pipeline, "sick", "SVMTabel", ["record"], seed=0)
    with pytest.raises(SpecError, match="'note' is of kind 'text'"):
        fit_table_model(pipeline, "sick", "SVMTable", ["note"], seed=0)
    with pytest.raises(SpecError, match="no modality"):
        fit_table_model(pipeline, "sick", "SVMTable", [], seed=0)
    with pytest.raises(SpecError, match="class_weight is 'equal'"):
        TABLE_MODELS.get("SVMTable")(TASK, "x", class_weight="equal")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="cannot learn"):
        TABLE_MODELS.get("SVMTable")(TaskSpec("r", "regression", 1), "x")
    real = builtins.__import__

    def without(name: str, *more: Any, **others: Any) -> Any:
        if name == "xgboost":
            raise ImportError(name)
        return real(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="augmentation"):
        fit_table_model(pipeline, "sick", "XGBoostTable", ["record"], seed=0)
