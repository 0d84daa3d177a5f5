"""The parts of XGeM: prompt encoders, autoencoders, denoisers, and what aligns their latents."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from zoo.contract import MODALITIES, ModalitySpec
from zoo.encoders.base import Encoder
from zoo.encoders.choice import sharing_groups
from zoo.errors import SpecError, unknown_name
from zoo.generation.contrastive.prompts import PromptEncoders
from zoo.generation.diffusion.autoencoder import Autoencoder, Standard, default_autoencoder
from zoo.generation.diffusion.denoiser import Denoiser, default_denoiser
from zoo.generation.diffusion.noise import RowNoise
from zoo.generation.diffusion.process import DiffusionOptions, Process
from zoo.models.xgem.latent_attention import LatentAttention, LatentProjection
from zoo.models.xgem.multi_prompt import MultiPrompt
from zoo.models.xgem.options import PromptOptions, XGeMTraining

AutoencoderFactory = Callable[[ModalitySpec], Autoencoder]
DenoiserFactory = Callable[[tuple[int, ...], int], Denoiser]


class Parts(nn.Module):
    """Hold the parts of the model, by modality.

    Args:
        modalities: name -> spec, two at least.
        encoders: name or kind -> what makes a prompt encoder.
        autoencoders: name or kind -> what makes an autoencoder.
        denoisers: name or kind -> what makes a denoiser.
        prompts: what denoisers are told.
        diffusion: the noise schedule.
        training: what is shared, and the alignment.

    Raises:
        SpecError, UnknownNameError: a part does not fit its modality, or is given for one that is not here.
    """

    def __init__(
        self,
        modalities: Mapping[str, ModalitySpec],
        encoders: Mapping[str, Callable[[ModalitySpec], Encoder]],
        autoencoders: Mapping[str, AutoencoderFactory],
        denoisers: Mapping[str, DenoiserFactory],
        prompts: PromptOptions,
        diffusion: DiffusionOptions,
        training: XGeMTraining,
    ) -> None:
        super().__init__()
        if len(modalities) < 2:
            raise SpecError(f"XGeM makes modalities from others and needs two at least, got {list(modalities)}")
        self.modalities = dict(modalities)
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        self.group = _groups(modalities, training.shared_autoencoders)
        for option, given in (("autoencoders", autoencoders), ("denoisers", denoisers)):
            for key in given:
                if key not in modalities and key not in MODALITIES:
                    raise unknown_name(f"modality or kind under model.{option}", key, modalities)
        read = _groups(modalities, training.shared_encoders)
        self.prompts = PromptEncoders(modalities, encoders, read, dim=prompts.dim, pairs=prompts.pairs)
        self.autoencoders = nn.ModuleDict()
        for m, spec in self.modalities.items():
            if self.group[m] not in self.autoencoders:
                make = autoencoders.get(m) or autoencoders.get(spec.kind) or default_autoencoder(spec)
                self.autoencoders[self.group[m]] = make(spec)
        self.shapes = {m: self.autoencoder(m).latent_shape for m in self.modalities}
        self.standards = nn.ModuleDict({m: Standard(s) for m, s in self.shapes.items()})
        self.denoisers, self.multi_prompts = nn.ModuleDict(), nn.ModuleDict()
        for m, spec in self.modalities.items():
            draw = denoisers.get(m) or denoisers.get(spec.kind) or default_denoiser(self.shapes[m])
            self.denoisers[m] = draw(self.shapes[m], prompts.dim)
            self.multi_prompts[m] = MultiPrompt([o for o in self.modalities if o != m], prompts)
        self.process = Process(diffusion)
        self.context_source = training.alignment.context_source
        width = training.alignment.width
        self.projections = nn.ModuleDict({m: LatentProjection(s, width) for m, s in self.shapes.items()})
        self.attentions = nn.ModuleDict()
        if training.alignment.steps:
            for m in self.modalities:
                self.attentions[m] = LatentAttention(self.denoiser(m).width, width)
                self.denoiser(m).beside.append(self.attentions[m])

    def autoencoder(self, modality: str) -> Autoencoder:
        """The autoencoder of a modality."""
        return cast(Autoencoder, self.autoencoders[self.group[modality]])

    def standard(self, modality: str) -> Standard:
        """The scale of the latents of a modality."""
        return cast(Standard, self.standards[modality])

    def denoiser(self, modality: str) -> Denoiser:
        """The denoiser of a modality, which attends to what ``tell_latents`` told."""
        return cast(Denoiser, self.denoisers[modality])

    def multi_prompt(self, modality: str) -> MultiPrompt:
        """What weighs the prompts of a modality's denoiser."""
        return cast(MultiPrompt, self.multi_prompts[modality])

    def denoising_losses(self, modality: str, clean: Tensor, context: Tensor, noise: RowNoise) -> Tensor:
        """Losses (N,) of a denoiser at random noise levels.

        Args:
            modality: that is denoised.
            clean: (N, *latent_shape) standardised latents.
            context: (N, C, D) what the denoiser is told.
            noise: random numbers of the rows.
        """
        step = noise.integers(self.process.options.timesteps, clean.device)
        added = noise.normal(self.shapes[modality], clean.device)
        predicted = self.denoiser(modality)(self.process.noised(clean, added, step), step, context)
        return self.process.losses(predicted, clean, added, step)

    def tell_latents(self, noisy: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Let each denoiser attend to the latents that are made beside its own; {} ends it.

        Args:
            noisy: modality -> (N, *latent_shape) latents that are made together.

        Returns:
            Modality -> its tokens (N, L, W).
        """
        tokens = {m: cast(LatentProjection, self.projections[m])(z) for m, z in noisy.items()}
        for m, attention in self.attentions.items():
            others = [m] if self.context_source == "self" else [o for o in tokens if o != m]
            found = [tokens[o] for o in others if o in tokens] if m in tokens else []
            cast(LatentAttention, attention).told = torch.cat(found, 1) if found else None
        return tokens


def _groups(modalities: Mapping[str, ModalitySpec], shared: Sequence[Sequence[str]] | None) -> dict[str, str]:
    """The name of each modality's part: its own, or the names of all that share it, joined by "+"."""
    numbers = sharing_groups(modalities, shared or [])
    return {m: "+".join(o for o, n in numbers.items() if n == numbers[m]) if m in numbers else m for m in modalities}
