"""The raw values of one modality over many rows, read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datamodules.core.dataset import JoinedDataset


class RawValues(Sequence[Any]):
    """A sequence that reads a row each time it is asked for it, so that fitting needs no copy of the data.

    Args:
        dataset: the joined samples.
        rows: their numbers.
        modality: whose values.
    """

    def __init__(self, dataset: JoinedDataset, rows: Sequence[int], modality: str) -> None:
        self._dataset, self._rows, self._modality = dataset, rows, modality

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, k: int) -> Any:  # type: ignore[override]
        row = int(self._rows[k])
        value = self._dataset.peek_at(row, (self._modality,)).inputs.get(self._modality)
        return value if value is not None else self._dataset.raw(row).inputs[self._modality]
