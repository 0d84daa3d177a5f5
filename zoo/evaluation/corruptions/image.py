"""Damage to images. They are in [-1, 1] after processing; levels are on the full scale from black 0 to white 1."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from zoo.contract import ModalitySpec
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, Noise


class _ImageCorruption(Corruption):
    """Damage on the scale [0, 1]; what leaves it is clipped, as a display window or a detector does."""

    kinds = ("image",)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Damage (N, C, H, W) in [-1, 1]."""
        return self.damage(values * 0.5 + 0.5, noise, level).clamp(0.0, 1.0) * 2.0 - 1.0

    @abstractmethod
    def damage(self, x: Tensor, noise: Tensor, level: float) -> Tensor:
        """Damage (N, C, H, W) in [0, 1].

        Args:
            x: (N, C, H, W) images in [0, 1].
            noise: what ``draw`` drew for each of them.
            level: strength, in ``unit``.
        """


@CORRUPTIONS.register
class GaussianNoise(_ImageCorruption):
    """Independent normal noise on each value, as of a detector's electronics."""

    unit = "sd of noise, full scale 1"
    levels = (0.0, 0.04, 0.08, 0.12, 0.18, 0.26)
    standard = True

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Standard normal numbers, one a value."""
        return generator.standard_normal(spec.shape, dtype=np.float32)

    def damage(self, x: Tensor, noise: Tensor, level: float) -> Tensor:
        """Add it."""
        return x + level * noise


@CORRUPTIONS.register
class RicianNoise(_ImageCorruption):
    """Noise of magnitude MRI: |A + n1 + i n2| with normal n1, n2 (Gudbjartsson and Patz, MRM 34:910, 1995, eq. 1).

    Unlike normal noise it lifts dark parts: where there is no signal the mean is sd * sqrt(pi / 2).
    """

    unit = "sd of noise per channel, full scale 1"
    levels = (0.0, 0.04, 0.08, 0.12, 0.18, 0.26)

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Standard normal numbers (2, C, H, W): real and imaginary."""
        return generator.standard_normal((2, *spec.shape), dtype=np.float32)

    def damage(self, x: Tensor, noise: Tensor, level: float) -> Tensor:
        """Take the magnitude."""
        return torch.hypot(x + level * noise[:, 0], level * noise[:, 1])


@CORRUPTIONS.register
class GaussianBlur(_ImageCorruption):
    """Blur by a normal kernel cut at three standard deviations, as of motion or a wrong focus."""

    unit = "sd of the kernel in % of the side"
    levels = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0)
    random = False

    def suits(self, spec: ModalitySpec) -> bool:
        """Images of two pixels a side and more."""
        return min(spec.shape[1:]) > 1

    def damage(self, x: Tensor, noise: Tensor, level: float) -> Tensor:
        """Convolve."""
        side = min(x.shape[-2:])
        sigma = level / 100 * side
        reach = min(math.ceil(3 * sigma), side - 1)
        blurred: Tensor = transforms.gaussian_blur(x, [2 * reach + 1] * 2, [sigma, sigma])
        return blurred


@CORRUPTIONS.register
class BrightnessShift(_ImageCorruption):
    """Over-exposure: the same is added to every value."""

    unit = "added, full scale 1"
    levels = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    random = False

    def damage(self, x: Tensor, noise: Tensor, level: float) -> Tensor:
        """Add it."""
        return x + level


@CORRUPTIONS.register
class ContrastLoss(_ImageCorruption):
    """Less contrast: values move towards the mean of their image."""

    unit = "share of contrast lost"
    levels = (0.0, 0.2, 0.4, 0.6, 0.75, 0.9)
    random = False

    def damage(self, x: Tensor, noise: Tensor, level: float) -> Tensor:
        """Shrink the distance to the mean."""
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + (1.0 - level) * (x - mean)


@CORRUPTIONS.register
class PatchOcclusion(_ImageCorruption):
    """A grey square over a random place (Zeiler and Fergus, ECCV 2014), such as a marker or a specular spot."""

    unit = "share of the area covered"
    levels = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Two uniform numbers: where the square is."""
        return generator.random(2, dtype=np.float32)

    def damage(self, x: Tensor, noise: Tensor, level: float) -> Tensor:
        """Set a rectangle of sides sqrt(level) of the image's to middle grey."""
        height, width = x.shape[-2:]
        sides = [max(1, min(n, round(n * math.sqrt(level)))) for n in (height, width)]
        top = (noise[:, 0] * (height - sides[0] + 1)).long()[:, None]
        left = (noise[:, 1] * (width - sides[1] + 1)).long()[:, None]
        rows, columns = torch.arange(height), torch.arange(width)
        inside = ((rows >= top) & (rows < top + sides[0]))[:, None, :, None]
        inside = inside & ((columns >= left) & (columns < left + sides[1]))[:, None, None, :]
        return torch.where(inside, torch.full_like(x, 0.5), x)
