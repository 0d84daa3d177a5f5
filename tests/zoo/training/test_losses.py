"""Losses for unequal classes: against numbers worked out by hand, torch, and each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from zoo.contract import TaskSpec
from zoo.errors import SpecError, UnknownNameError
from zoo.training.losses import (
    LOSSES,
    BalancedSoftmax,
    ClassBalancedFocal,
    ClassLoss,
    CrossEntropy,
    LogitAdjusted,
    bind_losses,
    fit_losses,
)

COUNTS = (90.0, 9.0, 1.0)


def ready(loss: ClassLoss, counts: tuple[float, ...] = COUNTS) -> ClassLoss:
    loss.bind("sick", len(counts))
    loss.fit(torch.tensor(counts))
    return loss


def rows(n: int = 5, k: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, k, generator=generator), torch.randint(k, (n,), generator=generator)


# -- by hand -------------------------------------------------------------------------------------------------


def test_label_smoothing_is_that_of_torch() -> None:
    logits, target = rows()
    got = ready(CrossEntropy(label_smoothing=0.1))(logits, target)
    torch.testing.assert_close(got, cross_entropy(logits, target, reduction="none", label_smoothing=0.1))
    by_hand = 0.9 * math.log(4) + 0.1 * (math.log(4) + math.log(4 / 3)) / 2  # p = 1/4, 3/4
    one = ready(CrossEntropy(label_smoothing=0.1), (1.0, 1.0))(torch.tensor([[0.0, math.log(3)]]), torch.tensor([0]))
    assert float(one) == pytest.approx(by_hand, rel=1e-6)


def test_class_balanced_focal_by_hand() -> None:
    loss = ready(ClassBalancedFocal(beta=0.5, gamma=2.0), (1.0, 2.0))
    # (1 - .5) / (1 - .5) = 1 and .5 / .75 = 2/3, scaled to a sum of 2: 1.2 and .8.
    assert isinstance(loss, ClassBalancedFocal)
    torch.testing.assert_close(loss.weights(), torch.tensor([1.2, 0.8]))
    logits = torch.tensor([[0.0, math.log(3)]])  # p = 1/4, 3/4
    want = torch.tensor([[1.2 * 0.75**2 * math.log(4), 0.8 * 0.25**2 * math.log(4 / 3)]])
    torch.testing.assert_close(loss.table(logits), want)


def test_weights_of_the_published_recipe() -> None:
    counts = (6705, 1113, 1099, 514, 327, 142, 115)  # classes of HAM10000
    each = [(1 - 0.999) / (1 - 0.999**n) for n in counts]
    want = [7 * w / sum(each) for w in each]
    loss = ready(ClassBalancedFocal(beta=0.999), tuple(map(float, counts)))
    assert isinstance(loss, ClassBalancedFocal)
    assert loss.weights().tolist() == pytest.approx(want, rel=1e-6)
    assert float(loss.weights().sum()) == pytest.approx(7.0)


def test_balanced_softmax_by_hand_and_the_slope_of_the_paper() -> None:
    loss = ready(BalancedSoftmax())
    logits = torch.zeros(1, 3, requires_grad=True)
    torch.testing.assert_close(loss.table(logits), -torch.tensor([[0.9, 0.09, 0.01]]).log())
    logits, target = rows()
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss(mine, target).sum().backward()
    published = -theirs[torch.arange(5), target] + torch.logsumexp(theirs + torch.tensor(COUNTS).log(), -1)
    published.sum().backward()  # type: ignore[no-untyped-call]
    assert mine.grad is not None
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_logit_adjustment_by_hand() -> None:
    loss = ready(LogitAdjusted(tau=2.0), (3.0, 1.0))
    # logits 0 + 2 log(3/4), 0 + 2 log(1/4): shares 9 to 1.
    torch.testing.assert_close(loss.table(torch.zeros(1, 2)), -torch.tensor([[0.9, 0.1]]).log())


# -- properties ------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 5000), min_size=2, max_size=6).filter(any),
    st.sampled_from(LOSSES.names()),
    st.integers(0, 99),
)
def test_every_loss_is_finite_not_negative_and_linear_in_the_target(counts: list[int], name: str, seed: int) -> None:
    loss = ready(LOSSES.get(name)(), tuple(map(float, counts)))
    k = len(counts)
    logits, target = rows(4, k, seed)
    logits = (20 * logits).requires_grad_()
    hard = loss(logits, target)
    assert hard.shape == (4,)
    assert bool((hard >= 0).all())
    torch.testing.assert_close(loss(logits, one_hot(target, k).float()), hard)
    mixed = 0.3 * one_hot(target, k).float() + 0.7 / k
    torch.testing.assert_close(
        loss(logits, mixed), 0.3 * hard + 0.7 * loss.table(logits).mean(-1), rtol=1e-4, atol=1e-5
    )
    hard.sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5000), st.integers(2, 6), st.integers(0, 99))
def test_equal_counts_and_zero_strength_are_cross_entropy(n: int, k: int, seed: int) -> None:
    logits, target = rows(4, k, seed)
    want = cross_entropy(logits, target, reduction="none")
    equal = (float(n),) * k
    for loss in (BalancedSoftmax(), LogitAdjusted(tau=1.5), ClassBalancedFocal(gamma=0.0), CrossEntropy()):
        torch.testing.assert_close(ready(loss, equal)(logits, target), want, rtol=1e-4, atol=1e-5)
    uneven = tuple(float(n + 7 * i) for i in range(k))
    for loss in (LogitAdjusted(tau=0.0), ClassBalancedFocal(beta=0.0, gamma=0.0)):
        torch.testing.assert_close(ready(loss, uneven)(logits, target), want, rtol=1e-4, atol=1e-5)
    one, other = ready(BalancedSoftmax(), uneven), ready(LogitAdjusted(tau=1.0), uneven)
    assert torch.equal(one(logits, target), other(logits, target))


def test_a_class_without_rows_has_no_focal_weight_and_a_small_prior() -> None:
    focal = ready(ClassBalancedFocal(beta=0.9), (50.0, 0.0, 5.0))
    assert isinstance(focal, ClassBalancedFocal)
    w = focal.weights()
    assert w[1] == 0
    assert float(w.sum()) == pytest.approx(2.0)
    alone = ready(ClassBalancedFocal(beta=0.9), (50.0, 5.0))
    assert isinstance(alone, ClassBalancedFocal)
    torch.testing.assert_close(w[[0, 2]], alone.weights())
    adjusted = ready(LogitAdjusted(), (50.0, 0.0, 5.0))
    assert isinstance(adjusted, LogitAdjusted)
    torch.testing.assert_close(adjusted.log_prior().exp(), torch.tensor([50.0, 1.0, 5.0]) / 56)


def test_half_precision_is_summed_in_float32() -> None:
    logits, target = rows()
    for name in LOSSES:
        got = ready(LOSSES.get(name)())(logits.bfloat16(), target)
        assert got.dtype == torch.float32


# -- errors ------------------------------------------------------------------------------------------------------


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(SpecError, match=r"label_smoothing must be in \[0, 1\), got 1"):
        CrossEntropy(label_smoothing=1.0)
    with pytest.raises(SpecError, match=r"beta=1\.0"):
        ClassBalancedFocal(beta=1.0)
    with pytest.raises(SpecError, match="gamma=-1"):
        ClassBalancedFocal(gamma=-1.0)
    with pytest.raises(SpecError, match="tau must be a finite number"):
        LogitAdjusted(tau=math.nan)


def test_counts_are_checked() -> None:
    loss = BalancedSoftmax()
    with pytest.raises(SpecError, match="call bind"):
        loss.fit(torch.ones(3))
    loss.bind("sick", 3)
    logits, target = rows()
    with pytest.raises(SpecError, match=r"task 'sick' does not know how frequent.*datamodule"):
        loss(logits, target)
    for wrong, said in (([1.0, 2.0], "3 classes"), ([0.0, 0.0, 0.0], "not all 0"), ([1.0, -1.0, 2.0], "at least 0")):
        with pytest.raises(SpecError, match=said):
            loss.fit(torch.tensor(wrong))
    loss.fit(torch.tensor(COUNTS))
    with pytest.raises(SpecError, match=r"shape \(5, 3\), got \(5, 2\)"):
        loss(logits, torch.ones(5, 2))


def test_binding_copies_and_checks_tasks() -> None:
    tasks = {"sick": TaskSpec("sick", "classification", 3), "age": TaskSpec("age", "regression", 1)}
    given = BalancedSoftmax()
    bound = bind_losses({"sick": given}, tasks, "model.training.losses")
    assert set(bound.state_dict()) == {"sick.counts"}
    assert given.num_classes == 0
    assert not bind_losses({"sick": CrossEntropy()}, tasks, "model.training.losses").state_dict()
    with pytest.raises(UnknownNameError, match=r"under model\.training\.losses 'sik'; did you mean 'sick'"):
        bind_losses({"sik": given}, tasks, "model.training.losses")
    with pytest.raises(SpecError, match=r"model\.training\.losses\['age'\].*kind 'regression'.*classification"):
        bind_losses({"age": given}, tasks, "model.training.losses")
    with pytest.raises(SpecError, match="must be one of"):
        bind_losses({"sick": torch.nn.ReLU()}, tasks, "model.training.losses")  # type: ignore[dict-item]
    with pytest.warns(UserWarning, match=r"'organ'.*its loss is not used"):
        assert not bind_losses({"organ": given}, tasks, "model.training.losses")
    with pytest.raises(SpecError, match=r"no data module; pass trainer\.fit\(module, datamodule"):
        fit_losses(None, bound)
