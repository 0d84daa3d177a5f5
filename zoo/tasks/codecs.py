"""Encodings that several kinds of task share: codes of classes, and values beside marks of what is known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.task import TargetCodec


class ClassCodec(TargetCodec):
    """Encode the name of one class as its place in the list of classes."""

    def __call__(self, label: str, row: str) -> Tensor:
        """Encode one name as a code ()."""
        return torch.tensor(class_code(self, label, row))


class ValueCodec(TargetCodec):
    """Encode dicts of label or target -> value as (2, K): values, and 1 where known."""

    @abstractmethod
    def value(self, name: str, code: int, value: float, row: str) -> float:
        """Turn one finite raw value into the one that is stored.

        Args:
            name: of the label or target.
            code: its place among the classes.
            value: as the source gives it.
            row: name of the row, for errors.

        Raises:
            DataError: no such value can be stored.
        """

    def __call__(self, label: Mapping[str, float], row: str) -> Tensor:
        """Encode what is known of one row."""
        values = np.zeros((2, len(self.classes)), dtype=np.float32)
        for name, value in label.items():
            k = class_code(self, name, row)
            if not np.isfinite(value):
                raise DataError(
                    f"task '{self.task.name}': the target '{name}' is {value}; leave unknown ones out", row=row
                )
            values[0, k] = self.value(name, k, value, row)
            values[1, k] = 1.0
        return torch.from_numpy(values)


def class_code(codec: TargetCodec, label: str, row: str) -> int:
    """The place of a label among the classes.

    Args:
        codec: whose classes these are.
        label: name of a class.
        row: name of the row, for errors.

    Raises:
        DataError: the label is none of the classes.
    """
    try:
        return codec.classes.index(label)
    except ValueError:
        raise DataError(
            f"task '{codec.task.name}': the label {label!r} is none of its classes {tuple(codec.classes)}", row=row
        ) from None
