"""``run.py ood``: what models do with organs, cell types, subjects or sites that they were not trained on.

Each value of a group column is held out in turn (or some of them together): its rows are neither trained nor
validated on. A network and the field's classical pipelines are trained on the rest, and scored on test rows of the
groups that were trained on and on the rows that were held out. Detectors then tell both apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from experiments.budget import Budget
from experiments.finish import finish, show_table
from experiments.ood.figures import detection_figures, score_figures
from experiments.ood.plan import KINDS, Plan, make_plan
from experiments.ood.report import DetectionLine, class_table, detection_table, group_table, sentences
from experiments.ood.scores import Line, detection_runs, finished_of, score_line
from experiments.schedule import Ran, describe, run_cells
from experiments.study import Study, folders, study_parser
from zoo.analysis.detection import detection_scores
from zoo.errors import MissingExtraError, SpecError
from zoo.results import Result, joint_word

COUNTS = ("n_in", "n_out", "unseen_class", "data")
SHOWN = {
    "groups": ("group", "task", "model", "metric", "in", "out", "gap", "chance_out", "constant_out", *COUNTS),
    "detection": ("group", "task", "detector", "auroc", "fpr95", "aupr", *COUNTS),
}
"""Tables and columns that are printed; the files hold all."""


def _parser() -> argparse.ArgumentParser:
    parser = study_parser("ood", __doc__ or "")
    parser.add_argument("--group", required=True, help="group column, such as organ, cell_type, subject or site")
    parser.add_argument(
        "--values", nargs="+", default=None, help="hold out these, each in turn; default: every value"
    )
    parser.add_argument("--leave-one-out", action="store_true", help="hold out each value in turn; the default")
    parser.add_argument("--list", action="store_true", help="hold out --values together, as one")
    parser.add_argument("--task", nargs="+", default=[], help="train and score these tasks only")
    parser.add_argument(
        "--min-rows",
        type=int,
        default=10,
        help="labelled rows that a value needs to be held out, and that must be left (default 10)",
    )
    parser.add_argument("--max-groups", type=int, default=0, help="hold out only the N largest values")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), help="network, classical or both (default)")
    parser.add_argument("--no-detection", action="store_true", help="leave the detectors out")
    return parser


def _check(options: argparse.Namespace) -> None:
    if options.list and not options.values:
        raise SpecError("--list holds values out together; name them with --values")
    if options.leave_one_out and (options.list or options.values):
        raise SpecError("--leave-one-out holds out every value in turn; leave out --values and --list")
    if options.min_rows < 1:
        raise SpecError(f"--min-rows must be at least 1, got {options.min_rows}")
    if options.max_groups < 0:
        raise SpecError(f"--max-groups must be 0 (all) or more, got {options.max_groups}")
    for kind in options.kinds:
        if kind not in KINDS:
            raise SpecError(f"--kinds: '{kind}' is unknown; kinds: {', '.join(KINDS)}")


def main() -> None:
    """Hold groups out, train, score, and write the report."""
    started = time.monotonic()
    options, rest = _parser().parse_known_args(sys.argv[2:])
    _check(options)
    study = Study.parse(rest)
    folder, kept = folders(options, study, "ood")
    budget = Budget(options.budget)
    plan = make_plan(
        study,
        options.group,
        options.values,
        together=options.list,
        tasks=options.task,
        seeds=options.seeds,
        min_rows=options.min_rows,
        max_groups=options.max_groups,
    )
    cells = plan.cells(options.seeds, options.kinds, options.task)
    ran = run_cells(study, cells, kept, budget=budget, jobs=options.jobs)
    lines, few = _lines(plan, ran, options)
    detections, problems = ([], []) if options.no_detection else _detections(study, plan, ran, lines, folder, options)
    result = _result(study, plan, ran, lines, detections, options)
    result.summary += few + problems
    for table in result.tables:
        if table.name in SHOWN:
            show_table(table, keys=SHOWN[table.name])
    finish(result, folder, started)


def _lines(plan: Plan, ran: Ran, options: argparse.Namespace) -> tuple[list[Line], list[str]]:
    """Score every hold-out that has a finished cell; and say which have too few rows of a task."""
    lines, few = [], []
    for spec in plan.tasks:
        for model in options.kinds:
            for held in plan.holdouts:
                n = sum(plan.rows.get((v, spec.name), 0) for v in held.values)
                if n < options.min_rows:
                    few.append(f"{spec.name}, '{held.name}': {n} labelled rows, fewer than --min-rows; not scored")
                    continue
                line = score_line(plan, held, spec, model, finished_of(ran.finished, held, model), options.resamples)
                if line is not None:
                    lines.append(line)
    return lines, list(dict.fromkeys(few))


def _detections(
    study: Study, plan: Plan, ran: Ran, lines: Sequence[Line], folder: Path, options: argparse.Namespace
) -> tuple[list[DetectionLine], list[str]]:
    """Run the detectors on every finished network."""
    found: list[DetectionLine] = []
    words = {(x.held.name, x.task.name): x.data for x in lines if x.model == "network"}
    console = Console(stderr=True)
    for held in track(plan.holdouts, description="detectors", console=console):
        cells = finished_of(ran.finished, held, "network")
        try:
            runs = [detection_runs(study, plan, held, c, folder / "detection") for c in cells.values()]
        except MissingExtraError as error:
            return [], [f"detection is left out: {error}"]
        for task in dict.fromkeys(t for r in runs for t in r):
            if (held.name, task) not in words:
                continue
            for detector in dict.fromkeys(d for r in runs for d in r.get(task, {})):
                scored = [r[task][detector] for r in runs if detector in r.get(task, {})]
                values = detection_scores(scored, resamples=min(options.resamples, 200))
                n_in = len({i for s in scored for i in s.inside_ids})
                n_out = len({i for s in scored for i in s.outside_ids})
                found.append(DetectionLine(held.name, task, detector, values, n_in, n_out, words[(held.name, task)]))
    return found, []


def _result(
    study: Study,
    plan: Plan,
    ran: Ran,
    lines: Sequence[Line],
    detections: Sequence[DetectionLine],
    options: argparse.Namespace,
) -> Result:
    result = Result(
        "ood",
        f"Out of distribution by {plan.column}: {study.name}",
        config=study.name,
        seeds=list(options.seeds),
        data=joint_word([x.data for x in lines]) if lines else "mixed",
    )
    held = [h.name for h in plan.holdouts]
    result.summary.append(f"{len(held)} hold-out(s) by {plan.column}: {', '.join(held)}")
    result.summary += sentences(lines, detections, plan.column)
    if plan.refused:
        said = "; ".join(f"{v} ({why})" for v, why in sorted(plan.refused.items()))
        result.summary.append(f"{len(plan.refused)} value(s) of {plan.column} not held out: {said}")
    if plan.unknown:
        result.summary.append(
            f"{plan.unknown} row(s) of unknown {plan.column} are in no group and are never held out"
        )
    if ran.left:
        left = ", ".join(f"{c.kind} {'+'.join(c.holdout[1:])} seed {c.seed}" for c in ran.left)
        result.summary.append(f"{len(ran.left)} training(s) left by the budget: {left}; run again to go on")
    for cell, problem in ran.failed.items():
        result.summary.append(f"failed: {describe(cell)}: {problem}")
    result.summary.append(f"{ran.fresh} training(s) made now, {len(ran.finished) - ran.fresh} read")
    if lines:
        result.tables.append(group_table(lines, plan.column, options.resamples))
        classes = class_table(lines, plan.column)
        result.tables += [classes] if classes else []
        result.figures += score_figures(lines, plan.column)
    if detections:
        result.tables.append(detection_table(detections, plan.column))
        result.figures += detection_figures(detections, plan.column)
    return result
