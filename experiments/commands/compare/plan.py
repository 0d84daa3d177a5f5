"""What ``run.py compare`` trains: a network and every classical pipeline on each set of modalities of each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from experiments.commands.table1.rows import Plan
from experiments.core.job import TrainingJob
from zoo.baselines.named import pipeline_class, readings
from zoo.contract import TaskSpec
from zoo.errors import SpecError, unknown_name

NETWORK = "network"
"""The method that is trained; the others are classical."""
CHOSEN = "best on validation"
"""The method that takes, of all pipelines of single modalities, the one that validates best."""
SUBSETS = ("single", "pairs", "all")
"""Which sets of modalities can be asked for."""


@dataclass(frozen=True)
class Method:
    """A method on one set of modalities.

    Attributes:
        task: what is learned.
        modalities: what is read.
        label: NETWORK, the class name of a pipeline, or CHOSEN.
    """

    task: TaskSpec
    modalities: tuple[str, ...]
    label: str

    @property
    def reads(self) -> str:
        """The modalities in words."""
        return " + ".join(self.modalities)

    def job(self, plan: Plan, seed: int) -> TrainingJob:
        """The training of a seed."""
        if self.label == NETWORK:
            return plan.network(seed, [self.task.name], self.modalities)
        if self.label == CHOSEN:
            return TrainingJob("classical", seed, (self.task.name,), self.modalities)
        return TrainingJob("classical", seed, (self.task.name,), self.modalities, baseline=self.label)


def sets_of(plan: Plan, task: TaskSpec, wanted: Sequence[str]) -> list[tuple[str, ...]]:
    """The sets of modalities of a task, small ones first; what the task's head reads is in each.

    Args:
        plan: modalities and tasks.
        task: what is learned.
        wanted: some of SUBSETS.
    """
    alone = plan.alone(task)
    found = list(alone) if "single" in wanted else []
    if "pairs" in wanted:
        joint = ({*one, *other} for one, other in combinations(alone, 2))
        found += [tuple(m for m in plan.inputs(task) if m in names) for names in joint]
    if "all" in wanted:
        found.append(plan.inputs(task))
    return list(dict.fromkeys(found))


def methods_of(plan: Plan, task: TaskSpec, wanted: Sequence[str], pipelines: Sequence[str] = ()) -> list[Method]:
    """The network and every classical pipeline on each set of modalities.

    Where no pipeline reads several modalities together, the one of a single modality that validates best is taken.

    Args:
        plan: modalities and tasks.
        task: what is learned.
        wanted: some of SUBSETS.
        pipelines: class names of the classical ones that are fitted; () for all.
    """
    specs = {m.name: m for m in plan.modalities}
    found = []
    for names in sets_of(plan, task, wanted):
        found.append(Method(task, names, NETWORK))
        informing = [specs[n] for n in names if task.uses(n)]
        labels = [r.name for r in readings(task, informing)] if informing else []
        if not labels and any(readings(task, [m]) for m in informing):
            labels = [CHOSEN]
        found += [Method(task, names, name) for name in labels if not pipelines or name in pipelines]
    return found


def chosen_tasks(plan: Plan, names: Sequence[str] | None) -> list[TaskSpec]:
    """The tasks that are asked for, or all.

    Raises:
        UnknownNameError: there is no such task.
    """
    known = {t.name: t for t in plan.tasks}
    for name in names or ():
        if name not in known:
            raise unknown_name("task", name, known)
    return [known[n] for n in dict.fromkeys(names or known)]


def check_pipelines(names: Sequence[str]) -> None:
    """Refuse names of pipelines that do not exist, or whose libraries are not installed.

    Raises:
        UnknownNameError: there is no such pipeline.
        SpecError: it cannot be fitted here.
    """
    for name in names:
        if not pipeline_class(name).available():
            raise SpecError(f"--pipelines {name}: a library or the weights that it needs are not installed")
