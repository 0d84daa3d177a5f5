"""Figures of ``run.py ood``: bars in and out of distribution, of the gap, and of the detectors."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from experiments.commands.ood.report import MEAN, DetectionLine, blocks
from experiments.commands.ood.scores import Line
from zoo.evaluation.groups import metric_names
from zoo.evaluation.resampling import Interval, mean_interval
from zoo.results import Figure, Series, joint_word
from zoo.tasks.base import task_kind


def _bars(name: str, pairs: Sequence[tuple[str, Interval | None, int, bool]]) -> Series:
    """Bars of (x, score, n, simulated)."""
    whole = [s or Interval(math.nan) for _, s, _, _ in pairs]
    return Series(
        name,
        [x for x, *_ in pairs],
        [_finite(s.value) for s in whole],
        [_finite(s.low) for s in whole],
        [_finite(s.high) for s in whole],
        [n for *_, n, _ in pairs],
        [simulated for *_, simulated in pairs],
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)


def score_figures(lines: Sequence[Line], column: str) -> list[Figure]:
    """Bars of each metric in and out of distribution (MultiMed, Figure 2), and of the gap, for each task."""
    figures = []
    for task in dict.fromkeys(x.task.name for x in lines):
        mine = [b for b in blocks(lines) if b[0].task.name == task]
        data = joint_word([x.data for b in mine for x in b])
        for metric in metric_names(task_kind(mine[0][0].task)):
            title = f"{task}: {metric} in and out of distribution, by {column}"
            figure = Figure(f"ood-{_word(task)}-{metric}", title, "bars", column, metric, data=data)
            figure.group, figure.panel = f"ood {task}", metric
            figure.series = [
                _bars(f"{b[0].model}, {word} distribution", _points(b, metric, part))
                for b in mine
                for part, word in (("inside", "in"), ("outside", "out of"))
            ]
            figure.references = _references(mine[0], metric)
            figures.append(figure)
            gap = Figure(
                f"ood-{_word(task)}-{metric}-gap",
                f"{task}: gap in {metric}",
                "bars",
                column,
                f"{metric}, in minus out",
            )
            gap.series = [_bars(b[0].model, _points(b, metric, "gap")) for b in mine]
            gap.group, gap.panel, gap.data, gap.references = f"ood gap {task}", metric, data, {"no gap": 0.0}
            figures.append(gap)
    return figures


def _points(block: Sequence[Line], metric: str, part: str) -> list[tuple[str, Interval | None, int, bool]]:
    points: list[tuple[str, Interval | None, int, bool]] = []
    for x in block:
        score = None if x.impossible and part != "inside" else getattr(x.metrics[metric], part)
        n = len(set((x.inside if part == "inside" else x.outside).ids))
        points.append((x.held.name, score, n, x.data != "real"))
    if len(block) > 1:
        known = [s.value for _, s, _, _ in points if s is not None]
        points.append((MEAN, mean_interval(known), sum(n for *_, n, _ in points), any(s for *_, s in points)))
    return points


def _references(block: Sequence[Line], metric: str) -> dict[str, float]:
    """Chance and best constant out of distribution, averaged over groups."""
    if metric == task_kind(block[0].task).primary:
        pairs = {
            "chance": mean_interval([x.chance[1] for x in block]).value,
            "best constant": mean_interval([x.constant[1] for x in block]).value,
        }
    else:
        share = 1.0 / max(float(np.mean([x.trained_classes for x in block])), 1.0)
        pairs = {"chance": share if metric == "sensitivity" else 1.0 - share}
    return {k: v for k, v in pairs.items() if math.isfinite(v)}


def detection_figures(lines: Sequence[DetectionLine], column: str) -> list[Figure]:
    """Bars of the AUROC of each detector and group, for each task."""
    figures = []
    for task in dict.fromkeys(x.task for x in lines):
        title = f"{task}: detection of rows of a held-out {column}"
        figure = Figure(f"ood-{_word(task)}-detection", title, "bars", column, "AUROC", references={"chance": 0.5})
        figure.group, figure.panel = "ood detection", task
        figure.data = joint_word([x.data for x in lines if x.task == task])
        for detector in dict.fromkeys(x.detector for x in lines if x.task == task):
            block = [x for x in lines if (x.task, x.detector) == (task, detector)]
            points = [(x.group, x.scores["auroc"], x.n_out, x.data != "real") for x in block]
            if len(block) > 1:
                mean = mean_interval([x.scores["auroc"].value for x in block])
                points.append((MEAN, mean, sum(x.n_out for x in block), any(x.data != "real" for x in block)))
            figure.series.append(_bars(detector, points))
        figures.append(figure)
    return figures
