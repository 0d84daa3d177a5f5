"""Token classification: losses by hand, metrics beside scikit-learn, the head, and the table of losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from torch import Tensor

from tests.zoo.intervals import ends
from zoo.contract import Batch, ModalitySpec, TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.models.multitask.module import MultitaskModule
from zoo.tasks.residue import TokenClassification

SPEC = TaskSpec("fold", "token_classification", 3, ("H", "E", "C"), reads="chain", length=4)


def task() -> TokenClassification:
    return TokenClassification(SPEC)


def random_case(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(-1, 3, (n, 4), generator=generator)
    return torch.softmax(torch.randn(n, 4, 3, generator=generator), -1), target


def test_loss_by_hand() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [1 / 3] * 3])
    logits = torch.stack([p.log(), p.log(), p.log()])
    target = torch.tensor([[0, 1, -1, -1], [2, -1, 2, 0], [-1, -1, -1, -1]])
    first = -(math.log(0.5) + math.log(0.8)) / 2
    second = -(math.log(0.25) + math.log(0.6) + math.log(1 / 3)) / 3
    torch.testing.assert_close(task().loss(logits, target), torch.tensor([first, second, 0.0]))
    torch.testing.assert_close(task().combination_loss(p.expand(3, 4, 3), target), torch.tensor([first, second, 0.0]))


def test_unknown_positions_give_no_gradient() -> None:
    logits = torch.randn(2, 4, 3, requires_grad=True)
    target = torch.tensor([[0, -1, 1, -1], [-1, -1, -1, -1]])
    task().loss(logits, target).sum().backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad.abs().sum(-1) > 0, target >= 0)


def test_metrics_beside_sklearn() -> None:
    prediction, target = random_case(40)
    known = target >= 0
    truth, choice = target[known].numpy(), prediction.argmax(-1)[known].numpy()
    got = task().metrics(prediction, target)
    assert got["accuracy"] == pytest.approx(accuracy_score(truth, choice))
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, choice))
    assert got["macro_f1"] == pytest.approx(f1_score(truth, choice, average="macro"))
    pairs = [(t[t >= 0], p.argmax(-1)[t >= 0]) for p, t in zip(prediction, target, strict=True)]
    rows = [accuracy_score(t, p) for t, p in pairs if len(t)]
    assert got["row_accuracy"] == pytest.approx(np.mean(rows))


def test_row_scores_average_to_the_accuracy_and_their_interval_is_that_of_resampled_rows() -> None:
    prediction, target = random_case(300)
    target[5] = -1
    scores = task().row_scores(prediction, target)
    accuracy = task().metrics(prediction, target)["accuracy"]
    assert float(scores.nanmean()) == pytest.approx(accuracy)
    assert torch.isnan(scores).nonzero().flatten().tolist() == (target < 0).all(1).nonzero().flatten().tolist()
    low, high = ends(task(), prediction, target)
    generator = np.random.default_rng(1)
    picks = [torch.from_numpy(generator.integers(0, 300, 300)) for _ in range(500)]
    again = [task().metrics(prediction[p], target[p])["accuracy"] for p in picks]
    assert low == pytest.approx(np.percentile(again, 2.5), abs=0.01)
    assert high == pytest.approx(np.percentile(again, 97.5), abs=0.01)
    assert torch.isnan(task().row_scores(prediction[5:6], target[5:6])).all()


def test_baselines_know_the_training_classes_alone() -> None:
    train = torch.tensor([[2, 2, -1, -1], [0, 2, 0, -1]])
    constant = task().constant(train, 2)
    assert constant.shape == (2, 4, 3)
    assert (constant.argmax(-1) == 2).all()
    guesses = task().chance(train, 50, np.random.default_rng(0)).argmax(-1)
    assert set(guesses.flatten().tolist()) == {0, 2}


def test_votes_are_counted_position_by_position() -> None:
    a = torch.tensor([[[0.6, 0.4, 0.0], [0.2, 0.7, 0.1]]])
    b = torch.tensor([[[0.9, 0.1, 0.0], [0.3, 0.4, 0.3]]])
    c = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    weights = torch.full((3, 1), 1 / 3)
    voted = task().combine(torch.stack([a, b, c]), weights, voting=True)
    assert voted.argmax(-1).tolist() == [[0, 1]]
    mean = task().combine(torch.stack([a, b, c]), weights)
    torch.testing.assert_close(mean, (a + b + c) / 3)


def test_padding_changes_nothing_and_wrong_lengths_are_refused() -> None:
    torch.manual_seed(0)
    head = task().head(5, 6).eval()
    values, mask = torch.randn(2, 4, 6), torch.tensor([[True] * 4, [True, True, False, False]])
    z = torch.randn(2, 5)
    before = head(z, Tokens(values, mask, values.mean(1)))
    values = torch.where(mask.unsqueeze(-1), values, torch.full_like(values, 9.0))
    after = head(z, Tokens(values, mask, values.mean(1)))
    torch.testing.assert_close(before[mask], after[mask])
    with pytest.raises(SpecError, match="got tokens of 3 positions, but labels 4"):
        head(z, Tokens(values[:, :3], mask[:, :3], values.mean(1)))


def test_the_table_of_losses_keeps_rows_whole_and_leaves_out_those_without_a_label() -> None:
    torch.manual_seed(0)
    model = MultitaskModule([ModalitySpec("chain", "protein", (4,))], [SPEC])
    target = torch.tensor([[0, 1, -1, -1], [-1] * 4, [2, 2, 0, 1]])
    batch = Batch(
        {"chain": torch.randint(1, 20, (4, 4))},
        {"chain": torch.ones(4, dtype=torch.bool)},
        {"fold": target},
        {"fold": torch.tensor([True, True, False, True])},
        ids=("a", "b", "c", "d"),
    )
    output = model.eval()(batch)
    sums, active = model.losses.step(output, batch)
    logits = output.logits[("fold", "fused")]
    each = task().loss(logits[[0, 3]], target[[0, 2]])
    assert active.all()
    torch.testing.assert_close(sums[0, 0], each.mean())
    assert output.predictions["fold"].shape == (4, 4, 3)
    nothing = Batch(batch.inputs, batch.present, {"fold": torch.full((3, 4), -1)}, batch.observed, ids=batch.ids)
    sums, active = model.losses.step(model(nothing), nothing)
    assert not active.any()
    assert float(sums.detach()) == 0.0
