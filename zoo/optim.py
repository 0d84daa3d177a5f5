"""The optimizer and the schedule of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from zoo.errors import SpecError


def make_optimizer(
    module: nn.Module, learning_rate: float, weight_decay: float, plain: Iterable[nn.Parameter] = ()
) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, fused where every one allows it.

    Weight decay acts on matrices alone: not on biases, norms and other vectors, nor on ``plain`` ones.
    """
    exempt = {id(p) for p in plain}
    trained = [p for p in module.parameters() if p.requires_grad]
    decay = [p for p in trained if p.ndim >= 2 and id(p) not in exempt]
    rest = [p for p in trained if p.ndim < 2 or id(p) in exempt]
    groups: list[dict[str, Any]] = [
        {"params": decay, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in trained)
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=learning_rate, fused=fused)


class Schedule:
    """Factor of the learning rate at a step: linear warm-up, then decay to 1 %."""

    def __init__(self, name: str, total: int, warmup: int) -> None:
        self.name = name
        self.total = max(total, 1)
        self.warmup = warmup

    def __call__(self, step: int) -> float:
        """Return the factor at ``step``."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        done = min((step - self.warmup) / max(self.total - self.warmup, 1), 1.0)
        if self.name == "cosine":
            return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done))
        return 0.01**done if self.name == "exponential" else 1.0


def make_schedule(name: str, steps: float, warmup: float) -> Schedule:
    """The schedule ``name`` over ``steps`` steps, the share ``warmup`` of which is warm-up.

    Raises:
        SpecError: the schedule decays, and training has no known end.
    """
    if not math.isfinite(steps) or steps < 1:
        if name != "constant":
            raise SpecError(
                "the schedule needs to know how long training lasts: set trainer.max_epochs or max_steps, "
                "or model.schedule=constant"
            )
        return Schedule(name, 1, 0)
    return Schedule(name, int(steps), int(warmup * int(steps)))
