"""Missingness: masks, rates, mechanisms, and rows that have nothing left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.contract import Batch, ModalitySpec, TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.missing import (
    anything_left,
    filled,
    hide,
    informative_chances,
    lose,
    source_constants,
    take_rows,
    without,
)
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

SPECS = [ModalitySpec("a", "tabular", (1,), cardinalities=(0,)), ModalitySpec("b", "dna", (2,))]
TASK = TaskSpec("t", "classification", 3, ("x", "y", "z"))


def batch_of(n: int, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)
    present = {"a": torch.rand(n, generator=g) < 0.7}
    present["b"] = ~present["a"] | (torch.rand(n, generator=g) < 0.5)
    observed = torch.rand(n, generator=g) < 0.8
    a = torch.arange(n).float()[present["a"]].unsqueeze(1)
    b = torch.arange(n)[present["b"]].unsqueeze(1).expand(-1, 2) % 4 + 1
    targets = {"t": torch.arange(n)[observed] % 3}
    groups = {"source": torch.zeros(n, dtype=torch.long)}
    return Batch({"a": a, "b": b}, present, targets, {"t": observed}, groups, tuple(f"r{k}" for k in range(n)))


@given(n=st.integers(1, 12), seed=st.integers(0, 20), mask=st.integers(0, 4095))
@settings(max_examples=40, deadline=None)
def test_rows_and_masks_stay_in_step(n: int, seed: int, mask: int) -> None:
    batch = batch_of(n, seed)
    keep = torch.tensor([bool(mask >> k & 1) for k in range(n)])
    cut = take_rows(batch, keep)
    cut.validate(SPECS, [TASK])
    assert cut.ids == tuple(i for i, k in zip(batch.ids, keep.tolist(), strict=True) if k)
    assert cut.inputs["a"].flatten().tolist() == [
        int(i[1:]) for i, p in zip(cut.ids, cut.present["a"], strict=True) if p
    ]
    hidden = hide(batch, {"a": keep})
    hidden.validate(SPECS, [TASK])
    assert torch.equal(hidden.present["a"], batch.present["a"] & ~keep)
    assert hidden.inputs["b"] is batch.inputs["b"]


def test_without_a_modality_drops_the_rows_that_had_nothing_else() -> None:
    batch = batch_of(40)
    left = without(batch, "a")
    left.validate(SPECS, [TASK])
    assert not left.present["a"].any()
    assert set(left.ids) == {i for i, p in zip(batch.ids, batch.present["b"].tolist(), strict=True) if p}
    with pytest.raises(SpecError, match=r"'c' is not in the batch; it holds \('a', 'b'\)"):
        without(batch, "c")
    assert len(anything_left(batch.select([]))) == 0


def test_random_losses_have_their_rate_are_nested_and_keep_what_is_read() -> None:
    batch = batch_of(3000)
    before = batch.present["a"].sum()
    kept = {r: lose(batch, r, seed=3) for r in (0.0, 0.3, 0.9)}
    assert kept[0.0].ids == batch.ids
    for rate, cut in kept.items():
        cut.validate(SPECS, [TASK])
        assert float(cut.present["a"].sum() / before) == pytest.approx(1 - rate, abs=0.03)
    have = [{i for i, p in zip(c.ids, c.present["a"].tolist(), strict=True) if p} for c in kept.values()]
    assert have[2] <= have[1] <= have[0], "what is missing at a low rate is missing at a high one"
    read = lose(batch, 1.0, keep={"b"}, seed=3)
    assert read.present["b"].all()
    assert not read.present["a"].any()
    other = lose(take_rows(batch, torch.arange(3000) % 2 == 0), 0.3, seed=3)
    assert set(other.ids) <= set(kept[0.3].ids), "whatever else is in the batch"
    with pytest.raises(SpecError, match=r"\[0, 1\], got 1.5"):
        lose(batch, 1.5)


def test_informative_losses_have_the_mean_rate_and_follow_the_label() -> None:
    scores = np.random.default_rng(0).random(500)
    for rate in (0.1, 0.5, 0.9):
        p = informative_chances(scores, rate)
        assert p.mean() == pytest.approx(rate, abs=1e-9)
        assert (np.diff(p[np.argsort(scores)]) >= 0).all()
        odds = np.log(p / (1 - p))
        np.testing.assert_allclose(odds - odds[0], 4 * (scores - scores[0]), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(informative_chances(scores, 0.4, slope=0), 0.4)
    assert (informative_chances(scores, 0.0) == 0).all()
    assert (informative_chances(scores, 1.0) == 1).all()
    assert len(informative_chances(np.zeros(0), 0.3)) == 0
    with pytest.raises(SpecError, match=r"got -0\.1"):
        informative_chances(scores, -0.1)


def test_label_scores_by_kind() -> None:
    train = torch.tensor([0, 0, 0, 1, 1, 2])
    score, said = task_kind(TASK).label_order(torch.tensor([0, 1, 2]), train)
    assert score.tolist() == [0.0, 0.5, 1.0]
    assert "rarer" in said
    vqa = task_kind(TaskSpec("v", "vqa", 3, ("x", "y", "z"), reads="q"))
    assert vqa.label_order(torch.tensor([-1, 0]), train)[0].tolist() == [1.0, 0.0]
    ordinal = task_kind(TaskSpec("o", "ordinal", 5))
    assert ordinal.label_order(torch.tensor([0, 1, 4]), train)[0].tolist() == [0.0, 0.25, 1.0]
    regression = task_kind(TaskSpec("r", "regression", 1))
    target = torch.tensor([[[3.0], [1.0]], [[1.0], [1.0]], [[2.0], [1.0]]])
    assert regression.label_order(target, target)[0].tolist() == [1.0, 0.0, 0.5]
    assert regression.label_order(target[:1], target)[0].tolist() == [0.5]
    structure = task_kind(TaskSpec("s", "structure", 3, reads="p"))
    chains = torch.zeros(2, 3, 4)
    chains[1, :, 3] = 1
    assert structure.label_order(chains, chains)[0].tolist() == [0.0, 1.0]


def test_rows_with_nothing_left_get_the_constant_of_their_source() -> None:
    kind = task_kind(TASK)
    whole = Evaluated(torch.eye(3), torch.tensor([0, 1, 2]), torch.tensor([0, 1, 5]), ["a", "b", "c"])
    train = (torch.tensor([2, 2, 1, 0]), torch.tensor([0, 0, 1, 2]))
    constant = source_constants(kind, whole, train)
    assert constant.argmax(1).tolist() == [2, 1, 2], "an unknown source takes all rows"
    kept = Evaluated(torch.tensor([[1.0, 0, 0]]), torch.tensor([0]), torch.tensor([0]), ["a"])
    made, coverage = filled(whole, kept, constant)
    assert coverage == pytest.approx(1 / 3)
    assert made.prediction.argmax(1).tolist() == [0, 1, 2]
    assert filled(whole, None, constant)[1] == 0
    assert torch.equal(filled(whole, None, constant)[0].prediction, constant)
