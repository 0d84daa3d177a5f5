"""What an ablation finds as it goes: the subsets of each task in each mode, and its tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.commands.ablate import design, parts
from experiments.commands.ablate.plan import DROPOUT, EXACT, MASKED, Plan, configured_dropout, masked_job
from experiments.commands.ablate.predictions import Asker
from experiments.commands.ablate.values import (
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
from experiments.commands.ablate.variants import Variant, variant_rows
from experiments.core.job import TrainingJob
from experiments.core.study_command import StudyRun
from zoo.evaluation.pooled import Pool
from zoo.evaluation.subsets import Step, Subset, greedy
from zoo.results import Table
from zoo.tasks.base import task_kind


@dataclass
class Ablation:
    """What a run finds as it goes.

    Attributes:
        run: the study, its options and its trainings.
        founds: values of each task and mode.
        notes: sentences for the summary.
        steps: rows of forward selections.
    """

    run: StudyRun
    founds: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def dropout(self) -> float:
        """model.training.modality_dropout of masked networks."""
        given = self.run.options.dropout
        return float(given) if given is not None else configured_dropout(self.run.study) or DROPOUT

    def metric(self, plan: Plan) -> str:
        """The metric of a plan: accuracy for the design, else what was asked for where the task has it, else ""."""
        if self.run.options.design:
            return design.designed_metric(plan.task)
        asked: str = self.run.options.metric
        return asked if asked in metric_names(plan.task) else ""

    def network(self, plan: Plan, plans: Sequence[Plan], seed: int) -> TrainingJob:
        """The masked network of a plan.

        Args:
            plan: of one task.
            plans: of all tasks, which one network may serve.
            seed: of the training.
        """
        return masked_job(
            self.run.study, plans if self.run.options.joint else [plan], seed, self.dropout, self.run.options.epochs
        )

    def jobs(self, plans: Sequence[Plan], modes: Sequence[str]) -> list[TrainingJob]:
        """What must be trained, seed by seed: masked networks first, then full sets, then small subsets."""
        made: list[TrainingJob] = []
        for seed in self.run.seeds:
            if MASKED in modes:
                made += [self.network(p, plans, seed) for p in plans]
            if EXACT in modes:
                asked = [(k, p, s) for p in plans if not p.greedy for k, s in enumerate(p.subsets(EXACT))]
                made += [p.exact_job(s, seed) for _, p, s in sorted(asked, key=lambda a: (a[0] > 0, len(a[2])))]
        return list(dict.fromkeys(made))

    def measure(self, plans: Sequence[Plan], modes: Sequence[str]) -> None:
        """Train, predict and score every plan in every mode."""
        self.run.train(self.jobs(plans, modes))
        for plan in plans:
            for mode in modes:
                self._one(plan, plans, mode)
        if MASKED in modes:
            told = f"model.training.modality_dropout = {self.dropout:g} in training"
            told += f", {self.run.options.epochs} epochs" if self.run.options.epochs else ""
            warning = "" if self.dropout else ", so it is judged out of its habit where the data lack no modality"
            self.notes.append(f"Masked networks: {told}{warning}.")

    def _one(self, plan: Plan, plans: Sequence[Plan], mode: str) -> None:
        asker = Asker(
            self.run,
            plan,
            mode,
            self.run.seeds,
            lambda seed: self.network(plan, plans, seed),
            self.run.options.rows,
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
        found = values_of(predictions, resamples=self.run.options.resamples, metric=self.metric(plan))
        self.founds.append(found)
        self.notes += predictions.notes
        for k, step in enumerate(steps):
            value = found.interval(found.draws[step.subset])
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
    founds, options = ablation.founds, ablation.run.options
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


def variant_tables(ablation: Ablation, variants: Sequence[Variant]) -> list[Table]:
    """Train and compare the variants; no table where the budget allowed them in no seed."""
    options = ablation.run.options
    rows = variant_rows(
        ablation.run,
        variants,
        tasks=tuple(options.tasks or ()),
        modalities=tuple(options.modalities or ()),
        seeds=ablation.run.seeds,
        resamples=options.resamples,
    )
    if not rows:
        ablation.notes.append("Variants: the budget did not allow all of them in any seed.")
    return [parts.variant_table(rows)] if rows else []
