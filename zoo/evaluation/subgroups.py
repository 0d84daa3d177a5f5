"""Predictions split by subgroup, and which group is worst."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from zoo.errors import SpecError
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated


@dataclass
class Group:
    """One subgroup.

    Attributes:
        name: of the group.
        part: its rows.
        value: primary metric of its rows.
        counted: whether it has enough rows to be called worst.
    """

    name: str
    part: Evaluated
    value: float
    counted: bool


@dataclass
class Subgroups:
    """A task's results by subgroup.

    Attributes:
        known: the rows of all groups.
        groups: by name.
        unknown: rows whose group is not known, which enter nothing.
        worst: the counted group with the lowest value; None where fewer than two count. It is fixed as the one that
            is worst on all rows: choosing it again in each resample would make the gap of equal groups look larger.
            Still it was chosen for being low, so the gap of many small groups is overstated.
    """

    known: Evaluated
    groups: list[Group] = field(default_factory=list)
    unknown: int = 0
    worst: Group | None = None


def subgroups(kind: TaskKind, result: Evaluated, names: Sequence[str], *, min_rows: int = 20) -> Subgroups:
    """Split predictions by group.

    Args:
        kind: of the task.
        result: predictions of N rows.
        names: group of each of the N rows; "" where unknown.
        min_rows: rows that a group must have to be called worst. Smaller ones are shown.

    Raises:
        SpecError: another number of names than rows, or ``min_rows`` below 1.
    """
    if len(names) != len(result.target):
        raise SpecError(f"subgroups: {len(result.target)} rows, but {len(names)} group names")
    if min_rows < 1:
        raise SpecError(f"subgroups: min_rows must be at least 1, got {min_rows}")
    labels = np.asarray(names, dtype=object)
    found = Subgroups(result.take(labels != ""), unknown=int((labels == "").sum()))
    for name in sorted(set(labels.tolist()) - {""}):
        part = result.take(labels == name)
        value = kind.primary_value(part.prediction, part.target)
        found.groups.append(Group(str(name), part, value, len(part.target) >= min_rows))
    counted = [g for g in found.groups if g.counted and math.isfinite(g.value)]
    if len(counted) > 1:
        found.worst = min(counted, key=lambda g: g.value)
    return found
