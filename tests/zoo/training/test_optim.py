"""The optimizer's groups, and schedules of two stages."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from zoo.errors import UnknownNameError
from zoo.training.optim import Schedule, StagedSchedule, is_prefix, make_optimizer


def network() -> nn.Module:
    made = nn.Module()
    made.encoders = nn.ModuleDict(
        {"image": nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), "table": nn.Linear(2, 4)}
    )
    made.heads = nn.ModuleDict({"sick": nn.Linear(4, 2)})
    made.fusion = nn.Linear(8, 4)
    return made


def rates_of(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    names = {id(p): n for n, p in module.named_parameters()}
    return {names[id(p)]: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}


def test_the_longest_prefix_wins_and_vectors_are_not_decayed() -> None:
    module = network()
    made = make_optimizer(
        module, 1.0, 0.1, learning_rates={"encoders": 0.5, "encoders.image": 0.25, "encoders.image.1": 0.125}
    )
    got = rates_of(module, made)
    assert set(got) == {n for n, _ in module.named_parameters()}
    assert got["encoders.image.0.weight"] == (0.25, 0.1)
    assert got["encoders.image.0.bias"] == (0.25, 0.0)
    assert got["encoders.image.1.weight"] == (0.125, 0.0)
    assert got["encoders.table.weight"] == (0.5, 0.1)
    assert got["fusion.weight"] == (1.0, 0.1)
    assert len(make_optimizer(module, 1.0, 0.1).param_groups) == 2


def test_lion_steps_by_the_sign_with_decoupled_decay() -> None:
    module = nn.Linear(2, 1)
    before = module.weight.detach().clone()
    made = make_optimizer(module, 0.01, 0.5, optimizer="lion")
    assert type(made).__name__ == "Lion"
    module.weight.grad, module.bias.grad = torch.tensor([[3.0, -0.001]]), torch.tensor([0.0])
    bias = module.bias.detach().clone()
    made.step()
    want = before * (1 - 0.01 * 0.5) - 0.01 * torch.tensor([[1.0, -1.0]])
    torch.testing.assert_close(module.weight.detach(), want)
    assert torch.equal(module.bias.detach(), bias)


def test_a_prefix_that_is_nothing_names_the_nearest() -> None:
    module = network()
    assert is_prefix("model.optimisation.learning_rates", "encoders.image.0", module)
    with pytest.raises(
        UnknownNameError,
        match=r"part of encoders in model\.optimisation\.learning_rates.*'imge'; did you mean 'image'",
    ):
        is_prefix("model.optimisation.learning_rates", "encoders.imge", module)
    with pytest.raises(UnknownNameError, match=r"'encoder'; did you mean 'encoders'.*known: encoders, fusion, heads"):
        is_prefix("model.optimisation.learning_rates", "encoder.image", module)
    with pytest.raises(UnknownNameError, match=r"part of encoders\.image in .*known: 0, 1"):
        is_prefix("model.optimisation.learning_rates", "encoders.image.7", module)
    with pytest.warns(UserWarning, match="it is not used"):  # left out by data.modalities
        assert not is_prefix("model.optimisation.learning_rates", "encoders.xray", module)


def test_the_second_stage_has_a_cosine_of_its_own() -> None:
    plan = StagedSchedule("cosine", 100, 10, begin=100, length=50, ratio=0.2)
    first, second = Schedule("cosine", 100, 10), Schedule("cosine", 50, 0)
    assert [plan(k) for k in (0, 10, 99)] == [first(0), first(10), first(99)]
    assert [plan(k) for k in (100, 125, 150)] == pytest.approx([0.2, 0.2 * second(25), 0.002])
    still = StagedSchedule("cosine", 100, 10, begin=100, length=50, ratio=0.0)
    assert still(99) > 0
    assert still(100) == still(149) == 0.0
    assert json.loads(json.dumps(vars(plan)))  # plain values: a checkpoint loads under weights_only
