"""Damage to tables (F,): noisy numbers, unknown categories, missing values."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.contract import ModalitySpec
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, Noise

MISSING = 2
"""Code of a value that is missing, in a feature COLUMN_missing."""
FLAG = "_missing"


def flags(spec: ModalitySpec) -> dict[int, int]:
    """Number of a feature COLUMN_missing -> number of the feature COLUMN."""
    where = {name: k for k, name in enumerate(spec.features)}
    return {
        k: where[name.removesuffix(FLAG)]
        for name, k in where.items()
        if name.endswith(FLAG) and name.removesuffix(FLAG) in where and spec.cardinalities[k] == MISSING + 1
    }


def numbers(spec: ModalitySpec) -> Tensor:
    """(F,) bool, the features that are numbers."""
    return torch.tensor([c == 0 for c in spec.cardinalities])


def categories(spec: ModalitySpec) -> Tensor:
    """(F,) bool, the features that are categories; COLUMN_missing is none."""
    marks = flags(spec)
    return torch.tensor([c > 0 and k not in marks for k, c in enumerate(spec.cardinalities)])


@CORRUPTIONS.register
class NumberNoise(Corruption):
    """Errors of measurement: normal noise on each number."""

    kinds = ("tabular",)
    unit = "sd of noise in sd of the column"
    levels = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
    standard = True

    def suits(self, spec: ModalitySpec) -> bool:
        """Tables with a number."""
        return bool(numbers(spec).any())

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Standard normal numbers, one a feature."""
        return generator.standard_normal(spec.shape, dtype=np.float32)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Add it to the numbers, which are standardised."""
        return torch.where(numbers(spec), values + level * noise, values)


@CORRUPTIONS.register
class UnknownCategory(Corruption):
    """Words that training has not seen: a category becomes the unknown one, with a probability."""

    kinds = ("tabular",)
    unit = "probability of a category"
    levels = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)

    def suits(self, spec: ModalitySpec) -> bool:
        """Tables with a category."""
        return bool(categories(spec).any())

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Set the code to 0."""
        return torch.where(categories(spec) & (noise < level), torch.zeros_like(values), values)


@CORRUPTIONS.register
class ValuesMissing(Corruption):
    """Empty cells: a number becomes the training mean, a category the unknown one, and COLUMN_missing says so."""

    kinds = ("tabular",)
    unit = "probability of a value"
    levels = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Empty the values, as the processor of tables reads None."""
        marks = flags(spec)
        value = torch.tensor([k not in marks for k in range(len(spec.cardinalities))])
        gone = value & (noise < level)
        damaged = torch.where(gone, torch.zeros_like(values), values)
        for mark, column in marks.items():
            damaged[:, mark] = torch.where(gone[:, column], float(MISSING), damaged[:, mark])
        return damaged
