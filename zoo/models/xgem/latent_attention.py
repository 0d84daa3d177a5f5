"""Cross-modal latent alignment: projections of latents to tokens, and denoisers that attend to them (XGeM, Eq. 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LatentProjection(nn.Module):
    """The projection encoder V of a modality: noisy latents (N, *latent_shape) to tokens (N, L, W).

    Latents of images and signals are cut into patches of 2; a vector is cut into four tokens.

    Args:
        latent_shape: sizes of the latent of one row.
        width: W.
    """

    def __init__(self, latent_shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.sizes = len(latent_shape)
        if self.sizes == 3:
            self.enter: nn.Module = nn.Conv2d(latent_shape[0], width, 2, 2)
        elif self.sizes == 2:
            self.enter = nn.Conv1d(latent_shape[0], width, 2, 2, 1)
        else:
            self.enter = nn.Linear(latent_shape[0], 4 * width)
        self.width = width
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, latent: Tensor) -> Tensor:
        """Map (N, *latent_shape) to tokens (N, L, W)."""
        entered: Tensor = self.enter(latent)
        tokens = entered.view(len(latent), 4, self.width) if self.sizes == 1 else entered.flatten(2).transpose(1, 2)
        out: Tensor = self.mix(tokens)
        return out

    @staticmethod
    def vector(tokens: Tensor) -> Tensor:
        """The mean of tokens (N, L, W), of length 1: (N, W)."""
        return F.normalize(tokens.mean(1), dim=1)


class LatentAttention(nn.Module):
    """What a denoiser adds to its features in the middle: cross-attention to tokens of latents, 0 at the beginning.

    Args:
        width: of the features.
        tokens: W, width of the tokens.
        heads: of attention; the largest divisor of ``width`` up to this.
    """

    def __init__(self, width: int, tokens: int, heads: int = 4) -> None:
        super().__init__()
        heads = max(h for h in range(1, heads + 1) if width % h == 0)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, kdim=tokens, vdim=tokens, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)
        nn.init.zeros_(self.attention.out_proj.bias)
        self.told: Tensor | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, L, width) to what is added to them; zeros where ``told`` is None."""
        if self.told is None:
            return torch.zeros_like(features)
        told = self.told
        if len(features) != len(told):  # guidance runs the rows twice, told and not told
            told = told.repeat(len(features) // len(told), 1, 1)
        out: Tensor = self.attention(self.norm(features), told, told, need_weights=False)[0]
        return out
