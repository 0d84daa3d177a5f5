"""ImageDenoiser: the UNet of latent diffusion models, UNet2DConditionModel of the library diffusers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.generation.diffusion.denoiser import DENOISERS, Denoiser
from zoo.generation.libraries import diffusers_library


class _Middle(nn.Module):
    """The middle block of a UNet, and behind it what the denoiser adds there.

    Args:
        block: of diffusers.
        owner: the denoiser, in a list, so that it is no part of its own part.
    """

    def __init__(self, block: nn.Module, owner: list[ImageDenoiser]) -> None:
        super().__init__()
        self.block = block
        self._owner = owner
        self.has_cross_attention = True  # diffusers asks

    def forward(self, *args: Any, **options: Any) -> Tensor:
        """Run the block, and add to its features (N, width, h, w)."""
        out: Tensor = self.block(*args, **options)
        n, c, h, w = out.shape
        return self._owner[0]._between(out.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(n, c, h, w)


@DENOISERS.register
class ImageDenoiser(Denoiser):
    """Map noisy latents (N, Z, h, w) to a prediction of that shape by a UNet with cross-attention to the context.

    Rombach et al. (CVPR 2022); XGeM section 4.2.

    Args:
        latent_shape: (Z, h, w), with h and w multiples of 2 ** (levels - 1).
        context: D, width of the context.
        channels: width of each level, multiples of 8.
        blocks: residual blocks a level.
        attention: number of the first level that attends, from the finest, 0.
        modulate: whether the mean of the context is added to the embedding of the step too, as in SDXL (Podell et
            al. 2023); a context of one vector is learned much sooner so. The paper's network attends alone.
        checkpointing: whether the features within blocks are computed again instead of kept, for less memory.

    Raises:
        SpecError: a size does not fit.
        MissingExtraError: diffusers is not installed.
    """

    sizes = 3

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: int,
        *,
        channels: Sequence[int] = (32, 64, 96),
        blocks: int = 1,
        attention: int = 1,
        modulate: bool = True,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(latent_shape, context)
        widths, step = tuple(channels), 2 ** (len(channels) - 1)
        latent, height, width = latent_shape
        if not widths or any(w < 8 or w % 8 for w in widths) or height % step or width % step:
            raise SpecError(
                f"ImageDenoiser: channels are multiples of 8, and latents of {height} x {width} a multiple of {step} "
                f"with {len(widths)} levels; got channels {list(widths)}"
            )
        attends = [k >= attention for k in range(len(widths))]
        self.net: Any = diffusers_library().UNet2DConditionModel(
            sample_size=height,
            in_channels=latent,
            out_channels=latent,
            down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
            up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]),
            block_out_channels=widths,
            layers_per_block=blocks,
            cross_attention_dim=context,
            norm_num_groups=8,
            attention_head_dim=8,
            class_embed_type="simple_projection" if modulate else None,
            projection_class_embeddings_input_dim=context if modulate else None,
        )
        self.modulate = modulate
        self.width = widths[-1]
        self.net.mid_block = _Middle(self.net.mid_block, [self])
        if checkpointing:
            self.net.enable_gradient_checkpointing()

    def forward(self, noisy: Tensor, step: Tensor, context: Tensor) -> Tensor:
        """Predict the noise or the velocity (N, Z, h, w)."""
        if not len(noisy):
            return noisy + sum(p.sum() for p in self.parameters()) * torch.zeros((), device=noisy.device)
        told = context.mean(1) if self.modulate else None
        out: Tensor = self.net(noisy, step, encoder_hidden_states=context, class_labels=told).sample
        return out
