"""Whether made images show the findings that they were asked for, by the scores of a classifier of real images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.evaluation.generated.features.base import Matrix, checked
from zoo.evaluation.generated.findings.scores import FEWEST, FindingScores, score_findings
from zoo.evaluation.generated.privacy import auroc
from zoo.evaluation.resampling import Floats, Interval, Resampler, Whole, describe_units

UNKNOWN = -1
"""The label of a finding that a row is not labelled for."""
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FindingAuroc:
    """How well a classifier's scores of made images tell one finding of their prompts.

    Attributes:
        finding: its name.
        n: rows of which the prompt's label is known.
        positives: those that have it.
        auroc: on made images, with its interval; chance is .5.
        real: the same on the real images of the rows, NaN where they were not given: what the classifier can do.
    """

    finding: str
    n: int
    positives: int
    auroc: Interval
    real: float


@dataclass(frozen=True)
class ImageAgreement:
    """Whether made images show what was asked for.

    Attributes:
        findings: one entry each.
        macro: mean AUROC over the scored findings, with its interval; NaN for none.
        micro: AUROC of the scored findings' rows together, with its interval. Scores that differ between findings as
            their shares do reach more than .5 by that alone: see ``micro_shuffled``.
        macro_shuffled, micro_shuffled: range that 95 % of dealings of the prompts to other rows reach.
        real_macro, real_micro: the same figures of the real images; NaN where they were not given.
        f1: precision, recall and F1 of the scores beyond the thresholds.
        scored: findings that enter the averages.
        left_out: findings with fewer positive or fewer negative rows than that takes, -> how many positive ones.
        unlabelled: rows of which no label is known; they enter nothing.
        unit: what intervals draw, and how many.
    """

    findings: tuple[FindingAuroc, ...]
    macro: Interval
    micro: Interval
    macro_shuffled: tuple[float, float]
    micro_shuffled: tuple[float, float]
    real_macro: Interval
    real_micro: Interval
    f1: FindingScores
    scored: tuple[str, ...]
    left_out: dict[str, int]
    unlabelled: int
    unit: str


@dataclass(frozen=True)
class AgreementOptions:
    """What is scored, and how intervals are made.

    Attributes:
        fewest: positive and negative rows that a finding needs to enter the averages.
        shuffles: dealings of the prompts to other rows.
        resamples: of the bootstrap.
        seed: of all draws.
    """

    fewest: int = FEWEST
    shuffles: int = 200
    resamples: int = 500
    seed: int = 0


def image_agreement(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    names: Sequence[str],
    *,
    real_scores: npt.ArrayLike | None = None,
    thresholds: Sequence[float] | float = 0.5,
    units: Sequence[str] | None = None,
    options: AgreementOptions = AgreementOptions(),
) -> ImageAgreement:
    """Compare a classifier's scores of made images with the labels of the rows that they were made for.

    Args:
        scores: (N, K) of made images, higher where a finding is rather there.
        labels: (N, K) of 0, 1 and UNKNOWN, of the row whose prompt an image was made from.
        names: K findings.
        real_scores: (N, K) scores of the same classifier on the real images of these rows, as a ceiling.
        thresholds: score from which on a finding counts as there, one for all or K; choose them on validation rows.
        units: (N,) patient of each row, which intervals draw; None: each row is its own.
        options: what is scored, and how intervals are made.

    Raises:
        DataError: shapes differ, a score is not finite, a label is none of 0, 1 and UNKNOWN, or no row is labelled.
    """
    values, truth, real, limits = _checked(scores, labels, real_scores, thresholds, names)
    keep, rows = _labelled(truth, units)
    values, truth, real = values[keep], truth[keep], real[keep]
    counts = np.stack([(truth == 0).sum(0), (truth == 1).sum(0)])
    scored = np.flatnonzero(counts.min(0) >= max(options.fewest, 1))
    resampler = Resampler(rows, resamples=options.resamples, seed=options.seed)
    support = [max(1, int(n)) for n in (*counts.min(0), *[counts.min(0)[scored].sum()] * 2)]
    draws = [_draws(x, truth, scored, rows, resampler) for x in (values, real)]
    made, ceiling = (
        [resampler.interval(d[:, k], bounds=(0.0, 1.0), support=n) for k, n in enumerate(support)] for d in draws
    )
    chance = _shuffled(values, truth, scored, options)
    found = [
        FindingAuroc(name, int(counts[:, k].sum()), int(counts[1, k]), made[k], ceiling[k].value)
        for k, name in enumerate(names)
    ]
    choices = {"fewest": options.fewest, "resamples": options.resamples, "seed": options.seed}
    known = truth != UNKNOWN
    f1 = score_findings(values >= limits, truth == 1, known=known, names=names, units=rows, **choices)
    return ImageAgreement(
        findings=tuple(found),
        macro=made[-2],
        micro=made[-1],
        macro_shuffled=chance[0],
        micro_shuffled=chance[1],
        real_macro=ceiling[-2],
        real_micro=ceiling[-1],
        f1=f1,
        scored=tuple(names[int(k)] for k in scored),
        left_out={name: int(counts[1, k]) for k, name in enumerate(names) if k not in scored},
        unlabelled=int((~keep).sum()),
        unit=describe_units(rows),
    )


def _labelled(truth: Whole, units: Sequence[str] | None) -> tuple[Bools, list[str]]:
    """(N,) which rows have a known label, and the units of these."""
    rows = [f"row:{k}" for k in range(len(truth))] if units is None else list(units)
    keep: Bools = (truth != UNKNOWN).any(1)
    if len(rows) != len(keep) or not keep.any():
        raise DataError(
            f"{len(rows)} units were given for {len(keep)} rows, of which {int(keep.sum())} have a known label; give "
            "one unit for each row, and labelled rows"
        )
    return keep, [rows[k] for k in np.flatnonzero(keep)]


def aurocs(scores: Matrix, truth: Whole, scored: Whole) -> Floats:
    """(K + 2,) AUROC of each finding, their mean over the scored ones, and that of these together; NaN where unknown.

    Args:
        scores: (N, K).
        truth: (N, K) of 0, 1 and UNKNOWN.
        scored: numbers of the findings that enter the averages.
    """
    known = truth != UNKNOWN
    each = [auroc(scores[known[:, k], k], truth[known[:, k], k] == 1) for k in range(scores.shape[1])]
    if not len(scored):
        return np.array([*each, math.nan, math.nan])
    some = known[:, scored]
    together = auroc(scores[:, scored][some], truth[:, scored][some] == 1)
    return np.array([*each, np.mean([each[k] for k in scored]), together])


def _draws(scores: Matrix, truth: Whole, scored: Whole, units: list[str], resampler: Resampler) -> Floats:
    """(1 + R, K + 2) of ``aurocs``, on all rows and on each resample."""
    if not np.isfinite(scores).all():
        return np.full((1 + resampler.resamples, scores.shape[1] + 2), math.nan)
    numbers, place = np.arange(len(scores)), resampler.places(units)
    picks = (np.repeat(numbers, times[place]) for times in resampler)
    return np.stack([aurocs(scores[pick], truth[pick], scored) for pick in picks])


def _shuffled(
    scores: Matrix, truth: Whole, scored: Whole, options: AgreementOptions
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges that 95 % of macro and micro AUROCs reach where whole prompts are dealt to other rows."""
    generator = np.random.default_rng(options.seed)
    if not len(scored) or options.shuffles < 1:
        return (math.nan, math.nan), (math.nan, math.nan)
    found = [aurocs(scores, truth[generator.permutation(len(truth))], scored)[-2:] for _ in range(options.shuffles)]
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def _checked(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    real: npt.ArrayLike | None,
    thresholds: Sequence[float] | float,
    names: Sequence[str],
) -> tuple[Matrix, Whole, Matrix, Floats]:
    values = checked("made images (scores)", scores)
    truth, limits = np.asarray(labels), np.broadcast_to(np.asarray(thresholds, dtype=np.float64), (len(names),))
    ceiling = np.full(values.shape, math.nan) if real is None else checked("real images (scores)", real)
    shapes = {values.shape, truth.shape, ceiling.shape, (len(values), len(names))}
    if len(shapes) > 1:
        raise DataError(
            f"scores {values.shape}, labels {truth.shape}, scores of real images {ceiling.shape} and {len(names)} "
            "names do not fit; give (N, K) of each and K names"
        )
    if not np.isin(truth, (0, 1, UNKNOWN)).all():
        raise DataError(f"labels must be 0, 1 or {UNKNOWN} (unknown), got {np.unique(truth)[:5].tolist()}")
    return values, truth.astype(np.int64), ceiling, limits
