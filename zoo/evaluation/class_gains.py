"""Which classes gain: F1 of each class before and after, beside its number of training rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ConstantInputWarning, spearmanr

from zoo.errors import SpecError
from zoo.evaluation.class_scores import checked, confusion, per_class
from zoo.evaluation.metric_draws import resampler_of
from zoo.evaluation.resampling import Floats, Interval, Resampler, describe_units
from zoo.training.collector import Evaluated

GROUPS = ("rare", "medium", "frequent")
"""Groups of classes by terciles of their numbers of training rows."""


@dataclass(frozen=True)
class ClassGain:
    """F1 of one class under two methods.

    Attributes:
        name: of the class.
        train_rows: rows of the class in training, the mean over seeds where they differ.
        test_rows: scored rows of the class, over all seeds.
        group: one of GROUPS.
        before, after: F1, mean over the seeds that have a row of the class; NaN for none.
        gain: after - before with its 95 % interval.
    """

    name: str
    train_rows: float
    test_rows: int
    group: str
    before: float
    after: float
    gain: Interval


@dataclass(frozen=True)
class ClassGains:
    """Gains of all classes.

    Attributes:
        classes: in the order of the codes.
        groups: group -> mean gain of its classes that have test rows; a group without such classes is left out.
        rank_correlation: Spearman's correlation of gain and log number of training rows over the classes with both
            test and training rows; negative where rare classes gain most. NaN for fewer than three classes.
        p: its two-sided p-value by SciPy, classes taken as independent.
        left_out: classes that the correlation leaves out.
        unit: what intervals draw, and how many.
    """

    classes: tuple[ClassGain, ...]
    groups: dict[str, Interval]
    rank_correlation: Interval
    p: float
    left_out: int
    unit: str


def frequency_groups(train_rows: Sequence[float]) -> tuple[str, ...]:
    """Group of each class: rare up to the first tercile of the numbers, frequent above the second, else medium.

    Classes of equal number share a group; where all are equal, all are medium.

    >>> frequency_groups([5, 100, 20])
    ('rare', 'frequent', 'medium')
    """
    counts = np.asarray(train_rows, dtype=np.float64)
    if not len(counts) or counts.min() == counts.max():
        return ("medium",) * len(counts)
    low, high = np.quantile(counts, [1 / 3, 2 / 3])
    return tuple(GROUPS[0 if c <= low else 2 if c > high else 1] for c in counts.tolist())


def class_gains(
    before: Mapping[int, Evaluated],
    after: Mapping[int, Evaluated],
    classes: Sequence[str],
    train_rows: Sequence[float],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> ClassGains:
    """Compare two methods class by class on the same rows.

    The bootstrap draws units of independence, the same for both methods and every seed. A class without a row in a
    resample has no value in it.

    Args:
        before: seed -> predictions (N, K) of the test split.
        after: the same of the other method, for the same seeds and rows.
        classes: names of the K classes, in the order of the codes.
        train_rows: of each class, the number of training rows.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        SpecError: no seeds, other seeds, rows or targets in the one than in the other, or not K names and numbers.
    """
    _check(before, after, classes, train_rows)
    resampler = resampler_of(before.values(), resamples=resamples, seed=seed)
    first, second = (_draws(runs, resampler, len(classes)) for runs in (before, after))
    gain = second - first
    tested = sum(np.bincount(r.target.numpy(), minlength=len(classes)) for r in before.values())
    groups = frequency_groups(train_rows)
    found = tuple(
        ClassGain(
            str(name), float(train_rows[k]), int(np.asarray(tested)[k]), groups[k],
            float(first[0, k]), float(second[0, k]), _with_interval(gain[:, k], resampler, _units_of(before, k)),
        )
        for k, name in enumerate(classes)
    )  # fmt: skip
    counts = np.asarray(train_rows, dtype=np.float64)
    use = (counts > 0) & np.isfinite(gain[0])
    correlations = np.array([_spearman(row[use], counts[use])[0] for row in gain])
    return ClassGains(
        found,
        _group_gains(gain, groups, resampler),
        resampler.interval(correlations),
        _spearman(gain[0, use], counts[use])[1],
        int((~use).sum()),
        describe_units(resampler.names),
    )


def _units_of(runs: Mapping[int, Evaluated], code: int) -> int:
    """Number of units that have a row of a class."""
    return len({u for r in runs.values() for u, c in zip(r.drawn, r.target.tolist(), strict=True) if c == code})


def _with_interval(gain: Floats, resampler: Resampler, units: int) -> Interval:
    """A gain in F1, which lies between -1 and 1."""
    return resampler.interval(gain, bounds=(-1.0, 1.0), support=max(1, units))


def _check(
    before: Mapping[int, Evaluated],
    after: Mapping[int, Evaluated],
    classes: Sequence[str],
    train_rows: Sequence[float],
) -> None:
    if not before or set(before) != set(after):
        raise SpecError(f"class_gains needs the same seeds twice, got {sorted(before)} and {sorted(after)}")
    if len(train_rows) != len(classes):
        raise SpecError(f"class_gains: {len(classes)} classes, but {len(train_rows)} numbers of training rows")
    for number, ours in before.items():
        theirs = after[number]
        if ours.ids != theirs.ids or not np.array_equal(ours.target.numpy(), theirs.target.numpy()):
            raise SpecError(
                f"class_gains, seed {number}: the two methods have different rows or targets ({len(ours.ids)} and "
                f"{len(theirs.ids)} rows); compare the rows that both have"
            )
        if not ours.ids:
            raise SpecError(f"class_gains, seed {number}: there are no rows")
        for result in (ours, theirs):
            table, _ = checked(result.prediction, result.target)
            if table.shape[1] != len(classes) or len(result.ids) != len(table):
                raise SpecError(
                    f"class_gains, seed {number}: predictions are {table.shape} for {len(result.ids)} ids and "
                    f"{len(classes)} classes"
                )


def _draws(runs: Mapping[int, Evaluated], resampler: Resampler, classes: int) -> Floats:
    """(1 + R, K) F1 of each class, mean over the seeds that have rows of it."""
    shape = (1 + resampler.resamples, classes)
    total, seeds = np.zeros(shape), np.zeros(shape)
    for result in runs.values():
        probabilities, truth = checked(result.prediction, result.target)
        choice, place = probabilities.argmax(1), resampler.places(result.drawn)
        for k, times in enumerate(resampler):
            f1 = per_class(confusion(choice, truth, classes, times[place].astype(np.float64)))[2]
            known = np.isfinite(f1)
            total[k, known] += f1[known]
            seeds[k] += known
    return np.divide(total, seeds, out=np.full_like(total, math.nan), where=seeds > 0)


def _group_gains(gain: Floats, groups: Sequence[str], resampler: Resampler) -> dict[str, Interval]:
    """Mean gain of the classes of each group in each draw (1 + R, K)."""
    found = {}
    for group in GROUPS:
        part = gain[:, [k for k, g in enumerate(groups) if g == group and np.isfinite(gain[0, k])]]
        known = np.isfinite(part)
        if part.shape[1]:
            sums, n = np.where(known, part, 0.0).sum(1), known.sum(1)
            mean = np.divide(sums, n, out=np.full(len(n), math.nan), where=n > 0)
            found[group] = _with_interval(mean, resampler, len(resampler))
    return found


def _spearman(gain: Floats, counts: Floats) -> tuple[float, float]:
    """Spearman's correlation of gains and log counts, and p; NaN for fewer than three classes or a constant."""
    known = np.isfinite(gain)
    if known.sum() < 3:
        return math.nan, math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        found = spearmanr(gain[known], np.log(counts[known]))
    return float(found.statistic), float(found.pvalue)
