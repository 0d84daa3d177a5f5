"""Refinement: a second stage at the end of a training, with parts of the network frozen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from zoo.errors import SpecError
from zoo.training.losses import ClassLoss
from zoo.training.optim import StagedSchedule, is_prefix, make_schedule, under


class Refinement:
    """The last epochs of a training, in which only a part of the network goes on learning.

    It is the same run with the same optimizer and its moments. What is frozen does not change any more and is in
    evaluation mode; an average of weights that a callback keeps still moves towards it.

    Args:
        epochs: how many of trainer.max_epochs, at the end.
        learning_rate: of all that still learns, decayed to 1 % by a cosine without warm-up.
        losses: task -> loss in this stage, for tasks whose loss changes (CrossEntropy takes one back).
        frozen: prefixes of parameter names, such as "encoders.image".
        mixing: whether model.training.mixing acts in this stage too; the published recipe mixes in the first alone.

    Raises:
        SpecError: no epochs, or a learning rate that is not positive.
    """

    def __init__(
        self,
        *,
        epochs: int = 7,
        learning_rate: float = 2e-4,
        losses: dict[str, ClassLoss] | None = None,
        frozen: Sequence[str] = (),
        mixing: bool = False,
    ) -> None:
        self.epochs, self.learning_rate, self.mixing = epochs, learning_rate, mixing
        self.losses, self.frozen = losses, list(frozen)
        if self.epochs < 1:
            raise SpecError(f"model.training.refinement.epochs must be at least 1, got {self.epochs}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SpecError(f"model.training.refinement.learning_rate must be positive, got {self.learning_rate}")

    def prefixes(self, module: nn.Module) -> tuple[str, ...]:
        """Those of ``frozen`` that the module has.

        Raises:
            UnknownNameError: a prefix that nothing lies under.
            SpecError: nothing is left to learn.
        """
        found = tuple(p for p in self.frozen if is_prefix("model.training.refinement.frozen", p, module))
        trained = [n for n, p in module.named_parameters() if p.requires_grad]
        if trained and all(any(under(n, p) for p in found) for n in trained):
            raise SpecError(
                f"model.training.refinement.frozen {self.frozen} leaves nothing to learn; name fewer parts"
            )
        return found

    def first_epoch(self, trainer: Any) -> int:
        """The epoch, from 0, at which the stage begins.

        Raises:
            SpecError: training has no fixed number of epochs, or too few.
        """
        last = trainer.max_epochs
        if last is None or last < 1 or trainer.max_steps not in (-1, None):
            raise SpecError(
                "model.training.refinement counts epochs from the end: set trainer.max_epochs, and not max_steps; "
                f"got max_epochs={last}, max_steps={trainer.max_steps}"
            )
        if last <= self.epochs:
            raise SpecError(
                f"model.training.refinement takes the last {self.epochs} of trainer.max_epochs={last} epochs, so "
                "none are left for the first stage; raise max_epochs or lower model.training.refinement.epochs"
            )
        return int(last) - self.epochs

    def schedules(
        self, optimizer: torch.optim.Optimizer, trainer: Any, name: str, warmup: float
    ) -> list[StagedSchedule]:
        """One schedule a group of ``optimizer``, whose groups say what is frozen.

        Args:
            optimizer: from ``make_optimizer``.
            trainer: knows how many steps there will be.
            name: schedule of the first stage.
            warmup: share of the first stage with a rising learning rate.
        """
        first_epoch = self.first_epoch(trainer)
        steps = trainer.estimated_stepping_batches
        make_schedule("cosine", steps, 0.0)  # refuses an unknown end
        each = int(steps) // int(trainer.max_epochs)
        begin = each * first_epoch
        first = make_schedule(name, begin, warmup)
        return [
            StagedSchedule(
                first.name,
                first.total,
                first.warmup,
                begin=begin,
                length=each * self.epochs,
                ratio=0.0 if group.get("frozen") else self.learning_rate / group["lr"],
            )
            for group in optimizer.param_groups
        ]


@contextmanager
def still(module: nn.Module, prefixes: Sequence[str]) -> Iterator[None]:
    """Keep what lies under ``prefixes`` out of the graph and in evaluation mode while the context lasts.

    Afterwards everything is as before, so that DDP and averages of weights see the parameters that they know.
    """
    parts: list[nn.Module] = []
    parameters: list[nn.Parameter] = []
    for prefix in prefixes:
        owner = module.get_submodule(prefix.rpartition(".")[0])
        part = getattr(owner, prefix.rpartition(".")[2])
        if isinstance(part, nn.Parameter):
            parameters.append(part)
        else:
            parts.append(part)
            parameters += list(part.parameters())
    parameters = [p for p in parameters if p.requires_grad]
    modes = [(m, m.training) for part in parts for m in part.modules()]
    try:
        for part in parts:
            part.eval()
        for p in parameters:
            p.requires_grad_(False)
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)
        for m, mode in modes:
            m.training = mode
