"""What a fit or a test found, as a Result: tables, curves, and the figures of each kind of task."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.errors import DataError
from zoo.evaluation.resampling import METHOD_HELP, UNIT_HELP
from zoo.evaluation.summary import TaskResult
from zoo.results import Column, Example, Figure, Result, Series, Table, joint_word
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated

METRICS = "metrics.csv"
"""What lightning's CSVLogger writes."""


def fit_result(
    lines: Sequence[TaskResult],
    kinds: Mapping[str, TaskKind],
    results: Mapping[str, Evaluated],
    data_words: Mapping[str, str],
    log_folder: Path | None = None,
    *,
    examples: Sequence[Example] = (),
    title: str = "",
    config: str = "",
    seeds: Sequence[int] = (),
    seconds: float = 0.0,
    command_line: str = "",
    notices: Sequence[str] = (),
) -> Result:
    """Put what a test measured into a Result.

    Args:
        lines: of the final table.
        kinds: task -> TaskKind.
        results: task -> predictions of the test split.
        data_words: task -> "real", "simulated" or "mixed".
        log_folder: where the run's metrics.csv lies, for the curves; without one there are none.
        examples: rows to look at, see ``worst_examples``.
        title: of the Result.
        config: name of the configuration.
        seeds: that were run.
        seconds: of wall time.
        command_line: what was typed.
        notices: what the data lack, for the summary.

    Raises:
        DataError: metrics.csv is broken.
    """
    whole = [line for line in lines if not line.source]
    figures = [_bars(whole)] if whole else []
    if log_folder is not None and (log_folder / METRICS).is_file():
        figures += curves(log_folder / METRICS, whole)
    for task, kind in kinds.items():
        if task in results:
            result, data = results[task], data_words.get(task, "real")
            figures += kind.figures(result.prediction, result.target, result.ids, data)
    return Result(
        command="fit",
        title=title or "Test results of every task",
        config=config,
        data=joint_word([line.data for line in whole]) if whole else "real",
        summary=[*_summary(whole), *(f"The data: {n}." for n in notices)],
        tables=[_tasks(lines), _metrics(lines)],
        figures=figures,
        examples=list(examples),
        seeds=list(seeds),
        seconds=seconds,
        command_line=command_line,
    )


def _summary(lines: Sequence[TaskResult]) -> list[str]:
    if not lines:
        return ["No task has a labelled test row."]
    said = []
    for what, names in (
        ("a constant baseline", [x.task for x in lines if not x.beats_baseline]),
        ("chance", [x.task for x in lines if not x.beats_chance]),
    ):
        missed = f"; not {', '.join(names)}" if names else ""
        said.append(f"{len(lines) - len(names)} of {len(lines)} tasks beat {what} with their whole interval{missed}.")
    invented = [x.task for x in lines if x.data != "real"]
    if invented:
        said.append(f"Simulated data are in {len(invented)} of {len(lines)} tasks: {', '.join(invented)}.")
    return said


def _tasks(lines: Sequence[TaskResult]) -> Table:
    columns = [
        Column("task", "task"),
        Column("metric", "metric"),
        Column("value", "value", "number", "low", "high", "on the test split; higher is better"),
        Column("chance", "chance", "number", help="a guesser that knows the classes of each source"),
        Column("baseline", "baseline", "number", help="the best constant of each source"),
        Column("n", "rows", "integer"),
        Column("unit", "unit", help=UNIT_HELP),
        Column("interval", "interval", help=METHOD_HELP),
        Column("beats_chance", "beats chance", "flag", help="the whole interval lies above"),
        Column("beats_baseline", "beats baseline", "flag", help="the whole interval lies above"),
        Column("data", "data"),
    ]
    rows = [{c: getattr(x, c) for c in (*(c.key for c in columns), "low", "high")} for x in lines]
    note = "95 % intervals over the units that are named. A line with [SOURCE] is the part of a task from one source."
    return Table("tasks", "Test results", columns, rows, note)


def _metrics(lines: Sequence[TaskResult]) -> Table:
    columns = [Column("task", "task"), Column("metric", "metric"), Column("value", "value", "number")]
    rows = [
        {"task": x.task, "metric": m, "value": v if math.isfinite(v) else None, "data": x.data}
        for x in lines
        for m, v in x.metrics.items()
    ]
    return Table("metrics", "Every metric", columns, rows)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bars(lines: Sequence[TaskResult]) -> Figure:
    names = [f"{x.task} ({x.metric})" for x in lines]
    return Figure(
        "tasks",
        "Test results by task",
        "bars",
        y_label="primary metric of the task",
        series=[
            Series(
                "model",
                names,
                [_known(x.value) for x in lines],
                [_known(x.low) for x in lines],
                [_known(x.high) for x in lines],
                [x.n for x in lines],
                simulated=[x.data != "real" for x in lines],
            ),
            Series("constant baseline", names, [_known(x.baseline) for x in lines], dashed=True),
            Series("chance", names, [_known(x.chance) for x in lines], dashed=True),
        ],
        note="95 % intervals over units; the baseline is the best constant of each source.",
        data=joint_word([x.data for x in lines]),
    )


# -- curves ------------------------------------------------------------------------------------------------


def curves(path: Path, lines: Sequence[TaskResult]) -> list[Figure]:
    """Figures of group "curves" from a CSVLogger's file: the training loss, the skill, each task's primary metric.

    What was logged several times in an epoch is averaged over it.

    Raises:
        DataError: a value is no number.
    """
    wanted = {"train/loss": "training loss", "val/skill": "skill (0 chance, 1 perfect), mean over tasks"}
    wanted |= {f"val/{x.task}/{x.metric}": f"{x.metric} on the validation split" for x in lines}
    sums: dict[str, dict[int, list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            for key in wanted:
                if row.get(key) and row.get("epoch"):
                    try:
                        value, epoch = float(row[key]), int(float(row["epoch"]))
                    except ValueError as error:
                        raise DataError(f"line {number}: {key} or epoch is no number: {error}", file=path) from error
                    if math.isfinite(value):
                        sums.setdefault(key, {}).setdefault(epoch, []).append(value)
    by_key = {f"val/{x.task}/{x.metric}": x for x in lines}
    figures = []
    for key, label in wanted.items():
        if key not in sums:
            continue
        epochs = sorted(sums[key])
        line = by_key.get(key)
        panel = line.task if line else "training loss" if key == "train/loss" else "mean skill"
        references = {"chance": line.chance, "constant baseline": line.baseline} if line else {}
        figures.append(
            Figure(
                "curve_" + key.replace("/", "_"),
                f"{label[0].upper()}{label[1:]}" + (f": {line.task}" if line else ""),
                "lines",
                "epoch",
                label,
                [
                    Series(
                        label.split(" (")[0],
                        list(epochs),
                        [_mean(sums[key][e]) for e in epochs],
                        simulated=line is not None and line.data != "real",
                    )
                ],
                {n: v for n, v in references.items() if math.isfinite(v)},
                group="curves",
                panel=panel,
                note="Chance and baseline are those of the test split." if line else "",
                data=line.data if line else joint_word([x.data for x in lines]) if lines else "real",
            )
        )
    return figures


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
