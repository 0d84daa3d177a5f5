"""A stage for each modality that is made: its denoiser, told any subset of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from zoo.generation.diffusion.autoencoder import Posterior
from zoo.generation.diffusion.noise import RowNoise
from zoo.models.xgem.latents import LatentBatch
from zoo.models.xgem.options import StageOptions
from zoo.models.xgem.parts import Parts
from zoo.models.xgem.stages.base import Stage, mean_over_ranks, part_of


class DenoiserStage(Stage):
    """Train the denoiser of one modality with Multi-Prompt (XGeM section 4.2 and Eq. 3).

    Args:
        parts: all parts of the model.
        name: of the stage.
        options: how long and how fast it is trained.
        modality: that is made.
    """

    on_latents = True

    def __init__(self, parts: Parts, name: str, options: StageOptions, *, modality: str) -> None:
        super().__init__(parts, name, options)
        self.modality = modality

    def trained(self) -> Mapping[str, nn.Module]:
        """The denoiser, what weighs its prompts, and the scale of its latents."""
        m, parts = self.modality, self.parts
        groups = {"denoisers": parts.denoisers, "multi_prompts": parts.multi_prompts, "standards": parts.standards}
        return {f"{name}.{m}": group[m] for name, group in groups.items()}

    def look(self, rows: LatentBatch) -> None:
        """Learn the scale of the latents."""
        standard, found = self.parts.standard(self.modality), rows.latents[self.modality]
        device = standard.mean.device
        standard.learn(Posterior(found.mean.to(device), found.sigma.to(device)))

    def losses(self, batch: LatentBatch, what: str, progress: float) -> dict[str, Tensor]:
        """Mean squared error over the rows that have the modality."""
        m, parts = self.modality, self.parts
        rows = (
            batch.take(batch.present[m].nonzero().squeeze(1).tolist()) if not bool(batch.present[m].all()) else batch
        )
        device = rows.present[m].device
        noise = RowNoise(parts.seed, f"{self.name}/{what}", rows.ids)
        told = parts.multi_prompt(m).draw(rows.present, noise)
        told = told & (noise.uniform(device) >= parts.process.options.drop).unsqueeze(1)
        context = parts.multi_prompt(m)(rows.prompts, rows.present, told, noise)
        clean = parts.standard(m)(rows.latents[m].draw(noise.normal(parts.shapes[m], device)))
        return {"loss": mean_over_ranks(parts.denoising_losses(m, clean, context, noise))}

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The denoiser, the noise schedule, and how prompts are drawn and weighed."""
        m, parts = self.modality, self.parts
        net = parts.denoisers[m]
        prompts = parts.multi_prompt(m).options
        return {
            "denoiser": part_of(config, "denoisers", m, parts.modalities[m].kind, net),
            "diffusion": asdict(parts.process.options),
            "multi_prompt": prompts.multi_prompt,
            "alpha": prompts.alpha,
        }
