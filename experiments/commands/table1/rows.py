"""The rows of Table 1: which trainings each method needs for a task.

A further row is one more registered class here; the table, the tests, the files and the page
take it up by themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from experiments.core.job import Finished, TrainingJob, primary, spec_of
from zoo.contract import ModalitySpec, TaskSpec
from zoo.registry import Registry
from zoo.tasks.base import TaskKind, task_kind
from zoo.training.collector import Evaluated, joined


@dataclass(frozen=True)
class Plan:
    """What can be learned from what in a configuration."""

    modalities: tuple[ModalitySpec, ...]
    tasks: tuple[TaskSpec, ...]

    def inputs(self, task: TaskSpec) -> tuple[str, ...]:
        """The modalities that may inform ``task``, in order."""
        return tuple(m.name for m in self.modalities if task.uses(m.name) or m.name == task.reads)

    def alone(self, task: TaskSpec) -> list[tuple[str, ...]]:
        """The smallest sets of modalities that ``task`` can be learned from: one, and what its head must read."""
        informs = [m for m in self.inputs(task) if task.uses(m)]
        if not task.reads:
            return [(m,) for m in informs]
        if task.reads in informs:
            return [(task.reads,)]
        return [tuple(n for n in self.inputs(task) if n in (m, task.reads)) for m in informs]

    def network(
        self, seed: int, tasks: Sequence[str], modalities: Sequence[str] = (), changes: tuple[str, ...] = ()
    ) -> TrainingJob:
        """A training, named so that equal trainings of different rows are one job.

        Args:
            seed: of the training.
            tasks: to train on.
            modalities: to train on; () for all that inform the tasks.
            changes: other options, as "KEY=VALUE".
        """
        names = tuple(t.name for t in self.tasks if t.name in tasks)
        used = {m for t in self.tasks if t.name in names for m in self.inputs(t)}
        kept = tuple(m.name for m in self.modalities if m.name in (modalities or used) and m.name in used)
        everything = len(names) == len(self.tasks) and len(kept) == len(
            {m for t in self.tasks for m in self.inputs(t)}
        )
        return TrainingJob("network", seed, () if everything else names, () if everything else kept, changes=changes)


class Row(ABC):
    """A method of the table.

    Attributes:
        order: place in the table, from the top.
        label: its name in the table, and in the paper's Table 1 where it is there.
        about: one sentence for notes and tooltips.
        standard: whether it is in the table when no rows are asked for.
    """

    order: int = 0
    label: str = ""
    about: str = ""
    standard: bool = True

    @abstractmethod
    def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list[TrainingJob]:
        """The trainings whose predictions the row needs for a task and a seed.

        Args:
            task: of the column.
            plan: modalities and tasks.
            seed: of the training.
        """

    def combine(self, task: TaskSpec, parts: Sequence[Finished], split: str) -> Evaluated | None:
        """The row's predictions: each test row's from the training of best validation among those that predict it."""
        ranked = sorted(parts, key=lambda p: -_or_low(primary(p, "val", task.name)))
        found = [p.predicted[split].results[task.name] for p in ranked if task.name in p.predicted[split].results]
        return merge(found)


def _or_low(value: float) -> float:
    return value if value == value else float("-inf")


def merge(results: Sequence[Evaluated]) -> Evaluated | None:
    """One Evaluated of several: each id's prediction from the first that has it, sorted by id; None of none."""
    if not results:
        return None
    taken: set[str] = set()
    parts = []
    for result in results:
        keep = [k for k, i in enumerate(result.ids) if i not in taken]
        taken.update(result.ids)
        parts.append(result.take(keep))
    whole = joined(parts)
    return whole.take(sorted(range(len(whole.ids)), key=lambda k: whole.ids[k]))


ROWS: Registry[Row] = Registry("row", "commands.table1")
"""The rows by class name."""


def chosen_rows(names: Sequence[str] | None) -> list[Row]:
    """The named rows, or the standard ones, from the top of the table down."""
    rows = [ROWS.get(n)() for n in (names or ROWS.names())]
    return sorted((r for r in rows if names or r.standard), key=lambda r: r.order)


@ROWS.register
class DomainSpecific(Row):
    """The field's classical pipeline, chosen per data set and modality on validation."""

    order = 1
    label = "domain-specific"
    about = "the field's classical pipeline (zoo.baselines), chosen per data set and modality on validation"

    def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list[TrainingJob]:
        """One classical job a task."""
        return [TrainingJob("classical", seed, (task.name,))]


@ROWS.register
class Unimodal(Row):
    """One network a task and modality; a row's prediction is that of its modality of best validation."""

    order = 2
    label = "unimodal"
    about = "one network a task and modality; several modalities: the one of best validation that the row has"

    def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list[TrainingJob]:
        """One network a modality."""
        return [plan.network(seed, [task.name], modalities) for modalities in plan.alone(task)]


@ROWS.register
class UnimodalMultitask(Row):
    """One network a modality, trained on all tasks that it alone informs (MultiMed, Eq. 1)."""

    order = 3
    label = "unimodal multitask"
    about = "one network a modality, trained on every task that can be learned from it (MultiMed, Eq. 1)"

    def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list[TrainingJob]:
        """One network a modality, with all tasks that can be learned from it."""
        found = []
        for modalities in plan.alone(task):
            tasks = [t.name for t in plan.tasks if modalities in plan.alone(t)]
            found.append(plan.network(seed, tasks, modalities))
        return found


@ROWS.register
class Multimodal(Row):
    """One network a task, with all modalities that inform it."""

    order = 4
    label = "multimodal"
    about = "one network a task, with all modalities that inform it"

    def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list[TrainingJob]:
        """One network."""
        return [plan.network(seed, [task.name])]


@ROWS.register
class MultimodalMultitask(Row):
    """One network of all modalities and tasks (MultiMed, Eqs. 6-7)."""

    order = 5
    label = "multimodal multitask"
    about = "one network of all modalities and all tasks (MultiMed, Eqs. 6-7)"

    def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list[TrainingJob]:
        """The one network, shared by all tasks."""
        return [plan.network(seed, [t.name for t in plan.tasks])]


@ROWS.register
class Blend(Row):
    """The network of everything averaged with the classical pipeline (late fusion of the two)."""

    order = 6
    label = "multimodal multitask + domain-specific"
    about = "predictions of the two averaged, with the weight of best validation among 0, 1/4, 1/2, 3/4 and 1"
    standard = False

    def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list[TrainingJob]:
        """Those of the two rows."""
        return [*MultimodalMultitask().jobs(task, plan, seed), *DomainSpecific().jobs(task, plan, seed)]

    def combine(self, task: TaskSpec, parts: Sequence[Finished], split: str) -> Evaluated | None:
        """Average by the weight that scores best on validation."""
        kind = task_kind(spec_of(parts[0], task.name))
        validation = [p.predicted["val"].results.get(task.name) for p in parts]
        test = [p.predicted[split].results.get(task.name) for p in parts]
        if any(r is None or r.ids != others[0].ids for others in (validation, test) for r in others):
            return super().combine(task, parts, split)
        tried = {w: _blend(kind, validation, w) for w in (1.0, 0.75, 0.5, 0.25, 0.0)}
        best = max(tried, key=lambda w: _or_low(kind.primary_value(tried[w].prediction, tried[w].target)))
        return _blend(kind, test, best)


def _blend(kind: TaskKind, results: Sequence[Any], weight: float) -> Evaluated:
    """Weigh the first of two results by ``weight`` and the second by the rest."""
    first = results[0]
    weights = torch.tensor([[weight], [1 - weight]]).expand(2, len(first.ids))
    mixed = kind.combine(torch.stack([r.prediction for r in results]), weights)
    return replace(first, prediction=mixed)


def all_jobs(rows: Sequence[Row], plan: Plan, seeds: Sequence[int]) -> list[TrainingJob]:
    """Every job of the table once, the most useful first.

    Seed by seed, so that a table that is cut short has whole seeds; within a seed the network of everything first
    (the longest, and what all else is read against), then the classical pipelines, then the others.

    Args:
        rows: of the table.
        plan: modalities and tasks.
        seeds: of the trainings.
    """
    found: dict[TrainingJob, None] = {}
    for seed in seeds:
        jobs = dict.fromkeys(c for row in rows for t in plan.tasks for c in row.jobs(t, plan, seed))
        rank = {"network": 2, "classical": 1}
        found |= dict.fromkeys(sorted(jobs, key=lambda c: 0 if not c.tasks else rank[c.kind]))
    return list(found)


def same_seed(jobs: Sequence[TrainingJob]) -> tuple[TrainingJob, ...]:
    """Training jobs without their seeds, to see whether two rows are the same trainings."""
    return tuple(sorted((replace(c, seed=0) for c in jobs), key=repr))
