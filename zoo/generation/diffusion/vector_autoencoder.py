"""Autoencoders of vectors and of all measurements that have no autoencoder of their own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.contract import ModalitySpec
from zoo.errors import SpecError
from zoo.generation.diffusion.autoencoder import AUTOENCODERS, Autoencoder, Posterior


@AUTOENCODERS.register
class IdentityAutoencoder(Autoencoder):
    """Map measurements (N, *shape) of any kind to themselves, flat, for vectors of few numbers: latents (N, F).

    Args:
        spec: a modality of measurements.
    """

    kinds = ("*",)
    learns = False

    def __init__(self, spec: ModalitySpec) -> None:
        super().__init__(spec)
        self.latent_shape = (math.prod(spec.shape),)

    def encode(self, x: Tensor) -> Posterior:
        """The rows themselves, with no spread."""
        flat = x.flatten(1)
        return Posterior(flat, torch.zeros_like(flat))

    def decode(self, latent: Tensor) -> Tensor:
        """The latents themselves, in the shape of the rows."""
        return latent.view(len(latent), *self.spec.shape)

    def loss(self, x: Tensor, noise: Tensor, progress: float) -> Tensor:
        """Zeros (N,): there is nothing to be learned."""
        return x.new_zeros(len(x))


@AUTOENCODERS.register
class VectorAutoencoder(Autoencoder):
    """Map measurements (N, *shape) of any kind, flat, to latents (N, Z) by a small network, and back.

    The variational autoencoder of Kingma and Welling (2014): the mean squared error of the values, and the
    divergence weighed by ``beta``.

    Args:
        spec: a modality of measurements.
        latent: Z.
        hidden: width of the hidden layer on either side.
        beta: weight of the divergence, a mean over latents, against the mean squared error.

    Raises:
        SpecError: a size is not positive.
    """

    kinds = ("*",)

    def __init__(self, spec: ModalitySpec, *, latent: int = 32, hidden: int = 256, beta: float = 1e-3) -> None:
        super().__init__(spec)
        if latent < 1 or hidden < 1:
            raise SpecError(f"VectorAutoencoder: latent and hidden must be positive, got {latent} and {hidden}")
        width = math.prod(spec.shape)
        self.latent_shape = (latent,)
        self.beta = beta
        self.reader = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent))
        self.writer = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, width))

    def encode(self, x: Tensor) -> Posterior:
        """Map (N, *shape) to the Posterior of latents (N, Z)."""
        mean, log_variance = self.reader(x.flatten(1)).chunk(2, 1)
        return Posterior(mean, (0.5 * log_variance.clamp(-10, 5)).exp())

    def decode(self, latent: Tensor) -> Tensor:
        """Map (N, Z) to values (N, *shape)."""
        out: Tensor = self.writer(latent)
        return out.view(len(latent), *self.spec.shape)

    def loss(self, x: Tensor, noise: Tensor, progress: float) -> Tensor:
        """Mean squared error of each row, and ``beta`` times the mean divergence: (N,)."""
        posterior = self.encode(x)
        error = F.mse_loss(self.decode(posterior.draw(noise)), x, reduction="none").flatten(1).mean(1)
        return error + self.beta * posterior.divergence().mean(1)
