"""LossTable: means per (task, stream), what counts as a row, and what drain gives back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss

from zoo.contract import Batch, Output, TaskSpec
from zoo.tasks.base import task_kind
from zoo.training.loss_table import LossTable, world_size

SICK = TaskSpec("sick", "classification", 3)
AGE = TaskSpec("age", "regression", 1)
ASK = TaskSpec("ask", "vqa", 2, ("no", "yes"), reads="note")
KINDS = {t.name: task_kind(t) for t in (SICK, AGE, ASK)}
STREAMS = ("fused", "scan")


def regression(values: list[float]) -> Tensor:
    return torch.stack([torch.tensor([[v], [1.0]]) for v in values])


def batch(size: int, **labels: tuple[list[int], Tensor]) -> Batch:
    """A batch of labels alone: task -> (rows that have one, their targets)."""
    targets, observed = {}, {}
    for name in KINDS:
        rows, target = labels.get(name, ([], torch.zeros(0, dtype=torch.long)))
        targets[name] = target
        observed[name] = torch.zeros(size, dtype=torch.bool)
        observed[name][rows] = True
    return Batch({}, {}, targets, observed, {}, tuple(map(str, range(size))))


def output(cells: dict[tuple[str, str], tuple[list[int], Tensor]]) -> Output:
    return Output({k: v for k, (_, v) in cells.items()}, {k: torch.tensor(r) for k, (r, _) in cells.items()}, {}, {})


def step(seed: int = 0) -> tuple[Output, Batch]:
    """Five rows; row 3 has no label of ``sick`` although its stream predicts it."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    out = output(
        {
            ("sick", "fused"): ([0, 2, 3, 4], draw(4, 3)),
            ("sick", "scan"): ([4], draw(1, 3)),
            ("age", "fused"): ([1, 2], draw(2, 1)),
        }
    )
    labels = batch(5, sick=([0, 1, 2, 4], torch.tensor([0, 2, 1, 2])), age=([1, 2], regression([0.5, -3.0])))
    return out, labels


def expected(out: Output) -> Tensor:
    table = torch.zeros(3, 2)
    table[0, 0] = cross_entropy(out.logits[("sick", "fused")][[0, 1, 3]], torch.tensor([0, 1, 2]))
    table[0, 1] = cross_entropy(out.logits[("sick", "scan")], torch.tensor([2]))
    table[1, 0] = huber_loss(out.logits[("age", "fused")].squeeze(1), torch.tensor([0.5, -3.0]))
    return table


def test_cells_are_means_over_labelled_rows_of_the_stream() -> None:
    out, labels = step()
    table, active = LossTable(KINDS, STREAMS).step(out, labels)
    assert active.tolist() == [[True, True], [True, False], [False, False]]
    torch.testing.assert_close(table, expected(out))
    assert world_size() == 1


def test_nothing_labelled_gives_zeros_and_no_active_cell() -> None:
    losses = LossTable(KINDS, STREAMS)
    logits = torch.randn(2, 3, requires_grad=True)
    table, active = losses.step(output({("sick", "fused"): ([0, 1], logits)}), batch(2))
    assert not bool(active.any())
    assert table.tolist() == [[0.0, 0.0]] * 3
    table.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) == 0.0


def test_answers_outside_the_vocabulary_do_not_dilute_the_mean() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.0, 0.0], [9.0, -9.0]])
    labels = batch(3, ask=([0, 1, 2], torch.tensor([0, 1, -1])))
    table, active = LossTable(KINDS, STREAMS).step(output({("ask", "fused"): ([0, 1, 2], logits)}), labels)
    assert bool(active[2, 0])
    torch.testing.assert_close(table[2, 0], cross_entropy(logits[:2], torch.tensor([0, 1])))


def test_only_unknown_answers_make_a_cell_inactive() -> None:
    labels = batch(1, ask=([0], torch.tensor([-1])))
    table, active = LossTable(KINDS, STREAMS).step(output({("ask", "fused"): ([0], torch.ones(1, 2))}), labels)
    assert not bool(active.any())
    assert float(table.sum()) == 0.0


def test_drain_gives_the_means_of_every_row_since_the_last_call() -> None:
    losses = LossTable(KINDS, STREAMS)
    logits, targets = [], []
    for seed in range(3):
        out, labels = step(seed)
        losses.step(out, labels)
        losses.add_total(torch.tensor(float(seed), requires_grad=True))
        logits.append(out.logits[("sick", "fused")][[0, 1, 3]])
        targets.append(torch.tensor([0, 1, 2]))
    lone = output({("sick", "fused"): ([0], torch.tensor([[1.0, 2.0, 3.0]]))})
    losses.step(lone, batch(1, sick=([0], torch.tensor([1]))))  # a batch of another size: rows count, not batches
    logits.append(torch.tensor([[1.0, 2.0, 3.0]]))
    targets.append(torch.tensor([1]))
    means, counts, total = losses.drain()
    assert counts.tolist() == [[10.0, 3.0], [6.0, 0.0], [0.0, 0.0]]
    torch.testing.assert_close(means[0, 0], cross_entropy(torch.cat(logits), torch.cat(targets)))
    assert total == pytest.approx(1.0)
    again, none, nothing = losses.drain()
    assert float(again.abs().sum()) == 0.0 == float(none.sum())
    assert nothing == 0.0


def test_sums_stay_out_of_graphs_and_travel_in_checkpoints() -> None:
    losses = LossTable(KINDS, STREAMS)
    out, labels = step()
    out.logits[("sick", "fused")].requires_grad_()
    table, _ = losses.step(out, labels)
    assert table.requires_grad
    assert not losses.sums.requires_grad
    again = LossTable(KINDS, STREAMS)  # as after a resume in the middle of an epoch
    again.load_state_dict(losses.state_dict())
    for a, b in zip(losses.drain(), again.drain(), strict=True):
        assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))
