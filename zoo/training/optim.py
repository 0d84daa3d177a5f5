"""The optimizer and the schedule of the learning rate."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from zoo.errors import SpecError, unknown_name

OptimizerName = Literal["adamw", "lion"]
BY_NAME = ("encoders", "marks", "heads")
"""Parts of a module whose children are named by modalities and tasks, which data may leave out."""
NEAR = 0.8
"""Likeness from which a name that is not here is taken for a slip of the pen, not for one that was left out."""


def under(name: str, prefix: str) -> bool:
    """Whether the parameter or module ``name`` is ``prefix`` or lies under it.

    >>> under("encoders.image.trunk", "encoders.image"), under("encoders.images", "encoders.image")
    (True, False)
    """
    return name == prefix or name.startswith(f"{prefix}.")


def is_prefix(option: str, prefix: str, module: nn.Module) -> bool:
    """Whether parameters lie under ``prefix``; False where the data leave out what it names.

    Args:
        option: what the prefix was given to, for errors.
        prefix: dotted names, such as "encoders.image".
        module: whose parameters they are.

    Raises:
        UnknownNameError: nothing is called like that.

    Warns:
        UserWarning: a modality or a task that is not here.
    """
    names = [n for n, _ in module.named_parameters()]
    if any(under(n, prefix) for n in names):
        return True
    words = prefix.split(".")
    good = 0
    while any(under(n, ".".join(words[: good + 1])) for n in names):
        good += 1
    parent, word = ".".join(words[:good]), words[good]
    children = {n.split(".")[good] for n in names if (not parent or under(n, parent)) and n.count(".") >= good}
    error = unknown_name(f"part of {parent or 'the model'} in {option} ('{prefix}')", word, children)
    if parent not in BY_NAME or difflib.get_close_matches(word, children, n=1, cutoff=NEAR):
        raise error
    warnings.warn(f"{error}; it is not used", stacklevel=4)
    return False


def longest(name: str, prefixes: Iterable[str]) -> str | None:
    """The longest of ``prefixes`` that the parameter ``name`` lies under, or None."""
    return max((p for p in prefixes if under(name, p)), key=len, default=None)


def make_optimizer(
    module: nn.Module,
    learning_rate: float,
    weight_decay: float,
    plain: Iterable[nn.Parameter] = (),
    *,
    learning_rates: Mapping[str, float] | None = None,
    frozen: Sequence[str] = (),
    optimizer: OptimizerName = "adamw",
    fused: bool = True,
) -> torch.optim.Optimizer:
    """The optimizer over the trainable parameters; AdamW is fused where every one allows it.

    Weight decay acts on matrices alone: not on biases, norms and other vectors, nor on ``plain`` ones.

    Args:
        module: whose parameters are trained.
        learning_rate: of parameters that ``learning_rates`` does not name.
        weight_decay: of matrices.
        plain: parameters without weight decay.
        learning_rates: prefix of parameter names -> learning rate; the longest prefix wins.
        frozen: prefixes of what a later stage freezes; it has groups of its own, with the key "frozen".
        optimizer: "adamw" (Loshchilov and Hutter 2019), or "lion" (Chen et al. 2023), whose steps do not depend on
            the size of the gradient and want a learning rate 3 to 10 times smaller.
        fused: whether AdamW may be fused; Lightning cannot clip gradients for a fused one under mixed precision.
    """
    exempt = {id(p) for p in plain}
    rates = learning_rates or {}
    trained = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, p in trained:
        prefix = longest(name, rates)
        rate = learning_rate if prefix is None else rates[prefix]
        key = (p.ndim >= 2 and id(p) not in exempt, rate, any(under(name, f) for f in frozen))
        groups.setdefault(key, []).append(p)
    settings: list[dict[str, Any]] = [
        {
            "params": members,
            "weight_decay": weight_decay if decays else 0.0,
            "lr": rate,
            **({"frozen": still} if frozen else {}),
        }
        for (decays, rate, still), members in sorted(groups.items(), key=lambda item: not item[0][0])
    ]
    if optimizer == "lion":
        from timm.optim.lion import Lion

        lion: torch.optim.Optimizer = Lion(settings, lr=learning_rate)
        return lion
    fused = fused and all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for _, p in trained)
    return torch.optim.AdamW(settings, lr=learning_rate, fused=fused)


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


class StagedSchedule:
    """Factor of a group's learning rate: a Schedule, and from step ``begin`` on a cosine of its own.

    Holds plain values, which a checkpoint stores.

    Args:
        name, total, warmup: of the first stage; see Schedule.
        begin: first step of the second stage.
        length: steps of the second stage.
        ratio: learning rate at ``begin`` over that of the group; 0 freezes it.
    """

    def __init__(self, name: str, total: int, warmup: int, *, begin: int, length: int, ratio: float) -> None:
        self.name, self.total, self.warmup = name, total, warmup
        self.begin, self.length, self.ratio = begin, length, ratio

    def __call__(self, step: int) -> float:
        """Return the factor at ``step``."""
        if step < self.begin:
            return Schedule(self.name, self.total, self.warmup)(step)
        return self.ratio * Schedule("cosine", self.length, 0)(step - self.begin)


def make_schedule(name: str, steps: float, warmup: float) -> Schedule:
    """The schedule ``name`` over ``steps`` steps, the share ``warmup`` of which is warm-up.

    Args:
        name: "cosine", "exponential" or "constant".
        steps: of the whole training; infinite where it has no known end.
        warmup: share of the steps in which the rate rises.

    Raises:
        SpecError: the schedule decays, and training has no known end.
    """
    if not math.isfinite(steps) or steps < 1:
        if name != "constant":
            raise SpecError(
                "the schedule needs to know how long training lasts: set trainer.max_epochs or max_steps, "
                "or model.optimisation.schedule=constant"
            )
        return Schedule(name, 1, 0)
    return Schedule(name, int(steps), int(warmup * int(steps)))
