"""What ``run.py ood`` holds out: groups that are large enough and leave enough to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datamodules.core.view import DataView
from experiments.core.job import TrainingJob
from experiments.core.study import Study
from zoo.contract import TASKS, TaskSpec
from zoo.errors import SpecError, unknown_name

KINDS = ("network", "classical")


@dataclass(frozen=True)
class HoldOut:
    """Values of a group column that are held out together, under one name."""

    name: str
    values: tuple[str, ...]


@dataclass
class Labelled:
    """Rows of a task in the training split of a seed: the group of each, and the name of its class ("" for none)."""

    groups: list[str]
    classes: list[str]

    def trained_groups(self, without: Sequence[str]) -> set[str]:
        """Groups that have training rows; "" where the group of a row is unknown."""
        return set(self.groups) - set(without)

    def trained_classes(self, without: Sequence[str]) -> set[str]:
        """Classes of the training rows that are left."""
        kept = zip(self.groups, self.classes, strict=True)
        return {c for g, c in kept if g not in without and c}

    def left(self, without: Sequence[str]) -> int:
        """Training rows that are left."""
        return sum(g not in without for g in self.groups)


@dataclass
class Plan:
    """What is held out, and what is known of the groups.

    Attributes:
        column: the group column.
        tasks: that are looked at.
        holdouts: in order.
        refused: value -> why it is not held out.
        groups: id of a row -> name of its group, "" where it is unknown.
        train: (seed, task) -> its training rows, nothing held out.
        rows: (value, task) -> labelled rows of any split.
        unknown: labelled rows whose group is unknown.
    """

    column: str
    tasks: list[TaskSpec]
    holdouts: list[HoldOut]
    refused: dict[str, str]
    groups: dict[str, str]
    train: dict[tuple[int, str], Labelled]
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    unknown: int = 0

    def jobs(self, seeds: Sequence[int], kinds: Sequence[str], tasks: Sequence[str]) -> list[TrainingJob]:
        """Every training, one seed of every hold-out after another, so that a part of them is a table.

        Args:
            seeds: of the trainings.
            kinds: kinds of training, "network" or "classical".
            tasks: to train on; () for all.
        """
        names = tuple(s.name for s in self.tasks) if tasks else ()
        return [
            TrainingJob(kind, seed, names, holdout=(self.column, *held.values))
            for seed in seeds
            for held in self.holdouts
            for kind in kinds
        ]


def make_plan(
    study: Study,
    column: str,
    values: Sequence[str] | None,
    *,
    together: bool,
    tasks: Sequence[str],
    seeds: Sequence[int],
    min_rows: int,
    max_groups: int,
) -> Plan:
    """Decide what is held out.

    Args:
        study: the configuration.
        column: the group column.
        values: to hold out; None for each value of the column.
        together: hold them out as one.
        tasks: to look at; () for all.
        seeds: of the splits.
        min_rows: labelled rows that a value must have, and that must be left to train on.
        max_groups: how many of the values are held out at most, the largest ones; 0 for all.

    Raises:
        UnknownNameError: an unknown column, value or task.
        SpecError: nothing is left to hold out.
    """
    plan = Plan(column, [], [], {}, {}, {})
    for seed in seeds:
        _look(study, plan, seed, tasks)
    known = sorted({v for v, _ in plan.rows})
    for value in values or ():
        if value not in known:
            raise unknown_name(f"value of the group '{column}'", value, known)
    if len(set(values or ())) != len(values or ()):
        raise SpecError(f"--values names a value twice: {', '.join(values or ())}")
    wanted = sorted(values or known, key=lambda v: (-_size(plan, v), v))
    good = [v for v in wanted if _allowed(plan, v, min_rows)]
    if max_groups and not together:
        for value in good[max_groups:]:
            plan.refused[value] = f"--max-groups {max_groups}"
        good = good[:max_groups]
    order = list(values) if values else sorted(good)
    good = [v for v in order if v in good]
    candidates = [HoldOut("+".join(good), tuple(good))] if together and good else [HoldOut(v, (v,)) for v in good]
    plan.holdouts = [h for h in candidates if _leaves_enough(plan, h, min_rows)]
    if not plan.holdouts:
        said = "; ".join(f"'{v}': {why}" for v, why in sorted(plan.refused.items())) or "it has no known value"
        raise SpecError(
            f"nothing can be held out by '{column}': {said}. Give a smaller --min-rows or another --group"
        )
    return plan


def _look(study: Study, plan: Plan, seed: int, tasks: Sequence[str]) -> None:
    """Read the groups and labels of a seed's split."""
    data = study.data(seed=seed)
    known = [s.name for s in data.task_specs]
    for name in tasks:
        if name not in known:
            raise unknown_name("task", name, known)
    if plan.column not in data.pipeline.group_columns():
        raise unknown_name("group", plan.column, data.pipeline.group_columns())
    view = study.view(data, tasks=list(tasks) or None)
    first = not plan.tasks
    plan.tasks = plan.tasks or list(view.view.task_specs)
    of_row: dict[int, str] = {}
    for rows in view.view.rows.values():
        for row, name in zip(rows.tolist(), view.view.groups(plan.column, rows), strict=True):
            of_row[row] = name
            plan.groups[str(view.view.join.id(row))] = name
    if first:
        plan.unknown = sum(not name for name in of_row.values())
    for spec in view.view.task_specs:
        fits = view.view.predictable(spec)
        train = view.view.rows["train"]
        train = train[fits[train]]
        plan.train[(seed, spec.name)] = Labelled([of_row[r] for r in train.tolist()], class_names(view, spec, train))
        if first:
            counts = Counter(of_row[r] for rows in view.view.rows.values() for r in rows[fits[rows]].tolist())
            plan.rows |= {(value, spec.name): n for value, n in counts.items() if value}


def class_names(view: DataView, spec: TaskSpec, rows: Any) -> list[str]:
    """Name of the class of each row; "" for tasks without classes and for what is outside the vocabulary.

    Args:
        view: the data.
        spec: of the task.
        rows: numbers of the rows.
    """
    if not TASKS.get(spec.kind).class_codes:
        return [""] * len(rows)
    codes, _ = view.view.whole.encoded(spec.name, np.asarray(rows))
    return [spec.classes[c] if c >= 0 else "" for c in codes.tolist()]


def _size(plan: Plan, value: str) -> int:
    return max(n for (v, _), n in plan.rows.items() if v == value)


def _allowed(plan: Plan, value: str, min_rows: int) -> bool:
    if _size(plan, value) >= min_rows:
        return True
    plan.refused[value] = f"{_size(plan, value)} labelled rows, fewer than --min-rows {min_rows}"
    return False


def _leaves_enough(plan: Plan, held: HoldOut, min_rows: int) -> bool:
    """Whether every task keeps training rows, and two classes, in every seed's split."""
    of_classes = {s.name for s in plan.tasks if TASKS.get(s.kind).class_codes}
    for (seed, task), train in plan.train.items():
        left, classes = train.left(held.values), len(train.trained_classes(held.values))
        if left < max(min_rows, 2):
            plan.refused[held.name] = f"it leaves {left} training rows of '{task}' (seed {seed})"
        elif task in of_classes and classes < 2:
            plan.refused[held.name] = f"it leaves {classes} class of '{task}' to train on (seed {seed})"
        else:
            continue
        return False
    return True
