"""What an autoencoder is: a module that maps the rows of one modality to a Gaussian in a latent space, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.contract import ModalitySpec
from zoo.errors import SpecError
from zoo.registry import Registry


@dataclass(frozen=True)
class Posterior:
    """A Gaussian over latents, one for each row. Latents are kept as this, never as one draw of it.

    Attributes:
        mean: (N, *latent_shape).
        sigma: (N, *latent_shape), 0 where nothing is drawn.
    """

    mean: Tensor
    sigma: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Latents (N, *latent_shape) from standard normal ``noise`` of that shape (Kingma and Welling 2014)."""
        return self.mean + self.sigma * noise

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence from the standard normal of each latent: (N, *latent_shape), in nats."""
        variance = self.sigma.square()
        return 0.5 * (self.mean.square() + variance - 1.0 - variance.clamp_min(1e-20).log())


class Autoencoder(nn.Module, ABC):
    """Map (N, *spec.shape) to a Posterior over latents (N, *latent_shape), and latents back.

    N may be 0. A subclass names the kinds of modalities that it takes in ``kinds`` ("*" for all kinds of
    measurements), calls ``super().__init__(spec)``, and sets ``latent_shape``: (C, H, W) for images, (C, T) for
    signals, (D,) for the rest. A denoiser of as many sizes fits it.

    Args:
        spec: the modality.

    Attributes:
        kinds: kinds of modalities that it takes.
        learns: whether it has to be trained; False for one that only standardises.
        looks: whether ``learn`` is to be given training rows before the first step.
        latent_shape: sizes of the latent of one row.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    learns: ClassVar[bool] = True
    looks: ClassVar[bool] = False
    latent_shape: tuple[int, ...]

    def __init__(self, spec: ModalitySpec) -> None:
        super().__init__()
        if not self.takes(spec):
            fitting = [name for name in AUTOENCODERS.names() if AUTOENCODERS.get(name).takes(spec)]
            raise SpecError(
                f"{type(self).__name__} takes modalities of kind {self.kinds}, but '{spec.name}' is of kind "
                f"'{spec.kind}'; autoencoders that take it: {', '.join(fitting) or 'none'}"
            )
        self.spec = spec

    @classmethod
    def takes(cls, spec: ModalitySpec) -> bool:
        """Whether it can encode rows of ``spec``."""
        return spec.kind in cls.kinds or ("*" in cls.kinds and not spec.is_integer)

    def learn(self, rows: Tensor) -> None:
        """Take from training rows (M, *shape) what stays fixed then, such as scales; here nothing."""

    @abstractmethod
    def encode(self, x: Tensor) -> Posterior:
        """Map (N, *spec.shape) to the Posterior of each row."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Map (N, *latent_shape) to values (N, *spec.shape), as a processor makes them."""

    @abstractmethod
    def loss(self, x: Tensor, noise: Tensor, progress: float) -> Tensor:
        """What training minimises: (N,) reconstruction and divergence of each row.

        Args:
            x: (N, *spec.shape) rows.
            noise: (N, *latent_shape) standard normal, which draws the latents.
            progress: share of the training that is done, 0 to 1, for weights that follow a plan.
        """


AUTOENCODERS: Registry[Autoencoder] = Registry("autoencoder", "generation")
"""Autoencoders by class name."""


def default_autoencoder(spec: ModalitySpec) -> type[Autoencoder]:
    """The autoencoder that a modality takes where a configuration names none: one made for its kind, else for all.

    Raises:
        SpecError: no autoencoder takes it.
    """
    classes = [AUTOENCODERS.get(name) for name in AUTOENCODERS.names()]
    for cls in sorted(classes, key=lambda c: ("*" in c.kinds, not c.learns)):
        if cls.takes(spec):
            return cls
    raise SpecError(f"modality '{spec.name}' of kind '{spec.kind}' has no autoencoder; known: {AUTOENCODERS.names()}")


class Standard(nn.Module):
    """Bring latents to mean 0 and deviation 1, by what training rows have, and back; each channel has its own scale.

    It stands in the place of the published factor .18215, which suits the published autoencoder alone.

    Args:
        shape: sizes of the latent of one row.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        sizes = (shape[0], *[1] * (len(shape) - 1))
        self.register_buffer("mean", torch.zeros(sizes))
        self.register_buffer("scale", torch.ones(sizes))

    @torch.no_grad()
    def learn(self, posterior: Posterior) -> None:
        """Take mean and deviation of latents that are drawn from the Posterior of the training rows."""
        rest = [0, *range(2, posterior.mean.dim())]
        mean = posterior.mean.double()
        variance = mean.var(rest, unbiased=False) + posterior.sigma.double().square().mean(rest)
        self.mean.copy_(mean.mean(rest).view(self.mean.shape))
        self.scale.copy_(variance.sqrt().clamp_min(1e-6).view(self.scale.shape))

    def forward(self, latent: Tensor) -> Tensor:
        """Standardise (N, *shape)."""
        return (latent - self.mean) / self.scale

    def invert(self, latent: Tensor) -> Tensor:
        """Undo ``forward``."""
        return latent * self.scale + self.mean
