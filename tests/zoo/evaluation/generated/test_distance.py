"""Frechet distance and KID against SciPy, a slow loop and torchmetrics, and the floor of real rows beside them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.evaluation.generated.distance import distance, halves
from zoo.evaluation.generated.frechet import frechet
from zoo.evaluation.generated.kid import kid, kid_subsets


def by_scipy(a: np.ndarray, b: np.ndarray) -> float:
    first, second, shift = np.cov(a.T), np.cov(b.T), a.mean(0) - b.mean(0)
    return float(shift @ shift + np.trace(first + second - 2 * sqrtm(first @ second).real))


@pytest.mark.parametrize(("rows", "others", "width"), [(300, 200, 12), (40, 300, 12), (300, 40, 60)])
def test_frechet_is_that_of_scipy(rows: int, others: int, width: int) -> None:
    generator = np.random.default_rng(0)
    a = generator.normal(size=(rows, width)) @ generator.normal(size=(width, width))
    b = generator.normal(1.0, 2.0, (others, width))
    assert frechet(a, b) == pytest.approx(by_scipy(a, b), rel=1e-6)


def test_frechet_by_hand() -> None:
    # means 0 and 3, standard deviations 2^(1/2) and 8^(1/2): 9 + 2 + 8 - 2 * 4
    assert frechet([[-1.0], [1.0]], [[1.0], [5.0]]) == pytest.approx(11.0)


@given(st.integers(2, 30), st.integers(1, 40), st.integers(0, 10))
@settings(max_examples=25, deadline=None)
def test_frechet_of_a_set_with_itself_is_zero_also_with_fewer_rows_than_features(n: int, f: int, seed: int) -> None:
    a = np.random.default_rng(seed).normal(size=(n, f)) * 100
    assert frechet(a, a) == pytest.approx(0.0, abs=1e-7)
    assert frechet(a, a[::-1] + 3) == pytest.approx(9 * f, rel=1e-9)


def test_shrinkage_is_asked_for_and_makes_another_distance() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 20, 30))
    assert frechet(a, b, covariance="ledoit_wolf") < frechet(a, b) / 2
    assert distance(a, b, covariance="ledoit_wolf").covariance == "ledoit_wolf"


def test_kid_is_that_of_a_slow_loop() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(6, 3)), generator.normal(0.5, 1, size=(5, 3))

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    def within(rows: np.ndarray) -> float:
        return float(np.mean([k(rows[i], rows[j]) for i, j in itertools.permutations(range(len(rows)), 2)]))

    expected = within(a) + within(b) - 2 * np.mean([k(x, y) for x in a for y in b])
    assert kid(a, b) == pytest.approx(expected)


def test_kid_is_that_of_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    a, b = np.random.default_rng(2).normal(size=(2, 50, 8))
    assert kid(a, b) == pytest.approx(float(poly_mmd(torch.tensor(a), torch.tensor(b))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.evaluation.generated.kid.CHUNK", 7)
        assert kid(a, b) == pytest.approx(float(poly_mmd(torch.tensor(a), torch.tensor(b))))
    one = kid_subsets(a, b, subsets=3, size=99)
    assert (one.size, one.subsets) == (50, 3)
    assert one.value == pytest.approx(kid(a, b))
    assert one.std == pytest.approx(0.0, abs=1e-12)


def test_kid_of_equal_distributions_is_zero_on_average() -> None:
    generator = np.random.default_rng(3)
    found = [kid(*generator.normal(size=(2, 10, 4))) for _ in range(2000)]
    assert abs(np.mean(found)) < 4 * np.std(found) / len(found) ** 0.5


def test_a_perfect_generator_has_no_gap_and_a_bad_one_has() -> None:
    generator = np.random.default_rng(4)
    real, fair = generator.normal(size=(2, 200, 40))
    for measure in ("frechet", "kid"):
        good, bad = distance(real, fair, measure=measure), distance(real, fair + 1, measure=measure)
        assert abs(good.gap) < 3 * good.gap_std + 1e-3
        assert bad.gap > 5 * bad.gap_std
        assert good.floor == bad.floor
        assert good.n == 100
        assert good.gap == pytest.approx(good.matched - good.floor)


def test_the_floor_shrinks_with_more_rows_so_that_numbers_must_be_equal() -> None:
    generator = np.random.default_rng(5)
    real, made = generator.normal(size=(400, 20)), generator.normal(size=(50, 20))
    few = distance(real, made)
    assert few.n == 50
    assert few.floor > distance(real, real).floor
    assert any("over 400 real and 50 made rows" in n for n in few.notes)


def test_fewer_rows_than_features_are_noted() -> None:
    generator = np.random.default_rng(6)
    result = distance(generator.normal(size=(60, 30)), generator.normal(size=(60, 30)))
    assert result.notes == (
        "30 rows a side are no more than the 30 features, so that covariances are singular and the distance is too "
        "high: read the gap, or KID",
    )
    assert distance(generator.normal(size=(62, 30)), generator.normal(size=(62, 30))).notes == ()


@given(st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=30), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_halves_share_no_patient_and_keep_every_row(units: list[str], seed: int) -> None:
    left, right = halves(units, np.random.default_rng(seed))
    assert not {units[k] for k in left} & {units[k] for k in right}
    assert sorted([*left, *right]) == list(range(len(units)))


def test_what_cannot_be_measured_is_said() -> None:
    rows = np.zeros((4, 2))
    with pytest.raises(UnknownNameError, match="unknown measure 'fid'"):
        distance(rows, rows, measure="fid")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown covariance 'oas'"):
        frechet(rows, rows, covariance="oas")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="2 wide, of made rows 3"):
        frechet(rows, np.zeros((4, 3)))
    with pytest.raises(DataError, match="needs 2 rows in each"):
        frechet(rows, rows[:1])
    with pytest.raises(DataError, match=r"hold a NaN or an infinity.*\[row: 2\]"):
        frechet(rows, [[0, 0], [0, 0], [np.nan, 0]])
    with pytest.raises(DataError, match="3 units were given for 4 real rows"):
        distance(rows, rows, real_units=["a", "b", "c"])
    with pytest.raises(DataError, match="2 units of real rows cannot be parted"):
        distance(rows, rows, real_units=["a", "b", "b", "b"])
    with pytest.raises(SpecError, match="2 or more splits"):
        distance(rows, rows, splits=1)
    with pytest.raises(SpecError, match="subsets=1"):
        kid_subsets(rows, rows, subsets=1)
