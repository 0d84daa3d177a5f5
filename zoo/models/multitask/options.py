"""Options of MultitaskModule, in groups: its heads, its optimiser, and what else it does in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.tasks.base import Head
from zoo.training.losses import ClassLoss
from zoo.training.mixing import ImageMixing
from zoo.training.optim import OptimizerName
from zoo.training.refinement import Refinement

HeadFactory = Callable[[TaskSpec, int, int], Head]
"""Makes a head of a task, the width of the stream vector, and the width of the tokens that the task reads; every head
of the zoo is one."""


@dataclass(frozen=True)
class HeadOptions:
    """Which heads turn stream vectors into logits.

    Attributes:
        hidden: width of a hidden layer in each head that its kind of task makes; 0 for none.
        dropout: dropout rate in these heads.
        by_task: task name, or kind of task, -> head class or factory in the place of that of the kind, with options
            of its own, such as zoo.tasks.structure.StructureHead with ``templates``; a name goes before its kind.
    """

    hidden: int = 0
    dropout: float = 0.0
    by_task: Mapping[str, HeadFactory] | None = None

    def storable(self) -> HeadOptions:
        """The same without factories, for a checkpoint, which holds data only."""
        return replace(self, by_task=None)


@dataclass(frozen=True)
class OptimisationOptions:
    """How weights are learned.

    Attributes:
        optimizer: "adamw", or "lion" (timm).
        learning_rate: the highest of the schedule (the paper: Adam, 1e-3).
        weight_decay: on matrices; never on biases, norms or embeddings of one dimension.
        schedule: how the learning rate decays over the steps: "cosine" to 1 % of it, "exponential" to 1 %, or
            "constant".
        warmup: share of the steps, at the beginning, with a rising learning rate.
        learning_rates: prefix of parameter names, such as "encoders.image", -> learning rate in the place of
            ``learning_rate``; the longest prefix wins, and warm-up and schedule act on all.
    """

    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: Literal["cosine", "exponential", "constant"] = "cosine"
    warmup: float = 0.05
    learning_rates: Mapping[str, float] | None = None


@dataclass(frozen=True)
class TrainingOptions:
    """What training does beside following the losses of the tasks.

    Attributes:
        losses: task -> loss that it takes in the place of that of its kind, such as BalancedSoftmax. The class counts
            are those of the training split, which the data module is asked for.
        mixing: Mixup or CutMix of the images of training batches.
        refinement: a second stage in the last epochs, with parts frozen and losses of its own.
        modality_dropout: probability with which a training row loses a modality that it has, as long as one is left
            and no task reads it.
        shared_encoders: groups of modalities of one kind and shape that share one encoder, which runs once over all
            rows of the group; a learned vector is added for each modality.

    Raises:
        SpecError: a probability out of range.
    """

    losses: Mapping[str, ClassLoss] | None = None
    mixing: ImageMixing | None = None
    refinement: Refinement | None = None
    modality_dropout: float = 0.0
    shared_encoders: list[list[str]] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.modality_dropout <= 1:
            raise SpecError(f"model.training.modality_dropout must be from 0 to 1, got {self.modality_dropout}")

    def storable(self) -> TrainingOptions:
        """The same without objects, for a checkpoint, which holds data only."""
        return replace(self, losses=None, mixing=None, refinement=None)


torch.serialization.add_safe_globals([HeadOptions, OptimisationOptions, TrainingOptions])
