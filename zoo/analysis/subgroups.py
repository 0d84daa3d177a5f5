"""Results by subgroup, the worst-group gap, and the bootstrap samples that intervals of any such number come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from zoo.errors import SpecError
from zoo.evaluation import Evaluated
from zoo.tasks.base import TaskKind

Floats = npt.NDArray[np.float64]


def take(result: Evaluated, rows: Sequence[int] | npt.NDArray[np.int64]) -> Evaluated:
    """The predictions of some rows, in the order given."""
    picked = [int(i) for i in rows]
    index = torch.tensor(picked, dtype=torch.long)
    ids = [result.ids[i] for i in picked] if result.ids else []
    return Evaluated(result.prediction[index], result.target[index], result.source[index], ids)


def resampled(kind: TaskKind, result: Evaluated, resamples: int = 500, seed: int = 0) -> Floats:
    """Value of the primary metric, and its values on bootstrap resamples of the rows (Efron 1979).

    Two calls with equally many rows draw the same resamples: differences of their samples are paired.

    Returns:
        Samples (resamples + 1,), the value on all rows first; all NaN for no rows.
    """
    n = len(result.target)
    if n == 0:
        return np.full(resamples + 1, np.nan)
    generator = np.random.default_rng(seed)
    picks = [generator.integers(0, n, n) for _ in range(resamples)]
    scores = kind.row_scores(result.prediction, result.target)
    values = np.empty(resamples + 1)
    if scores is not None:
        each = scores.double().numpy()
        known = np.isfinite(each)
        each = np.where(known, each, 0.0)
        for k, pick in enumerate([np.arange(n), *picks]):
            count = int(known[pick].sum())
            values[k] = each[pick].sum() / count if count else math.nan
        return values
    for k, pick in enumerate([np.arange(n), *picks]):
        rows = torch.from_numpy(pick)
        values[k] = kind.primary_value(result.prediction[rows], result.target[rows])
    return values


def interval(samples: Floats, level: float = 0.95) -> tuple[float, float, float]:
    """Value and percentile interval of samples (R + 1,); NaN ends where fewer than half of them are known."""
    drawn = samples[1:]
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(samples[0]) or len(known) * 2 < len(drawn) or not len(known):
        return float(samples[0]), math.nan, math.nan
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(samples[0]), float(low), float(high)


@dataclass
class Group:
    """One subgroup.

    Attributes:
        name: of the group.
        n: rows.
        samples: (R + 1,) value of the primary metric and its resamples.
        counted: whether it has enough rows to be called worst.
    """

    name: str
    n: int
    samples: Floats
    counted: bool

    @property
    def estimate(self) -> tuple[float, float, float]:
        """Value and 95 % interval."""
        return interval(self.samples)


@dataclass
class Subgroups:
    """A task's results by subgroup.

    Attributes:
        groups: by name.
        overall: samples over the rows of all groups.
        unknown: rows whose group is not known, which enter nothing.
        worst: name of the counted group with the lowest value; "" where fewer than two count.
        gap: samples of worst - overall, at most 0 but for chance; all NaN without a worst group. The worst group is
            fixed as the one that is worst on all rows: choosing it again in each resample would make the gap of equal
            groups look larger. Still it was chosen for being low, so the gap of many small groups is overstated.
    """

    groups: list[Group] = field(default_factory=list)
    overall: Floats = field(default_factory=lambda: np.full(1, np.nan))
    unknown: int = 0
    worst: str = ""
    gap: Floats = field(default_factory=lambda: np.full(1, np.nan))


def subgroups(
    kind: TaskKind,
    result: Evaluated,
    names: Sequence[str],
    *,
    min_rows: int = 20,
    resamples: int = 500,
    seed: int = 0,
) -> Subgroups:
    """Split predictions by group.

    Args:
        kind: of the task.
        result: predictions of N rows.
        names: group of each of the N rows; "" where unknown.
        min_rows: rows that a group must have to be called worst. Smaller ones are shown.
        resamples: of the bootstrap over all rows; each resample holds some of each group.
        seed: of the bootstrap.

    Raises:
        SpecError: another number of names than rows, or ``min_rows`` below 1.
    """
    if len(names) != len(result.target):
        raise SpecError(f"subgroups: {len(result.target)} rows, but {len(names)} group names")
    if min_rows < 1:
        raise SpecError(f"subgroups: min_rows must be at least 1, got {min_rows}")
    known = [i for i, name in enumerate(names) if name]
    part, labels = take(result, known), np.asarray([names[i] for i in known], dtype=object)
    found = Subgroups(unknown=len(names) - len(known), overall=resampled(kind, part, resamples, seed))
    found.gap = np.full(resamples + 1, np.nan)
    for name in sorted(set(labels.tolist())):
        rows = np.flatnonzero(labels == name)
        samples = resampled(kind, take(part, rows), resamples, seed)
        found.groups.append(Group(str(name), len(rows), samples, len(rows) >= min_rows))
    counted = [g for g in found.groups if g.counted and math.isfinite(g.samples[0])]
    if len(counted) > 1:
        worst = min(counted, key=lambda g: g.samples[0])
        found.worst = worst.name
        found.gap = _gap(kind, part, labels == worst.name, resamples, seed)
    return found


def _gap(kind: TaskKind, result: Evaluated, worst: npt.NDArray[np.bool_], resamples: int, seed: int) -> Floats:
    """Samples of worst - overall, both on the same resample of all rows."""
    n = len(worst)
    generator = np.random.default_rng(seed)
    picks = [np.arange(n)] + [generator.integers(0, n, n) for _ in range(resamples)]
    gaps = np.full(resamples + 1, np.nan)
    for k, pick in enumerate(picks):
        inside = pick[worst[pick]]
        if len(inside):
            values = [kind.primary_value(result.prediction[r], result.target[r]) for r in (inside, pick)]
            gaps[k] = values[0] - values[1]
    return gaps
