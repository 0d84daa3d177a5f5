"""The command ``ood``: what models do with groups that they were not trained on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.progress import track

from experiments.commands.ood.figures import detection_figures, score_figures
from experiments.commands.ood.plan import KINDS, Plan, make_plan
from experiments.commands.ood.report import DetectionLine, class_table, detection_table, group_table, sentences
from experiments.commands.ood.scores import Line, detection_runs, finished_of, score_line
from experiments.core.command import COMMANDS, at_least
from experiments.core.finish import show_table
from experiments.core.job import TrainingJob
from experiments.core.study import Study
from experiments.core.study_command import StudyCommand, StudyRun
from zoo.errors import MissingExtraError, SpecError
from zoo.evaluation.detection import detection_scores
from zoo.evaluation.resampling import describe_units
from zoo.results import Result

COUNTS = ("n_in", "n_out", "unseen_class", "data")
SHOWN = {
    "groups": ("group", "task", "model", "metric", "in", "out", "gap", "chance_out", "constant_out", *COUNTS),
    "detection": ("group", "task", "detector", "auroc", "fpr95", "aupr", *COUNTS),
}
"""Tables and columns that are printed; the files hold all."""
USUAL = ("organ", "subject", "patient", "site", "family")
"""Group columns that the suite holds out rather than others."""


@COMMANDS.register
class OutOfDistribution(StudyCommand):
    """Hold out organs, subjects or any group: accuracy in and out of distribution, and detection.

    Each value of a group column is held out in turn (or some of them together): its rows are neither trained nor
    validated on. A network and the field's classical pipelines are trained on the rest, and scored on test rows of
    the groups that were trained on and on the rows that were held out. Detectors then tell both apart.
    """

    name = "ood"
    suite_share = 0.18

    def options(self, parser: argparse.ArgumentParser) -> None:
        """What is held out, and what is looked at."""
        add = parser.add_argument
        add("--group", required=True, help="group column, such as organ, cell_type, subject or site")
        add("--values", nargs="+", default=None, help="hold out these, each in turn; default: every value")
        add("--leave-one-out", action="store_true", help="hold out each value in turn; the default")
        add("--list", action="store_true", help="hold out --values together, as one")
        add("--task", nargs="+", default=[], help="train and score these tasks only")
        rows = "labelled rows that a value needs to be held out, and that must be left (default 10)"
        add("--min-rows", type=int, default=10, help=rows)
        add("--max-groups", type=int, default=0, help="hold out only the N largest values; 0 for all (default)")
        add("--kinds", nargs="+", default=list(KINDS), help="network, classical or both (default)")
        add("--no-detection", action="store_true", help="leave the detectors out")

    def check(self, options: argparse.Namespace) -> None:
        """Refuse options that contradict each other."""
        if options.list and not options.values:
            raise SpecError("--list holds values out together; name them with --values")
        if options.leave_one_out and (options.list or options.values):
            raise SpecError("--leave-one-out holds out every value in turn; leave out --values and --list")
        at_least(options, min_rows=1, max_groups=0)
        for kind in options.kinds:
            if kind not in KINDS:
                raise SpecError(f"--kinds: '{kind}' is unknown; kinds: {', '.join(KINDS)}")

    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """A network and the classical pipelines of every hold-out and seed."""
        given = run.options
        self.plan = make_plan(
            run.study,
            given.group,
            given.values,
            together=given.list,
            tasks=given.task,
            seeds=run.seeds,
            min_rows=given.min_rows,
            max_groups=given.max_groups,
        )
        return self.plan.jobs(run.seeds, given.kinds, given.task)

    def evaluate(self, run: StudyRun) -> Result:
        """Score rows in and out of distribution, and detect those that are out of it."""
        plan = self.plan
        lines, few = _lines(plan, run)
        detections, problems = ([], []) if run.options.no_detection else _detections(plan, run, lines)
        words = [x.data for x in lines] or ["mixed"]
        result = run.result(self.name, f"Out of distribution by {plan.column}: {run.study.name}", words)
        result.summary = [*_summary(plan, lines, detections), *few, *problems]
        if lines:
            result.tables.append(group_table(lines, plan.column, run.options.resamples))
            classes = class_table(lines, plan.column)
            result.tables += [classes] if classes else []
            result.figures += score_figures(lines, plan.column)
        if detections:
            result.tables.append(detection_table(detections, plan.column))
            result.figures += detection_figures(detections, plan.column)
        return result

    def show(self, result: Result) -> None:
        """Print some columns of some tables; the files hold all."""
        for table in result.tables:
            if table.name in SHOWN:
                show_table(table, keys=SHOWN[table.name])

    def suite_options(self, study: Study, options: argparse.Namespace) -> list[str]:
        """Hold out the group that is asked for, or the first that no task is about and that has several values."""
        data = study.data()
        pipe, labels = data.pipeline, {t.name for t in data.task_specs}
        columns = sorted(pipe.group_columns(), key=lambda c: (c not in USUAL, c))
        train = pipe.rows["train"]
        several = (c for c in columns if c not in labels and len({*pipe.groups(c, train)} - {""}) > 1)
        group = options.group or next(several, "")
        if not group:
            raise SpecError("no source has a group column to hold out")
        return ["--group", group]


def _lines(plan: Plan, run: StudyRun) -> tuple[list[Line], list[str]]:
    """Score every hold-out that has a finished job; and say which have too few rows of a task."""
    options, finished = run.options, run.trained.finished
    lines, few = [], []
    for spec in plan.tasks:
        for model in options.kinds:
            for held in plan.holdouts:
                n = sum(plan.rows.get((v, spec.name), 0) for v in held.values)
                if n < options.min_rows:
                    few.append(f"{spec.name}, '{held.name}': {n} labelled rows, fewer than --min-rows; not scored")
                    continue
                line = score_line(plan, held, spec, model, finished_of(finished, held, model), options.resamples)
                if line is not None:
                    lines.append(line)
    return lines, list(dict.fromkeys(few))


def _detections(plan: Plan, run: StudyRun, lines: Sequence[Line]) -> tuple[list[DetectionLine], list[str]]:
    """Run the detectors on every finished network."""
    found: list[DetectionLine] = []
    words = {(x.held.name, x.task.name): x.data for x in lines if x.model == "network"}
    console = Console(stderr=True)
    for held in track(plan.holdouts, description="detectors", console=console):
        jobs = finished_of(run.trained.finished, held, "network")
        try:
            runs = [detection_runs(run.study, plan, held, c, run.folder / "detection") for c in jobs.values()]
        except MissingExtraError as error:
            return [], [f"detection is left out: {error}"]
        for task in dict.fromkeys(t for r in runs for t in r):
            if (held.name, task) not in words:
                continue
            for detector in dict.fromkeys(d for r in runs for d in r.get(task, {})):
                scored = [r[task][detector] for r in runs if detector in r.get(task, {})]
                values = detection_scores(scored, resamples=min(run.options.resamples, 200))
                n_in = len({i for s in scored for i in s.inside_ids})
                n_out = len({i for s in scored for i in s.outside_ids})
                drawn = [describe_units(u for s in scored for u in s.units()[k]) for k in (0, 1)]
                unit, word = f"in: {drawn[0]}; out: {drawn[1]}", words[(held.name, task)]
                found.append(DetectionLine(held.name, task, detector, values, n_in, n_out, unit, word))
    return found, []


def _summary(plan: Plan, lines: Sequence[Line], detections: Sequence[DetectionLine]) -> list[str]:
    """What was held out, what was found, and which values and rows were not held out."""
    held = [h.name for h in plan.holdouts]
    said = [f"{len(held)} hold-out(s) by {plan.column}: {', '.join(held)}"]
    said += sentences(lines, detections, plan.column)
    if plan.refused:
        why = "; ".join(f"{v} ({why})" for v, why in sorted(plan.refused.items()))
        said.append(f"{len(plan.refused)} value(s) of {plan.column} not held out: {why}")
    if plan.unknown:
        said.append(f"{plan.unknown} row(s) of unknown {plan.column} are in no group and are never held out")
    return said
