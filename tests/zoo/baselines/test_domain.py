"""The domain-specific row: chosen for each source by validation, for every task, on the network's rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import SplitOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from datamodules.phantom import PhantomCohort
from tests.datamodules.fakes import Fake, Row
from zoo.baselines import domain
from zoo.baselines.base import BASELINES, Baseline
from zoo.baselines.domain import DomainResult, domain_specific
from zoo.errors import SpecError, UnknownNameError
from zoo.raw import RawModality, RawTask
from zoo.tasks.base import task_kind

TABLE, NOTE = RawModality("table", "tabular"), RawModality("note", "text")
SICK = RawTask("sick", "classification", ("no", "yes"), ("table", "note"))
TASKS = (
    "disease",
    "brain_tumor",
    "breast_cancer",
    "radiographic_findings",
    "bone_age",
    "retinopathy",
    "motor_imagery",
    "cell_type",
    "expression",
    "structure",
    "vqa",
    "response",
)


@pytest.fixture(scope="module")
def phantom() -> Pipeline:
    return MultimodalDataModule([PhantomCohort(n=100, seed=0, size=24)], split=SplitOptions(seed=0)).pipeline


@pytest.fixture(autouse=True)
def _small_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen networks are tested on their own; here they would only be slow."""
    for name in ("EfficientNetBaseline", "MiniLMBaseline", "EmbeddedQuestionBaseline"):
        monkeypatch.setattr(BASELINES.get(name), "available", classmethod(lambda cls: False))


def labelled(pipeline: Pipeline, split: str, task: str) -> list[str]:
    rows = pipeline.rows[split]
    return sorted(pipeline.join.id(r) for r in rows[pipeline.availability.labelled[task][rows]].tolist())


def test_the_list_of_tasks_is_whole(phantom: Pipeline) -> None:
    assert set(TASKS) == {t.name for t in phantom.task_specs}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_of_the_phantom(phantom: Pipeline, task: str) -> None:
    result = domain_specific(phantom, task, seed=0)
    kind = task_kind(next(t for t in phantom.task_specs if t.name == task))
    for split in ("val", "test"):
        done = result.results[split]
        assert done.ids == labelled(phantom, split, task)
        target, _ = phantom.labels(split, task)
        order = np.argsort([phantom.join.id(r) for r in phantom.labelled(split, task).tolist()])
        assert torch.equal(done.target, target[torch.from_numpy(order)])
        assert done.prediction.shape == kind.constant(phantom.labels("train", task)[0], len(target)).shape
        assert result.uncovered[split] == 0
        assert sum(c.predicted.get(split, 0) for c in result.chosen) == len(done.ids)
        assert kind.primary in kind.metrics(done.prediction, done.target)
    best = max(c.validation for c in result.candidates)
    assert result.chosen
    assert result.candidates[0].validation == best


def test_the_pipelines_find_what_is_easy() -> None:
    cohort = PhantomCohort(
        n=240, seed=0, modalities=["scrna", "genomics"], tasks=["cell_type", "expression"], presence=1.0
    )
    data = MultimodalDataModule([cohort], split=SplitOptions(seed=0)).pipeline
    least = {"cell_type": 0.6, "expression": 0.3}  # measured: .9 and .50
    for spec in data.task_specs:
        done = domain_specific(data, spec.name, seed=0).results["test"]
        assert task_kind(spec).primary_value(done.prediction, done.target) > least[spec.name], spec.name


def test_the_same_seed_gives_the_same(phantom: Pipeline) -> None:
    first, second = (domain_specific(phantom, "breast_cancer", seed=3) for _ in range(2))
    assert torch.equal(first.results["test"].prediction, second.results["test"].prediction)
    assert first.candidates == second.candidates


def test_only_allowed_modalities_are_read(phantom: Pipeline) -> None:
    result = domain_specific(phantom, "disease", ["ct", "eeg"], seed=0, splits=("test",))
    assert {c.modality for c in result.candidates} == {"ct"}
    rows = phantom.rows["test"]
    some = phantom.availability.labelled["disease"][rows] & phantom.availability.present["ct"][rows]
    assert result.results["test"].ids == sorted(phantom.join.id(r) for r in rows[some].tolist())
    with pytest.raises(SpecError, match="is informed by"):
        domain_specific(phantom, "disease", ["eeg"], seed=0)
    with pytest.raises(UnknownNameError, match="did you mean 'disease'"):
        domain_specific(phantom, "diseases", seed=0)
    with pytest.raises(UnknownNameError, match="unknown modality 'cat'"):
        domain_specific(phantom, "disease", ["cat"], seed=0)


def source(name: str, told_by: str, flip: bool = False, n: int = 60, **more: Any) -> Fake:
    """Rows of two modalities, one of which tells the label (``flip``: inverted); the other is noise."""
    rng = np.random.default_rng(len(name))
    rows = []
    for i in range(n):
        yes = bool(rng.integers(2))
        shown = {m: (yes != flip) if m == told_by else bool(rng.integers(2)) for m in ("table", "note")}
        inputs: dict[str, Any] = {"table": {"x": float(shown["table"])}, "note": "ill" if shown["note"] else "well"}
        if more.get("holes") and i % 10 == 0:
            del inputs[told_by]
        label = "yes" if yes or more.get("one_class") else "no"
        split = ("train", "train", "train", "val", "test")[i % 5]
        rows.append(Row(f"{name}{i:03d}", inputs, {"sick": label}, split=split))
    return Fake(rows, name=name, modalities=(TABLE, NOTE), tasks=(SICK,))


def run(*sources: Fake) -> DomainResult:
    return domain_specific(prepare(list(sources), split=SplitOptions(seed=0)), "sick", seed=0)


def accuracy(result: DomainResult, number: int) -> float:
    done = result.results["test"]
    mine = done.source == number
    return float((done.prediction.argmax(1) == done.target)[mine].float().mean())


def test_each_source_gets_the_pipeline_that_validates_best_on_it() -> None:
    result = run(source("one", "table"), source("other", "note", flip=True))
    assert [(c.source, c.source_name, c.modality, c.baseline) for c in result.chosen] == [
        (0, "one", "table", "TabularBaseline"),
        (1, "other", "note", "TfidfBaseline"),
    ]
    assert [(c.validation, c.n_train, c.n_val, dict(c.predicted)) for c in result.chosen] == [
        (1.0, 36, 12, {"val": 12, "test": 12})
    ] * 2
    assert len(result.candidates) == 4
    assert (accuracy(result, 0), accuracy(result, 1)) == (1.0, 1.0)


def test_rows_without_the_best_modality_get_the_next_one() -> None:
    result = run(source("one", "table", holes=True))
    chosen = {c.modality: dict(c.predicted) for c in result.chosen}
    assert sum(p.get("test", 0) for p in chosen.values()) == 12
    assert [c.modality for c in result.candidates] == ["table", "note"]


def test_a_source_of_one_class_gets_its_constant() -> None:
    result = run(source("one", "table"), source("single", "table", one_class=True))
    assert {c.source for c in result.candidates} == {0}
    assert result.uncovered == {"val": 12, "test": 12}
    done = result.results["test"]
    assert done.prediction[done.source == 1].tolist() == [[0.0, 1.0]] * 12


def test_progress_and_thinning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MOST_TRAIN", 20)
    said: list[str] = []
    pipeline = prepare([source("one", "table")], split=SplitOptions(seed=0))
    result = domain_specific(pipeline, "sick", seed=0, progress=said.append)
    assert "sick: TabularBaseline on table of one" in said
    assert {c.n_train for c in result.candidates} == {20}
    assert pipeline.sources[0].read_count["one000"] <= 2  # type: ignore[attr-defined]


def test_each_row_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = source("one", "table")
    pipeline = prepare([fake], split=SplitOptions(seed=0))
    fake.read_count.clear()
    domain_specific(pipeline, "sick", seed=0)
    assert set(fake.read_count.values()) == {1}


def test_test_labels_do_not_matter_for_the_choice() -> None:
    """The candidates see training rows in fit and validation rows in the choice; test rows only in the end."""
    fitted: list[int] = []
    original = Baseline.values

    def spy(self: Baseline, inputs: Any) -> Any:
        fitted.append(len(inputs))
        return original(self, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Baseline, "values", spy)
        run(source("one", "table"))
    assert fitted == [36, 12, 36, 12, 12, 12]
