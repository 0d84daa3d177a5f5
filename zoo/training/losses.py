"""Losses for classes of unequal frequency: what a task takes in the place of its cross-entropy."""

from __future__ import annotations

import copy
import difflib
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.contract import TaskSpec
from zoo.data import CountsClasses
from zoo.errors import SpecError, unknown_name
from zoo.registry import Registry
from zoo.tasks.base import task_kind

NEAR = 0.8
"""Likeness from which a name that is not here is taken for a slip of the pen, not for one that was left out."""


class ClassLoss(nn.Module, ABC):
    """The loss of logits (N, K) for each of K classes, from which hard codes gather and soft targets weigh.

    A subclass is registered in LOSSES and implements ``table``. Class counts are a buffer, so a checkpoint holds
    them; they come from the training split alone.
    """

    needs_counts: bool = True
    """Whether ``fit`` must be called before the loss is used."""

    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.task = ""
        self.num_classes = 0

    def bind(self, task: str, num_classes: int) -> None:
        """Take the name of the task, for errors, and K; the counts are zeros until ``fit``."""
        self.task, self.num_classes = task, num_classes
        if self.needs_counts:
            self.register_buffer("counts", torch.zeros(num_classes))

    @property
    def fitted(self) -> bool:
        """Whether the loss can be used."""
        return not self.needs_counts or (self.num_classes > 0 and bool(self.counts.sum() > 0))

    def fit(self, counts: Tensor) -> None:
        """Take the number of training rows (K,) of each class; a class may have none.

        Raises:
            SpecError: before ``bind``, of another shape, negative or not finite, or no rows at all.
        """
        if not self.num_classes:
            raise SpecError(f"{type(self).__name__} has no task yet; call bind(task, num_classes) before fit")
        values = counts.detach().float()
        if tuple(values.shape) != (self.num_classes,):
            raise SpecError(
                f"{type(self).__name__} of task '{self.task}' takes counts of {self.num_classes} classes, "
                f"got shape {tuple(values.shape)}"
            )
        if not bool(torch.isfinite(values).all()) or bool((values < 0).any()) or not bool(values.sum() > 0):
            raise SpecError(
                f"{type(self).__name__} of task '{self.task}' takes counts of at least 0, not all 0, "
                f"got {values.tolist()}"
            )
        if self.needs_counts:
            self.counts.copy_(values)

    @abstractmethod
    def table(self, logits: Tensor) -> Tensor:
        """Return (N, K): the loss of each row of logits (N, K) if its class were k, in float32."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) losses of logits (N, K) against codes (N,), or against soft targets (N, K).

        Raises:
            SpecError: ``fit`` was not called, or the target is of another shape.
        """
        if not self.fitted:
            raise SpecError(
                f"{type(self).__name__} of task '{self.task}' does not know how frequent the classes are; train with "
                "trainer.fit(module, datamodule=...), or call fit(counts) first"
            )
        table = self.table(logits)
        if target.is_floating_point():
            if target.shape != table.shape:
                raise SpecError(
                    f"soft targets of task '{self.task}' must be of shape {tuple(table.shape)}, "
                    f"got {tuple(target.shape)}"
                )
            return (table * target.float()).sum(-1)
        return table.gather(1, target.unsqueeze(1)).squeeze(1)


LOSSES: Registry[ClassLoss] = Registry("loss", "training")
"""Losses by class name."""


@LOSSES.register
class CrossEntropy(ClassLoss):
    """Cross-entropy in nats, with labels smoothed towards the uniform distribution (Szegedy et al. 2016, section 7).

    Args:
        label_smoothing: share of each target that is spread over all K classes, in [0, 1).
    """

    needs_counts = False

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= label_smoothing < 1.0:
            raise SpecError(f"CrossEntropy: label_smoothing must be in [0, 1), got {label_smoothing}")
        self.label_smoothing = label_smoothing

    def table(self, logits: Tensor) -> Tensor:
        """Return (N, K): (1 - e) * -log p_k plus e times the mean of -log p over the classes."""
        loss = -F.log_softmax(logits.float(), -1)
        if not self.label_smoothing:
            return loss
        return (1 - self.label_smoothing) * loss + self.label_smoothing * loss.mean(-1, keepdim=True)


@LOSSES.register
class ClassBalancedFocal(ClassLoss):
    """Focal loss on softmax probabilities, with class-balanced weights: w_k (1 - p_k)^gamma * -log p_k.

    w_k = (1 - beta) / (1 - beta^n_k) (Cui et al. 2019, eq. 2), scaled so that the weights of the classes that occur
    sum to their number; gamma as in Lin et al. 2017, eq. 4. A class without training rows has no effective number:
    its weight is 0, and it has no part in the scaling, so that the others weigh what they would without it.

    Args:
        beta: in [0, 1): 0 weighs all classes alike, values near 1 by the inverse of their frequency.
        gamma: at least 0; how much well classified rows are played down.
    """

    def __init__(self, *, beta: float = 0.999, gamma: float = 1.5) -> None:
        super().__init__()
        if not 0.0 <= beta < 1.0 or not (math.isfinite(gamma) and gamma >= 0.0):
            raise SpecError(f"ClassBalancedFocal takes 0 <= beta < 1 and gamma >= 0, got beta={beta}, gamma={gamma}")
        self.beta, self.gamma = beta, gamma

    def weights(self) -> Tensor:
        """The (K,) weights of the classes."""
        n = self.counts.double()
        occurs = n > 0
        each = torch.where(occurs, (1 - self.beta) / (1 - self.beta ** n.clamp_min(1.0)), 0.0)
        return (each * occurs.sum() / each.sum()).float()

    def table(self, logits: Tensor) -> Tensor:
        """Return (N, K)."""
        log_p = F.log_softmax(logits.float(), -1)
        loss = -self.weights() * log_p
        if not self.gamma:
            return loss
        # The clamp keeps the slope finite where p rounds to 1 and gamma < 1.
        return loss * (-torch.expm1(log_p)).clamp_min(1e-12) ** self.gamma


@LOSSES.register
class LogitAdjusted(ClassLoss):
    """Cross-entropy of logits to which tau times the log prior is added (Menon et al. 2021, eq. 10).

    A class without training rows counts as one of one row: its prior is small, and nothing is infinite.

    Args:
        tau: at least 0; 0 is cross-entropy, 1 is consistent for the balanced error.
    """

    def __init__(self, *, tau: float = 1.0) -> None:
        super().__init__()
        if not (math.isfinite(tau) and tau >= 0.0):
            raise SpecError(f"{type(self).__name__}: tau must be a finite number of at least 0, got {tau}")
        self.tau = tau

    def log_prior(self) -> Tensor:
        """The (K,) logs of the training shares of the classes."""
        n = self.counts.clamp_min(1.0)
        return (n / n.sum()).log()

    def table(self, logits: Tensor) -> Tensor:
        """Return (N, K)."""
        return -F.log_softmax(logits.float() + self.tau * self.log_prior(), -1)


@LOSSES.register
class BalancedSoftmax(LogitAdjusted):
    """-z_y - log n_y + logsumexp(z + log n) (Ren et al. 2020, eq. 4).

    That is ``LogitAdjusted`` at tau = 1. The paper on augmentation leaves out log n_y, on which no gradient depends;
    with it the loss is a negative log-likelihood, and that of equally frequent classes is cross-entropy.
    """

    def __init__(self) -> None:
        super().__init__(tau=1.0)


# -- losses of a module ----------------------------------------------------------------------------------------------


def bind_losses(given: Mapping[str, ClassLoss], tasks: Mapping[str, TaskSpec], option: str) -> nn.ModuleDict:
    """Copy losses, and bind each to its task.

    Args:
        given: task -> loss.
        tasks: those of the module.
        option: what the losses are called in YAML, for errors.

    Raises:
        UnknownNameError: a task that is misspelt.
        SpecError: a task of a kind that has no such loss, or a value that is no ClassLoss.

    Warns:
        UserWarning: a loss of a task that is not here, as when data.tasks leaves it out.
    """
    made: dict[str, nn.Module] = {}
    for name, loss in given.items():
        if name not in tasks:
            error = unknown_name(f"task under {option}", name, tasks)
            if difflib.get_close_matches(name.lower(), [t.lower() for t in tasks], n=1, cutoff=NEAR):
                raise error
            warnings.warn(f"{error}; its loss is not used", stacklevel=4)
            continue
        spec = tasks[name]
        if not task_kind(spec).class_logits:
            raise SpecError(
                f"{option}['{name}'] is of no use: the task is of kind '{spec.kind}', and these losses are for kinds "
                "that have a logit for each class, such as classification and vqa"
            )
        if not isinstance(loss, ClassLoss):
            raise SpecError(f"{option}['{name}'] must be one of {LOSSES.names()}, got {type(loss).__name__}")
        own = copy.deepcopy(loss)
        own.bind(name, spec.num_outputs)
        made[name] = own
    return nn.ModuleDict(made)


def class_losses(*tables: nn.ModuleDict) -> Iterator[tuple[str, ClassLoss]]:
    """All (task, loss) of ``tables``."""
    for table in tables:
        for name, loss in table.items():
            yield name, cast(ClassLoss, loss)


def fit_losses(datamodule: object, *tables: nn.ModuleDict) -> None:
    """Give the losses the class counts of the training split.

    Args:
        datamodule: one that keeps the protocol CountsClasses; None where the fit has none.
        tables: of losses that ``bind_losses`` made.

    Raises:
        SpecError: a loss has no counts, and there is no data module to ask.
    """
    for task, loss in class_losses(*tables):
        if not loss.needs_counts:
            continue
        if isinstance(datamodule, CountsClasses):
            loss.fit(datamodule.class_counts(task))
        elif not loss.fitted:
            name = type(loss).__name__
            raise SpecError(
                f"the loss {name} of task '{task}' needs the class counts of the training split, but the trainer got "
                f"{'no data module' if datamodule is None else f'{type(datamodule).__name__} without class_counts'}; "
                "pass trainer.fit(module, datamodule=...) one of the zoo, or call fit(counts) of the loss in "
                "module.class_losses (and module.refined_losses) first"
            )
