"""BestWeights: the weights of the best validation, kept in memory."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class BestWeights(L.Callback):
    """Keep the weights at the highest ``val/skill``, as ModelCheckpoint does on disk for ``fit``."""

    def __init__(self) -> None:
        self.best = -math.inf
        self.weights: dict[str, Tensor] | None = None

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Copy the weights where the skill has risen."""
        skill = float(trainer.callback_metrics.get("val/skill", float("nan")))
        if not trainer.sanity_checking and math.isfinite(skill) and skill > self.best:
            self.best = skill
            self.weights = {k: v.detach().cpu().clone() for k, v in pl_module.state_dict().items()}

    def restore(self, module: Any) -> None:
        """Load the best weights; where nothing was validated the last stay."""
        if self.weights is not None:
            module.load_state_dict(self.weights)


class BestAverage(BestWeights):
    """BestWeights of a training whose weights are averaged: the average is what was validated."""

    def __init__(self, averaging: WeightAveraging) -> None:
        super().__init__()
        self.averaging = averaging

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Copy the average where the skill has risen: it has been swapped out of the module by now."""
        averaged: Any = self.averaging._average_model
        super().on_validation_end(trainer, averaged.module)
