"""Figures of Table 1: bars a task, learning curves, confusion matrices."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.commands.table1.rows import Plan, Row
from experiments.core.job import Finished
from experiments.core.runner import JobResults
from zoo.results import Figure, Series, joint_word

Entries = Mapping[tuple[str, str], Any]
MOST_CLASSES = 16
"""Tasks with more classes get no confusion matrix."""


def figures(
    rows: Sequence[Row], plan: Plan, entries: Entries, trained: JobResults, seeds: Sequence[int]
) -> list[Figure]:
    """All figures of the table that can be drawn from what is finished.

    Args:
        rows: of the table.
        plan: modalities and tasks.
        entries: (row, task) -> its entry.
        trained: what became of the trainings.
        seeds: of the trainings.
    """
    found = [_overview(rows, plan, entries), *(_bars(rows, t.name, entries) for t in plan.tasks)]
    last = [r for r in rows if r.label == "multimodal multitask"] or [rows[-1]]
    found += [f for t in plan.tasks if (f := _confusion(entries[(last[0].label, t.name)]))]
    found += _curves(last[0], plan, trained, seeds, entries)
    return [f for f in found if f is not None]


def _overview(rows: Sequence[Row], plan: Plan, entries: Entries) -> Figure:
    """Every task and row in one figure."""
    names = [t.name for t in plan.tasks]
    series = []
    for row in rows:
        mine = [entries[(row.label, n)] for n in names]
        part = Series(row.label, names, [e.estimate.value if e.estimate else None for e in mine])
        part.low = [e.estimate.low if e.estimate else None for e in mine]
        part.high = [e.estimate.high if e.estimate else None for e in mine]
        part.simulated = [e.data != "real" for e in mine]
        series.append(part)
    words = [e.data for e in entries.values() if e.estimate] or ["real"]
    return Figure(
        "table1",
        "Every task and method, 95 % intervals",
        "bars",
        "",
        "primary metric",
        series,
        data=joint_word(words),
    )


def _bars(rows: Sequence[Row], task: str, entries: Entries) -> Figure:
    """The rows of one task as bars, beside chance and the best constant."""
    mine = [e for r in rows if (e := entries[(r.label, task)]).estimate]
    series = Series("measured", [e.row.label for e in mine], [e.estimate.value for e in mine])
    series.low, series.high = [e.estimate.low for e in mine], [e.estimate.high for e in mine]
    series.n = [e.estimate.n for e in mine]
    series.simulated = bool(mine) and mine[0].data != "real"
    metric = mine[0].metric if mine else ""
    references = {"chance": mine[0].chance, "best constant": mine[0].constant} if mine else {}
    return Figure(
        f"rows-{task}",
        f"{task}: {metric} of each method",
        "bars",
        "",
        metric,
        [series],
        references,
        group="methods of a task",
        panel=task,
        data=mine[0].data if mine else "real",
    )


def _confusion(entry: Any) -> Figure | None:
    """Row-normalised confusion matrix of a task with classes, over the seeds."""
    kinds = [k for k, _ in entry.runs.values()]
    if not kinds or not kinds[0].fixed_classes():
        return None
    classes = list(kinds[0].spec.classes)
    if len(classes) > MOST_CLASSES:
        return None
    counts = np.zeros((len(classes), len(classes)))
    for _, result in entry.runs.values():
        np.add.at(counts, (result.target.numpy(), result.prediction.argmax(-1).numpy()), 1)
    totals = counts.sum(1, keepdims=True)
    share = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    return Figure(
        f"confusion-{entry.task}",
        f"{entry.task}: predicted class of each true class, {entry.row.label}",
        "heatmap",
        "predicted",
        "true",
        rows=[f"{c} (n {int(t)})" for c, t in zip(classes, totals[:, 0], strict=True)],
        columns=classes,
        values=[[None if np.isnan(v) else float(v) for v in line] for line in share],
        group="confusion",
        panel=entry.task,
        note="shares of each true class, test rows of all seeds",
        data=entry.data,
    )


def _curves(row: Row, plan: Plan, trained: JobResults, seeds: Sequence[int], entries: Entries) -> list[Figure]:
    """Validation metric of the row's trainings by epoch, one line a seed."""
    found = []
    for task in plan.tasks:
        metric = entries[(row.label, task.name)].metric
        series = []
        for seed in seeds:
            for job in row.jobs(task, plan, seed):
                if job in trained.finished and job.kind == "network":
                    x, y = read_curve(trained.finished[job], f"val/{task.name}/{metric}")
                    if x:
                        series.append(Series(f"seed {seed}", x, y))
        if series:
            found.append(
                Figure(
                    f"curve-{task.name}",
                    f"{task.name}: validation {metric} while training, {row.label}",
                    "lines",
                    "epoch",
                    metric,
                    series,
                    group="curves",
                    panel=task.name,
                    data=entries[(row.label, task.name)].data,
                )
            )
    return found


def read_curve(done: Finished, key: str) -> tuple[list[Any], list[float | None]]:
    """Epochs and values of a logged metric of a finished job."""
    path = done.folder / "metrics.csv"
    if not path.exists():
        return [], []
    with path.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r.get(key)]
    return [int(r["epoch"]) for r in rows], [float(r[key]) for r in rows]
