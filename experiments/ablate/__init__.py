"""``run.py ablate``: which modalities a task needs, alone and together, and what else of the model matters."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.ablate import design, parts
from experiments.ablate.plan import DROPOUT, EXACT, MASKED, Plan, configured_dropout, make_plans, masked_cell
from experiments.ablate.predictions import Asker, Trainings
from experiments.ablate.values import (
    Found,
    combination_rows,
    contribution_rows,
    information_note,
    information_rows,
    metric_names,
    pair_rows,
    sentences,
    values_of,
)
from experiments.ablate.variants import make_variants, variant_rows
from experiments.budget import Budget
from experiments.cells import Cell
from experiments.finish import finish, show_table
from experiments.study import Study, folders, study_parser
from zoo.analysis.pooled import Pool, with_interval
from zoo.analysis.subsets import Step, Subset, greedy
from zoo.errors import SpecError, unknown_name
from zoo.results import Result, Table, joint_word
from zoo.tasks import task_kind

MODES = {"masked": (MASKED,), "exact": (EXACT,), "both": (MASKED, EXACT), "none": ()}
SHOWN = ("combinations", "contributions", "pairs", "information", "selection", "variants")
"""Tables that are printed; all are in result.json and as CSV."""


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = study_parser("ablate", __doc__ or "")
    add = made.add_argument
    add(
        "--order",
        type=int,
        default=2,
        help="train subsets of up to this many modalities, and all together; 0: all sizes (default 2)",
    )
    add("--greedy", action="store_true", help="forward selection on validation (automatic above 6 modalities a task)")
    add(
        "--mode",
        choices=tuple(MODES),
        default="both",
        help="masked: one network under masks; exact: a training a subset; none: variants only",
    )
    add(
        "--rows",
        choices=("all", "any"),
        default="all",
        help="test rows that have all modalities of the task, or any (default all)",
    )
    add("--tasks", nargs="+", default=None, help="default: all that several modalities inform")
    add("--modalities", nargs="+", default=None, help="default: all; what a task reads is always kept")
    add("--joint", action="store_true", help="masked: one network for all tasks instead of one a task")
    add(
        "--companions",
        action="store_true",
        help="every network also learns the other tasks that its modalities inform",
    )
    add(
        "--dropout",
        type=float,
        default=None,
        metavar="P",
        help=f"model.modality_dropout of the masked network (default: the configured one, else {DROPOUT})",
    )
    add(
        "--epochs",
        type=int,
        default=0,
        metavar="N",
        help="epochs of the masked network, which learns every subset in one training (default: trainer.max_epochs)",
    )
    add(
        "--metric",
        default="",
        help="what is compared, such as auroc, where a task has it (default: the primary metric)",
    )
    add("--redundancy", choices=("imin", "mmi"), default="imin", help="of the decomposition in bits (default imin)")
    add("--design", action="store_true", help="compare with the stated design of the simulated cohort")
    add("--fusions", nargs="+", default=[], metavar="FUSION", help="also train these fusions")
    add("--weightings", nargs="+", default=[], metavar="WEIGHTING", help="also train these weightings")
    add(
        "--lambdas",
        nargs="+",
        default=[],
        metavar="TASK=V1,V2",
        help="also train these lambdas, such as disease=0.1,1,10",
    )
    add(
        "--vary",
        nargs="+",
        default=[],
        metavar="KEY=V1|V2",
        help="also train these options, such as 'model.encoders.image=ViTEncoder|...'",
    )
    return made


@dataclass
class Ablation:
    """What a run finds as it goes.

    Attributes:
        study, options: what was asked for.
        trainings: runs cells.
        founds: values of each task and mode.
        notes: sentences for the summary.
        steps: rows of forward selections.
    """

    study: Study
    options: argparse.Namespace
    trainings: Trainings
    founds: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def dropout(self) -> float:
        """model.modality_dropout of masked networks."""
        given = self.options.dropout
        return float(given) if given is not None else configured_dropout(self.study) or DROPOUT

    def metric(self, plan: Plan) -> str:
        """The metric of a plan: accuracy for the design, else what was asked for where the task has it, else ""."""
        if self.options.design:
            return design.designed_metric(plan.task.kind)
        asked: str = self.options.metric
        return asked if asked in metric_names(plan.task) else ""

    def network(self, plan: Plan, plans: Sequence[Plan], seed: int) -> Cell:
        """The masked network of a plan."""
        return masked_cell(
            self.study, plans if self.options.joint else [plan], seed, self.dropout, self.options.epochs
        )

    def cells(self, plans: Sequence[Plan], modes: Sequence[str]) -> list[Cell]:
        """What must be trained, seed by seed: masked networks first, then full sets, then small subsets."""
        made: list[Cell] = []
        for seed in self.options.seeds:
            if MASKED in modes:
                made += [self.network(p, plans, seed) for p in plans]
            if EXACT in modes:
                asked = [(k, p, s) for p in plans if not p.greedy for k, s in enumerate(p.subsets(EXACT))]
                made += [p.exact_cell(s, seed) for _, p, s in sorted(asked, key=lambda a: (a[0] > 0, len(a[2])))]
        return list(dict.fromkeys(made))

    def run(self, plans: Sequence[Plan], modes: Sequence[str]) -> None:
        """Train, predict and score every plan in every mode."""
        self.trainings.need(self.cells(plans, modes))
        for plan in plans:
            for mode in modes:
                self._one(plan, plans, mode)
        if MASKED in modes:
            told = f"model.modality_dropout = {self.dropout:g} in training"
            told += f", {self.options.epochs} epochs" if self.options.epochs else ""
            warning = "" if self.dropout else ", so it is judged out of its habit where the data lack no modality"
            self.notes.append(f"Masked networks: {told}{warning}.")

    def _one(self, plan: Plan, plans: Sequence[Plan], mode: str) -> None:
        asker = Asker(
            self.trainings,
            plan,
            mode,
            self.options.seeds,
            lambda seed: self.network(plan, plans, seed),
            self.options.rows,
        )
        steps: list[Step] = []
        if plan.greedy:
            steps = self._select(asker, plan)
        else:
            asker.ask(plan.subsets(mode))
        predictions = asker.collect()
        asker.forget_data()
        if predictions is None:
            self.notes.append(f"Task '{plan.task.name}', {mode}: nothing to report (budget, or no rows).")
            return
        found = values_of(predictions, resamples=self.options.resamples, metric=self.metric(plan))
        self.founds.append(found)
        self.notes += predictions.notes
        for k, step in enumerate(steps):
            value = with_interval(found.draws[step.subset])
            row = {**found.head(), "step": k + 1, "added": step.added, "modalities": plan.label(step.subset)}
            row |= {"validation": step.value, "value": value.value, "value_low": value.low, "value_high": value.high}
            self.steps.append(row)

    def _select(self, asker: Asker, plan: Plan) -> list[Step]:
        """Forward selection on validation; the full set gives the rows."""
        asker.ask([plan.full, *([frozenset[str]()] if plan.kept else [])])

        def evaluate(subsets: Sequence[Subset]) -> dict[Subset, float]:
            asker.ask(subsets)
            predictions = asker.collect()
            if predictions is None:
                return {}
            pool = Pool(task_kind(plan.task), predictions.seeds["val"], resamples=0, metric=self.metric(plan))
            return {s: float(pool.draws(s)[0]) for s in subsets if s in pool.members}

        return greedy(plan.players, evaluate)


def tables_of(ablation: Ablation) -> tuple[list[Table], list[str]]:
    """The tables of what was found, and sentences on it."""
    founds, options = ablation.founds, ablation.options
    designed = {
        id(f): {f.plan.label(s): v for s, v in design.designed(f).items()}
        for f in founds
        if options.design and design.has_design(f.plan.task.name)
    }
    combined = []
    for f in founds:
        told = designed.get(id(f), {})
        combined += [{**r, "reachable": told.get(r["modalities"])} for r in combination_rows(f)]
    notes = list(dict.fromkeys(information_note(f, options.redundancy) for f in founds))
    made = [
        parts.combination_table(combined, bool(designed)),
        parts.contribution_table([r for f in founds for r in contribution_rows(f)]),
        parts.pair_table([r for f in founds for r in pair_rows(f)]),
        parts.information_table([r for f in founds for r in information_rows(f, options.redundancy)], notes),
        parts.step_table(ablation.steps),
    ]
    said = [line for f in founds for line in sentences(f)]
    checked = [f for f in founds if id(f) in designed]
    if checked:
        rows = [r for f in checked for r in design.check_rows(f)]
        said += design.design_sentences(rows)
        made += [
            parts.gain_table([r for f in checked for r in design.gain_rows(f)]),
            parts.check_table(rows, design.MARGIN),
        ]
    return [t for t in made if t.rows], said


def figures_of(ablation: Ablation, tables: Sequence[Table]) -> list[Any]:
    """The figures of what was found."""
    rows = {t.name: t.rows for t in tables}
    made = []
    for task in dict.fromkeys(f.plan.task.name for f in ablation.founds):
        mine = [f for f in ablation.founds if f.plan.task.name == task]
        told = {
            r["modalities"]: r["reachable"]
            for r in rows["combinations"]
            if r["task"] == task and r["reachable"] is not None
        }
        made.append(parts.combination_figure(task, mine, told))
    made += parts.synergy_figures(ablation.founds, rows.get("pairs", []))
    made += parts.contribution_figures(rows.get("contributions", []))
    made += parts.information_figures(rows.get("information", []))
    return made + parts.variant_figures(rows.get("variants", []))


def main() -> None:
    """Train what is asked for, report it, and save result.json."""
    started = time.monotonic()
    options, rest = parser().parse_known_args(sys.argv[2:])
    if options.dropout is not None and not 0.0 <= options.dropout < 1.0:
        raise SpecError(f"--dropout is a probability below 1, got {options.dropout}")
    if options.epochs < 0:
        raise SpecError(f"--epochs must be 1 or more, or 0 for trainer.max_epochs, got {options.epochs}")
    study = Study.parse(rest)
    modes = MODES[options.mode]
    variants = make_variants(
        study, fusions=options.fusions, weightings=options.weightings, lambdas=options.lambdas, vary=options.vary
    )
    if not modes and not variants:
        raise SpecError("--mode none leaves nothing to do; give --fusions, --weightings, --lambdas or --vary")
    if options.design:
        design.check_simulated(study)
    folder, kept = folders(options, study, "ablate")
    trainings = Trainings(study, kept, Budget(options.budget), options.jobs)
    ablation = Ablation(study, options, trainings)
    plans: list[Plan] = []
    if modes:
        plans, notes = make_plans(
            study,
            tasks=options.tasks,
            modalities=options.modalities,
            order=options.order,
            greedy=options.greedy,
            companions=options.companions,
        )
        known = sorted({m for p in plans for m in metric_names(p.task)})
        if options.metric and options.metric not in known:
            raise unknown_name("metric of these tasks", options.metric, known)
        ablation.notes += notes
        ablation.run(plans, modes)
    tables, said = tables_of(ablation)
    if variants:
        tables += _variants(ablation, variants)
    if trainings.left:
        ablation.notes.append(f"The budget left {len(trainings.left)} trainings out; run again to continue.")
    words = [str(r["data"]) for t in tables for r in t.rows]
    result = Result(
        "ablate",
        f"Ablation of modalities: {study.name}",
        study.name,
        joint_word(words) if words else study.word(),
        [*said, *ablation.notes],
        tables,
        figures_of(ablation, tables),
        seeds=list(options.seeds),
    )
    for table in tables:
        if table.name in SHOWN:
            show_table(table)
    fresh, before = trainings.fresh, len(trainings.finished) - trainings.fresh
    result.summary.append(f"{fresh} trainings were run now, {before} were finished before.")
    finish(result, folder, started)


def _variants(ablation: Ablation, variants: Sequence[Any]) -> list[Table]:
    options = ablation.options
    rows = variant_rows(
        ablation.trainings,
        variants,
        tasks=tuple(options.tasks or ()),
        modalities=tuple(options.modalities or ()),
        seeds=options.seeds,
        resamples=options.resamples,
    )
    if not rows:
        ablation.notes.append("Variants: the budget did not allow all of them in any seed.")
    return [parts.variant_table(rows)] if rows else []
