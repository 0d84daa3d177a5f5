"""SignalAutoencoder: signals of several channels to shorter ones of fewer, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.contract import ModalitySpec
from zoo.errors import SpecError
from zoo.generation.diffusion.autoencoder import AUTOENCODERS, Autoencoder, Posterior, Standard


@AUTOENCODERS.register
class SignalAutoencoder(Autoencoder):
    """Map (N, C, T) signals to latents (N, Z, t) by strided convolutions, t = ceil(T / 2 ** levels), and back.

    Signals may be on any scale, such as microvolts: each channel is standardised by the training rows that ``learn``
    was given, and brought back behind the decoder.

    Args:
        spec: a modality of kind signal.
        channels: width of each level; each halves the length.
        latent_channels: Z.
        beta: weight of the divergence, a mean over latents, against the mean squared error in squared deviations.

    Raises:
        SpecError: a width is no positive multiple of 4.
    """

    kinds = ("signal",)
    looks = True

    def __init__(
        self,
        spec: ModalitySpec,
        *,
        channels: Sequence[int] = (32, 64, 64),
        latent_channels: int = 8,
        beta: float = 1e-3,
    ) -> None:
        super().__init__(spec)
        if not channels or any(c < 4 or c % 4 for c in channels) or latent_channels < 1:
            raise SpecError(
                f"SignalAutoencoder: channels are positive multiples of 4 and latent_channels is positive, got "
                f"{list(channels)} and {latent_channels}"
            )
        width, self.length = spec.shape
        self.beta = beta
        self.factor = 2 ** len(channels)
        self.latent_shape = (latent_channels, -(-self.length // self.factor))
        self.standard = Standard((width, self.length))
        down: list[nn.Module] = []
        for before, after in zip((width, *channels[:-1]), channels, strict=True):
            down += [nn.Conv1d(before, after, 5, 2, 2), nn.GroupNorm(4, after), nn.SiLU()]
        up: list[nn.Module] = [nn.Conv1d(latent_channels, channels[-1], 3, 1, 1), nn.SiLU()]
        for before, after in zip(channels[::-1], channels[-2::-1], strict=False):
            up += [nn.ConvTranspose1d(before, after, 4, 2, 1), nn.GroupNorm(4, after), nn.SiLU()]
        self.reader = nn.Sequential(*down, nn.Conv1d(channels[-1], 2 * latent_channels, 1))
        self.writer = nn.Sequential(*up, nn.ConvTranspose1d(channels[0], width, 4, 2, 1))

    def _padded(self, x: Tensor) -> Tensor:
        """Standardised signals, with their last value repeated to a length that the levels divide."""
        y: Tensor = self.standard(x)
        missing = -self.length % self.factor
        return F.pad(y, (0, missing), mode="replicate") if missing else y

    def encode(self, x: Tensor) -> Posterior:
        """Map (N, C, T) to the Posterior of latents (N, Z, t)."""
        if not len(x):
            none = x.new_zeros((0, *self.latent_shape))
            return Posterior(none, none)
        mean, log_variance = self.reader(self._padded(x)).chunk(2, 1)
        return Posterior(mean, (0.5 * log_variance.clamp(-10, 5)).exp())

    def learn(self, rows: Tensor) -> None:
        """Take mean and deviation of each channel of (M, C, T) training rows."""
        self.standard.learn(Posterior(rows, torch.zeros_like(rows)))

    def decode(self, latent: Tensor) -> Tensor:
        """Map (N, Z, t) to signals (N, C, T)."""
        return self.standard.invert(self._standardised(latent))

    def _standardised(self, latent: Tensor) -> Tensor:
        out: Tensor = self.writer(latent)
        return out[..., : self.length]

    def loss(self, x: Tensor, noise: Tensor, progress: float) -> Tensor:
        """Mean squared error of the standardised signals, and ``beta`` times the mean divergence: (N,)."""
        if not len(x):
            return x.new_zeros(0) + sum(p.sum() for p in self.parameters()) * 0.0
        posterior = self.encode(x)
        error = F.mse_loss(self._standardised(posterior.draw(noise)), self.standard(x), reduction="none")
        return error.flatten(1).mean(1) + self.beta * posterior.divergence().flatten(1).mean(1)
