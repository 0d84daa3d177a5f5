"""What holds for every task kind: shapes, empty batches, baselines, memorising, the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.zoo.intervals import ends
from zoo.contract import TASKS, TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.tasks.base import task_kind

K, LENGTH, DIM, WIDTH = 4, 12, 6, 5


def make_spec(kind: str) -> TaskSpec:
    reads = {"structure": "protein", "token_classification": "protein", "vqa": "question"}.get(kind, "")
    length = LENGTH if kind == "token_classification" else 0
    edges = tuple(float(k) for k in range(K + 1)) if kind == "survival" else ()
    return TaskSpec("task", kind, LENGTH if kind == "structure" else K, reads=reads, length=length, edges=edges)


def make_target(kind: str, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if kind in ("classification", "ordinal", "vqa"):
        return torch.randint(0, K, (n,), generator=generator)
    if kind == "token_classification":
        return torch.randint(-1, K, (n, LENGTH), generator=generator)
    if kind == "structure":
        steps = torch.nn.functional.normalize(torch.randn(n, LENGTH, 3, generator=generator), dim=-1)
        return torch.cat([3.8 * steps.cumsum(1), torch.ones(n, LENGTH, 1)], -1)
    if kind == "survival":
        time, seen = torch.rand(2, n, generator=generator)
        return torch.stack([1.2 * K * time, (seen < 0.7).float()], -1)
    value = torch.randn(n, K, generator=generator)
    value = (value > 0).float() if kind == "multilabel" else value
    return torch.stack([value, torch.ones(n, K)], 1)


def make_tokens(n: int, seed: int = 0) -> Tokens:
    values = torch.randn(n, LENGTH, WIDTH, generator=torch.Generator().manual_seed(seed))
    mask = torch.ones(n, LENGTH, dtype=torch.bool)
    return Tokens(values, mask, values.mean(1))


def test_every_kind_is_registered() -> None:
    assert set(TASKS.names()) == set(TASKS)
    for name in TASKS:
        assert TASKS.get(name).kind == name


def test_a_spec_of_another_kind_is_refused() -> None:
    with pytest.raises(SpecError, match="handles kind 'vqa'"):
        TASKS.get("vqa")(make_spec("regression"))


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("n", [0, 3])
@pytest.mark.parametrize("hidden", [0, 8])
def test_shapes_and_graph(kind: str, n: int, hidden: int) -> None:
    task = task_kind(make_spec(kind))
    head = task.head(DIM, WIDTH, hidden, 0.1)
    tokens = make_tokens(n)
    tokens.values.requires_grad_()
    logits = head(torch.randn(n, DIM, requires_grad=True), tokens)
    target = make_target(kind, n)
    assert target.shape[1:] == task.target_shape(task.spec)
    loss = task.loss(logits, target)
    assert loss.shape == (n,)
    assert loss.dtype == torch.float32
    loss.sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert len(task.predict(logits)) == n


@pytest.mark.parametrize("kind", TASKS)
def test_half_precision_logits_give_a_float32_loss(kind: str) -> None:
    task = task_kind(make_spec(kind))
    logits = task.head(DIM, WIDTH)(torch.randn(3, DIM), make_tokens(3)).bfloat16()
    assert task.loss(logits, make_target(kind, 3)).dtype == torch.float32
    assert task.predict(logits).dtype == torch.float32


@pytest.mark.parametrize("kind", TASKS)
def test_loss_of_a_row_does_not_depend_on_the_others(kind: str) -> None:
    task = task_kind(make_spec(kind))
    target = make_target(kind, 5)
    head = task.head(DIM, WIDTH).eval()
    tokens = make_tokens(5)
    logits = head(torch.randn(5, DIM), tokens)
    each = torch.cat([task.loss(logits[i : i + 1], target[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(task.loss(logits, target), each, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", TASKS)
def test_head_memorises(kind: str) -> None:
    torch.manual_seed(0)
    n = 8
    task = task_kind(make_spec(kind))
    target, z, tokens = make_target(kind, n), torch.randn(n, DIM), make_tokens(n)
    if kind == "ordinal":
        target = z[:, 0].argsort().argsort() * K // n
    head = task.head(DIM, WIDTH, 32)
    optimiser = torch.optim.Adam(head.parameters(), 1e-2 if kind != "structure" else 3e-3)
    for _ in range(150 if kind == "structure" else 300):
        optimiser.zero_grad()
        task.loss(head(z, tokens), target).mean().backward()
        optimiser.step()
    prediction = task.predict(head.eval()(z, tokens)).detach()
    # Survival: rows that die in one interval are not told apart.
    goal = {"structure": ("tm_score", 0.7), "survival": ("concordance", 0.9)}.get(kind, (task.primary, 0.99))
    assert task.metrics(prediction, target)[goal[0]] >= goal[1]
    constant = task.constant(target, n)
    assert constant.shape == prediction.shape
    assert task.primary_value(prediction, target) == pytest.approx(task.metrics(prediction, target)[task.primary])


@pytest.mark.parametrize("kind", TASKS)
def test_metrics_have_the_same_keys_and_nan_for_no_rows(kind: str) -> None:
    task = task_kind(make_spec(kind))
    target = make_target(kind, 6)
    chance = task.chance(target, 6, np.random.default_rng(0))
    some, none = task.metrics(chance, target), task.metrics(chance[:0], target[:0])
    assert set(some) == set(none)
    assert task.primary in some
    assert all(math.isnan(v) for name, v in none.items() if name != "undefined")
    assert math.isnan(task.primary_value(chance[:0], target[:0]))


@pytest.mark.parametrize("kind", TASKS)
def test_baselines(kind: str) -> None:
    task = task_kind(make_spec(kind))
    target = make_target(kind, 20)
    shape = task.head(DIM, WIDTH)(torch.randn(7, DIM), make_tokens(7))
    for make in (lambda n: task.constant(target, n), lambda n: task.chance(target, n, np.random.default_rng(1))):
        assert make(0).shape[0] == 0
        assert make(7).shape == task.predict(shape).shape
        assert torch.isfinite(make(7)).all()
    first, second = (task.chance(target, 7, np.random.default_rng(s)) for s in (1, 1))
    assert torch.equal(first, second)
    assert torch.equal(task.constant(target, 2)[0], task.constant(target, 2)[1])


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("voting", [False, True])
def test_combining_one_stream_changes_no_decision(kind: str, voting: bool) -> None:
    task = task_kind(make_spec(kind))
    prediction = task.predict(task.head(DIM, WIDTH)(torch.randn(5, DIM), make_tokens(5))).detach()
    one = task.combine(prediction[None], torch.ones(1, 5), voting)
    assert one.shape == prediction.shape
    if kind == "multilabel":
        assert torch.equal(one > 0.5, prediction > 0.5)
    elif kind in ("classification", "ordinal", "token_classification", "vqa"):
        assert torch.equal(one.argmax(-1), prediction.argmax(-1))
        torch.testing.assert_close(one.sum(-1), torch.ones(one.shape[:-1]))
    else:
        torch.testing.assert_close(one, prediction)
    two = torch.stack([torch.zeros_like(prediction), prediction])
    if not voting:
        torch.testing.assert_close(task.combine(two, torch.tensor([[0.0] * 5, [1.0] * 5])), prediction)
    assert task.combine(two[:, :0], torch.ones(2, 0), voting).shape == prediction[:0].shape


@pytest.mark.parametrize("kind", ["structure", "token_classification", "vqa"])
def test_heads_that_read_say_what_is_missing(kind: str) -> None:
    head = task_kind(make_spec(kind)).head(DIM, WIDTH)
    with pytest.raises(SpecError, match="'task' reads tokens"):
        head(torch.randn(3, DIM))
    with pytest.raises(SpecError, match="tokens of 2 rows"):
        head(torch.randn(3, DIM), make_tokens(2))


@pytest.mark.parametrize(("hidden", "dropout"), [(-1, 0.0), (4, 1.0), (0, -0.1)])
def test_impossible_heads_are_refused(hidden: int, dropout: float) -> None:
    for kind in TASKS:
        with pytest.raises(SpecError, match="hidden >= 0"):
            task_kind(make_spec(kind)).head(DIM, WIDTH, hidden, dropout)


@pytest.mark.parametrize(
    "kind", ["classification", "ordinal", "token_classification", "vqa", "structure", "survival"]
)
def test_baselines_need_training_targets(kind: str) -> None:
    task = task_kind(make_spec(kind))
    with pytest.raises(SpecError, match="task 'task': no training"):
        task.constant(make_target(kind, 0), 3)


def test_the_interval_holds_the_mean() -> None:
    task = task_kind(make_spec("classification"))
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, K, (200,), generator=generator)
    right = torch.rand(200, generator=generator) < 0.7
    prediction = torch.nn.functional.one_hot(torch.where(right, target, (target + 1) % K), K).float()
    mean = task.primary_value(prediction, target)
    low, high = ends(task, prediction, target)
    assert low < mean < high
    half = 1.96 * math.sqrt(mean * (1 - mean) / 200)
    assert low == pytest.approx(mean - half, abs=0.02)
    assert high == pytest.approx(mean + half, abs=0.02)
    assert all(math.isnan(v) for v in ends(task, prediction[:0], target[:0]))


def test_rows_without_a_score_enter_neither_mean_nor_interval() -> None:
    class Partly(TASKS.get("classification")):  # type: ignore[misc]
        def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
            right: Tensor = super().row_scores(prediction, target)
            return torch.where(target == 3, math.nan, right)

    task, target = Partly(make_spec("classification")), torch.arange(K).repeat(20)
    prediction = torch.nn.functional.one_hot(torch.where(target == 0, target, 2), K).float()
    assert task.primary_value(prediction, target) == pytest.approx(2 / 3)
    low, high = ends(task, prediction, target)
    assert low < 2 / 3 < high
    only = target == 3
    assert math.isnan(task.primary_value(prediction[only], target[only]))
    assert all(math.isnan(v) for v in ends(task, prediction[only], target[only]))


@pytest.mark.parametrize("kind", TASKS)
def test_slow_metrics_add_to_the_others(kind: str) -> None:
    task, target = task_kind(make_spec(kind)), make_target(kind, 4)
    prediction = task.constant(target, 4)
    slow = task.slow_metrics(prediction, target)
    assert set(slow) == ({"tm_align"} if kind == "structure" else set())
    assert not set(slow) & set(task.metrics(prediction, target))


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_bootstrap_where_the_metric_is_no_mean_over_rows(kind: str) -> None:
    task = task_kind(make_spec(kind))
    target = make_target(kind, 60)
    prediction = target[:, 0] + torch.randn(60, K, generator=torch.Generator().manual_seed(3))
    assert task.row_scores(prediction, target) is None
    low, high = ends(task, prediction, target, resamples=100)
    assert low < task.primary_value(prediction, target) < high
