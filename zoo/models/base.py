"""What a model is to the command line, studies and analyses: any LightningModule that keeps a small protocol.

A model is constructed with ``modalities`` and ``tasks``, the specs that the data give, and predicts a Batch:

    class Nearest(L.LightningModule):
        def __init__(self, modalities: list[ModalitySpec], tasks: list[TaskSpec]) -> None:
            super().__init__()
            self.save_hyperparameters(logger=False)
            self.modalities, self.tasks = by_name(modalities), by_name(tasks)
            self.evaluation = Evaluation(self.tasks)

        def predict(self, batch: Batch) -> Output: ...

        def validation_step(self, batch: Batch, batch_idx: int) -> None:
            self.evaluation.add(self.predict(batch), batch)

        def on_validation_epoch_end(self) -> None:
            self.evaluation.end(self, "val")

and so on for the test. What only some models can do is a protocol of its own; whoever needs it asks with ``require``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast, runtime_checkable

import lightning as L
import torch
from torch import Tensor, nn

from zoo.contract import Batch, ModalitySpec, Output, TaskSpec
from zoo.errors import SpecError
from zoo.generation.request import GenerationRequest
from zoo.registry import Registry
from zoo.training.collector import Evaluation

MODELS: Registry[L.LightningModule] = Registry("model", "models")
"""Models that a configuration can name."""


@runtime_checkable
class TaskModel(Protocol):
    """A LightningModule that predicts tasks from modalities; the last five members are those of every module.

    Attributes:
        training: whether the module is in training mode.
    """

    training: bool

    @property
    def modalities(self) -> Mapping[str, ModalitySpec]:
        """The inputs by name."""

    @property
    def tasks(self) -> Mapping[str, TaskSpec]:
        """The tasks by name."""

    @property
    def evaluation(self) -> Evaluation:
        """Where the hooks of the model gather predictions of validation and test."""

    def predict(self, batch: Batch) -> Output:
        """Predict every task for every row that it can be predicted for: ``predictions`` and ``predicted``.

        ``streams``, ``available`` and ``logits`` may stay empty; what needs them says so.
        """

    @property
    def device(self) -> torch.device:
        """Where batches are to be."""

    def train(self, mode: bool = True) -> Any:
        """Set training mode."""

    def eval(self) -> Any:
        """Set evaluation mode."""

    def state_dict(self) -> dict[str, Any]:
        """The weights."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take weights."""


@runtime_checkable
class HasHeads(Protocol):
    """A model whose predictions are made by heads on one vector a row, which can be trained alone."""

    def new_head(self, task: TaskSpec) -> nn.Module:
        """A new head (N, D) -> logits for ``task``, made as the model's own ones are.

        Where the model has a head for a task of that name, weights of the same name and shape are taken over.
        """


@runtime_checkable
class Generates(Protocol):
    """A model that makes modalities of a row from others."""

    def generate(self, batch: Batch, request: GenerationRequest, *, draw: int = 0) -> dict[str, Tensor]:
        """Make modalities of every row.

        What is made of a row follows from the row, its id, the seed of the request and ``draw``, and not from the
        rows beside it.

        Args:
            batch: rows with any modalities; those that are made are not looked at.
            request: what is to be made.
            draw: number of the draw.

        Returns:
            Modality -> (B, *shape), values as processors make them. A row of which nothing is known is made from
            nothing, as if it were any row.
        """


@runtime_checkable
class ClipsGradients(Protocol):
    """A model that steps its optimizer itself, and then clips the norm of its gradients itself.

    Attributes:
        manual_clip: largest norm; 0 for none.
    """

    manual_clip: float


def task_model(module: L.LightningModule) -> TaskModel:
    """Return ``module`` as what analyses take.

    Raises:
        SpecError: it does not keep the protocol.
    """
    require(module, TaskModel, "be trained and evaluated by the zoo")
    return cast(TaskModel, module)


def require(model: object, capability: type, what: str) -> None:
    """Refuse a model that lacks a capability.

    Args:
        model: any model.
        capability: a protocol, such as HasHeads.
        what: what the capability is needed for, to follow "cannot", such as "fine-tune heads".

    Raises:
        SpecError: a member of the protocol is missing.
    """
    missing = [name for name in members(capability) if not hasattr(model, name)]
    if missing:
        raise SpecError(
            f"model {type(model).__name__} cannot {what}: it has no {', '.join(missing)}; "
            f"see {capability.__module__}.{capability.__name__}"
        )


def members(protocol: type) -> list[str]:
    """Names of what a protocol asks for, in the order of its definition."""
    own = [*protocol.__annotations__, *(n for n in vars(protocol) if not n.startswith("_"))]
    return list(dict.fromkeys(own))


def lightning_module(model: TaskModel) -> L.LightningModule:
    """Return a model as what a Trainer takes.

    Raises:
        SpecError: it is none.
    """
    if not isinstance(model, L.LightningModule):
        raise SpecError(f"a model must be a LightningModule, got {type(model).__name__}")
    return model
