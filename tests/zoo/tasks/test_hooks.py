"""Everything that evaluation, pages, baselines and data ask of a kind of task, for every kind that is registered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.zoo.tasks.test_common import DIM, LENGTH, WIDTH, K, make_spec, make_target, make_tokens
from zoo.contract import TASKS
from zoo.errors import SpecError
from zoo.evaluation.conformal import METHODS, conformal
from zoo.raw import RawTask
from zoo.results import Figure
from zoo.task import TargetCodec
from zoo.tasks.base import LETTERS, TaskKind, task_kind
from zoo.training.collector import Evaluated

N = 20
NAMES = tuple("abcd")
LABELS: dict[str, Any] = {
    "classification": "b", "ordinal": "b", "vqa": "b", "multilabel": {"a": 1, "c": 0}, "regression": {"a": 1.5},
    "token_classification": "ab-d", "structure": np.ones((LENGTH, 4), np.float32),
    "survival": {"time": 2.0, "event": 1},
}  # fmt: skip
"""A raw label of each kind of the project; a kind without one fails ``test_the_codec``."""


def named(kind: str) -> TaskKind:
    spec = make_spec(kind)
    has_names = spec.num_outputs == K and kind != "survival"
    return task_kind(replace(spec, classes=NAMES if has_names else ()))


def rows(kind: str) -> tuple[TaskKind, Tensor, Tensor]:
    """The kind, predictions of an untrained head, and targets."""
    task = named(kind)
    torch.manual_seed(0)
    with torch.no_grad():
        prediction = task.predict(task.head(DIM, WIDTH)(torch.randn(N, DIM), make_tokens(N)))
    return task, prediction, make_target(kind, N)


@pytest.mark.parametrize("kind", TASKS)
def test_the_codec(kind: str) -> None:
    task = named(kind)
    codec = task.codec()
    assert isinstance(codec, TargetCodec)
    classes = NAMES if task.spec.classes else ()
    codec.bind(RawTask("task", kind, classes, ("x",), task.spec.reads))
    codec.fit([LABELS[kind]] if codec.fits else [], LENGTH)
    target, spec = codec(LABELS[kind], "row"), codec.spec()
    assert tuple(target.shape) == task.target_shape(spec)
    assert target.dtype == task.target_dtype()
    assert all(isinstance(c, str) for c in task.label_classes(LABELS[kind]))
    assert all(isinstance(v, str | float) for v in task.label_targets(LABELS[kind]).values())


@pytest.mark.parametrize("kind", TASKS)
def test_predictions_have_the_shape_that_the_kind_says(kind: str) -> None:
    task, prediction, target = rows(kind)
    assert tuple(prediction.shape[1:]) == task.prediction_shape()
    longer = task.lengthened(prediction, target, LENGTH + 3)
    before = task.primary_value(prediction, target)
    assert task.primary_value(*longer) == pytest.approx(before, abs=1e-6)  # what is added enters no number


@pytest.mark.parametrize("kind", TASKS)
def test_probabilities_sum_to_one_or_are_refused(kind: str) -> None:
    task, prediction, target = rows(kind)
    if not task.gives_probabilities:
        for ask in (task.probabilities, lambda p, t: task.prevalence(t, p.shape)):
            with pytest.raises(SpecError, match="predicts no probabilities"):
                ask(prediction, target)
        return
    items = task.probabilities(prediction, target)
    np.testing.assert_allclose(items.values.sum(1), 1)
    assert len(items.values) == len(items.labels) == len(items.rows)
    constant = task.prevalence(target, prediction.shape)
    assert constant.shape == prediction.shape
    assert bool((constant > 0).all())


@pytest.mark.parametrize("kind", TASKS)
def test_conformal_sets_fit_the_form(kind: str) -> None:
    task, prediction, target = rows(kind)
    variables = task.variables(prediction, target)
    assert bool(variables) == (task.form != "other")
    for one in variables:
        assert len(one.prediction) == len(one.target) == len(one.seen) == N
        assert (one.prediction.ndim == 2) == (task.form != "values")
    result = Evaluated(prediction, target, torch.zeros(N).long(), [str(k) for k in range(N)])
    for method in METHODS[task.form]:
        made = conformal(task, result, result, method=method, alpha=0.2)
        assert made.covered.mean() >= 0.8  # on the rows that it was calibrated on
    with pytest.raises(SpecError, match="does not fit kind"):
        conformal(task, result, result, method="guess")


@pytest.mark.parametrize("kind", TASKS)
def test_rows_are_ordered_and_shown(kind: str) -> None:
    task, prediction, target = rows(kind)
    order, words = task.label_order(target, target)
    assert order.shape == (N,)
    assert ((order >= 0) & (order <= 1)).all()
    assert words
    assert task.example_scores(prediction, target).shape == (N,)
    for text in task.describe(prediction[:1], target[:1]):
        assert 0 < len(text) <= LETTERS
    cells = task.cells(prediction[0], LENGTH)
    assert len(cells) == len(task.columns())
    assert all(isinstance(c, str | float) for c in cells)
    figures = task.figures(prediction, target, [str(k) for k in range(N)], "simulated")
    assert all(isinstance(f, Figure) and f.data == "simulated" for f in figures)
    assert bool(task.metric_scores("no such metric", prediction, target) is None)


@pytest.mark.parametrize("kind", TASKS)
def test_baselines_are_told_what_can_be_learned(kind: str) -> None:
    task, _, target = rows(kind)
    assert task.known(target).shape == task.complete(target).shape == (N,)
    assert task.learnable(target)
    assert task.chance_draws >= 1
    target = target[task.known(target)]
    features = np.random.default_rng(0).normal(size=(len(target), 3))
    if task.reads_out:
        read = task.readout(features, target, seed=0, strengths=(1.0,))
        assert read(features).shape == (len(target), *task.prediction_shape())
    else:
        with pytest.raises(SpecError, match="no single vector"):
            task.readout(features, target, seed=0, strengths=(1.0,))


@pytest.mark.parametrize("kind", TASKS)
def test_targets_are_mixed_or_refused(kind: str) -> None:
    task, _, target = rows(kind)
    if not task.mixable:
        with pytest.raises(SpecError, match="cannot be mixed"):
            task.soft_target(target, 0.0)
        with pytest.raises(SpecError, match="cannot be mixed"):
            task.blend(torch.eye(N), target)
        return
    soft = task.soft_target(target, 0.0)
    assert torch.allclose(task.blend(torch.eye(N), soft), soft)
    logits = task.head(DIM, WIDTH)(torch.randn(N, DIM))
    assert task.loss(logits, task.blend(torch.full((N, N), 1 / N), soft)).shape == (N,)


@pytest.mark.parametrize("kind", TASKS)
def test_what_decides_losses_and_episodes_agrees_with_the_target(kind: str) -> None:
    task, _, target = rows(kind)
    if task.class_logits:
        logits = task.head(DIM, WIDTH)(torch.randn(N, DIM), make_tokens(N))
        assert torch.allclose(task.predict(logits), logits.softmax(-1), atol=1e-6)
    assert task.class_codes == (task.target_shape(task.spec) == ())
    assert task.class_codes == (target.dtype == torch.long and target.ndim == 1)
    assert not task.ordered or task.fixed_classes()
