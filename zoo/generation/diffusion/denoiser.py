"""What a denoiser is: a network that predicts noise in latents of one shape, told a step and some vectors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.registry import Registry


class Denoiser(nn.Module, ABC):
    """Map noisy latents (N, *latent_shape), steps (N,) and context (N, C, D) to a prediction (N, *latent_shape).

    In the middle, each module in ``beside`` adds to the features (N, L, ``width``) what the latents of other
    modalities tell (XGeM, Eq. 4). The list is empty until a model fills it; what is in it is no part of the denoiser.

    Args:
        latent_shape: sizes of the latent of one row.
        context: D, width of the context.

    Attributes:
        sizes: number of sizes of the latents that it takes.
        width: width of the features in the middle, set by the subclass.
    """

    sizes: ClassVar[int] = 1
    width: int

    def __init__(self, latent_shape: tuple[int, ...], context: int) -> None:
        super().__init__()
        if len(latent_shape) != self.sizes:
            fitting = [n for n in DENOISERS.names() if DENOISERS.get(n).sizes == len(latent_shape)]
            raise SpecError(
                f"{type(self).__name__} takes latents of {self.sizes} size(s), got {latent_shape}; denoisers that "
                f"take them: {', '.join(fitting) or 'none'}"
            )
        self.latent_shape = latent_shape
        self.context = context
        self.beside: list[nn.Module] = []

    @abstractmethod
    def forward(self, noisy: Tensor, step: Tensor, context: Tensor) -> Tensor:
        """Predict the noise or the velocity, whichever it is trained on.

        Args:
            noisy: (N, *latent_shape) noisy latents.
            step: (N,) steps of the noise schedule.
            context: (N, C, D) what it is told.
        """

    def _between(self, features: Tensor) -> Tensor:
        """Features (N, L, width) with what the modules in ``beside`` add to them."""
        for module in self.beside:
            features = features + module(features)
        return features


DENOISERS: Registry[Denoiser] = Registry("denoiser", "generation")
"""Denoisers by class name."""


def default_denoiser(latent_shape: tuple[int, ...]) -> type[Denoiser]:
    """The denoiser that latents of a shape take where a configuration names none.

    Raises:
        SpecError: none takes it.
    """
    for name in DENOISERS.names():
        if DENOISERS.get(name).sizes == len(latent_shape):
            return DENOISERS.get(name)
    raise SpecError(f"no denoiser takes latents of the shape {latent_shape}; known: {DENOISERS.names()}")


def step_embedding(step: Tensor, width: int) -> Tensor:
    """Sines and cosines (N, width) of steps (N,), as of positions (Vaswani et al. 2017; Ho et al. 2020).

    >>> step_embedding(torch.tensor([0]), 4).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """
    half = width // 2
    rates = torch.exp(-math.log(10_000) / half * torch.arange(half, device=step.device))
    angles = step.float().unsqueeze(1) * rates
    return torch.cat([angles.cos(), angles.sin()], 1)
