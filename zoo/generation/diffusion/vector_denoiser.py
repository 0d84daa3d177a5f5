"""VectorDenoiser: a residual UNet of fully connected layers, for latents that are vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.generation.diffusion.denoiser import DENOISERS, Denoiser, step_embedding


class _Block(nn.Module):
    """A residual block (N, width) that is told a vector, which scales and shifts its normalised features."""

    def __init__(self, before: int, width: int, told: int) -> None:
        super().__init__()
        self.skip = nn.Identity() if before == width else nn.Linear(before, width)
        self.norm = nn.LayerNorm(before)
        self.first = nn.Linear(before, width)
        self.told = nn.Linear(told, 2 * width)
        self.inner = nn.LayerNorm(width, elementwise_affine=False)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Map (N, before) and (N, told) to (N, width)."""
        scale, shift = self.told(told).chunk(2, 1)
        hidden = self.inner(self.first(nn.functional.silu(self.norm(x)))) * (1 + scale) + shift
        out: Tensor = self.skip(x) + self.second(nn.functional.silu(hidden))
        return out


@DENOISERS.register
class VectorDenoiser(Denoiser):
    """Map noisy latents (N, Z) to a prediction of that shape: down to narrower layers and up again, with skips.

    After the fully connected UNet for the latents of texts (Xu et al., Versatile Diffusion, ICCV 2023; XGeM section
    4.2). The context and the step are joined into one vector, which scales and shifts every block.

    Args:
        latent_shape: (Z,).
        context: D, width of the context, over whose C vectors the mean is taken.
        widths: of each level.
        blocks: residual blocks a level.

    Raises:
        SpecError: a width is not positive.
    """

    sizes = 1

    def __init__(
        self, latent_shape: tuple[int, ...], context: int, *, widths: Sequence[int] = (256, 192, 128), blocks: int = 1
    ) -> None:
        super().__init__(latent_shape, context)
        sizes = list(widths)
        if not sizes or min(sizes) < 2 or blocks < 1:
            raise SpecError(f"VectorDenoiser: widths are 2 or more and blocks 1 or more, got {sizes} and {blocks}")
        told = self.told_width = sizes[0] + sizes[0] % 2
        self.step = nn.Sequential(nn.Linear(told, told), nn.SiLU(), nn.Linear(told, told))
        self.told = nn.Sequential(nn.LayerNorm(context), nn.Linear(context, told), nn.SiLU(), nn.Linear(told, told))
        self.enter = nn.Linear(latent_shape[0], sizes[0])
        self.down = nn.ModuleList(
            _Block(before, after, told)
            for before, after in zip([sizes[0], *sizes[:-1]], sizes, strict=True)
            for before in [before, *[after] * (blocks - 1)]
        )
        self.between = _Block(sizes[-1], sizes[-1], told)
        ups = [w for w in sizes for _ in range(blocks)][::-1]
        self.up = nn.ModuleList(
            _Block(before + skip, skip, told) for before, skip in zip([sizes[-1], *ups[:-1]], ups, strict=True)
        )
        self.leave = nn.Sequential(nn.LayerNorm(sizes[0]), nn.Linear(sizes[0], latent_shape[0]))
        self.width = sizes[-1]

    def forward(self, noisy: Tensor, step: Tensor, context: Tensor) -> Tensor:
        """Predict the noise or the velocity (N, Z)."""
        told = nn.functional.silu(self.step(step_embedding(step, self.told_width)) + self.told(context).mean(1))
        x = self.enter(noisy)
        kept = []
        for block in self.down:
            x = block(x, told)
            kept.append(x)
        x = self._between(self.between(x, told).unsqueeze(1)).squeeze(1)
        for block in self.up:
            x = block(torch.cat([x, kept.pop()], 1), told)
        out: Tensor = self.leave(x)
        return out
