"""A stage for each autoencoder: the latent space of a modality, or of several that share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.contract import Batch
from zoo.generation.diffusion.noise import RowNoise
from zoo.models.xgem.options import StageOptions
from zoo.models.xgem.parts import Parts
from zoo.models.xgem.stages.base import Stage, mean_over_ranks, part_of


class AutoencoderStage(Stage):
    """Train the autoencoder of a modality, or of a group of them.

    Args:
        parts: all parts of the model.
        name: of the stage.
        options: how long and how fast it is trained.
        key: name of the autoencoder: a modality, or a group.
    """

    def __init__(self, parts: Parts, name: str, options: StageOptions, *, key: str) -> None:
        super().__init__(parts, name, options)
        self.key = key
        self.members = [m for m, g in parts.group.items() if g == key]
        self.net = parts.autoencoder(self.members[0])

    def trained(self) -> Mapping[str, nn.Module]:
        """The autoencoder."""
        return {f"autoencoders.{self.key}": self.net}

    def losses(self, batch: Batch, what: str, progress: float) -> dict[str, Tensor]:
        """Reconstruction and divergence, a mean over the rows of all members."""
        rows, names = [], []
        for m in self.members:
            if m in batch.inputs:
                rows.append(batch.inputs[m])
                names += [f"{m}/{i}" for i, here in zip(batch.ids, batch.present[m].tolist(), strict=True) if here]
        x = torch.cat(rows)
        noise = RowNoise(self.parts.seed, what, names).normal(self.net.latent_shape, x.device)
        return {"loss": mean_over_ranks(self.net.loss(x, noise, progress))}

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The autoencoder and its modalities."""
        spec = self.net.spec
        return {
            "autoencoder": part_of(config, "autoencoders", self.members[0], spec.kind, self.net),
            "modalities": self.members,
        }

    def looks_at(self) -> Sequence[str]:
        """Its modalities, where it takes scales from training rows."""
        return self.members if self.net.looks else ()

    def learn(self, rows: Mapping[str, Tensor]) -> None:
        """Give training rows to the autoencoder."""
        self.net.learn(torch.cat([rows[m] for m in self.members]))
