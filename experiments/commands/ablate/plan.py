"""What ``run.py ablate`` tries: the subsets of each task's modalities, and the networks that are trained for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.core.job import EPOCHS, TrainingJob
from experiments.core.study import Study
from zoo.contract import TaskSpec
from zoo.errors import SpecError, unknown_name
from zoo.evaluation.subsets import Subset, label, subsets

MANY = 6
"""Above this many modalities a task's subsets are chosen greedily."""
MASKED = "masked"
EXACT = "exact"
MODE_WORDS = {MASKED: "masked: one trained network", EXACT: "exact: a network trained a subset"}
DROPOUT = 0.5
"""model.training.modality_dropout of the masked network where the configuration has none: subsets are drawn alike."""


@dataclass(frozen=True)
class Plan:
    """What is tried for one task.

    Attributes:
        task: which.
        players: the modalities that are put in and left out.
        kept: what the task reads, which is always there.
        greedy: choose step by step instead of trying every subset.
        order: the largest subsets that are trained beside the full set; 0 for all.
        companions: tasks that a network learns too where its modalities inform them.
        sequence: all modalities of the data, in their order.
    """

    task: TaskSpec
    players: tuple[str, ...]
    kept: tuple[str, ...]
    greedy: bool
    order: int
    companions: tuple[TaskSpec, ...] = ()
    sequence: tuple[str, ...] = ()

    @property
    def full(self) -> Subset:
        """All players."""
        return frozenset(self.players)

    def modalities(self, subset: Subset) -> tuple[str, ...]:
        """What a model of ``subset`` is given."""
        given = {*self.kept, *(p for p in self.players if p in subset)}
        return tuple(m for m in self.sequence if m in given)

    def label(self, subset: Subset) -> str:
        """The subset in words."""
        return label(subset, self.players, self.kept)

    def subsets(self, mode: str) -> list[Subset]:
        """Those that are tried: every one under masks, up to ``order`` where each is trained; the full set first.

        Where the task always reads something, the empty set is a model too: it knows only that.
        """
        tried = subsets(self.players, 0 if mode == MASKED else self.order)
        tried = [*([frozenset[str]()] if self.kept else []), *tried]
        return sorted(tried, key=lambda s: (s != self.full, len(s)))

    def learned(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The task and those of its companions that a network of ``modalities`` can learn."""
        return tuple(
            t.name
            for t in (self.companions or (self.task,))
            if t.name == self.task.name
            or (any(t.uses(m) for m in modalities) and (not t.reads or t.reads in modalities))
        )

    def exact_job(self, subset: Subset, seed: int) -> TrainingJob:
        """The training of a subset."""
        given = self.modalities(subset)
        return TrainingJob("network", seed, self.learned(given), given)


def make_plans(
    study: Study,
    *,
    tasks: Sequence[str] | None,
    modalities: Sequence[str] | None,
    order: int,
    greedy: bool,
    companions: bool = False,
) -> tuple[list[Plan], list[str]]:
    """The plans of the tasks that have something to ablate, and sentences on those that have not.

    Args:
        study: the configuration.
        tasks: names to keep; None for all.
        modalities: likewise.
        order: see Plan.
        greedy: choose greedily in every task; it is automatic above MANY modalities.
        companions: whether networks learn all tasks that their modalities inform.

    Raises:
        UnknownNameError: an unknown task or modality.
        SpecError: a named task has one modality only, or no task is left.
    """
    data = study.data(seed=study.seed)
    names = [m.name for m in data.modality_specs]
    known = {t.name: t for t in data.task_specs}
    for what, wanted, there in (("task", tasks, list(known)), ("modality", modalities, names)):
        for name in wanted or []:
            if name not in there:
                raise unknown_name(what, name, there)
    if order < 0:
        raise SpecError(f"--order must be 0 (all sizes) or more, got {order}")
    plans, notes = [], []
    for task in known.values():
        if tasks is not None and task.name not in tasks:
            continue
        informs = task.modalities or tuple(names)
        players = tuple(m for m in informs if m != task.reads and (modalities is None or m in modalities))
        kept = (task.reads,) if task.reads else ()
        if len(players) + len(kept) < 2 or not players:
            said = f"task '{task.name}' has nothing to ablate: it is informed by {[*kept, *players]} only"
            if tasks is not None:
                raise SpecError(f"{said}; name a task of several modalities")
            notes.append(f"{said}; left out.")
            continue
        if kept:
            notes.append(f"Task '{task.name}' reads '{task.reads}', which is kept in every subset.")
        many = len(players) > MANY
        if many and not greedy:
            notes.append(f"Task '{task.name}' has {len(players)} modalities: its subsets are chosen greedily.")
        others = tuple(known.values()) if companions else ()
        plans.append(Plan(task, players, kept, greedy or many, order, others, tuple(names)))
    if not plans:
        raise SpecError("no task here is informed by several modalities; there is nothing to ablate")
    return plans, notes


def masked_job(study: Study, plans: Sequence[Plan], seed: int, dropout: float, epochs: int = 0) -> TrainingJob:
    """The one network that is evaluated under the masks of ``plans``.

    Args:
        study: the configuration.
        plans: its tasks; one, or several that share the network.
        seed: of the training.
        dropout: model.training.modality_dropout.
        epochs: in the place of trainer.max_epochs; 0 keeps these.
    """
    used = {m for p in plans for m in p.modalities(p.full)}
    names = tuple(m for m in plans[0].sequence if m in used)
    learned = {t for p in plans for t in p.learned(names)}
    tasks = tuple(t.name for t in study.data(seed=study.seed).task_specs if t.name in learned)
    changes = [] if dropout == configured_dropout(study) else [f"model.training.modality_dropout={dropout}"]
    if epochs and epochs != study.config["trainer"].get("max_epochs"):
        changes.append(f"{EPOCHS}{epochs}")
    return TrainingJob("network", seed, tasks, names, changes=tuple(changes))


def configured_dropout(study: Study) -> float:
    """model.training.modality_dropout of the configuration."""
    return float((study.config["model"]["init_args"].get("training") or {}).get("modality_dropout") or 0.0)
