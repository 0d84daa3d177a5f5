"""Labels of censored times, and the intervals that the time is cut into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.contract import TaskSpec
from zoo.errors import DataError, SpecError
from zoo.task import TargetCodec
from zoo.tasks import lifetimes

FEWEST = 5
"""Training events an interval at least."""


class SurvivalCodec(TargetCodec):
    """Encode dicts of ``time`` and ``event`` as (2,), and cut the time into intervals of as many events each.

    Args:
        intervals: how many at most, each of FEWEST events of the training split or more.
    """

    fits = True

    def __init__(self, *, intervals: int = 20) -> None:
        if intervals < 1:
            raise SpecError(f"SurvivalCodec: intervals must be 1 or more, got {intervals}")
        self.intervals = intervals
        self.edges: list[float] = []

    def fit(self, labels: Sequence[Mapping[str, float]], length: int = 0) -> None:
        """Learn the edges of the intervals from raw training labels.

        Raises:
            SpecError: no training row has an event after time 0.
        """
        table = np.array([self._checked(label, None) for label in labels], dtype=np.float64).reshape(-1, 2)
        time, event = table[:, 0], table[:, 1] > 0
        count = int((event & (time > 0)).sum())
        if not count:
            raise SpecError(
                f"task '{self.task.name}': none of the {len(labels)} training rows has an event after time 0, so "
                "that no intervals can be cut; check the column of events (1 where it was seen, 0 where censored)"
            )
        most = max(min(self.intervals, count // FEWEST), 1)
        self.edges = lifetimes.life_table_edges(time, event, most).tolist()

    def spec(self) -> TaskSpec:
        """A TaskSpec of an output for each interval."""
        return self.make_spec(max(len(self.edges) - 1, 0), edges=self.edges)

    def __call__(self, label: Mapping[str, float], row: str) -> Tensor:
        """Encode one label as (2,)."""
        return torch.tensor(self._checked(label, row), dtype=torch.float32)

    def _checked(self, label: Any, row: str | None) -> tuple[float, float]:
        name = self.task.name
        try:
            time, event = float(label["time"]), float(label["event"])
        except (TypeError, KeyError, ValueError):
            raise DataError(
                f"task '{name}': a label of survival is a dict of 'time' and 'event', got {label!r}", row=row
            ) from None
        if not np.isfinite(time) or time < 0:
            raise DataError(f"task '{name}': the time is {time:g}; it must be finite and at least 0", row=row)
        if event not in (0, 1):
            raise DataError(
                f"task '{name}': the event is {event:g}; allowed are 1 (it was seen at that time) and 0 (censored: "
                "it was not seen until then)",
                row=row,
            )
        return time, event
