"""The command ``robustness``: results under corruption and missingness, calibration, conformal sets, subgroups."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from experiments.commands.robustness.curves import (
    FULL,
    SINGLE,
    corruption_notes,
    curve_figures,
    curve_table,
    first_of_each,
    measure_curves,
    summary_rows,
    summary_table,
)
from experiments.commands.robustness.groups import Groups, check_columns
from experiments.commands.robustness.missing import measure_missing, missing_figures, missing_table
from experiments.commands.robustness.pile import ALL, Model, Options, Pile, names_of
from experiments.commands.robustness.trust import AFTER, BEFORE, Trust
from experiments.core.budget import Budget
from experiments.core.command import COMMANDS, at_least
from experiments.core.finish import show_table
from experiments.core.job import Finished, TrainingJob
from experiments.core.quiet import quiet
from experiments.core.study import Study
from experiments.core.study_command import StudyCommand, StudyRun
from zoo.errors import DataError, SpecError, unknown_name
from zoo.evaluation.corruptions.base import CORRUPTIONS, SEVERITIES, corruptions_for
from zoo.models.predict import predict
from zoo.results import Result, Table, joint_word

HIDDEN = ("levels", "full", "effective_area", "ece_mass", "left_out")
"""Columns that are not printed."""
MOST = 60
"""Rows of a table that is printed."""
RATES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


@COMMANDS.register
class Robustness(StudyCommand):
    """Noise, missing modalities, calibration, conformal sets and subgroups.

    One network a seed, or a checkpoint, is looked at: its test rows are damaged in every way that fits a modality,
    and modalities are left out. Networks of one modality each tell how much of a loss is due to the shift alone
    (effective robustness).
    """

    name = "robustness"
    resamples = 200
    training_share = 0.7
    suite_share = 0.1

    def options(self, parser: argparse.ArgumentParser) -> None:
        """What is looked at, and how it is damaged."""
        add = parser.add_argument
        one = "a checkpoint of zoo fit; default: train one network a seed"
        add("--ckpt_path", type=Path, default=None, help=one)
        add("--levels", type=int, nargs="+", default=list(SEVERITIES), help="of corruption, 0 to 5")
        add("--corruptions", nargs="+", default=None, help=f"default all: {', '.join(CORRUPTIONS)}")
        add("--tasks", nargs="+", default=None, help="to look at (all are trained); default all")
        add("--subgroups", nargs="+", default=None, help="group columns, or 'source'; default: what fits")
        add("--alpha", type=float, default=0.1, help="1 - coverage of conformal sets (default 0.1)")
        add("--rates", type=float, nargs="+", default=list(RATES), help="of missing modalities")
        add("--min-rows", type=int, default=20, help="of a group that may be called worst (default 20)")
        add("--rows", type=int, default=0, help="corrupt at most so many test rows a task and modality")
        single = "networks of one modality each, for effective robustness (default single; none with a checkpoint)"
        add("--references", choices=("single", "none"), default=None, help=single)

    def check(self, options: argparse.Namespace) -> None:
        """Refuse values out of range, and a checkpoint that is not there."""
        _check_ranges(options)
        if options.ckpt_path is not None and not options.ckpt_path.is_file():
            raise SpecError(f"--ckpt_path '{options.ckpt_path}' is no file; give a checkpoint of zoo fit")

    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """A network a seed, where no checkpoint is given, and networks of one modality each."""
        given = run.options
        quiet()
        self.asked = _options(given, run.budget)
        if given.ckpt_path is not None:
            run.seeds = [run.study.seed]
        _check(run.study, run.seeds[0], self.asked)
        self.networks = [] if given.ckpt_path is not None else [TrainingJob("network", s) for s in run.seeds]
        wanted = given.references or ("none" if given.ckpt_path is not None else "single")
        self.singles = _single_jobs(run.study, run.seeds, self.asked) if wanted == "single" else []
        return [*self.networks, *self.singles]

    def evaluate(self, run: StudyRun) -> Result:
        """Measure each network, and those of one modality beside it."""
        trained = {j: run.trained.finished[j] for j in self.networks if j in run.trained.finished}
        singles = {j: run.trained.finished[j] for j in self.singles if j in run.trained.finished}
        checkpoint = run.options.ckpt_path
        if checkpoint is None and not trained:
            raise SpecError(f"the budget of {run.budget.seconds:g} s allowed no training; give more with --budget")
        found = _Found(self.asked)
        count = 1 if checkpoint is not None else len(trained)
        models = _models(run.study, trained, checkpoint)
        for model in track(models, description="evaluating", total=count, console=Console(stderr=True)):
            found.add(model)
            found.add_references(run.study, singles, model.seed)
        run.seeds = [s for s in run.seeds if s in found.seeds]
        return found.result(run)

    def show(self, result: Result) -> None:
        """Print the tables, without what only a few readers need."""
        for table in result.tables:
            show_table(table, without=HIDDEN, most=MOST, title=f"{table.title} ({result.data} data)")


def _check_ranges(options: argparse.Namespace) -> None:
    """Refuse values out of range, and unknown corruptions."""
    for level in options.levels:
        if level not in SEVERITIES:
            raise SpecError(f"--levels {level} is unknown; levels: {SEVERITIES} (0 changes nothing)")
    for name in options.corruptions or ():
        CORRUPTIONS.get(name)
    if not 0 < options.alpha < 1:
        raise SpecError(f"--alpha must lie between 0 and 1, got {options.alpha:g}")
    for rate in options.rates:
        if not 0 <= rate <= 1:
            raise SpecError(f"--rates must lie between 0 and 1, got {rate:g}")
    at_least(options, min_rows=1, rows=0, resamples=10)


def _options(given: argparse.Namespace, budget: Budget) -> Options:
    return Options(
        levels=sorted({*given.levels}),
        corruptions=given.corruptions,
        tasks=given.tasks or [],
        rates=sorted({*given.rates}),
        subgroups=given.subgroups,
        alpha=given.alpha,
        min_rows=given.min_rows,
        rows=given.rows,
        resamples=given.resamples,
        budget=budget,
    )


def _check(study: Study, seed: int, options: Options) -> None:
    """Refuse unknown tasks, group columns and corruptions that fit nothing, before anything is trained."""
    data = study.data(seed=seed)
    known = [t.name for t in data.task_specs]
    for task in options.tasks:
        if task not in known:
            raise unknown_name("task", task, known)
    options.tasks = options.tasks or known
    check_columns(data.pipeline, options.subgroups)
    for name in options.corruptions or ():
        if not any(corruptions_for(s, [name]) for s in data.modality_specs):
            raise SpecError(
                f"corruption '{name}' fits none of the modalities {tuple(s.name for s in data.modality_specs)}; it "
                f"takes the kinds {CORRUPTIONS.get(name).kinds}"
            )


def _single_jobs(study: Study, seeds: Sequence[int], options: Options) -> list[TrainingJob]:
    """Networks of one modality each: of the tasks that it informs alone, and one a task that reads another."""
    jobs = []
    for seed in seeds:
        data = study.data(seed=study.seed)
        for spec in data.modality_specs:
            if not corruptions_for(spec, options.corruptions):
                continue
            mine = [t for t in data.task_specs if t.name in options.tasks and t.uses(spec.name)]
            alone = tuple(t.name for t in mine if t.reads in ("", spec.name))
            if alone:
                jobs.append(TrainingJob("network", seed, alone, (spec.name,)))
            jobs += [
                TrainingJob("network", seed, (t.name,), (spec.name, t.reads)) for t in mine if t.name not in alone
            ]
    return jobs


def _models(study: Study, trained: Mapping[TrainingJob, Finished], checkpoint: Path | None) -> Iterator[Model]:
    """The trained networks, one after another: each holds its data."""
    if checkpoint is not None:
        yield _from_checkpoint(study, checkpoint)
        return
    for job, finished in trained.items():
        yield _model(study, job.seed, finished)


def _model(study: Study, seed: int, finished: Finished) -> Model:
    module, view = finished.restore(study)
    return Model(seed, module, view, finished.predicted["val"], finished.predicted["test"])


def _from_checkpoint(study: Study, path: Path) -> Model:
    view = study.view(study.data(seed=study.seed), seed=study.seed)
    module = study.module(view)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:  # torch and zipfile raise kinds of their own
        raise DataError(f"it is not a checkpoint that can be loaded safely ({error})", file=path) from error
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise SpecError(f"--ckpt_path does not fit the configuration; give the one of its run: {error}") from error
    module.eval()
    return Model(
        study.seed, module, view, predict(module, view.val_dataloader()), predict(module, view.test_dataloader())
    )


class _Found:
    """Everything that was measured."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.pile, self.trust, self.groups = Pile(options.resamples), Trust(options), Groups(options)
        self.seeds: list[int] = []
        self.metrics: dict[str, str] = {}
        self.standard: dict[str, str] = {}
        self.said: dict[str, str] = {}
        self.notes: list[str] = []

    def add(self, model: Model) -> None:
        """Measure a network; what is cheap comes first, for a budget."""
        self.seeds.append(model.seed)
        self.metrics |= {t: k.primary for t, k in model.module.evaluation.kinds.items()}
        if not self.standard:
            self.standard = {m: c.name for m, c in first_of_each(model, self.options.corruptions).items()}
            self.notes += corruption_notes(model, self.options.corruptions)
        self.trust.add(model)
        self.groups.add(model)
        measure_curves(model, self.pile, self.options, FULL, [ALL])
        self.said |= measure_missing(model, self.pile, self.options)
        measure_curves(model, self.pile, self.options, FULL, list(model.module.modalities))

    def add_references(self, study: Study, singles: Mapping[TrainingJob, Finished], seed: int) -> None:
        """Measure the networks of one modality of a seed, each under corruption of it."""
        for job, finished in singles.items():
            if job.seed == seed:
                model = _model(study, seed, finished)
                measure_curves(model, self.pile, self.options, SINGLE, [job.modalities[0]])

    def result(self, run: StudyRun) -> Result:
        """Tables, figures and sentences."""
        rows = summary_rows(self.pile, self.options, self.standard)
        tables = [summary_table(rows, self.metrics), missing_table(self.pile, self.metrics, self.said)]
        tables += [self.trust.calibration_table(), *self.trust.conformal_tables(), self.groups.table(self.metrics)]
        tables.append(curve_table(self.pile, self.metrics))
        figures = curve_figures(self.pile, self.options, self.metrics, self.standard)
        figures += missing_figures(self.pile, self.metrics)
        figures += self.trust.calibration_figures() + self.trust.conformal_figures()
        figures += self.groups.figures(self.metrics)
        words = [joint_word(w) for w in self.trust.words.values()]
        result = run.result("robustness", f"Robustness, calibration and subgroups of {run.study.name}", words)
        result.summary = self._summary(tables, rows)
        result.tables, result.figures = [t for t in tables if t.rows], figures
        return result

    def _summary(self, tables: list[Table], rows: list[dict[str, Any]]) -> list[str]:
        said = []
        for row in (r for r in rows if r["modality"] == ALL):
            text = (
                f"{row['task']} ({row['metric']}): {row['clean']:.3f} clean, {row['corrupted']:.3f} on average with "
            )
            text += "all modalities corrupted"
            if math.isfinite(row["relative"]):
                text += f" (keeps {row['relative']:.0%} of its skill above chance)"
            else:
                text += "; clean is not surely above chance, so no share of skill is given"
            said.append(text + f"; {row['data']} data.")
        said += self._calibration_sentences(tables)
        for task, column, worst, (value, low, high), word in self.groups.gaps():
            if high < 0:
                gap = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
                said.append(f"{task}: the worst {column} is {worst}, {gap} from overall; {word} data.")
        if self.options.left:
            left = self.options.left
            said.append(f"Left out by the budget: {len(left)} evaluations: {names_of(left)}.")
        return said + self.notes

    def _calibration_sentences(self, tables: list[Table]) -> list[str]:
        found: dict[str, list[dict[str, Any]]] = {t.name: t.rows for t in tables}
        ece = {(r["task"], r["probabilities"]): r for r in found["calibration"]}
        tasks = [t for t, name in ece if name == BEFORE]
        said = []
        if tasks:
            off = [t for t in tasks if ece[(t, BEFORE)]["off"]]
            still = [t for t in tasks if ece[(t, AFTER)]["off"]]
            said.append(
                f"Calibration: {len(off)} of {len(tasks)} tasks are off by more than chance as they are"
                f"{' (' + names_of(off) + ')' if off else ''}, {len(still)} after temperature scaling"
                f"{' (' + names_of(still) + ')' if still else ''}."
            )
        sets = found["conformal"]
        if sets:
            missed = [f"{r['task']} {r['method']} {r['coverage']:.3f}" for r in sets if not r["holds"]]
            text = f"Conformal sets: {len(sets) - len(missed)} of {len(sets)} reach {1 - self.options.alpha:g} "
            text += "or what chance allows with so few rows" + (f"; below: {names_of(missed)}" if missed else "")
            full = sorted({r["task"] for r in sets if r["full"]})
            said.append(text + (f"; too few validation rows for {names_of(full)} (full sets)." if full else "."))
        return said
