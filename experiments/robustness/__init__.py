"""``run.py robustness``: results under corruption and missingness, calibration, conformal sets, subgroups."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from experiments.budget import Budget
from experiments.cells import Cell, Finished
from experiments.finish import finish, show_table
from experiments.robustness.curves import (
    FULL,
    SINGLE,
    curve_figures,
    curve_table,
    expression_note,
    first_of_each,
    measure_curves,
    summary_rows,
    summary_table,
)
from experiments.robustness.groups import Groups, check_columns
from experiments.robustness.missing import measure_missing, missing_figures, missing_table
from experiments.robustness.pile import ALL, Model, Options, Pile, names_of
from experiments.robustness.trust import AFTER, BEFORE, Trust
from experiments.schedule import Ran, quiet, run_cells
from experiments.study import Study, folders, study_parser
from zoo.analysis.corruptions import CORRUPTIONS, SEVERITIES, corruptions_for
from zoo.analysis.predict import predict
from zoo.errors import DataError, SpecError, unknown_name
from zoo.results import Result, Table, joint_word

TRAINING = 0.7
"""Share of a budget that trainings may take; the rest is for looking at what was trained."""
HIDDEN = ("levels", "full", "effective_area", "ece_mass", "left_out")
"""Columns that are not printed."""
MOST = 60
"""Rows of a table that is printed."""
RATES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


def main() -> None:
    """Train or load, damage the test rows in every way, and write result.json, tables and figures."""
    started = time.monotonic()
    parser = _parser()
    given, rest = parser.parse_known_args(sys.argv[2:])
    study = Study.parse(rest)
    quiet()
    budget = Budget(given.budget)
    options = _options(given, budget)
    folder, kept = folders(given, study, "robustness")
    if given.ckpt_path is not None and not given.ckpt_path.is_file():
        raise SpecError(f"--ckpt_path '{given.ckpt_path}' is no file; give a checkpoint of run.py fit")
    seeds = [study.seed] if given.ckpt_path is not None else list(dict.fromkeys(given.seeds))
    _check(study, seeds[0], options)
    ran = Ran()
    if given.ckpt_path is None:
        part = Budget(given.budget * TRAINING)
        ran = run_cells(study, [Cell("network", s) for s in seeds], kept, budget=part, jobs=given.jobs)
    else:
        part = Budget(given.budget * TRAINING)
    wanted = given.references or ("none" if given.ckpt_path is not None else "single")
    singles = _single_cells(study, seeds, options) if wanted == "single" else []
    reference = run_cells(study, singles, kept, budget=part, jobs=given.jobs) if singles else Ran()
    ran.left += reference.left
    if given.ckpt_path is None and not ran.finished:
        raise SpecError(f"the budget of {given.budget:g} s allowed no training; give more with --budget")
    found = _Found(options)
    models = _models(study, ran, given.ckpt_path, options)
    count = 1 if given.ckpt_path is not None else len(ran.finished)
    for model in track(models, description="evaluating", total=count, console=Console(stderr=True)):
        found.add(model)
        found.add_references(study, reference, model.seed)
    result = found.result(study, [s for s in seeds if s in found.seeds], ran)
    for table in result.tables:
        show_table(table, without=HIDDEN, most=MOST, title=f"{table.title} ({result.data} data)")
    finish(result, folder, started)


def _parser() -> Any:
    parser = study_parser("robustness", __doc__ or "")
    parser.set_defaults(resamples=200)
    parser.add_argument(
        "--ckpt_path", type=Path, default=None, help="a checkpoint of run.py fit; default: train one network a seed"
    )
    parser.add_argument("--levels", type=int, nargs="+", default=list(SEVERITIES), help="of corruption, 0 to 5")
    parser.add_argument("--corruptions", nargs="+", default=None, help=f"default all: {', '.join(CORRUPTIONS)}")
    parser.add_argument("--tasks", nargs="+", default=None, help="to look at (all are trained); default all")
    parser.add_argument("--subgroups", nargs="+", default=None, help="group columns, or 'source'; default: what fits")
    parser.add_argument("--alpha", type=float, default=0.1, help="1 - coverage of conformal sets (default 0.1)")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="of missing modalities")
    parser.add_argument("--min-rows", type=int, default=20, help="of a group that may be called worst (default 20)")
    parser.add_argument("--rows", type=int, default=0, help="corrupt at most so many test rows a task and modality")
    parser.add_argument(
        "--references",
        choices=("single", "none"),
        default=None,
        help="networks of one modality each, for effective robustness (default single; none with a checkpoint)",
    )
    return parser


def _options(given: Any, budget: Budget) -> Options:
    for level in given.levels:
        if level not in SEVERITIES:
            raise SpecError(f"--levels {level} is unknown; levels: {SEVERITIES} (0 changes nothing)")
    for name in given.corruptions or ():
        CORRUPTIONS.get(name)
    if not 0 < given.alpha < 1:
        raise SpecError(f"--alpha must lie between 0 and 1, got {given.alpha:g}")
    for rate in given.rates:
        if not 0 <= rate <= 1:
            raise SpecError(f"--rates must lie between 0 and 1, got {rate:g}")
    for name, value, least in (
        ("--min-rows", given.min_rows, 1),
        ("--rows", given.rows, 0),
        ("--resamples", given.resamples, 10),
    ):
        if value < least:
            raise SpecError(f"{name} must be at least {least}, got {value}")
    return Options(
        sorted({*given.levels}), given.corruptions, given.tasks or [], sorted({*given.rates}), given.subgroups,
        given.alpha, given.min_rows, given.rows, given.resamples, budget,
    )  # fmt: skip


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


def _single_cells(study: Study, seeds: Sequence[int], options: Options) -> list[Cell]:
    """Networks of one modality each: of the tasks that it informs alone, and one a task that reads another."""
    cells = []
    for seed in seeds:
        data = study.data(seed=study.seed)
        for spec in data.modality_specs:
            if not corruptions_for(spec, options.corruptions):
                continue
            mine = [t for t in data.task_specs if t.name in options.tasks and t.uses(spec.name)]
            alone = tuple(t.name for t in mine if t.reads in ("", spec.name))
            if alone:
                cells.append(Cell("network", seed, alone, (spec.name,)))
            cells += [Cell("network", seed, (t.name,), (spec.name, t.reads)) for t in mine if t.name not in alone]
    return cells


def _models(study: Study, ran: Ran, checkpoint: Path | None, options: Options) -> Iterator[Model]:
    """The trained networks, one after another: each holds its data."""
    if checkpoint is not None:
        yield _from_checkpoint(study, checkpoint)
        return
    for cell, finished in ran.finished.items():
        yield _model(study, cell.seed, finished)


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
        self.pile, self.trust, self.groups = Pile(), Trust(options), Groups(options)
        self.seeds: list[int] = []
        self.metrics: dict[str, str] = {}
        self.standard: dict[str, str] = {}
        self.said: dict[str, str] = {}
        self.notes: list[str] = []

    def add(self, model: Model) -> None:
        """Measure a network; what is cheap comes first, for a budget."""
        self.seeds.append(model.seed)
        self.metrics |= {t: k.primary for t, k in model.module.kinds.items()}
        if not self.standard:
            self.standard = {m: c.name for m, c in first_of_each(model, self.options.corruptions).items()}
            if "CountThinning" in self.standard.values():
                self.notes += expression_note(model)
        self.trust.add(model)
        self.groups.add(model)
        measure_curves(model, self.pile, self.options, FULL, [ALL])
        self.said |= measure_missing(model, self.pile, self.options)
        measure_curves(model, self.pile, self.options, FULL, list(model.module.modalities))

    def add_references(self, study: Study, ran: Ran, seed: int) -> None:
        """Measure the networks of one modality of a seed, each under corruption of it."""
        for cell, finished in ran.finished.items():
            if cell.seed == seed:
                model = _model(study, seed, finished)
                measure_curves(model, self.pile, self.options, SINGLE, [cell.modalities[0]])

    def result(self, study: Study, seeds: list[int], ran: Ran) -> Result:
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
        return Result(
            "robustness",
            f"Robustness, calibration and subgroups of {study.name}",
            config=study.name,
            data=joint_word(words) if words else study.word(),
            summary=self._summary(tables, rows, ran),
            tables=[t for t in tables if t.rows],
            figures=figures,
            seeds=seeds,
        )

    def _summary(self, tables: list[Table], rows: list[dict[str, Any]], ran: Ran) -> list[str]:
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
        if ran.left:
            said.append(
                f"Left out by the budget: {len(ran.left)} trainings: {names_of([_words(c) for c in ran.left])}."
            )
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


def _words(cell: Cell) -> str:
    return f"seed {cell.seed}" + (f", {'+'.join(cell.modalities)} alone" if cell.modalities else "")
