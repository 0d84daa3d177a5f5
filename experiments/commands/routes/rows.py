"""Real rows of a split that have every modality, with what is known of them, for a look at what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.core.base import BaseDataModule
from zoo.contract import TASKS, Batch, TaskSpec
from zoo.errors import DataError
from zoo.evaluation.generated.agreement import UNKNOWN
from zoo.thinning import thinned

Matrix = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass
class Rows:
    """N real rows.

    Attributes:
        batch: their inputs; every row has every modality.
        units: the patient of each.
        labels: (N, K) of 0, 1 and UNKNOWN.
    """

    batch: Batch
    units: list[str]
    labels: Whole

    def __len__(self) -> int:
        return len(self.units)

    def values(self, modality: str) -> Tensor:
        """The tensors (N, *shape) of a modality."""
        return self.batch.inputs[modality]


def real_rows(data: BaseDataModule, split: str, most: int, names: list[str], task: TaskSpec | None) -> Rows:
    """Read the rows of a split that have all modalities.

    Args:
        data: prepared.
        split: its name.
        most: rows at most, evenly spaced.
        names: the modalities.
        task: whose classes are the findings; None for none.

    Raises:
        DataError: no row has all modalities.
    """
    pipe = data.pipeline
    present = pipe.availability.present
    rows = np.asarray(pipe.rows[split])
    rows = thinned(rows[np.logical_and.reduce([present[m][rows] for m in names])], most)
    if not len(rows):
        raise DataError(f"no row of the split '{split}' has all of {', '.join(names)}")
    read: Any = pipe.dataset
    batch = data.collated([read.processed(int(r)) for r in rows])
    units = [pipe.join.unit(int(r)) for r in rows]
    return Rows(batch, units, _labels(data, rows, task))


def _labels(data: BaseDataModule, rows: Whole, task: TaskSpec | None) -> Whole:
    """(N, K) whether each row has each class of the task; UNKNOWN where it is not labelled."""
    if task is None:
        return np.zeros((len(rows), 0), dtype=np.int64)
    kind = TASKS.get(task.kind)
    found = np.full((len(rows), len(task.classes)), UNKNOWN, dtype=np.int64)
    for place, row in enumerate(rows):
        label = data.pipeline.dataset.raw(int(row), peek=True).targets.get(task.name)
        if label is None:
            continue
        known, there = set(kind.label_targets(label)), set(kind.label_classes(label))
        for column, name in enumerate(task.classes):
            if name in known or "" in known:
                found[place, column] = int(name in there)
    return found


def pixels(images: Tensor) -> Matrix:
    """The pixels of images (N, C, H, W) as plain numbers (N, F)."""
    return images.flatten(1).double().cpu().numpy()


def chunks(batch: Batch, size: int) -> list[Batch]:
    """The rows of a batch in which every row has everything, ``size`` at a time."""
    parts = []
    for start in range(0, len(batch), size):
        cut = slice(start, start + size)
        parts.append(
            Batch(
                {m: x[cut] for m, x in batch.inputs.items()},
                {m: torch.ones(len(x[cut]), dtype=torch.bool) for m, x in batch.inputs.items()},
                {},
                {},
                {},
                batch.ids[cut],
            )
        )
    return parts
