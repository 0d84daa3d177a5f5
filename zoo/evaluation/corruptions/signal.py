"""Damage to signals (C, T), such as EEG. Sizes are relative to each channel's own standard deviation in the row."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from zoo.contract import ModalitySpec
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, Noise

LINE_HZ = 50.0
"""Frequency of the mains."""
DRIFT_HZ = (0.1, 0.5)
"""Frequencies of drift."""


def _deviation(values: Tensor) -> Tensor:
    """(N, C, 1) standard deviation over time; 0 for a flat channel, which stays as it is."""
    return values.std(-1, correction=0, keepdim=True)


@CORRUPTIONS.register
class SignalNoise(Corruption):
    """White normal noise at a ratio of powers: SNR = 10 log10(variance of the channel / variance of the noise)."""

    kinds = ("signal",)
    unit = "SNR in dB"
    levels = (math.inf, 20.0, 10.0, 5.0, 0.0, -5.0)
    standard = True

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Standard normal numbers, one a value."""
        return generator.standard_normal(spec.shape, dtype=np.float32)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Add it, scaled to the SNR."""
        return values + _deviation(values) * 10 ** (-level / 20) * noise


@CORRUPTIONS.register
class ElectrodeDrop(Corruption):
    """Electrodes that lost contact: each channel is flat zero with a probability; one always stays."""

    kinds = ("signal",)
    unit = "probability of a channel"
    levels = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)

    def suits(self, spec: ModalitySpec) -> bool:
        """Signals of two channels and more."""
        return spec.shape[0] > 1

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """A uniform number for each channel."""
        return generator.random(spec.shape[0], dtype=np.float32)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Zero the channels whose number is below the level, but not the one of the largest."""
        kept = (noise >= level) | (noise == noise.max(1, keepdim=True).values)
        return values * kept.unsqueeze(-1)


@CORRUPTIONS.register
class BaselineDrift(Corruption):
    """Slow drift by sweat or movement: a sine of 0.1 to 0.5 Hz and random phase on each channel.

    Where the sampling rate is unknown it makes a quarter to one period in the window.
    """

    kinds = ("signal",)
    unit = "amplitude in sd of the channel"
    levels = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Two uniform numbers a channel: frequency and phase."""
        return generator.random((2, spec.shape[0]), dtype=np.float32)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Add it."""
        length = spec.shape[1]
        low, high = DRIFT_HZ if spec.sampling_rate else (0.25 / length, 1.0 / length)
        frequency = low + (high - low) * noise[:, 0]
        return values + level * _deviation(values) * _sine(frequency, noise[:, 1], spec)


@CORRUPTIONS.register
class LineNoise(Corruption):
    """Hum of the mains at 50 Hz, of one random phase on all channels; needs a sampling rate above 100 Hz."""

    kinds = ("signal",)
    unit = "amplitude in sd of the channel"
    levels = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)

    def suits(self, spec: ModalitySpec) -> bool:
        """Signals that can hold the frequency."""
        return spec.sampling_rate > 2 * LINE_HZ

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """A uniform number: the phase."""
        return generator.random(1, dtype=np.float32)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Add it."""
        return values + level * _deviation(values) * _sine(torch.full_like(noise, LINE_HZ), noise, spec)


def _sine(frequency: Tensor, phase: Tensor, spec: ModalitySpec) -> Tensor:
    """Sines (N, C, T) of frequencies (N, C) in Hz (in cycles a sample without a rate) and phases (N, C) in turns."""
    time = torch.arange(spec.shape[1], dtype=torch.float32) / (spec.sampling_rate or 1.0)
    return torch.sin(2 * math.pi * (frequency.unsqueeze(-1) * time + phase.unsqueeze(-1)))
