"""What a stage is: some parts of the model, the loss that trains them, and the batches that it needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from zoo.models.xgem.options import StageOptions
from zoo.training.loss_table import world_size

if TYPE_CHECKING:
    from zoo.models.xgem.latents import LatentBatch
    from zoo.models.xgem.parts import Parts


class Stage(ABC):
    """Train some parts of the model while the others stay as they are.

    Args:
        parts: all parts of the model.
        name: of the stage, such as "denoiser.frontal".
        options: how long and how fast it is trained.

    Attributes:
        needs: names of the stages that must be finished.
        on_latents: whether batches are LatentBatches of rows that were encoded once, or Batches of the data module.
    """

    needs: tuple[str, ...] = ()
    on_latents: bool = False

    def __init__(self, parts: Parts, name: str, options: StageOptions) -> None:
        self.parts = parts
        self.name = name
        self.options = options

    @abstractmethod
    def trained(self) -> Mapping[str, nn.Module]:
        """The parts that it trains, by the names that their weights are kept under."""

    @abstractmethod
    def losses(self, batch: Any, what: str, progress: float) -> dict[str, Tensor]:
        """The loss of a batch under "loss", and what else is worth a curve.

        Args:
            batch: of the data module, or of latents.
            what: name of the random numbers of this step.
            progress: share of the steps that are done.
        """

    @abstractmethod
    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What of the configuration of the model the result depends on, beside the stages that are needed.

        Args:
            config: ``init_args`` of the model as plain data; {} where it was made in Python, whose parts then speak.
        """

    def learn(self, rows: Mapping[str, Tensor]) -> None:
        """Take from training rows (M, *shape) of each modality what stays fixed in the stage; here nothing."""

    def look(self, rows: LatentBatch) -> None:
        """Take from the latents of all training rows what stays fixed in the stage; here nothing."""

    def looks_at(self) -> Sequence[str]:
        """Modalities whose training rows ``learn`` is to be given; here none."""
        return ()


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean of (N,) values over the rows of all processes, as DDP averages it; 0 where there is none.

    >>> float(mean_over_ranks(torch.tensor([1.0, 3.0])))
    2.0
    """
    count = torch.tensor(float(len(values)), device=values.device)
    world = world_size()
    if world > 1:
        dist.all_reduce(count)
    return values.sum() * world / count.clamp_min(1.0)


def part_of(config: Mapping[str, Any], group: str, name: str, kind: str, made: nn.Module) -> Any:
    """What a configuration says of a part, or the part itself in words.

    Args:
        config: ``init_args`` of the model as plain data; {} where it was made in Python.
        group: name of the argument that lists such parts.
        name: of the modality.
        kind: of the modality.
        made: the part.
    """
    if not config:
        return repr(made)
    given = config.get(group) or {}
    return given.get(name) or given.get(kind)
