"""Tables and sentences of ``run.py ood``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.commands.ood.scores import Line, class_lines
from experiments.reporting.columns import interval_column
from zoo.evaluation.groups import Compared, metric_intervals, metric_names, pooled, within
from zoo.evaluation.resampling import UNIT_HELP, Interval, describe_units, mean_interval
from zoo.results import Column, Table, joint_word
from zoo.tasks.base import task_kind

MEAN = "mean over groups"
POOLED = "all held-out rows"


@dataclass
class DetectionLine:
    """How well one detector finds the rows of one hold-out."""

    group: str
    task: str
    detector: str
    scores: dict[str, Interval]
    n_in: int
    n_out: int
    unit: str
    data: str


def _cells(prefix: str, score: Interval) -> dict[str, float]:
    return {prefix: score.value, f"{prefix}_low": score.low, f"{prefix}_high": score.high}


def _metrics(row: dict[str, object], primary: str, metrics: dict[str, Compared]) -> None:
    for name, found in metrics.items():
        prefix = "" if name == primary else f"{name}_"
        row |= _cells(f"{prefix}in", found.inside) | _cells(f"{prefix}out", found.outside)
        row |= _cells(f"{prefix}gap", found.gap)


def line_row(line: Line) -> dict[str, object]:
    """The row of one hold-out. What cannot be right (``Line.impossible``) is left empty."""
    primary = task_kind(line.task).primary
    row: dict[str, object] = {
        "group": line.held.name,
        "task": line.task.name,
        "model": line.model,
        "metric": primary,
        "chance_in": line.chance[0],
        "chance_out": line.chance[1],
        "constant_in": line.constant[0],
        "constant_out": line.constant[1],
        "n_in": len(set(line.inside.ids)),
        "n_out": len(set(line.outside.ids)),
        "unseen_class": line.unseen // len(line.seeds),
        "not_in_distribution": line.other // len(line.seeds),
        "test_groups_trained": not line.inside_is_new,
        "unit": units_of(line),
        "seeds": len(line.seeds),
        "pipelines": ", ".join(line.chosen),
        "data": line.data,
    }
    _metrics(row, primary, line.metrics)
    if line.known is not None and not line.impossible:
        row |= _cells("out_known", line.known[primary].outside)
    if line.impossible:
        for key in [k for k in row if re.match(r"^(sensitivity_|specificity_)?(out|gap)(_low|_high)?$", k)]:
            row[key] = None
        row["note"] = "no class of these rows was trained on: 0 by construction, see the detection"
    return row


def units_of(line: Line) -> str:
    """What the intervals of a hold-out draw, in and out of distribution."""
    inside, outside = (describe_units(within(part).drawn) for part in (line.inside, line.outside))
    return f"in: {inside}; out: {outside}"


def mean_row(lines: Sequence[Line]) -> dict[str, object]:
    """The mean over groups of one task and model, with bootstrap intervals over the groups."""
    primary = task_kind(lines[0].task).primary
    scored = [x for x in lines if not x.impossible]
    row: dict[str, object] = _shared(MEAN, lines)
    for name in metric_names(task_kind(lines[0].task)):
        prefix = "" if name == primary else f"{name}_"
        for key, part in (("in", "inside"), ("out", "outside"), ("gap", "gap")):
            row |= _cells(f"{prefix}{key}", mean_interval([getattr(x.metrics[name], part).value for x in scored]))
    row["unit"] = f"held-out group ({len(scored)})"
    for k, key in enumerate(("in", "out")):
        row[f"chance_{key}"] = mean_interval([x.chance[k] for x in scored]).value
        row[f"constant_{key}"] = mean_interval([x.constant[k] for x in scored]).value
    known = [x for x in scored if x.known is not None]
    if known:
        values = [(x.known or x.metrics)[primary].outside.value for x in scored]
        row |= _cells("out_known", mean_interval(values))
    return row


def pooled_row(lines: Sequence[Line], resamples: int) -> dict[str, object]:
    """All rows of all hold-outs of one task and model, each predicted while its group was held out."""
    kind = task_kind(lines[0].task)
    row: dict[str, object] = _shared(POOLED, lines)
    try:
        part = pooled([x.outside for x in lines])
    except ValueError:  # vocabularies of different hold-outs
        return row
    row["unit"] = f"out: {describe_units(within(part).drawn)}"
    for name, found in metric_intervals(kind, part, resamples=resamples).items():
        prefix = "" if name == kind.primary else f"{name}_"
        row |= _cells(f"{prefix}out", found)
    weight = np.array([len(x.outside.ids) for x in lines], dtype=float)
    row["chance_out"] = float(np.average([x.chance[1] for x in lines], weights=weight))
    row["constant_out"] = float(np.average([x.constant[1] for x in lines], weights=weight))
    return row


def _shared(name: str, lines: Sequence[Line]) -> dict[str, object]:
    return {
        "group": name,
        "task": lines[0].task.name,
        "model": lines[0].model,
        "metric": task_kind(lines[0].task).primary,
        "n_out": sum(len(set(x.outside.ids)) for x in lines),
        "unseen_class": sum(x.unseen // len(x.seeds) for x in lines),
        "seeds": max(len(x.seeds) for x in lines),
        "data": joint_word([x.data for x in lines]),
    }


def blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines of each task and model."""
    keys = dict.fromkeys((x.task.name, x.model) for x in lines)
    return [[x for x in lines if (x.task.name, x.model) == key] for key in keys]


def group_table(lines: Sequence[Line], column: str, resamples: int) -> Table:
    """The main table: a line a hold-out, task and model, then the mean over groups and all rows pooled.

    Args:
        lines: scores of every hold-out.
        column: the group column.
        resamples: of the bootstrap.
    """
    rows = []
    for block in blocks(lines):
        rows += [line_row(x) for x in block]
        if len(block) > 1:
            rows += [mean_row(block), pooled_row(block, resamples)]
    columns = [
        Column("group", column),
        Column("task", "task"),
        Column("model", "model", help="network, or the field's classical pipelines (zoo.baselines)"),
        Column("metric", "metric"),
        interval_column("in", "in distribution", "test rows of groups that were trained on"),
        interval_column("out", "out of distribution", "rows of the held-out group"),
        interval_column("gap", "gap", "in minus out of distribution"),
        interval_column("out_known", "out, trained classes", "without rows whose class no training row has"),
    ]
    if any(x.classes for x in lines):
        for name in ("sensitivity", "specificity"):
            for part, word in (("in", "in"), ("out", "out"), ("gap", "gap")):
                columns.append(
                    interval_column(f"{name}_{part}", f"{name}, {word}", "macro average over the classes that occur")
                )
    for key, label in (("chance", "chance"), ("constant", "best constant")):
        columns += [interval_column(f"{key}_{p}", f"{label}, {p}", interval=False) for p in ("in", "out")]
    columns += [
        Column("n_in", "n in", "integer"),
        Column("n_out", "n out", "integer"),
        Column("unseen_class", "n, class not trained", "integer", help="rows out of distribution"),
        Column("not_in_distribution", "n left out", "integer", help="test rows of groups without training rows"),
        Column("test_groups_trained", "test groups trained", "flag", help="False: the split keeps groups together"),
        Column("unit", "unit", help=UNIT_HELP),
        Column("seeds", "seeds", "integer"),
        Column("pipelines", "classical pipelines"),
        Column("data", "data"),
        Column("note", "note"),
    ]
    note = (
        "Rows are pooled over seeds; 95 % bootstrap intervals over the units named, in the mean over groups over the "
        "held-out groups. Where all rows are of one unit, as of a subject that is held out, rows are drawn, and the "
        "interval holds for that one. "
        "Chance and best constant are of the primary metric."
    )
    return Table("groups", f"In and out of distribution, by {column}", columns, rows, note)


def class_table(lines: Sequence[Line], column: str) -> Table | None:
    """Sensitivity and specificity of each class; None where no task has classes."""
    rows = [r for x in lines for r in class_lines(x)]
    keys = (("group", column), ("task", "task"), ("model", "model"), ("class", "class"))
    columns = [Column(k, label) for k, label in keys] + [
        Column("distribution", "distribution", help="in, or out: the held-out group"),
        Column("sensitivity", "sensitivity", "number"),
        Column("specificity", "specificity", "number"),
        Column("n", "n", "integer"),
        Column("data", "data"),
    ]
    return Table("classes", "Each class, in and out of distribution", columns, rows) if rows else None


def detection_table(lines: Sequence[DetectionLine], column: str) -> Table:
    """How well the rows of each hold-out are detected, and the mean over groups."""
    rows: list[dict[str, object]] = []
    for key in dict.fromkeys((x.task, x.detector) for x in lines):
        block = [x for x in lines if (x.task, x.detector) == key]
        for x in block:
            row: dict[str, object] = {"group": x.group, "task": x.task, "detector": x.detector, "data": x.data}
            row |= {
                "n_in": x.n_in,
                "n_out": x.n_out,
                "unit": x.unit,
                "prevalence": x.n_out / max(x.n_in + x.n_out, 1),
                "chance": 0.5,
            }
            for name, score in x.scores.items():
                row |= _cells(name, score)
            rows.append(row)
        if len(block) > 1:
            row = {"group": MEAN, "task": key[0], "detector": key[1], "chance": 0.5}
            row["data"] = joint_word([x.data for x in block])
            row["unit"] = f"held-out group ({len(block)})"
            row["prevalence"] = float(np.mean([x.n_out / max(x.n_in + x.n_out, 1) for x in block]))
            for name in ("auroc", "fpr95", "aupr"):
                row |= _cells(name, mean_interval([x.scores[name].value for x in block]))
            rows.append(row)
    columns = [
        Column("group", column),
        Column("task", "task"),
        Column("detector", "detector", help="input_knn looks at the inputs, not at the network"),
        interval_column("auroc", "AUROC", "chance .5"),
        Column("chance", "chance of AUROC", "number"),
        interval_column("fpr95", "FPR95", "lower is better; chance .95"),
        interval_column("aupr", "AUPR", "chance is the share of rows out of distribution"),
        Column("prevalence", "chance of AUPR", "number"),
        Column("n_in", "n in", "integer"),
        Column("n_out", "n out", "integer"),
        Column("unit", "unit", help=UNIT_HELP),
        Column("data", "data"),
    ]
    return Table("detection", f"Detection of rows of a held-out {column}", columns, rows, "Mean over seeds.")


def sentences(lines: Sequence[Line], detections: Sequence[DetectionLine], column: str) -> list[str]:
    """What was found, a sentence a task and model.

    Args:
        lines: scores of every hold-out.
        detections: scores of every detector.
        column: the group column.
    """
    said = []
    for block in blocks(lines):
        task, model, metric = block[0].task.name, block[0].model, task_kind(block[0].task).primary
        scored = [x for x in block if not x.impossible]
        if scored:
            inside = mean_interval([x.metrics[metric].inside.value for x in scored])
            outside = mean_interval([x.metrics[metric].outside.value for x in scored])
            chance = mean_interval([x.chance[1] for x in scored]).value
            constant = mean_interval([x.constant[1] for x in scored]).value
            said.append(
                f"{task}, {model}: {metric} {inside.value:.3f} in and {outside.value:.3f} out of distribution, mean "
                f"over {len(scored)} {column} value(s) (chance {chance:.3f}, best constant {constant:.3f} out of it)"
            )
        for x in block:
            if x.impossible:
                said.append(
                    f"{task}, {model}, '{x.held.name}': no class of its {x.unseen // len(x.seeds)} rows was trained "
                    f"on, so {metric} is 0 by construction and only the detection is reported"
                )
        new = [x.held.name for x in block if x.inside_is_new]
        if new:
            said.append(
                f"{task}, {model}: the split keeps {column} together, so for {len(new)} hold-out(s) the test rows "
                "are of groups that were not trained on either; there 'in distribution' means other unseen groups"
            )
    for task in dict.fromkeys(x.task for x in detections):
        means = {
            d: mean_interval([x.scores["auroc"].value for x in detections if (x.task, x.detector) == (task, d)]).value
            for d in dict.fromkeys(x.detector for x in detections if x.task == task)
        }
        said.append(
            f"{task}, detection AUROC: " + ", ".join(f"{d} {v:.3f}" for d, v in means.items()) + " (chance .5)"
        )
    return said
