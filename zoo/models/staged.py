"""What a model is whose training has stages: each is a fit of its own, and is kept when it is finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning as L

from zoo.data import DataModule


@dataclass(frozen=True)
class StagePlan:
    """A stage, as a trainer needs to know it.

    Attributes:
        name: such as "denoiser.frontal".
        steps: updates.
        checkpoint_every: steps between checkpoints, and between validations.
        needs: names of the stages that must be finished before.
        runs: whether it is asked for; else it is loaded where it is finished, and needed where another needs it.
    """

    name: str
    steps: int
    checkpoint_every: int
    needs: tuple[str, ...]
    runs: bool = True


@runtime_checkable
class StagedModel(Protocol):
    """A LightningModule that is trained in stages, each by a trainer of its own."""

    @property
    def stages_folder(self) -> str:
        """Where finished stages are kept; "" leaves it to the command line."""

    def plan(self) -> Sequence[StagePlan]:
        """The stages in order."""

    def identity(self, stage: str, config: Mapping[str, Any], data: DataModule) -> dict[str, Any]:
        """All that the result of a stage depends on, as plain data.

        Args:
            stage: its name.
            config: ``init_args`` of the model as plain data; {} where it was made in Python.
            data: that it is trained on.
        """

    def begin(self, stage: str, data: DataModule, folder: Path) -> L.LightningDataModule:
        """Make ready to be fitted to a stage, and return the data of that stage.

        Args:
            stage: its name.
            data: that the model is trained on.
            folder: where what is computed once for the stage may be kept.
        """

    def end(self, stage: str) -> None:
        """Take the averaged weights, where the stage has some, and be ready for another stage or for use."""

    def stage_weights(self, stage: str) -> dict[str, Any]:
        """The weights that a stage trains, by name."""

    def take_stage(self, stage: str, weights: Mapping[str, Any]) -> None:
        """Take the weights of a finished stage."""


def digest_of(told: object) -> str:
    """Twelve letters that stand for plain data, such as the identity of a stage."""
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
