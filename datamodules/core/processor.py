"""What a processor is: it turns the raw values of one modality into tensors of one shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from datamodules.io.column_types import ColumnKind
from datamodules.io.frames import ImageReading
from zoo.carried import Carry
from zoo.contract import ModalitySpec
from zoo.raw import RawModality
from zoo.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Processor(ABC):
    """Turn a raw value into a tensor of the modality's shape. What it learns, it learns from training rows.

    A subclass is decorated with ``@PROCESSORS.register``, takes keyword arguments only, and lives in the file of its
    kind of modality, whose class names the one that is taken by default.

    Attributes:
        kind: name of the kind of modality that it takes.
    """

    kind: str = ""
    for_networks: bool = False
    """Whether its options shape what networks see and nothing else: no classical pipeline, no length of labels."""
    fits: bool = False
    """Whether ``fit`` needs the raw training values; where it does not, it is given one value."""
    carried: ClassVar[Mapping[str, Carry]] = {}
    """Option that names a file -> what of it a bundle takes along (see zoo.carried)."""

    @abstractmethod
    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Learn vocabularies, scales and shapes from raw training values (at least one)."""

    def admit(self, values: Sequence[Any]) -> None:
        """Make room for rows outside training: look at their sizes, and at nothing else.

        Given the raw values of the other splits where ``fits`` is set; most processors need nothing.
        """

    def reading(self, raw: RawModality) -> ImageReading | None:
        """How image files of the modality are read; None for a processor of no images."""
        return None

    @abstractmethod
    def spec(self, raw: RawModality) -> ModalitySpec:
        """The spec of the tensors; called after ``fit``."""

    @abstractmethod
    def __call__(self, value: Any) -> Tensor:
        """Map one raw value to a tensor of the spec's shape, the same each time.

        Raises:
            DataError: the value is not finite, empty, or of a shape that cannot be brought to the spec's.
        """

    @abstractmethod
    def decode(self, value: Tensor) -> Any:
        """Map a tensor of the spec's shape back to a raw value, as far as ``__call__`` keeps what it was."""

    def known_columns(self) -> dict[str, ColumnKind]:
        """What the columns of a raw value hold, where it is a dictionary of columns; {} for all other values."""
        return {}

    def tolerate(self, value: Any) -> tuple[Any, list[str]]:
        """Make a value of a new row one that ``__call__`` takes, and say what was new or had to go. Here: nothing."""
        return value, []

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Return a random variant of a processed tensor (training only); the tensor itself by default."""
        return value


PROCESSORS: Registry[Processor] = Registry("processor", "modalities")
"""Processors by class name."""
