"""The last stage: denoisers that run beside each other attend to each other's latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from zoo.generation.contrastive.info_nce import info_nce
from zoo.generation.diffusion.noise import RowNoise
from zoo.models.xgem.latent_attention import LatentProjection
from zoo.models.xgem.latents import LatentBatch
from zoo.models.xgem.options import AlignmentOptions
from zoo.models.xgem.parts import Parts
from zoo.models.xgem.stages.base import Stage, mean_over_ranks

TEMPERATURE = 0.1
"""Of InfoNCE between projections of noisy latents; the published code has none."""


class AlignmentStage(Stage):
    """Train projections of latents and cross-attention to them; denoisers stay as they are (XGeM section 4.3, Eq. 4).

    In each step one pair of modalities is denoised at the same noise level, told what else a row has.

    Args:
        parts: all parts of the model.
        name: of the stage.
        options: how long and how fast it is trained, and what is attended to.
    """

    on_latents = True
    options: AlignmentOptions

    def __init__(self, parts: Parts, name: str, options: AlignmentOptions) -> None:
        super().__init__(parts, name, options)
        names = list(parts.modalities)
        self.pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]

    def trained(self) -> Mapping[str, nn.Module]:
        """The projections, and the cross-attention of each denoiser."""
        return {
            **{f"projections.{m}": p for m, p in self.parts.projections.items()},
            **{f"attentions.{m}": p for m, p in self.parts.attentions.items()},
        }

    def losses(self, batch: LatentBatch, what: str, progress: float) -> dict[str, Tensor]:
        """Denoising of both modalities of a pair, and InfoNCE between the projections of their noisy latents."""
        parts = self.parts
        number = int(RowNoise(parts.seed, f"{self.name}/{what}", ["pair"]).integers(len(self.pairs)))
        pair = self.pairs[number]
        both = batch.present[pair[0]] & batch.present[pair[1]]
        rows = batch.take(both.nonzero().squeeze(1).tolist())
        device = both.device
        noise = RowNoise(parts.seed, f"{self.name}/{what}", rows.ids)
        step = noise.integers(parts.process.options.timesteps, device)
        clean, added, noisy, context = {}, {}, {}, {}
        for m in pair:
            told = self._told(m, pair, rows, noise)
            context[m] = parts.multi_prompt(m)(rows.prompts, rows.present, told)
            clean[m] = parts.standard(m)(rows.latents[m].draw(noise.normal(parts.shapes[m], device)))
            added[m] = noise.normal(parts.shapes[m], device)
            noisy[m] = parts.process.noised(clean[m], added[m], step)
        tokens = parts.tell_latents(noisy)
        found = {}
        for m in pair:
            predicted = parts.denoiser(m)(noisy[m], step, context[m])
            found[f"denoising {m}"] = mean_over_ranks(parts.process.losses(predicted, clean[m], added[m], step))
        parts.tell_latents({})
        vectors = [LatentProjection.vector(tokens[m]) for m in pair]
        scale = torch.tensor(1 / TEMPERATURE, device=device)
        found["contrast"] = info_nce(vectors[0], vectors[1], scale)
        total = sum((v for k, v in found.items() if k != "contrast"), start=found["contrast"] * self.options.contrast)
        return {"loss": total, **found}

    def _told(self, modality: str, pair: tuple[str, str], rows: LatentBatch, noise: RowNoise) -> Tensor:
        """What a denoiser is told beside the latents: all or none of the modalities that are not made."""
        prompt = self.parts.multi_prompt(modality)
        known = torch.stack([rows.present[m] & (m not in pair) for m in prompt.others], 1)
        return known & (noise.uniform(known.device) < 0.5).unsqueeze(1)

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Width, source and weight of the alignment."""
        told = asdict(self.options)
        return {k: told[k] for k in ("width", "contrast", "context_source")} | {"temperature": TEMPERATURE}
