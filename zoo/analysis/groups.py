"""Scores of groups of rows, in and out of distribution: accuracy, sensitivity, specificity, and the gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.analysis.paired import interval
from zoo.errors import SpecError
from zoo.evaluation import Evaluated
from zoo.tasks.base import TaskKind
from zoo.tasks.parts import nan_mean

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
CLASS_KINDS = ("classification", "ordinal", "vqa")
"""Kinds whose predictions are (N, K) probabilities of classes and whose targets are (N,) codes."""
NAN = float("nan")


@dataclass(frozen=True)
class Score:
    """A figure with its 95 % interval; NaN where it is undefined.

    Attributes:
        value, low, high: the figure and the ends of the interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """One metric in distribution, out of it, and the gap between them (in minus out)."""

    inside: Score
    outside: Score
    gap: Score


def has_classes(kind: TaskKind) -> bool:
    """Whether sensitivity and specificity are defined for tasks of this kind."""
    return kind.kind in CLASS_KINDS


def metric_names(kind: TaskKind) -> tuple[str, ...]:
    """The primary metric, and for tasks of classes sensitivity and specificity."""
    return (kind.primary, "sensitivity", "specificity") if has_classes(kind) else (kind.primary,)


def class_rates(choice: Tensor, target: Tensor, classes: int) -> tuple[Floats, Floats]:
    """Sensitivity and specificity of each class against all others.

    >>> rates = class_rates(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 3)
    >>> rates[0].tolist(), rates[1].tolist()
    ([1.0, 0.5, nan], [0.5, 1.0, 1.0])

    Args:
        choice: (N,) codes of the predicted classes.
        target: (N,) codes of the true classes; rows below 0 belong to no class and are left out.
        classes: K.

    Returns:
        (K,) true positives over positives, NaN for a class without rows; and (K,) true negatives over negatives, NaN
        for a class that all rows have.
    """
    known = target >= 0
    cells = torch.bincount(target[known] * classes + choice[known], minlength=classes * classes)
    return _rates(cells.reshape(classes, classes).double().numpy())


def _rates(table: Floats) -> tuple[Floats, Floats]:
    """Sensitivity and specificity of a confusion matrix (truth, choice)."""
    hit, true, said = table.diagonal(), table.sum(1), table.sum(0)
    negatives = table.sum() - true
    with np.errstate(invalid="ignore", divide="ignore"):
        return hit / true, (negatives - (said - hit)) / negatives


def macro(rates: Floats, sensitivity: Floats) -> float:
    """Mean of rates (K,) over the classes that have rows, which are those with a sensitivity; NaN for none."""
    return nan_mean(rates[~np.isnan(sensitivity)].tolist())


def scores(kind: TaskKind, part: Evaluated) -> dict[str, float]:
    """Every metric of ``metric_names`` of some rows; NaN where it is undefined.

    Sensitivity and specificity are macro averages over the classes that occur among the rows (Sokolova and Lapalme,
    Inf. Process. Manag. 45:427, 2009), so a group with few of the classes is judged by those.
    """
    found = {kind.primary: kind.primary_value(part.prediction, part.target) if len(part.target) else NAN}
    if has_classes(kind):
        seen, free = class_rates(part.prediction.argmax(-1), part.target, part.prediction.shape[-1])
        found |= {"sensitivity": macro(seen, seen), "specificity": macro(free, seen)}
    return found


def take(part: Evaluated, rows: Bools | npt.NDArray[np.int64]) -> Evaluated:
    """Some rows of an Evaluated, by mask or number."""
    index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
    pick = torch.from_numpy(np.asarray(index, dtype=np.int64))
    ids = [part.ids[i] for i in index.tolist()]
    return Evaluated(part.prediction[pick], part.target[pick], part.source[pick], ids)


def pooled(parts: Sequence[Evaluated]) -> Evaluated:
    """The rows of several predictions of one task, one after another; an id may then repeat.

    Raises:
        SpecError: nothing is given, or the predictions are of different widths.
    """
    shapes = {tuple(p.prediction.shape[1:]) for p in parts}
    if len(shapes) != 1:
        raise SpecError(f"predictions of shapes {sorted(shapes)} cannot be pooled; they are of different classes")
    return Evaluated(
        torch.cat([p.prediction for p in parts]),
        torch.cat([p.target for p in parts]),
        torch.cat([p.source for p in parts]),
        [i for p in parts for i in p.ids],
    )


def draws(ids: Sequence[str], resamples: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Row numbers of bootstrap samples of samples: all rows of an id, such as one a seed, are drawn together."""
    _, code = np.unique(np.asarray(ids, dtype=object).astype(str), return_inverse=True)
    order = np.argsort(code, kind="stable")
    counts = np.bincount(code) if len(code) else np.zeros(0, dtype=np.int64)
    starts = np.cumsum(counts) - counts
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(resamples if len(counts) else 0):
        pick = generator.integers(0, len(counts), len(counts))
        size = counts[pick]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        found.append(order[np.repeat(starts[pick], size) + within])
    return found


def resample(kind: TaskKind, part: Evaluated, resamples: int, seed: int) -> dict[str, Floats]:
    """Each metric of ``metric_names`` of bootstrap samples (resamples,), over samples as in ``draws``."""
    picks = draws(part.ids, resamples, seed)
    names = metric_names(kind)
    found = {name: np.full(resamples, NAN) for name in names}
    rows = kind.row_scores(part.prediction, part.target) if len(part.target) else None
    classes = part.prediction.shape[-1]
    cell = None
    if has_classes(kind):
        cell = (part.target * classes + part.prediction.argmax(-1)).numpy()
        cell[part.target.numpy() < 0] = -1
    for k, pick in enumerate(picks):
        index = torch.from_numpy(pick)
        if rows is not None:
            found[kind.primary][k] = float(rows[index].double().nanmean())
        else:
            found[kind.primary][k] = kind.primary_value(part.prediction[index], part.target[index])
        if cell is not None:
            chosen = cell[pick]
            table = np.bincount(chosen[chosen >= 0], minlength=classes * classes).reshape(classes, classes)
            seen, free = _rates(table.astype(np.float64))
            found["sensitivity"][k], found["specificity"][k] = macro(seen, seen), macro(free, seen)
    return found


def compare(
    kind: TaskKind, inside: Evaluated, outside: Evaluated, *, resamples: int = 500, seed: int = 0
) -> dict[str, Compared]:
    """Compare rows in distribution with rows out of it.

    Args:
        kind: of the task.
        inside: rows of groups that were trained on.
        outside: rows of groups that were not.
        resamples: of the bootstrap over samples (Efron 1979); the two parts are drawn independently.
        seed: of the draws.
    """
    here, there = scores(kind, inside), scores(kind, outside)
    drawn = resample(kind, inside, resamples, seed), resample(kind, outside, resamples, seed + 1)
    return {
        name: Compared(
            Score(here[name], *interval(drawn[0][name])),
            Score(there[name], *interval(drawn[1][name])),
            Score(here[name] - there[name], *interval(drawn[0][name] - drawn[1][name])),
        )
        for name in metric_names(kind)
    }


def mean_over(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Score:
    """Mean over groups, and its bootstrap interval over groups; NaN values are left out, and one has no interval."""
    known = np.array([v for v in values if v == v])
    if not len(known):
        return Score(NAN, NAN, NAN)
    if len(known) == 1:
        return Score(float(known[0]), NAN, NAN)
    pick = np.random.default_rng(seed).integers(0, len(known), (resamples, len(known)))
    return Score(float(known.mean()), *interval(known[pick].mean(1)))


def by_group(kind: TaskKind, part: Evaluated, groups: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Scores and ``n`` of each group, sorted by name; rows of an unknown group ("") belong to none.

    Args:
        kind: of the task.
        part: the rows.
        groups: id -> name of its group; an id that is missing is of an unknown group.
    """
    held = np.array([groups.get(i, "") for i in part.ids], dtype=object)
    found = {}
    for name in sorted(set(held.tolist()) - {""}):
        rows = take(part, held == name)
        found[name] = {**scores(kind, rows), "n": float(len(rows.ids))}
    return found


def unseen(kind: TaskKind, part: Evaluated, trained: Sequence[int]) -> Bools:
    """(N,) rows of classes without training rows, which cannot be predicted; none where there are no classes."""
    if not has_classes(kind):
        return np.zeros(len(part.ids), dtype=bool)
    return ~np.isin(part.target.numpy(), np.asarray(list(trained), dtype=np.int64))
