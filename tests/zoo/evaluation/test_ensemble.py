"""Ensembles: averages by hand, alignment by id, and what does not fit together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.ensemble import average
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated


def run(prediction: Tensor, order: list[int] | None = None, target: Tensor | None = None) -> Evaluated:
    n = len(prediction)
    keep = list(range(n)) if order is None else order
    y = torch.arange(n) % 2 if target is None else target
    return Evaluated(prediction[keep], y[keep], torch.zeros(n)[keep], [f"r{k}" for k in keep])


ONE = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
TWO = torch.tensor([[0.5, 0.5], [0.8, 0.2], [0.1, 0.9]])


def test_mean_and_weights_by_hand_whatever_the_order() -> None:
    made = average([run(ONE), run(TWO, [2, 0, 1])])
    torch.testing.assert_close(made.prediction, (ONE + TWO) / 2)
    assert made.ids == ["r0", "r1", "r2"]
    assert made.target.tolist() == [0, 1, 0]
    weighted = average([run(ONE), run(TWO, [1, 2, 0])], weights=[3, 1])
    torch.testing.assert_close(weighted.prediction, 0.75 * ONE + 0.25 * TWO)
    assert torch.equal(average([run(ONE), run(TWO)], weights=[1, 0]).prediction, ONE)
    assert torch.equal(average([run(ONE)]).prediction, ONE)


def test_kind_combines() -> None:
    kind = task_kind(TaskSpec("t", "classification", 2))
    torch.testing.assert_close(average([run(ONE), run(TWO, [1, 0, 2])], kind=kind).prediction, (ONE + TWO) / 2)


def test_no_rows() -> None:
    assert average([run(ONE[:0]), run(TWO[:0])]).prediction.shape == (0, 2)


def test_what_does_not_fit() -> None:
    with pytest.raises(SpecError, match="at least one run"):
        average([])
    with pytest.raises(SpecError, match=r"run 1 .* 1 ids are in one of them only, such as 'r2'"):
        average([run(ONE), run(TWO[:2])])
    with pytest.raises(SpecError, match=r"run 1 .* other targets"):
        average([run(ONE), run(TWO, target=torch.tensor([1, 1, 0]))])
    with pytest.raises(SpecError, match=r"run 1 .* predicts shape \(3,\) a row, the first \(2,\)"):
        average([run(ONE), run(torch.ones(3, 3))])
    twice = run(ONE)
    twice.ids = ["r0", "r0", "r1"]
    with pytest.raises(SpecError, match="2 different ids"):
        average([twice, run(TWO)])
    for weights in ([1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]):
        with pytest.raises(SpecError, match="2 weights"):
            average([run(ONE), run(TWO)], weights=weights)
