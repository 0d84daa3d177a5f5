"""SignalDenoiser: a UNet of one-dimensional convolutions, for latents that are short signals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.generation.diffusion.denoiser import DENOISERS, Denoiser, step_embedding


class _Block(nn.Module):
    """A residual block (N, width, T) that is told a vector, which scales and shifts its normalised features."""

    def __init__(self, before: int, width: int, told: int) -> None:
        super().__init__()
        self.skip = nn.Identity() if before == width else nn.Conv1d(before, width, 1)
        self.norm = nn.GroupNorm(4, before)
        self.first = nn.Conv1d(before, width, 3, padding=1)
        self.told = nn.Linear(told, 2 * width)
        self.inner = nn.GroupNorm(4, width, affine=False)
        self.second = nn.Conv1d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Map (N, before, T) and (N, told) to (N, width, T)."""
        scale, shift = self.told(told).unsqueeze(2).chunk(2, 1)
        hidden = self.inner(self.first(F.silu(self.norm(x)))) * (1 + scale) + shift
        out: Tensor = self.skip(x) + self.second(F.silu(hidden))
        return out


@DENOISERS.register
class SignalDenoiser(Denoiser):
    """Map noisy latents (N, Z, t) to a prediction of that shape; each level halves the length.

    Args:
        latent_shape: (Z, t).
        context: D, width of the context, over whose C vectors the mean is taken.
        channels: width of each level, multiples of 4.

    Raises:
        SpecError: a width does not fit.
    """

    sizes = 2

    def __init__(
        self, latent_shape: tuple[int, ...], context: int, *, channels: Sequence[int] = (48, 64, 96)
    ) -> None:
        super().__init__(latent_shape, context)
        sizes = list(channels)
        if not sizes or any(c < 4 or c % 4 for c in sizes):
            raise SpecError(f"SignalDenoiser: channels are positive multiples of 4, got {sizes}")
        told = self.told_width = sizes[0] * 2
        self.step = nn.Sequential(nn.Linear(told, told), nn.SiLU(), nn.Linear(told, told))
        self.told = nn.Sequential(nn.LayerNorm(context), nn.Linear(context, told), nn.SiLU(), nn.Linear(told, told))
        self.enter = nn.Conv1d(latent_shape[0], sizes[0], 3, padding=1)
        self.down = nn.ModuleList(_Block(b, a, told) for b, a in zip([sizes[0], *sizes[:-1]], sizes, strict=True))
        self.up = nn.ModuleList(
            _Block(b + s, s, told) for b, s in zip([sizes[-1], *sizes[:0:-1]], sizes[::-1], strict=True)
        )
        self.leave = nn.Conv1d(sizes[0], latent_shape[0], 3, padding=1)
        self.width = sizes[-1]

    def forward(self, noisy: Tensor, step: Tensor, context: Tensor) -> Tensor:
        """Predict the noise or the velocity (N, Z, t)."""
        told = F.silu(self.step(step_embedding(step, self.told_width)) + self.told(context).mean(1))
        x = self.enter(noisy)
        kept = []
        for block in self.down:
            x = block(x, told)
            kept.append(x)
            x = F.avg_pool1d(x, 2, ceil_mode=True)
        x = self._between(x.transpose(1, 2)).transpose(1, 2)
        for block in self.up:
            skip = kept.pop()
            x = block(torch.cat([F.interpolate(x, skip.shape[2]), skip], 1), told)
        out: Tensor = self.leave(x)
        return out
