"""Intervals and paired tests: against hand-computed values and SciPy's bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from zoo.contract import TaskSpec
from zoo.evaluation.paired import compare, estimate
from zoo.tasks.base import TaskKind, task_kind
from zoo.training.collector import Evaluated

KIND = task_kind(TaskSpec("grade", "classification", 2, ("a", "b")))


def predictions(right: list[int], names: str = "r") -> Evaluated:
    """Rows of class 0 that are predicted rightly where ``right`` is 1."""
    table = torch.tensor([[float(r), 1.0 - r] for r in right])
    ids = [f"{names}{k:03d}" for k in range(len(right))]
    return Evaluated(table, torch.zeros(len(right), dtype=torch.long), torch.zeros(len(right)), ids)


def run(*rights: list[int]) -> dict[int, tuple[TaskKind, Evaluated]]:
    return {seed: (KIND, predictions(r)) for seed, r in enumerate(rights)}


def test_value_and_spread_over_seeds() -> None:
    found = estimate(run([1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]))
    assert found.value == pytest.approx(0.5)
    assert found.std == pytest.approx(0.25)
    assert (found.n, found.seeds) == (12, 3)
    assert np.isnan(estimate(run([1, 0])).std)
    with pytest.raises(ValueError, match="no seed"):
        estimate({})


def test_interval_is_that_of_the_percentile_bootstrap() -> None:
    right = [1] * 60 + [0] * 40
    found = estimate(run(right), resamples=4000)
    theirs = stats.bootstrap((np.array(right),), np.mean, n_resamples=4000, method="percentile", random_state=1)
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)


def test_a_row_of_several_seeds_counts_as_one() -> None:
    right = [1] * 60 + [0] * 40
    one, three = estimate(run(right), resamples=2000), estimate(run(right, right, right), resamples=2000)
    assert three.high - three.low == pytest.approx(one.high - one.low, abs=1e-9)


def test_differences_are_paired() -> None:
    ours = [1] * 70 + [0] * 30
    theirs = [1] * 65 + [0] * 35
    gap = compare(run(ours), run(theirs))
    assert gap is not None
    assert gap.value == pytest.approx(0.05)
    assert gap.low > 0
    assert gap.verdict == "better"
    assert gap.p < 0.05
    back = compare(run(theirs), run(ours))
    assert back is not None
    assert (back.value, back.verdict) == (pytest.approx(-0.05), "worse")
    same = compare(run(ours), run(ours))
    assert same is not None
    assert (same.value, same.p, same.verdict, same.method) == (0, 1, "undecided", "exact")
    assert -same.low == same.high == pytest.approx(1 - 0.025 ** (1 / 100)), "no row of 100 differs: up to 3.6 % may"


def test_only_common_rows_and_seeds_are_compared() -> None:
    ours = {0: (KIND, predictions([1, 1, 0, 0])), 1: (KIND, predictions([0, 0, 0, 0]))}
    part = predictions([1, 1, 0, 0])
    theirs = {0: (KIND, Evaluated(part.prediction[:2], part.target[:2], part.source[:2], part.ids[:2]))}
    gap = compare(ours, theirs)
    assert gap is not None
    assert (gap.value, gap.seeds) == (0.0, 1)
    assert compare(ours, {5: ours[0]}) is None
    assert compare(ours, {0: (KIND, predictions([1, 1], "other"))}) is None


def test_metrics_that_are_no_mean_over_rows() -> None:
    kind = task_kind(TaskSpec("level", "regression", 1, ("x",), mean=(0.0,), scale=(1.0,)))
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(80, generator=generator)
    guess = truth + 0.5 * torch.randn(80, generator=generator)
    target = torch.stack([truth[:, None], torch.ones(80, 1)], 1)
    result = Evaluated(guess[:, None], target, torch.zeros(80), [f"r{k:02d}" for k in range(80)])
    found = estimate({0: (kind, result)})
    assert found.value == pytest.approx(np.corrcoef(truth, guess)[0, 1], abs=1e-4)
    assert found.low < found.value < found.high


def test_units_are_drawn_and_named() -> None:
    right = [1] * 60 + [0] * 40
    alone = predictions(right)
    grouped = replace(alone, units=[f"patient:{k // 10}" for k in range(100)])
    rows, patients = (estimate({0: (KIND, r)}, resamples=1000) for r in (alone, grouped))
    assert (rows.unit, patients.unit) == ("row (100)", "patient (10)")
    assert patients.value == rows.value
    assert patients.high - patients.low > 2.5 * (rows.high - rows.low), "patients are right or wrong as a whole"
    other = replace(predictions([1] * 55 + [0] * 45), units=grouped.units)
    gap = compare({0: (KIND, grouped)}, {0: (KIND, other)})
    assert gap is not None
    assert (gap.unit, gap.verdict) == ("patient (10)", "undecided"), "they differ in one patient only"
