"""Scores of groups of rows, in and out of distribution: accuracy, sensitivity, specificity, and the gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.evaluation.metric_draws import metric_draws, resampler_of, support
from zoo.evaluation.resampling import Floats, Interval, Resampler
from zoo.tasks.base import TaskKind
from zoo.tasks.parts import nan_mean
from zoo.training.collector import Evaluated, joined

Bools = npt.NDArray[np.bool_]
NAN = float("nan")


@dataclass(frozen=True)
class Compared:
    """One metric in distribution, out of it, and the gap between them (in minus out)."""

    inside: Interval
    outside: Interval
    gap: Interval


def has_classes(kind: TaskKind) -> bool:
    """Whether sensitivity and specificity are defined for tasks of this kind."""
    return kind.class_codes


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


def pooled(parts: Sequence[Evaluated]) -> Evaluated:
    """The rows of several predictions of one task, one after another; an id may then repeat.

    Raises:
        SpecError: nothing is given, or the predictions are of different widths.
    """
    shapes = {tuple(p.prediction.shape[1:]) for p in parts}
    if len(shapes) != 1:
        raise SpecError(f"predictions of shapes {sorted(shapes)} cannot be pooled; they are of different classes")
    return joined(parts)


def within(part: Evaluated) -> Evaluated:
    """The rows with the units that an interval of theirs draws.

    Where all rows are of one unit, such as a subject that was held out, nothing can be said of other units. Its rows
    are drawn then, and the interval holds for that unit alone.
    """
    if len(set(part.drawn)) > 1:
        return part
    return replace(part, units=[f"row:{name}" for name in (part.ids or range(len(part.target)))])


def drawn_metrics(kind: TaskKind, part: Evaluated, resampler: Resampler) -> dict[str, Floats]:
    """Each metric of ``metric_names`` (1 + R,), on all rows and on each resample.

    Args:
        kind: of the task.
        part: predictions of the rows.
        resampler: of R resamples of their units.
    """
    found = {kind.primary: metric_draws(kind, part, resampler)}
    if not has_classes(kind):
        return found
    known = part.target.numpy() >= 0
    classes, place = part.prediction.shape[-1], resampler.places(part.drawn)[known]
    cell = (part.target * classes + part.prediction.argmax(-1)).numpy()[known]
    rates = np.full((2, 1 + resampler.resamples), NAN)
    for k, times in enumerate(resampler):
        table = np.bincount(cell, times[place], minlength=classes * classes).reshape(classes, classes)
        seen, free = _rates(table.astype(np.float64))
        rates[:, k] = macro(seen, seen), macro(free, seen)
    return found | {"sensitivity": rates[0], "specificity": rates[1]}


def metric_intervals(kind: TaskKind, part: Evaluated, *, resamples: int = 500, seed: int = 0) -> dict[str, Interval]:
    """Each metric of ``metric_names`` with its interval over units, or over rows ``within`` a single one.

    Args:
        kind: of the task.
        part: the rows.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    part = within(part)
    resampler = Resampler(part.drawn, resamples=resamples, seed=seed)
    return _intervals(kind, drawn_metrics(kind, part, resampler), [part], resampler)


def _intervals(
    kind: TaskKind, found: Mapping[str, Floats], parts: Sequence[Evaluated], resampler: Resampler, gap: bool = False
) -> dict[str, Interval]:
    """Intervals of metrics, or of differences of metrics, of some parts."""
    units = min(len(set(p.drawn)) for p in parts)
    least = min((_fewest(p) for p in parts), default=0) if has_classes(kind) else 0
    made = {}
    for name, draws in found.items():
        low, high = kind.bounds if name == kind.primary else (0.0, 1.0)
        bounds = (low - high, high - low) if gap else (low, high)
        behind = support(kind, parts) if name == kind.primary else max(1, least)
        made[name] = resampler.interval(draws, units=units, bounds=bounds, support=behind)
    return made


def _fewest(part: Evaluated) -> int:
    """Units of the class that has fewest."""
    units, codes = np.asarray(part.drawn, dtype=object), part.target.numpy()
    return min((len(set(units[codes == c].tolist())) for c in np.unique(codes[codes >= 0])), default=0)


def compare(
    kind: TaskKind, inside: Evaluated, outside: Evaluated, *, resamples: int = 500, seed: int = 0
) -> dict[str, Compared]:
    """Compare rows in distribution with rows out of it.

    Args:
        kind: of the task.
        inside: rows of groups that were trained on.
        outside: rows of groups that were not.
        resamples: of the bootstrap over units; the two parts are drawn independently, but for units in both.
        seed: of the draws.
    """
    parts = within(inside), within(outside)
    if set(parts[0].drawn) & set(parts[1].drawn):
        resamplers = (resampler_of(parts, resamples=resamples, seed=seed),) * 2
    else:
        resamplers = tuple(Resampler(part.drawn, resamples=resamples, seed=seed + k) for k, part in enumerate(parts))  # type: ignore[assignment]
    here, there = (drawn_metrics(kind, part, r) for part, r in zip(parts, resamplers, strict=True))
    ins, outs = (
        _intervals(kind, found, [part], r) for found, part, r in zip((here, there), parts, resamplers, strict=True)
    )
    gaps = _intervals(kind, {name: here[name] - there[name] for name in here}, parts, resamplers[0], gap=True)
    return {name: Compared(ins[name], outs[name], gaps[name]) for name in metric_names(kind)}


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
        rows = part.take(held == name)
        found[name] = {**scores(kind, rows), "n": float(len(rows.ids))}
    return found


def unseen(kind: TaskKind, part: Evaluated, trained: Sequence[int]) -> Bools:
    """(N,) rows of classes without training rows, which cannot be predicted; none where there are no classes.

    Args:
        kind: of the task.
        part: predictions of N rows.
        trained: number of training rows of each class.
    """
    if not has_classes(kind):
        return np.zeros(len(part.ids), dtype=bool)
    return ~np.isin(part.target.numpy(), np.asarray(list(trained), dtype=np.int64))
