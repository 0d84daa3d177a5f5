"""Judge a picture by the metadata of the real pictures that are most like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.baselines.images import squares
from zoo.generation.judges.base import Check, as_number, is_known
from zoo.generator import Condition

Floats = npt.NDArray[np.float64]


class Neighbours:
    """Real pictures with metadata, and how well neighbours in feature space tell each column."""

    def __init__(self, rows: Sequence[Condition], neighbours: int) -> None:
        self.rows, self.neighbours = list(rows), neighbours
        self.features = np.stack([_coarse(r.image) for r in rows]) if rows else np.zeros((0, 1))
        names = list(dict.fromkeys(n for r in rows for n, v in (r.metadata or {}).items() if is_known(v)))
        self.columns = {n: [(r.metadata or {}).get(n) for r in rows] for n in names}
        self.spread = {n: _spread(values) for n, values in self.columns.items()}
        near = [self._nearest(f, r.id) for f, r in zip(self.features, rows, strict=True)]
        self.reach: dict[str, tuple[float, float]] = {}
        for name, values in self.columns.items():
            known = [i for i, v in enumerate(values) if is_known(v)]
            pairs = [
                (self._likeness(name, values[i], known), self._likeness(name, values[i], near[i])) for i in known
            ]
            chance, real = (float(np.nanmean([p[k] for p in pairs])) if len(known) > 1 else math.nan for k in (0, 1))
            self.reach[name] = (chance, real)

    def checks(self, given: Condition, image: npt.NDArray[np.uint8], tells: float) -> list[Check]:
        """Compare the metadata of a row with those of the neighbours of a picture, the row itself left out.

        Args:
            given: the row that the picture was made for.
            image: the picture, (H, W, 3) uint8.
            tells: how much of the metadata pictures tell, from 0 to 1, by which the checks are weighed.
        """
        near = self._nearest(_coarse(image), given.id)
        found = []
        for name, (chance, real) in self.reach.items():
            value = (given.metadata or {}).get(name)
            share = self._likeness(name, value, near) if is_known(value) and real - chance > tells else math.nan
            if math.isfinite(share):
                passed = min(1.0, max(0.0, (share - chance) / (real - chance)))
                found.append(Check(passed, 1.0, f"pictures like it agree with {name} {value!r} by {share:.2f}"))
        return found

    def _nearest(self, features: Floats, name: str) -> list[int]:
        order = np.argsort(((self.features - features) ** 2).sum(1), kind="stable").tolist()
        return [i for i in order if self.rows[i].id != name][: self.neighbours]

    def _likeness(self, name: str, value: object, others: Sequence[int]) -> float:
        """Mean likeness of a value to those of other rows: equal words, or numbers nearer than a deviation."""
        known = [self.columns[name][i] for i in others if is_known(self.columns[name][i])]
        if not known:
            return math.nan
        if math.isnan(self.spread[name]):
            return float(np.mean([str(value) == str(v) for v in known]))
        gaps = np.abs(np.array([as_number(v) for v in known]) - as_number(value))
        return float(np.maximum(0.0, 1.0 - gaps / self.spread[name]).mean())


def _spread(values: Sequence[object]) -> float:
    """Standard deviation of a column of numbers; NaN for one of words or of one number."""
    numbers = np.array([as_number(v) for v in values if is_known(v)])
    spread = float(numbers.std()) if len(numbers) else 0.0
    return spread if spread > 0 else math.nan


def _coarse(image: Any) -> Floats:
    """Coarse pixels (8 x 8) and colour histograms (12 bins) of a picture, each of about unit weight."""
    small = squares([image], 8, 3)[0].numpy().astype(np.float64) / 255.0
    pixels = squares([image], 32, 3)[0].numpy().reshape(3, -1) / 255.0
    bins = [np.histogram(c, bins=12, range=(0.0, 1.0))[0] / c.size for c in pixels]
    joined: Floats = np.concatenate([small.ravel() / np.sqrt(small.size), *bins])
    return joined
