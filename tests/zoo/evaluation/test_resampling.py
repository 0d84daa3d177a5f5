"""The one bootstrap: against SciPy, by hand where ranges are degenerate, and by coverage on simulated clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap
from scipy.stats import t as student

from experiments.bench.coverage import DESIGNS, METHODS, Design, by_scipy, coverage, draw, over_units
from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.exact import effective_rows, proportion
from zoo.evaluation.metric_draws import metric_draws, primary_interval
from zoo.evaluation.resampling import Resampler, describe_units, mean_interval
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

PATIENTS = [f"patient:{k // 4}" for k in range(240)]


def clustered(seed: int = 0) -> np.ndarray:
    """240 scores, four of each of 60 patients."""
    return draw(Design(60, 4, 0.7, 0.6), np.random.default_rng(seed))[0]


def test_a_mean_over_rows_has_scipys_percentiles() -> None:
    scores = np.random.default_rng(0).normal(size=300)
    units = [str(k) for k in range(300)]
    resampler = Resampler(units, resamples=4000)
    found = resampler.interval(resampler.means(scores, units))
    theirs = bootstrap((scores,), np.mean, n_resamples=4000, method="percentile", random_state=1)
    assert found.value == pytest.approx(scores.mean())
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)
    assert found.method == "bootstrap"


def test_a_mean_over_clusters_has_the_percentiles_of_scipys_ratio() -> None:
    scores = clustered()
    resampler = Resampler(PATIENTS, resamples=4000)
    draws = resampler.means(scores, PATIENTS)
    theirs = by_scipy("percentile")(scores, PATIENTS, resamples=4000, seed=1)
    assert np.percentile(draws[1:], [2.5, 97.5]) == pytest.approx([theirs.low, theirs.high], abs=0.008)


def test_any_statistic_has_scipys_percentiles() -> None:
    g = np.random.default_rng(2)
    x = g.normal(size=150)
    y = x + g.normal(size=150)
    units = [str(k) for k in range(150)]
    resampler = Resampler(units, resamples=3000)
    found = resampler.interval(resampler.apply(lambda r: float(np.corrcoef(x[r], y[r])[0, 1]), units))
    theirs = bootstrap(
        (x, y), lambda a, b: np.corrcoef(a, b)[0, 1], paired=True, vectorized=False, n_resamples=3000,
        method="percentile", random_state=3,
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_apply_and_means_draw_alike() -> None:
    scores = clustered()
    scores[5] = math.nan
    resampler = Resampler(PATIENTS, resamples=50, seed=4)
    by_rows = resampler.apply(lambda rows: float(np.nanmean(scores[rows])), PATIENTS)
    np.testing.assert_allclose(resampler.means(scores, PATIENTS), by_rows)
    weights = resampler.weights(PATIENTS)
    assert (weights[0] == 1).all()
    assert (weights.reshape(51, 60, 4).std(2) == 0).all(), "a patient is drawn with all of its rows"
    assert (weights.sum(1) == 240).all()


def test_equal_sets_of_units_are_drawn_alike_in_whatever_order() -> None:
    one, other = Resampler(["a", "b", "c", "b"], seed=7), Resampler(["c", "b", "a"], seed=7)
    assert all((x == y).all() for x, y in zip(one, other, strict=True))
    assert any((x != y).any() for x, y in zip(one, Resampler("abc", seed=8), strict=True))


def test_few_units_have_the_reach_of_students_t() -> None:
    """Of nine normal means the interval reaches as far as Student's t with eight degrees of freedom."""
    g, ratios = np.random.default_rng(0), []
    units = [str(k) for k in range(9)]
    for seed in range(40):
        scores = g.normal(size=9)
        resampler = Resampler(units, resamples=2000, seed=seed)
        found = resampler.interval(resampler.means(scores, units))
        half = student.ppf(0.975, 8) * scores.std(ddof=1) / 3
        ratios.append((found.high - found.low) / (2 * half))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.06)


# -- ranges that are degenerate -------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [1.0, 0.0])
def test_a_perfect_and_a_hopeless_share_have_the_interval_of_clopper_and_pearson(right: float) -> None:
    units = [f"lesion:{k}" for k in range(30)]
    resampler = Resampler(units, resamples=50)
    found = resampler.interval(resampler.means(np.full(30, right), units), bounds=(0.0, 1.0))
    theirs = binomtest(int(right * 30), 30).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found.method == "exact"


def test_a_perfect_share_is_as_sure_as_there_are_units_not_rows() -> None:
    resampler = Resampler(PATIENTS, resamples=20)
    found = resampler.interval(resampler.means(np.ones(240), PATIENTS), bounds=(0.0, 1.0))
    assert found.low == pytest.approx(0.025 ** (1 / 60))


def test_a_perfect_auroc_is_as_sure_as_there_are_pairs_of_units() -> None:
    """AUROC 1 of 3 positives: the true one may be as low as the third root of .025 (all of three pairs agree)."""
    kind = task_kind(TaskSpec("signs", "multilabel", 1, ("x",)))
    target = torch.zeros(40, 2, 1)
    target[:, 1] = 1
    target[:3, 0] = 1
    result = Evaluated(target[:, 0] * 0.8 + 0.1, target, torch.zeros(40), [str(k) for k in range(40)])
    found = primary_interval(kind, result, resamples=50)
    assert (found.value, found.high, found.method) == (1.0, 1.0, "adjusted")
    assert found.low == pytest.approx(0.025 ** (1 / 3))
    result.units = ["patient:0"] * 3 + [f"patient:{k}" for k in range(1, 38)]
    assert math.isnan(primary_interval(kind, result, resamples=400).value) is False
    assert primary_interval(kind, result, resamples=400).low == pytest.approx(0.025), "one patient is positive"


def test_a_perfect_correlation_has_an_interval() -> None:
    kind = task_kind(TaskSpec("level", "regression", 1, ("x",)))
    value = torch.linspace(-1, 1, 20)[:, None]
    result = Evaluated(value, torch.stack([value, torch.ones(20, 1)], 1), torch.zeros(20))
    found = primary_interval(kind, result, resamples=50)
    assert found.method == "adjusted"
    assert found.low == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 10)), abs=1e-6)


def test_one_unit_no_rows_and_what_is_no_number_have_no_interval() -> None:
    alone = Resampler(["patient:1"] * 5, resamples=20)
    found = alone.interval(alone.means([1, 0, 1, 1, 0], ["patient:1"] * 5), bounds=(0.0, 1.0))
    assert (found.value, found.method) == (0.6, "none")
    assert math.isnan(found.low)
    assert math.isnan(alone.p_value(alone.means([1.0], ["patient:1"])))
    nothing = Resampler([], resamples=20)
    assert nothing.interval(nothing.means([], [])).method == "none"
    two = Resampler("ab", resamples=20)
    assert two.interval(two.means([math.nan, math.nan], "ab")).method == "none"
    constant = Resampler("abcd", resamples=20)
    assert math.isnan(constant.interval(constant.means(np.ones(4), "abcd")).low), "a statistic without bounds"


def test_errors() -> None:
    with pytest.raises(SpecError, match="0 or more resamples and a level between 0 and 1, got -1 and"):
        Resampler("ab", resamples=-1)
    with pytest.raises(SpecError, match="got 500 and 95"):
        Resampler("ab", level=95)
    with pytest.raises(SpecError, match="unit 'c' is not among the 2 units"):
        Resampler("ab").means([1.0], ["c"])


# -- differences ----------------------------------------------------------------------------------------------------


def test_p_values_agree_with_the_interval_and_with_students_t() -> None:
    g = np.random.default_rng(5)
    units = [str(k) for k in range(12)]
    for seed in range(30):
        gap = g.normal(0.6, 1.0, 12)
        resampler = Resampler(units, resamples=4000, seed=seed)
        draws = resampler.means(gap, units)
        found, p = resampler.interval(draws), resampler.p_value(draws)
        if abs(p - 0.05) > 0.015:
            assert (p < 0.05) == (found.low > 0 or found.high < 0)
        half = abs(gap.mean()) / (gap.std(ddof=1) / math.sqrt(12))
        theirs = 2 * student.sf(half, 11)
        if theirs > 0.02:
            assert p == pytest.approx(theirs, abs=0.06)


# -- properties -----------------------------------------------------------------------------------------------------

SCORES = st.lists(st.one_of(st.just(math.nan), st.sampled_from([0.0, 0.5, 1.0])), min_size=0, max_size=12)


@settings(max_examples=80, deadline=None)
@given(SCORES, st.integers(1, 5), st.integers(0, 3))
def test_an_interval_holds_its_value_and_is_never_a_point(scores: list[float], units: int, seed: int) -> None:
    names = [f"patient:{k % units}" for k in range(len(scores))]
    resampler = Resampler(names, resamples=40, seed=seed)
    found = resampler.interval(resampler.means(scores, names), bounds=(0.0, 1.0))
    known = [s for s in scores if not math.isnan(s)]
    assert math.isnan(found.value) == (not known)
    if known:
        assert found.value == pytest.approx(np.mean(known))
    if found.method == "none":
        assert math.isnan(found.low)
        assert math.isnan(found.high)
    else:
        assert 0 <= found.low < found.high <= 1
    if found.method in ("exact", "adjusted"):
        assert found.low <= found.value <= found.high


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=30))
def test_a_proportion_holds_its_value(rows: list[tuple[bool, int]]) -> None:
    right, units = [float(r) for r, _ in rows], [f"image:{u}" for _, u in rows]
    found = proportion(right, units)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
    assert found.low < found.high


# -- proportions ----------------------------------------------------------------------------------------------------


def test_a_proportion_of_independent_rows_is_that_of_clopper_and_pearson() -> None:
    right = np.repeat([1.0, 0.0], [33, 12])
    units = [str(k) for k in range(45)]
    assert effective_rows(right, units) == pytest.approx(45)
    found, theirs = proportion(right, units), binomtest(33, 45).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert math.isnan(proportion([], []).value)


def test_rows_that_are_copies_count_once() -> None:
    right = np.repeat([1.0, 0.0], [30, 10])
    units = [str(k) for k in range(40)]
    again = [u for u in units for _ in range(5)]
    alone, copies = proportion(right, units), proportion(np.repeat(right, 5), again)
    few = (student.ppf(0.975, 199) / student.ppf(0.975, 39)) ** 2
    assert effective_rows(np.repeat(right, 5), again) == pytest.approx(40 * few, rel=0.03)
    assert copies.high - copies.low == pytest.approx(alone.high - alone.low, rel=0.05)


# -- predictions ----------------------------------------------------------------------------------------------------


def test_metric_draws_of_predictions() -> None:
    kind = task_kind(TaskSpec("grade", "classification", 2, ("a", "b")))
    right = clustered().astype(int)
    result = Evaluated(
        torch.eye(2)[torch.from_numpy(1 - right)], torch.zeros(240).long(), torch.zeros(240), units=PATIENTS
    )
    resampler = Resampler(PATIENTS, resamples=30)
    draws = metric_draws(kind, result, resampler)
    np.testing.assert_allclose(draws, resampler.means(right, PATIENTS))
    balanced = metric_draws(kind, result, resampler, metric="balanced_accuracy")
    np.testing.assert_allclose(balanced, draws, atol=1e-6), "of one class alone"
    assert np.isnan(metric_draws(kind, result.take([]), resampler)).all()


def test_words() -> None:
    assert describe_units(["lesion:a", "lesion:a", "row:1:2"]) == "lesion (1), row (1)"
    assert describe_units([]) == ""
    found = mean_interval([0.0, 1.0] * 50 + [math.nan], bounds=(0.0, 1.0))
    assert 0.35 < found.low < 0.5 < found.high < 0.65
    assert mean_interval([0.4] * 9, bounds=(0.0, 1.0)).method == "exact"
    assert math.isnan(mean_interval([]).value)


# -- coverage -------------------------------------------------------------------------------------------------------


def test_intervals_over_rows_miss_the_truth_and_over_units_hold_it() -> None:
    design = Design(40, 5, 0.7, 0.7)
    rows, narrow = coverage(design, METHODS["zoo, over rows"], simulations=150, resamples=200)
    units, wide = coverage(design, over_units, simulations=150, resamples=200)
    assert rows < 0.83
    assert 0.90 <= units <= 0.99
    assert wide > 1.5 * narrow


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_coverage_is_what_is_promised(design: Design) -> None:
    found, _ = coverage(design, over_units, simulations=1000)
    assert found > 0.88, "least, .90, for 50 units of four rows of which 98 % are right"
