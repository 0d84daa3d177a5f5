"""Precision, recall and F1 of findings, with intervals by patient and the F1 that shuffled rows reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.evaluation.generated.findings.rules import FINDINGS, Value
from zoo.evaluation.resampling import Floats, Interval, Resampler, describe_units

Bools = npt.NDArray[np.bool_]
FEWEST = 20
"""Positive rows that a finding needs to enter macro and micro averages."""


@dataclass(frozen=True)
class FindingScore:
    """How well one finding is told.

    Attributes:
        finding: its name.
        n: rows of which it is known.
        positives: rows that have it in truth.
        predicted: rows that are said to have it.
        precision, recall, f1: in [0, 1], with intervals; NaN where nothing is predicted, or nothing is there.
        chance: F1 of the same predictions dealt to the rows at random, exactly its mean over all orders.
        always: F1 of saying that every row has it.
    """

    finding: str
    n: int
    positives: int
    predicted: int
    precision: Interval
    recall: Interval
    f1: Interval
    chance: float
    always: float


@dataclass(frozen=True)
class FindingScores:
    """How well all findings are told.

    Attributes:
        findings: one entry each.
        macro: mean F1 over the scored findings, with its interval; NaN for none.
        micro: F1 of the scored findings' rows together, with its interval.
        macro_chance, micro_chance: the same of predictions dealt to the rows at random.
        scored: findings that enter the averages.
        left_out: findings with fewer positive rows than that takes, -> how many they have.
        unit: what intervals draw, and how many.
    """

    findings: tuple[FindingScore, ...]
    macro: Interval
    micro: Interval
    macro_chance: float
    micro_chance: float
    scored: tuple[str, ...]
    left_out: dict[str, int]
    unit: str


def positive(values: npt.ArrayLike, *, uncertain: bool = False) -> Bools:
    """Which values of Value stand for a finding.

    Args:
        values: of Value, of any shape.
        uncertain: whether a finding in doubt counts as positive; otherwise it counts as absent.

    >>> positive([-1, 0, 1, 2]).tolist(), positive([1, 2], uncertain=True).tolist()
    ([False, False, False, True], [True, True])
    """
    return np.asarray(values) >= (Value.UNCERTAIN if uncertain else Value.POSITIVE)


def score_findings(
    predicted: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    known: npt.ArrayLike | None = None,
    names: Sequence[str] = FINDINGS,
    units: Sequence[str] | None = None,
    fewest: int = FEWEST,
    resamples: int = 500,
    seed: int = 0,
) -> FindingScores:
    """Score findings of made reports or images against those of real ones.

    Args:
        predicted: (N, K) whether each row is said to have each finding, see ``positive``.
        truth: (N, K) whether it has it.
        known: (N, K) whether that is known; other cells enter nothing. None: all are.
        names: K findings.
        units: (N,) patient of each row, which intervals draw; None: each row is its own.
        fewest: positive rows that a finding needs to enter the averages.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: shapes differ, are not (N, K), hold something else than True and False, or there are no rows.
    """
    seen = np.ones(np.shape(truth), dtype=bool) if known is None else known
    said, there, told = _checked({"predicted": predicted, "true": truth, "known": seen}, len(names))
    said, there = said & told, there & told
    rows = [f"row:{k}" for k in range(len(said))] if units is None else list(units)
    if len(rows) != len(said):
        raise DataError(f"{len(rows)} units were given for {len(said)} rows; give one for each")
    resampler = Resampler(rows, resamples=resamples, seed=seed)
    hits, claims, trues = (resampler.sums(x.astype(np.float64), rows) for x in (said & there, said, there))
    each = tuple(
        _one(name, int(told[:, k].sum()), hits[:, k], claims[:, k], trues[:, k], resampler)
        for k, name in enumerate(names)
    )
    scored = [k for k, s in enumerate(each) if s.positives >= max(fewest, 1)]
    f1 = _ratio(2 * hits[:, scored], claims[:, scored] + trues[:, scored])
    macro = f1.mean(1) if scored else np.full(len(f1), math.nan)
    micro = _ratio(2 * hits[:, scored].sum(1), (claims + trues)[:, scored].sum(1))
    luck = claims[0, scored] * trues[0, scored] / told.sum(0)[scored]
    total = float((claims + trues)[0, scored].sum())
    support = int(trues[0, scored].sum())
    return FindingScores(
        findings=each,
        macro=resampler.interval(macro, bounds=(0.0, 1.0), support=support),
        micro=resampler.interval(micro, bounds=(0.0, 1.0), support=support),
        macro_chance=float(np.mean([each[k].chance for k in scored])) if scored else math.nan,
        micro_chance=float(2 * luck.sum() / total) if total else math.nan,
        scored=tuple(names[k] for k in scored),
        left_out={s.finding: s.positives for k, s in enumerate(each) if k not in scored},
        unit=describe_units(rows),
    )


def _one(name: str, n: int, hits: Floats, claims: Floats, trues: Floats, resampler: Resampler) -> FindingScore:
    shares = (_ratio(hits, claims), _ratio(hits, trues), _ratio(2 * hits, claims + trues))
    support = [int(x) for x in (claims[0], trues[0], claims[0] + trues[0])]
    found = [
        resampler.interval(draws, bounds=(0.0, 1.0), support=max(s, 1))
        for draws, s in zip(shares, support, strict=True)
    ]
    p, t = float(claims[0]), float(trues[0])
    return FindingScore(
        finding=name,
        n=n,
        positives=int(t),
        predicted=int(p),
        precision=found[0],
        recall=found[1],
        f1=found[2],
        chance=2 * p * t / n / (p + t) if p + t else math.nan,
        always=2 * t / (n + t) if t else math.nan,
    )


def _ratio(over: Floats, under: Floats) -> Floats:
    found: Floats = np.divide(over, under, out=np.full(over.shape, math.nan), where=under > 0)
    return found


def _checked(given: dict[str, npt.ArrayLike], width: int) -> tuple[Bools, Bools, Bools]:
    found = []
    for name, table in given.items():
        values = np.asarray(table)
        if values.ndim != 2 or values.shape[1] != width or not len(values):
            raise DataError(f"{name} findings must be (N, {width}) with N of 1 or more, got shape {values.shape}")
        if not np.isin(values, (0, 1)).all():
            raise DataError(
                f"{name} findings must be True or False, got {np.unique(values)[:5].tolist()}; labels of reports "
                "become that by zoo.evaluation.generated.findings.scores.positive"
            )
        found.append(values.astype(bool))
    said, there, told = found
    if not len(said) == len(there) == len(told):
        raise DataError(f"{len(said)} predicted, {len(there)} true and {len(told)} known rows; give the same rows")
    return said, there, told
