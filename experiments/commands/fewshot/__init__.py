"""The command ``fewshot``: what a model makes of classes, or of a task, that it never saw."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.commands.fewshot.report import result_of
from experiments.commands.fewshot.scores import NAME_TEXTS, Plan, score_job
from experiments.core.command import COMMANDS
from experiments.core.finish import show_table
from experiments.core.job import TrainingJob
from experiments.core.study import Study
from experiments.core.study_command import StudyCommand, StudyRun
from zoo.contract import TaskSpec
from zoo.errors import SpecError, unknown_name
from zoo.evaluation.episodes import LEAST_QUERIES, QUERY, SUPPORT, Codes, enough_rows
from zoo.results import Result
from zoo.tasks.base import task_kind

Choice = Callable[[int], tuple[str, ...]]


@COMMANDS.register
class FewShot(StudyCommand):
    """0, 5, 10, 20 shots of classes, or of a task, that were held out.

    Encoders and fusion are trained without the held-out classes or task. These are then learned from few examples, on
    the embeddings of the trained model, of an untrained one, and on classical features.
    """

    name = "fewshot"
    suite_share = 0.14

    def options(self, parser: argparse.ArgumentParser) -> None:
        """What is held out, and how it is learned."""
        add = parser.add_argument
        add("--task", default="", help="task of classes of which some are held out")
        add("--classes", nargs="+", default=[], help="the classes to hold out, the same for every seed")
        count = "how many classes each seed draws to hold out (default 4)"
        add("--hold-out-classes", type=int, default=4, help=count)
        whole = "hold out this whole task instead, and train on the others"
        add("--held-out-task", default="", help=whole)
        add("--shots", type=int, nargs="+", default=[0, 5, 10, 20], help="examples a class (0 5 10 20)")
        add("--episodes", type=int, default=200, help="draws of examples and queries, per seed (200)")
        add("--ways", type=int, default=0, help="classes an episode; default: all that were held out")
        add("--queries", type=int, default=30, help="rows a class that are asked, at most (30)")
        add("--names", choices=NAME_TEXTS, default="auto", help="how class names become vectors (auto)")

    def check(self, options: argparse.Namespace) -> None:
        """Refuse options that contradict each other."""
        self.plan = _plan(options)

    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """A training a seed, without what is held out."""
        self.planned, self.notes = _jobs(run.study, self.plan, run.options)
        return self.planned

    def evaluate(self, run: StudyRun) -> Result:
        """Learn what was held out from few examples, many times."""
        trained = [run.trained.finished[j] for j in self.planned if j in run.trained.finished]
        if not trained:
            raise SpecError("the budget allowed no training; give a larger --budget")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            scores = [score_job(run.study, done, self.plan, run.folder / "scores", bar) for done in trained]
        result = result_of(run.study.name, self.plan, scores, run.options.resamples)
        result.summary += self.notes
        return result

    def show(self, result: Result) -> None:
        """Print the first table."""
        show_table(result.tables[0], title=f"{result.title} ({result.data} data), 95 % intervals over episodes")

    def suite_options(self, study: Study, options: argparse.Namespace) -> list[str]:
        """Hold out classes of the task that is asked for, or of that with the most labels; it needs four classes."""
        data = study.data()
        wide = {t.name: t.num_outputs for t in data.task_specs if task_kind(t).fixed_classes() and t.num_outputs >= 4}
        wide = {t: n for t, n in wide.items() if not options.task or t == options.task}
        labelled = data.pipeline.availability.labelled
        task = options.task or max(wide, key=lambda t: int(labelled[t].sum()), default="")
        if not task:
            raise SpecError("no task has four classes or more")
        return ["--task", task, "--hold-out-classes", str(min(4, wide.get(task, 6) - 2))]


# -- what is held out ----------------------------------------------------------------------------------------


def _plan(options: argparse.Namespace) -> Plan:
    if bool(options.task) == bool(options.held_out_task):
        raise SpecError("say what is held out: --task NAME for classes of it, or --held-out-task NAME for all of it")
    if options.held_out_task and options.classes:
        raise SpecError("--classes goes with --task; with --held-out-task every class of it is new")
    if min(options.shots) < 0 or options.episodes < 1 or options.queries < LEAST_QUERIES or options.ways < 0:
        raise SpecError(
            f"--shots {options.shots} --episodes {options.episodes} --queries {options.queries} --ways "
            f"{options.ways}: shots and ways are 0 or more, episodes 1 or more, queries at least {LEAST_QUERIES}"
        )
    if options.ways == 1:
        raise SpecError("--ways 1 leaves nothing to tell apart; give 2 or more, or 0 for all held-out classes")
    return Plan(
        task=options.task or options.held_out_task,
        whole_task=bool(options.held_out_task),
        shots=tuple(sorted(set(options.shots))),
        episodes=options.episodes,
        ways=options.ways,
        queries=options.queries,
        names=options.names,
    )


def _jobs(study: Study, plan: Plan, options: argparse.Namespace) -> tuple[list[TrainingJob], list[str]]:
    """The trainings, one a seed, and sentences about what could not be held out."""
    data = study.data()
    specs = {s.name: s for s in data.task_specs}
    if plan.task not in specs:
        raise unknown_name("task", plan.task, specs)
    spec = specs[plan.task]
    kind = task_kind(spec)
    if not (kind.fixed_classes() or (plan.whole_task and kind.form == "values")):
        allowed = "tasks of classes or of values" if plan.whole_task else "classes of a task"
        raise SpecError(f"task '{plan.task}' is of kind '{spec.kind}'; few-shot learning takes {allowed}")
    if plan.whole_task:
        others = tuple(t for t in specs if t != plan.task)
        if not others:
            raise SpecError(
                f"'{plan.task}' is the only task; nothing is left to train on. Give --task for its classes"
            )
        everything = [m.name for m in data.modality_specs]
        known = {m for t in others for m in (*(specs[t].modalities or everything), specs[t].reads) if m}
        if not any(spec.uses(m) for m in known):
            raise SpecError(
                f"task '{plan.task}' is informed by {spec.modalities}, but the other tasks {others} only train "
                f"encoders of {tuple(sorted(known))}; hold out another task"
            )
        _check_classes(plan, spec, data.pipeline)
        return [TrainingJob("network", seed, tasks=others) for seed in options.seeds], []
    pipe = data.pipeline
    rows = np.sort(np.concatenate([pipe.rows[s] for s in ("train", "val", "test")]))
    rows = rows[pipe.availability.labelled[plan.task][rows]]
    labels = pipe.encoded(plan.task, rows)[0].numpy().astype(np.int64)
    good, left = enough_rows(labels, plan.most)
    chosen = _chosen(plan, spec.classes, labels, good, options)
    told = []
    if left and not options.classes:
        told.append(
            "Classes that could not be held out, for want of rows: "
            + ", ".join(f"{spec.classes[c]} ({n})" for c, n in sorted(left.items()))
            + "."
        )
    column = f"task:{plan.task}"
    return [TrainingJob("network", seed, holdout=(column, *chosen(seed))) for seed in options.seeds], told


def _check_classes(plan: Plan, spec: TaskSpec, pipe: Any) -> None:
    """Refuse, before anything is trained, a held-out task without two classes of enough rows in this split."""
    if not task_kind(spec).fixed_classes():
        return
    parts = {s: pipe.labels(s, plan.task)[0].numpy().astype(np.int64) for s in ("train", "val", "test")}
    roles = np.concatenate([np.full(len(r), QUERY if s == "test" else SUPPORT) for s, r in parts.items()])
    good, left = enough_rows(np.concatenate(list(parts.values())), plan.most, roles)
    if len(good) < max(2, plan.ways):
        raise SpecError(
            f"task '{plan.task}': {len(good)} of its classes have {plan.most} rows to learn from and "
            f"{LEAST_QUERIES} test rows, and {max(2, plan.ways)} are needed; the others have "
            f"{ {spec.classes[c]: n for c, n in left.items()} } rows in all. Take fewer shots or ways"
        )


def _chosen(
    plan: Plan, classes: Sequence[str], labels: Codes, good: list[int], options: argparse.Namespace
) -> Choice:
    """A function of the seed that names the held-out classes."""
    present = sorted(set(labels.tolist()))
    for name in options.classes:
        if name not in classes:
            raise unknown_name(f"class of task '{plan.task}'", name, classes)
        code = classes.index(name)
        if code not in good:
            raise SpecError(
                f"class '{name}' has {int((labels == code).sum())} rows; {plan.most} shots need "
                f"{plan.most + LEAST_QUERIES}. Take fewer shots or another class"
            )
    count = len(set(options.classes)) or options.hold_out_classes
    if not 2 <= count <= min(len(present) - 2, len(good)):
        raise SpecError(
            f"{count} classes of '{plan.task}' cannot be held out: {len(good)} have rows for {plan.most} shots, and "
            f"of the {len(present)} in the data 2 must stay to be trained on, and 2 be held out; see --classes, "
            "--hold-out-classes and --shots"
        )
    if plan.ways > count:
        raise SpecError(f"--ways {plan.ways}: only {count} classes are held out")
    if options.classes:
        fixed = tuple(c for c in classes if c in options.classes)
        return lambda seed: fixed
    return lambda seed: tuple(
        classes[c] for c in sorted(np.random.default_rng(seed).choice(good, count, replace=False).tolist())
    )
