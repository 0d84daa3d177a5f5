"""From rows that are encoded to modalities that are made: guidance, and several denoisers side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.errors import SpecError, unknown_name
from zoo.generation.diffusion.noise import RowNoise
from zoo.generation.diffusion.process import SamplingOptions
from zoo.models.xgem.latents import LatentBatch
from zoo.models.xgem.parts import Parts


@dataclass(frozen=True)
class Request:
    """What is to be made.

    Attributes:
        targets: modalities to make, together.
        given: modalities that may be told; None for all but the targets.
        seed: of all random numbers.
        draw: number of the draw.
        sampling: sampler, steps and guidance.
        joint: whether denoisers of several targets attend to each other's latents.
    """

    targets: tuple[str, ...]
    given: tuple[str, ...] | None = None
    seed: int = 0
    draw: int = 0
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    joint: bool = True


def make(parts: Parts, rows: LatentBatch, request: Request, device: torch.device) -> dict[str, Tensor]:
    """Make the targets of every row: modality -> (B, *shape) values as processors make them.

    Args:
        parts: of a trained model.
        rows: what is known of the rows, encoded.
        request: what is to be made.
        device: where it is computed.

    Raises:
        SpecError, UnknownNameError: there is no target, or a modality is not one of the model's.
    """
    latents = make_latents(parts, rows, request, device)
    return {m: parts.autoencoder(m).decode(parts.standard(m).invert(z)) for m, z in latents.items()}


@torch.no_grad()
def make_latents(parts: Parts, rows: LatentBatch, request: Request, device: torch.device) -> dict[str, Tensor]:
    """Standardised latents (B, *latent_shape) of the targets; see ``make``.

    Args:
        parts: of a trained model.
        rows: what is known of the rows, encoded.
        request: what is to be made.
        device: where it is computed.
    """
    if not request.targets:
        raise SpecError("there is nothing to make; name at least one target")
    for m in (*request.targets, *(request.given or ())):
        if m not in parts.modalities:
            raise unknown_name("modality", m, parts.modalities)
    both = set(request.targets) & set(request.given or ())
    if both:
        raise SpecError(f"'{sorted(both)[0]}' cannot be given and made at once")
    given = [m for m in parts.modalities if m not in request.targets] if request.given is None else request.given
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

    noise = RowNoise(request.seed, f"draw {request.draw}", rows.ids)
    try:
        shapes = {m: parts.shapes[m] for m in request.targets}
        return parts.process.sample(predict, shapes, noise, request.sampling, device)
    finally:
        parts.tell_latents({})


def _contexts(
    parts: Parts, rows: LatentBatch, modality: str, given: tuple[str, ...] | list[str]
) -> tuple[Tensor, Tensor]:
    """What the denoiser of a modality is told of each row, and what it is told where it is told nothing."""
    prompt = parts.multi_prompt(modality)
    told = torch.stack([rows.present[m] & (m in given) for m in prompt.others], 1)
    nothing = torch.zeros_like(told)
    return prompt(rows.prompts, rows.present, told), prompt(rows.prompts, rows.present, nothing)
