"""How far predictions can be trusted: temperatures and conformal thresholds, learned from validation rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.contract import empty_target
from zoo.errors import DataError, SpecError
from zoo.evaluation.calibration import at_temperature, fit_temperature, nlls, probabilities
from zoo.evaluation.conformal import conformal_quantile, lac_scores
from zoo.tasks.base import TaskKind
from zoo.tasks.items import Floats, Variable
from zoo.training.collector import Evaluated

COVERAGES = (0.8, 0.9, 0.95)
"""Shares of rows that conformal sets and intervals are made to hold the truth of."""
LEAST = 20
"""Validation rows below which no temperature is fitted."""


@dataclass
class TaskTrust:
    """What validation rows say of one task.

    Attributes:
        temperature: that probabilities are brought to; 1 leaves them.
        rows: validation rows that carry a label.
        nll: mean negative log-likelihood of the labels of these rows, before and after the temperature; empty for
            tasks without probabilities.
        thresholds: coverage, such as "0.9" -> one conformal threshold, or one for each label or target. None where
            the rows are too few for any: the set then holds everything.
    """

    temperature: float = 1.0
    rows: int = 0
    nll: list[float] = field(default_factory=list)
    thresholds: dict[str, list[float | None]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def from_json(told: Mapping[str, Any]) -> TaskTrust:
    """Invert ``TaskTrust.as_json``.

    Raises:
        DataError: it is something else.
    """
    try:
        return TaskTrust(**told)
    except TypeError as error:
        raise DataError(f"what the bundle says of a task cannot be used ({error})") from error


def fit_trust(kind: TaskKind, validation: Evaluated | None) -> TaskTrust:
    """Learn from validation rows.

    Args:
        kind: of the task.
        validation: predictions of labelled rows that the model did not learn from; None for none.
    """
    if validation is None or not len(validation.target):
        return TaskTrust()
    made = TaskTrust(rows=len(validation.target))
    prediction = validation.prediction
    if kind.gives_probabilities and len(validation.target) >= LEAST:
        found = probabilities(kind, validation)
        made.temperature = fit_temperature(found)
        if len(found.labels):
            made.nll = [float(nlls(p).mean()) for p in (found, at_temperature(found, made.temperature))]
        prediction = kind.tempered(prediction, made.temperature)
    scores = [_scores(kind, v) for v in kind.variables(prediction, validation.target)] if _in_sets(kind) else []
    for coverage in COVERAGES if scores else ():
        limits = [conformal_quantile(s, 1.0 - coverage) for s in scores]
        made.thresholds[str(coverage)] = [q if math.isfinite(q) else None for q in limits]
    return made


def _in_sets(kind: TaskKind) -> bool:
    """Whether what a task predicts of a row are items that conformal sets are made of."""
    return kind.form != "other"


def _scores(kind: TaskKind, variable: Variable) -> Floats:
    """Scores of the truth of labelled rows: 1 - its probability, or the size of the residual in the task's unit."""
    seen = variable.seen
    if kind.form == "values":
        return np.asarray(np.abs(variable.prediction - variable.target)[seen] * variable.scale)
    codes = variable.target[seen].astype(np.int64)
    scores = lac_scores(variable.prediction[seen])
    own = scores[np.arange(len(codes)), np.maximum(codes, 0)]
    return np.where(codes >= 0, own, math.inf)


def blank_targets(kind: TaskKind, count: int) -> Tensor:
    """Targets (count, ...) that say nothing, for what asks for targets beside predictions."""
    shape = empty_target(kind.spec).shape[1:]
    return torch.zeros((count, *shape), dtype=kind.target_dtype())


def limits(trust: TaskTrust, coverage: float) -> list[float | None]:
    """The thresholds for a coverage; [] for a task without.

    Raises:
        SpecError: another coverage than those that were prepared.
    """
    if not trust.thresholds:
        return []
    if str(coverage) not in trust.thresholds:
        raise SpecError(f"coverage {coverage} was not prepared; take one of {', '.join(trust.thresholds)}")
    return trust.thresholds[str(coverage)]


def covered(kind: TaskKind, result: Evaluated, trust: TaskTrust, coverage: float) -> npt.NDArray[np.bool_]:
    """(n,) whether the conformal set of each labelled item holds the truth; empty for a task without sets.

    Args:
        kind: of the task.
        result: predictions at the task's temperature.
        trust: of the task.
        coverage: of the sets.
    """
    made = limits(trust, coverage)
    if not made:
        return np.zeros(0, dtype=bool)
    variables = kind.variables(result.prediction, result.target)
    held = [
        _scores(kind, v) <= (math.inf if limit is None else limit) for v, limit in zip(variables, made, strict=True)
    ]
    return np.concatenate(held)
