"""What a weighting is: the one table lambda[task, stream] that turns losses into the loss (MultiMed, Eq. 5)."""

from __future__ import annotations

import difflib
import math
import warnings
from abc import ABC
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zoo.errors import SpecError, UnknownNameError
from zoo.registry import Registry

Lambdas = dict[str, float | dict[str, float]]
"""task -> weight, or task -> stream -> weight."""


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


class Weighting(nn.Module, ABC):
    """Sum lambda[t, s] * loss[t, s] over the active cells of a (T, S) table of losses.

    A cell is active where the batch has rows of task t with stream s. Inactive cells add exactly zero to the
    value and to every gradient, and never change what a weighting has learned. A cell whose lambda is 0
    counts as inactive.

    Losses at inactive cells may hold anything, NaN included; but where such a NaN was computed with a graph,
    autograd still multiplies zero by infinity behind it, so fill inactive cells with constants.

    Subclasses implement ``multipliers`` or ``total``. State lives in buffers and parameters, so checkpoints
    resume it; ``bind`` must come before ``load_state_dict``.

    Args:
        lambdas: base multipliers, ``{bone_age: 2.0, disease: {ct: 0.5, fused: 1}}``; 0 switches a cell off.
        default: the multiplier of cells that ``lambdas`` does not name.
    """

    manual_backward_needed: bool = False
    """Whether the module must call ``aggregate_backward`` instead of ``loss.backward()``."""
    no_decay: bool = True
    """The parameters of a weighting belong in an optimizer group without weight decay."""

    lambdas: Tensor
    exists: Tensor

    def __init__(self, *, lambdas: Lambdas | None = None, default: float = 1.0) -> None:
        super().__init__()
        self.given: Lambdas = dict(lambdas or {})
        self.default = default
        self.tasks: tuple[str, ...] = ()
        self.streams: tuple[str, ...] = ()
        _check_lambda("default", default)

    def bind(self, tasks: Sequence[str], streams: Sequence[str], cells: Mapping[tuple[str, str], bool]) -> None:
        """Make the table of T tasks and S streams; ``cells`` says which (task, stream) exist.

        Args:
            tasks: names of the T tasks.
            streams: names of the S streams.
            cells: (task, stream) -> whether there is a head for it.

        Raises:
            UnknownNameError: ``lambdas`` misspells a task, or names no stream of it.
            SpecError: a lambda is negative or not finite, or no cell is left with a positive one.

        Warns:
            UserWarning: a lambda for a task that is not here, as when data.tasks leaves it out.
        """
        self.tasks, self.streams = tuple(tasks), tuple(streams)
        exists = [[bool(cells.get((t, s), False)) for s in self.streams] for t in self.tasks]
        self.register_buffer("exists", torch.tensor(exists, dtype=torch.bool).view(len(tasks), len(streams)))
        self.register_buffer("lambdas", self.exists.float() * self.default)
        for task, value in self.given.items():
            self._set(task, value)
        if not bool((self.lambdas > 0).any()):
            raise SpecError(f"{type(self).__name__}: no (task, stream) has a positive lambda; nothing would train")

    def _set(self, task: str, value: float | dict[str, float]) -> None:
        if task not in self.tasks:
            hint, problem = _hint(task, self.tasks), f"lambda['{task}'] names no task"
            if hint:
                raise UnknownNameError(f"{problem}{hint}; tasks: {self.tasks}")
            warnings.warn(f"{problem}; tasks: {self.tasks}; it is not used", stacklevel=4)  # left out by data.tasks
            return
        row = self.tasks.index(task)
        own = tuple(s for i, s in enumerate(self.streams) if self.exists[row, i])
        if not isinstance(value, dict):
            _check_lambda(f"lambda['{task}']", value)
            value = dict.fromkeys(own, float(value))
        for stream, number in value.items():
            label = f"lambda['{task}']['{stream}']"
            if stream not in own:
                raise UnknownNameError(f"{label} names no (task, stream){_hint(stream, own)}; streams: {own}")
            _check_lambda(label, number)
            self.lambdas[row, self.streams.index(stream)] = float(number)

    def forward(self, losses: Tensor, active: Tensor) -> Tensor:
        """Map losses (T, S) and active (T, S) bool to the scalar loss; 0 where nothing is active.

        Raises:
            SpecError: ``bind`` was not called, or a shape is not (T, S).
        """
        active = self.usable(losses, active)
        return self.total(torch.where(active, losses, 0.0), active)

    def usable(self, losses: Tensor, active: Tensor) -> Tensor:
        """Check shapes and return the active cells (T, S) that exist and have a positive lambda."""
        self.check_bound()
        shape = (len(self.tasks), len(self.streams))
        if tuple(losses.shape) != shape or tuple(active.shape) != shape:
            raise SpecError(
                f"{type(self).__name__} weighs a table of shape {shape} (tasks, streams); got losses of "
                f"{tuple(losses.shape)} and active of {tuple(active.shape)}"
            )
        return active.bool() & (self.lambdas > 0)

    def check_bound(self) -> None:
        """Raise SpecError before ``bind``."""
        if not self.tasks:
            raise SpecError(f"{type(self).__name__} has no table yet; call bind(tasks, streams, cells) first")

    def total(self, losses: Tensor, active: Tensor) -> Tensor:
        """Sum the losses (T, S), zero where not ``active``, under ``multipliers``."""
        return (self.multipliers() * losses).sum()

    def multipliers(self) -> Tensor:
        """Current effective weights (T, S), 0 at cells that do not exist."""
        return self.lambdas

    def table(self) -> Tensor:
        """Current effective weights (T, S), detached, for logging."""
        self.check_bound()
        return self.multipliers().detach().clone()

    def on_train_epoch_end(self, mean_losses: Tensor, active: Tensor) -> None:
        """Adapt to the mean losses (T, S) of an epoch; ``active`` (T, S) marks cells that had rows in it."""

    def on_validation_end(self, scores: Mapping[str, float]) -> None:
        """Adapt to validation skills: task -> 0 for the trivial baseline, 1 for perfect; NaN where undefined."""


def _check_lambda(label: str, value: float) -> None:
    if not math.isfinite(value) or value < 0:
        raise SpecError(f"{label} must be a finite number of at least 0, got {value}")


WEIGHTINGS: Registry[Weighting] = Registry("weighting", "weighting")
"""Weightings by class name."""
