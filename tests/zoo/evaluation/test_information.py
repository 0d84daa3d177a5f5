"""The decomposition against cases with a closed form."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import SpecError
from zoo.evaluation.information import (
    Parts,
    class_parts,
    decompose,
    gaussian_information,
    gaussian_parts,
    gaussian_parts_of,
    specific_information,
)

AND = 2.0 - 0.75 * np.log2(3)  # H(Y) = 0.8113
ALONE_IN_AND = AND - 0.5
CASES: dict[str, tuple[Callable[[int, int], int], tuple[float, float, float, float]]] = {
    "xor": (lambda a, b: a ^ b, (0.0, 0.0, 0.0, 1.0)),
    "unique": (lambda a, b: a, (0.0, 1.0, 0.0, 0.0)),
    "two bits": (lambda a, b: 2 * a + b, (1.0, 0.0, 0.0, 1.0)),  # I_min calls it redundant: its known oddity
    "and": (lambda a, b: a & b, (ALONE_IN_AND, 0.0, 0.0, 0.5)),
}


def posterior(seen: list[tuple[int, ...]], label: list[int], classes: int) -> np.ndarray:
    """(N, K) exact class probabilities given what is seen, over equally likely rows."""
    table: dict[tuple[int, ...], np.ndarray] = {}
    for s, y in zip(seen, label, strict=True):
        table.setdefault(s, np.zeros(classes))[y] += 1
    return np.stack([table[s] / table[s].sum() for s in seen])


def parts_of(rows: list[tuple[int, int]], rule: Callable[[int, int], int], redundancy: str = "imin") -> Parts:
    label = [rule(a, b) for a, b in rows]
    k = max(label) + 1
    one, other = (posterior([(r[i],) for r in rows], label, k) for i in (0, 1))
    return class_parts(one, other, posterior(list(rows), label, k), label, redundancy=redundancy)  # type: ignore[arg-type]


def split(parts: Parts) -> list[float]:
    return [float(v[0]) for v in (parts.redundant, parts.unique_a, parts.unique_b, parts.synergistic)]


@pytest.mark.parametrize("case", CASES)
def test_closed_forms(case: str) -> None:
    rule, expected = CASES[case]
    found = parts_of(list(itertools.product((0, 1), (0, 1))), rule)
    assert split(found) == pytest.approx(expected, abs=1e-5)
    assert float(found.negative[0]) == pytest.approx(0.0, abs=1e-5)


def test_and_by_mmi() -> None:
    found = parts_of(list(itertools.product((0, 1), (0, 1))), CASES["and"][0], "mmi")
    assert split(found) == pytest.approx([ALONE_IN_AND, 0.0, 0.0, 0.5], abs=1e-5)
    assert pytest.approx(0.3113, abs=1e-4) == ALONE_IN_AND


def test_copy_is_redundant() -> None:
    assert split(parts_of([(0, 0), (1, 1)], lambda a, b: a)) == pytest.approx([1.0, 0.0, 0.0, 0.0], abs=1e-5)


def test_classes_seen_by_one_each() -> None:
    """Three classes; A tells class 0 apart, B class 2 (Williams and Beer 2010, figure 4A: 0.5850, 0.3333 x 3)."""
    rows = [(0, 0), (0, 1), (1, 0)]
    found = parts_of(rows, lambda a, b: a + 2 * b)
    assert split(found) == pytest.approx([np.log2(3) - 1, 1 / 3, 1 / 3, 1 / 3], abs=1e-5)


def test_a_bad_model_gives_negative_parts_that_are_kept() -> None:
    y = [0, 1, 0, 1]
    right, wrong, none = np.eye(2)[y] * 0.8 + 0.1, np.eye(2)[y] * -0.8 + 0.9, np.full((4, 2), 0.5)
    found = class_parts(right, none, none, y)
    assert float(found.synergistic[0]) == pytest.approx(-1 - np.log2(0.9))
    assert float(found.negative[0]) == pytest.approx(-1 - np.log2(0.9))
    worse = class_parts(wrong, none, right, y)
    assert float(worse.alone_a[0]) == pytest.approx(1 + np.log2(0.1))
    assert float(worse.redundant[0]) < 0
    assert worse.redundant[0] + worse.unique_a[0] + worse.unique_b[0] + worse.synergistic[0] == pytest.approx(
        float(worse.both[0])
    )


def test_given_a_question() -> None:
    """y = a xor q: given q, a says all; without it nothing."""
    rows = list(itertools.product((0, 1), (0, 1)))
    label = [a ^ q for a, q in rows]
    base = posterior([(q,) for _, q in rows], label, 2)
    told = posterior(rows, label, 2)
    found = class_parts(told, base, told, label, base=base)
    assert split(found) == pytest.approx([0.0, 1.0, 0.0, 0.0], abs=1e-5)


def test_weights_are_repeated_rows() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 20)
    q = [generator.dirichlet(np.ones(3), 20) for _ in range(3)]
    counts = generator.multinomial(20, np.full(20, 0.05), size=2).astype(float)
    found = class_parts(*q, y, weights=counts)
    for d, row in enumerate(counts):
        pick = np.repeat(np.arange(20), row.astype(int))
        own = class_parts(*(p[pick] for p in q), y[pick])
        assert [float(v[d]) for v in (found.both, found.redundant)] == pytest.approx(
            [float(own.both[0]), float(own.redundant[0])]
        )


def test_against_scikit_learn() -> None:
    """H(Y) - cross-entropy."""
    from sklearn.metrics import log_loss

    generator = np.random.default_rng(1)
    y = np.concatenate([[0, 1, 2, 3], generator.integers(0, 4, 50)])
    q = generator.dirichlet(np.ones(4), 54)
    share = np.bincount(y) / 54
    expected = (-(share * np.log(share)).sum() - log_loss(y, q)) / np.log(2)
    specific, shares = specific_information(q, y)
    assert float((specific * shares).sum()) == pytest.approx(expected)


def test_a_class_without_rows_counts_nothing() -> None:
    q = np.full((3, 3), 1 / 3)
    specific, share = specific_information(q, [0, 0, 1])
    assert share[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert np.isfinite(specific).all()
    one = class_parts(np.ones((2, 1)), np.ones((2, 1)), np.ones((2, 1)), [0, 0])
    assert split(one) == [0.0, 0.0, 0.0, 0.0]


def test_unknown_redundancy() -> None:
    with pytest.raises(SpecError, match="allowed: imin, mmi"):
        class_parts(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)), [0], redundancy="max")  # type: ignore[arg-type]


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2))
def test_parts_sum_to_both(a: float, b: float, both: float, redundant: float) -> None:
    found = decompose(a, b, both, redundant)
    total = found.redundant + found.unique_a + found.unique_b + found.synergistic
    assert float(total) == pytest.approx(both, abs=1e-9)
    assert float(found.negative) <= 0


# -- Gaussian ---------------------------------------------------------------------------------------------------


def test_gaussian_closed_form() -> None:
    """Barrett 2015, independent sources of equal correlation .5: R = I, U = 0, S = I_ab - I, 1 - R2 = .5."""
    found = gaussian_parts_of(0.5, 0.5, 0.0)
    alone = -0.5 * np.log2(0.75)
    assert [float(v) for v in (found.redundant, found.unique_a, found.unique_b)] == pytest.approx([alone, 0.0, 0.0])
    assert float(found.synergistic) == pytest.approx(0.5 - alone)


def test_gaussian_unique_and_noise() -> None:
    """The second source says nothing of Y and is independent: all is unique to the first."""
    found = gaussian_parts_of(0.6, 0.0, 0.0)
    assert float(found.unique_a) == pytest.approx(-0.5 * np.log2(1 - 0.36))
    assert float(found.synergistic) == pytest.approx(0.0)
    # correlated with the first, it takes its noise away: synergy
    assert float(gaussian_parts_of(0.6, 0.0, 0.5).synergistic) > 0


@pytest.mark.parametrize("correlations", [(0.9, 0.9, -0.9), (0.5, 0.5, 1.0), (1.0, 0.0, 0.5)])
def test_impossible_correlations(correlations: tuple[float, float, float]) -> None:
    with pytest.raises(SpecError, match="no Gaussian sources"):
        gaussian_parts_of(*correlations)


def test_gaussian_predictions_reach_the_closed_form() -> None:
    generator = np.random.default_rng(0)
    a, b, noise = generator.normal(size=(3, 200_000))
    y = a + b + np.sqrt(2) * noise  # correlation .5 with each
    found = gaussian_parts(a, b, a + b, y)
    expected = gaussian_parts_of(0.5, 0.5, 0.0)
    assert split(found) == pytest.approx(
        [float(v) for v in (expected.redundant, expected.unique_a, expected.unique_b, expected.synergistic)], abs=0.01
    )


def test_constant_or_opposed_predictions_say_nothing() -> None:
    y = np.array([1.0, 2.0, 3.0])
    found = gaussian_parts(np.ones(3), -y, y, y)
    assert float(found.alone_a[0]) == float(found.alone_b[0]) == 0.0
    assert np.isfinite(found.both[0])
    assert gaussian_information(1.0) < 20
