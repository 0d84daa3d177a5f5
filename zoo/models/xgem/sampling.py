"""From rows that are encoded to modalities that are made: guidance, and several denoisers side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from zoo.generation.diffusion.noise import RowNoise
from zoo.generation.request import GenerationRequest
from zoo.models.xgem.latents import LatentBatch
from zoo.models.xgem.parts import Parts


def make(
    parts: Parts, rows: LatentBatch, request: GenerationRequest, draw: int, device: torch.device
) -> dict[str, Tensor]:
    """Make the targets of every row: modality -> (B, *shape) values as processors make them.

    Args:
        parts: of a trained model.
        rows: what is known of the rows, encoded.
        request: what is to be made.
        draw: number of the draw.
        device: where it is computed.

    Raises:
        SpecError, UnknownNameError: the model does not make this.
    """
    latents = make_latents(parts, rows, request, draw, device)
    return {m: parts.autoencoder(m).decode(parts.standard(m).invert(z)) for m, z in latents.items()}


@torch.no_grad()
def make_latents(
    parts: Parts, rows: LatentBatch, request: GenerationRequest, draw: int, device: torch.device
) -> dict[str, Tensor]:
    """Standardised latents (B, *latent_shape) of the targets; see ``make``.

    Args:
        parts: of a trained model.
        rows: what is known of the rows, encoded.
        request: what is to be made.
        draw: number of the draw.
        device: where it is computed.
    """
    request.check(parts.modalities)
    given = request.told(parts.modalities)
    contexts = {m: _contexts(parts, rows, m, given) for m in request.targets}
    guidance = request.sampling.guidance
    joint = request.joint and bool(parts.attentions) and (len(request.targets) > 1 or parts.context_source == "self")

    def predict(noisy: dict[str, Tensor], step: Tensor) -> Mapping[str, Tensor]:
        parts.tell_latents(noisy if joint else {})
        found = {}
        for m, z in noisy.items():
            told, nothing = contexts[m]
            if guidance == 1.0:
                found[m] = parts.denoiser(m)(z, step.expand(len(z)), told)
                continue
            twice = torch.cat([z, z])
            with_it, without = parts.denoiser(m)(twice, step.expand(len(twice)), torch.cat([told, nothing])).chunk(2)
            found[m] = without + guidance * (with_it - without)
        return found

    noise = RowNoise(request.seed, f"draw {draw}", rows.ids)
    try:
        shapes = {m: parts.shapes[m] for m in request.targets}
        return parts.process.sample(predict, shapes, noise, request.sampling, device)
    finally:
        parts.tell_latents({})


def _contexts(parts: Parts, rows: LatentBatch, modality: str, given: Collection[str]) -> tuple[Tensor, Tensor]:
    """What the denoiser of a modality is told of each row, and what it is told where it is told nothing."""
    prompt = parts.multi_prompt(modality)
    told = torch.stack([rows.present[m] & (m in given) for m in prompt.others], 1)
    nothing = torch.zeros_like(told)
    return prompt(rows.prompts, rows.present, told), prompt(rows.prompts, rows.present, nothing)
