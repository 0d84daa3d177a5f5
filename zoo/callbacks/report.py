"""ReportCallback: the table at the end of a run, as text, JSON, CSV, PNG and W&B table, and as a Result."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
from rich.console import Console
from rich.table import Table

from zoo.callbacks.examples import worst_examples
from zoo.callbacks.result import fit_result
from zoo.data import Pipeline, data_module
from zoo.errors import SpecError
from zoo.evaluation.summary import TaskResult, summarise
from zoo.models.base import task_model
from zoo.rendering.drawing import colours
from zoo.rendering.png import save_figure
from zoo.results import Figure, Series, joint_word
from zoo.tables import Sheet, write_sheet
from zoo.training.collector import Evaluation

COLUMNS = (
    "task",
    "metric",
    "value",
    "low",
    "high",
    "chance",
    "baseline",
    "n",
    "unit",
    "interval",
    "real",
    "data",
    "beats_chance",
    "beats_baseline",
)


class ReportCallback(L.Callback):
    """After a test, say task by task how well it went against chance and a constant baseline.

    Writes report.json, report.csv and report.png into the run's folder, and result.json with the curves, confusion
    matrices, structures and worst examples, which ``run.py report`` draws. Prints the table, and logs it to W&B
    where that logger is used.

    Args:
        folder: where to write; "" for the logger's folder.
        resamples: of the bootstrap behind the 95 % intervals.
        examples: worst test rows of each task that result.json shows, with their inputs as pictures and short
            texts in the run's folder; 0 for none.
    """

    def __init__(self, folder: str = "", resamples: int = 500, examples: int = 3) -> None:
        if resamples < 1:
            raise SpecError(f"resamples must be at least 1, got {resamples}")
        if examples < 0:
            raise SpecError(f"examples must be 0 or more, got {examples}")
        self.folder = folder
        self.resamples = resamples
        self.examples = examples
        self._began = time.monotonic()
        self.lines: list[TaskResult] = []

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make the report from what the module collected."""
        folder = run_folder(trainer, self.folder)  # asks all ranks
        logged = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        pipe, evaluation = data_module(trainer, "ReportCallback").pipeline, task_model(pl_module).evaluation
        self.lines = summarise(
            evaluation.kinds,
            evaluation.results.get("test", {}),
            lambda task: pipe.labels("train", task),
            pipe.source_names,
            pipe.source_simulated,
            self.resamples,
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(self.lines, folder / "report.json")
        write_csv(self.lines, folder / "report.csv")
        draw(self.lines, folder / "report.png")
        self._write_result(trainer, evaluation, pipe, folder, logged)
        print_table(self.lines, pipe.notices)
        files = "report.json, report.csv, report.png, result.json"
        Console().print(f"report: {folder}/{files}", highlight=False, markup=False)
        _log_to_wandb(trainer, self.lines, folder / "report.png")

    def _write_result(
        self, trainer: L.Trainer, evaluation: Evaluation, pipe: Pipeline, folder: Path, logged: Path
    ) -> None:
        """Write result.json, and the pictures of the worst examples."""
        for logger in trainer.loggers:
            logger.save()  # the curves of the fit may not be on disk yet
        results = evaluation.results.get("test", {})
        config = config_name()
        seed = os.environ.get("PL_GLOBAL_SEED", "")
        fit_result(
            self.lines,
            evaluation.kinds,
            results,
            {line.task: line.data for line in self.lines},
            logged,
            examples=worst_examples(evaluation.kinds, results, pipe, folder, self.examples),
            title="Test results" + (f" of {config}" if config else ""),
            config=config,
            seeds=[int(seed)] if seed.isdigit() else [],
            seconds=round(time.monotonic() - self._began, 1),
            command_line=typed(),
            notices=pipe.notices,
        ).save(folder, tables=False)


def _from_command_line() -> bool:
    return Path(sys.argv[0]).name in ("run.py", "zoo")


def typed() -> str:
    """The command line, with shipped configurations by name, as they can be typed; "" in a notebook or a test."""
    words = [Path(w).name if Path(w).parent.parts[-2:] == ("experiments", "configs") else w for w in sys.argv[1:]]
    return shlex.join([Path(sys.argv[0]).name, *words]) if _from_command_line() else ""


def config_name() -> str:
    """Names of the configurations that the command line asked for, without their folders."""
    words = sys.argv[1:] if _from_command_line() else []
    given = [w.partition("=")[2] for w in words if w.startswith(("--config=", "-c="))]
    given += [after for w, after in pairwise(words) if w in ("--config", "-c")]
    return " + ".join(Path(g).name for g in given)


def run_folder(trainer: L.Trainer, folder: str = "") -> Path:
    """The folder of a run: the given one, the first logger's, or the trainer's root. Call it on every rank."""
    if folder:
        return Path(folder)
    return Path(trainer.log_dir or trainer.default_root_dir)


def write_json(lines: list[TaskResult], path: Path) -> None:
    """Write {task: {...}} with the parts of a task under "sources"."""
    report: dict[str, dict[str, Any]] = {}
    for line in lines:
        entry = line.as_dict()
        if line.source:
            report[line.task.split(" [")[0]].setdefault("sources", {})[line.source] = entry
        else:
            report[line.task] = entry
    path.write_text(json.dumps(report, indent=2) + "\n")


def write_csv(lines: list[TaskResult], path: Path) -> None:
    """Write a line a row."""
    write_sheet(Sheet(pd.DataFrame([[getattr(line, c) for c in COLUMNS] for line in lines], columns=COLUMNS)), path)


def _verdict(line: TaskResult) -> str:
    if line.beats_chance and line.beats_baseline:
        return "[green]beats both[/]"
    if line.beats_chance:
        return "[yellow]beats chance, not the baseline[/]"
    if line.beats_baseline:
        return "[yellow]beats the baseline, not chance[/]"
    return "[red]beats neither[/]"


def print_table(lines: list[TaskResult], notices: Sequence[str] = ()) -> None:
    """Print the table, and say of each line whether its whole interval lies above chance and baseline.

    Args:
        lines: of the table.
        notices: what the data lack, printed below it.
    """
    table = Table(title="test results; 95 % intervals over the units named; baseline: best constant of each source")
    right = ("value", "interval", "chance", "baseline", "n")
    for name in ("task", "metric", "value", "interval", "unit", "chance", "baseline", "n", "data", "verdict"):
        table.add_column(name, justify="right" if name in right else "left", no_wrap=name not in ("task", "verdict"))
    for line in lines:
        table.add_row(
            ("  " if line.source else "") + line.task.replace("[", "\\["),
            line.metric,
            f"{line.value:.3f}",
            f"{line.low:.3f}..{line.high:.3f}" if math.isfinite(line.low) else "none",
            line.unit,
            f"{line.chance:.3f}",
            f"{line.baseline:.3f}",
            str(line.n),
            line.data,
            _verdict(line),
        )
    console = Console()
    if not console.is_terminal and console.width < 120:
        console = Console(width=120)
    console.print(table)
    whole = [line for line in lines if not line.source]
    beaten = sum(line.beats_baseline for line in whole)
    console.print(f"{beaten} of {len(whole)} tasks beat the baseline with their interval", highlight=False)
    for notice in notices:
        console.print(f"warning: {notice}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def summary_figure(lines: list[TaskResult]) -> Figure:
    """Value and interval of each task, with ticks at chance and at the constant baseline."""
    shown = [line for line in lines if not line.source]
    names = [f"{line.task} ({line.metric})" for line in shown]
    values = Series(
        "value",
        names,
        [line.value for line in shown],
        [line.low for line in shown],
        [line.high for line in shown],
        simulated=[not line.real for line in shown],
    )
    ticks = [
        Series("chance", names, [line.chance for line in shown], dashed=True),
        Series("constant baseline of each source", names, [line.baseline for line in shown], dashed=True),
    ]
    word = joint_word([line.data for line in shown]) if shown else "real"
    return Figure("report", "Test results with 95 % intervals", "bars", series=[values, *ticks], data=word)


def draw(lines: list[TaskResult], path: Path) -> None:
    """Draw ``summary_figure`` into the PNG file ``path``."""
    figure = summary_figure(lines)
    save_figure(figure, colours([figure])[figure.name], path)


def _log_to_wandb(trainer: L.Trainer, lines: list[TaskResult], picture: Path) -> None:
    from lightning.pytorch.loggers import WandbLogger

    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_table(
                key="report", columns=list(COLUMNS), data=[[getattr(x, c) for c in COLUMNS] for x in lines]
            )
            logger.log_image(key="report_figure", images=[str(picture)])
            for line in lines:
                if not line.source:
                    logger.experiment.summary[f"report/{line.task}"] = line.value
