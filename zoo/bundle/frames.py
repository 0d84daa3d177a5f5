"""Predictions of one task as a table: the prediction, probabilities, a conformal set or interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zoo.bundle.trust import TaskTrust, blank_targets, limits
from zoo.evaluation.conformal import lac_scores
from zoo.tasks.base import TaskKind
from zoo.tasks.items import Variable

SEPARATOR = "|"
"""Between the classes of a set."""


def prediction_columns(kind: TaskKind, trust: TaskTrust) -> list[str]:
    """Headings of ``prediction_cells``."""
    first, *others = kind.columns()
    if kind.gives_probabilities:
        others = [f"p({name})" for name in others]
    elif kind.form == "values":
        return [*others, *_set_columns(kind, trust)]
    return [first, *others, *_set_columns(kind, trust)]


def _set_columns(kind: TaskKind, trust: TaskTrust) -> list[str]:
    if not trust.thresholds:
        return []
    if kind.form == "class":
        return ["set"]
    names = kind.columns()[1:]
    if kind.form == "labels":
        return [f"set({name})" for name in names]
    return [f"{name} {end}" for name in names for end in ("low", "high")]


def prediction_cells(
    kind: TaskKind, prediction: Tensor, lengths: Sequence[int], trust: TaskTrust, coverage: float
) -> list[list[str | float]]:
    """What is said of each of N rows, under ``prediction_columns``.

    Args:
        kind: of the task.
        prediction: (N, ...) at the task's temperature.
        lengths: of each row, see ``TaskKind.cells``.
        trust: of the task.
        coverage: of sets and intervals.
    """
    rows = [kind.cells(p, n) for p, n in zip(prediction, lengths, strict=True)]
    if kind.form == "values":
        rows = [cells[1:] for cells in rows]
    made = limits(trust, coverage)
    if not made or not len(rows):
        return rows
    variables = kind.variables(prediction, blank_targets(kind, len(prediction)))
    for variable, limit, place in zip(variables, made, range(len(made)), strict=True):
        for row, said in zip(rows, _sets(kind, variable, limit, place, rows), strict=True):
            row += said
    return rows


def _sets(
    kind: TaskKind, variable: Variable, limit: float | None, place: int, rows: list[list[str | float]]
) -> list[list[str | float]]:
    """What a conformal threshold says of each row: a set of classes, or the ends of an interval."""
    if kind.form == "values":
        values = [float(row[place]) for row in rows]
        return [["", ""] if limit is None else [v - limit, v + limit] for v in values]
    scores = lac_scores(variable.prediction)
    inside = scores <= (np.inf if limit is None else limit)
    names = list(kind.spec.classes) if kind.form == "class" else ["0", "1"]
    return [[SEPARATOR.join(n for n, held in zip(names, row, strict=True) if held)] for row in inside]


def joined(columns: Sequence[str], parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of the same columns one below the other; types of columns do not depend on how rows were parted."""
    return pd.DataFrame({c: [cell for part in parts for cell in part[c].tolist()] for c in columns})


def on_rows(rows: Tensor, values: Tensor, count: int) -> list[Tensor | None]:
    """What was predicted of each of ``count`` rows; None for rows without."""
    place = torch.full((count,), -1, dtype=torch.long)
    place[rows] = torch.arange(len(rows))
    return [values[k] if k >= 0 else None for k in place.tolist()]
