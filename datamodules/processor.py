"""What a processor is: it turns the raw values of one modality into tensors of one shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from datamodules.source import RawModality
from zoo.contract import ModalitySpec
from zoo.registry import Registry


class Processor(ABC):
    """Turn a raw value into a tensor of the modality's shape. What it learns, it learns from training rows.

    A subclass is decorated with ``@PROCESSORS.register_as(kind)`` where it is the default of its kind, takes
    keyword arguments only, and lives in the file of its modality (imaging.py, eeg.py, ...).
    """

    kind: str = ""
    fits: bool = False
    """Whether ``fit`` needs the raw training values; where it does not, it is given one value."""

    @abstractmethod
    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Learn vocabularies, scales and shapes from raw training values (at least one)."""

    def admit(self, values: Sequence[Any]) -> None:
        """Make room for rows outside training: look at their sizes, and at nothing else.

        Given the raw values of the other splits where ``fits`` is set; most processors need nothing.
        """

    @abstractmethod
    def spec(self, raw: RawModality) -> ModalitySpec:
        """The spec of the tensors; called after ``fit``."""

    @abstractmethod
    def __call__(self, value: Any) -> Tensor:
        """Map one raw value to a tensor of the spec's shape, the same each time.

        Raises:
            DataError: the value is not finite, empty, or of a shape that cannot be brought to the spec's.
        """

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Return a random variant of a processed tensor (training only); the tensor itself by default."""
        return value


PROCESSORS: Registry[Processor] = Registry("processor of kind")
