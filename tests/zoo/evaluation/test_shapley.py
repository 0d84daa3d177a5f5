"""Shapley values, interaction and synergy on games worked by hand, and the axioms on any game."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.phantom.design import information
from zoo.errors import SpecError
from zoo.evaluation.shapley import EMPTY, gains, interaction, shapley, synergy
from zoo.evaluation.subsets import Subset, subsets

NAMES = ["a", "b", "c"]
EVERYTHING = [EMPTY, *subsets(NAMES)]
games = st.lists(st.floats(-10, 10), min_size=8, max_size=8).map(lambda v: dict(zip(EVERYTHING, v, strict=True)))


def game(**values: float) -> dict[Subset, float]:
    return {frozenset(k if k != "nothing" else ""): v for k, v in values.items()}


def test_gloves_by_hand() -> None:
    """a holds a left glove, b and c a right one; a pair is worth 1: 2/3, 1/6, 1/6."""
    found = shapley(NAMES, game(nothing=0, a=0, b=0, c=0, ab=1, ac=1, bc=0, abc=1))
    assert {k: float(v) for k, v in found.items()} == pytest.approx({"a": 2 / 3, "b": 1 / 6, "c": 1 / 6})


def test_two_players_by_hand() -> None:
    """Exclusive or: half of the gain each."""
    found = shapley(["a", "b"], game(nothing=0.5, a=0.5, b=0.5, ab=1.0))
    assert {k: float(v) for k, v in found.items()} == {"a": 0.25, "b": 0.25}


@given(games)
def test_efficiency(values: dict[Subset, float]) -> None:
    total = sum(float(v) for v in shapley(NAMES, values).values())
    assert total == pytest.approx(values[frozenset(NAMES)] - values[EMPTY], abs=1e-9)


@given(games)
def test_symmetry(values: dict[Subset, float]) -> None:
    """Players a and b that may be swapped get the same."""

    def swapped(s: Subset) -> Subset:
        return frozenset({"a": "b", "b": "a"}.get(p, p) for p in s)

    even = {s: values[min(s, swapped(s), key=sorted)] for s in EVERYTHING}
    found = shapley(NAMES, even)
    assert float(found["a"]) == pytest.approx(float(found["b"]), abs=1e-9)


@given(games)
def test_null_player(values: dict[Subset, float]) -> None:
    deaf = {s: values[s - {"c"}] for s in EVERYTHING}
    assert float(shapley(NAMES, deaf)["c"]) == pytest.approx(0.0, abs=1e-12)


@given(games, games)
def test_additivity_over_draws(one: dict[Subset, float], other: dict[Subset, float]) -> None:
    """An array of two games is decomposed as each on its own."""
    both = shapley(NAMES, {s: np.array([one[s], other[s]]) for s in EVERYTHING})
    for name in NAMES:
        assert both[name].tolist() == pytest.approx([float(shapley(NAMES, g)[name]) for g in (one, other)])


def test_incomplete_games_are_refused() -> None:
    with pytest.raises(SpecError, match=r"need all 8 subsets; 7 have no value: nothing, .*\.\.\."):
        shapley(NAMES, {frozenset("a"): 1.0})
    with pytest.raises(SpecError, match="'b'"):
        interaction({frozenset("a"): 1.0, frozenset("ab"): 1.0}, "a", "b")


def test_synergy_and_interaction_by_hand() -> None:
    values = game(nothing=0.5, a=0.7, b=0.6, ab=0.75)
    assert float(synergy(values, "ab")) == pytest.approx(0.05)
    assert float(interaction(values, "a", "b")) == pytest.approx(-0.05)
    arrays = {s: np.array([v, v + 0.1]) for s, v in values.items()}
    assert synergy(arrays, "ab").tolist() == pytest.approx([0.05, 0.05])


@pytest.mark.parametrize(
    ("task", "a", "b"), [("response", "ct", "genomics"), ("disease", "ct", "mri"), ("retinopathy", "fundus", "oct")]
)
def test_gains_are_those_of_the_design(task: str, a: str, b: str) -> None:
    stated = information(task, a, b)
    base = 0.1
    values = {
        EMPTY: base,
        frozenset({a}): base + stated.alone_a,
        frozenset({b}): base + stated.alone_b,
        frozenset({a, b}): base + stated.both,
    }
    found = gains(values, a, b)
    for key in ("alone_a", "alone_b", "both", "redundant", "unique_a", "unique_b", "synergistic"):
        assert float(getattr(found, key)) == pytest.approx(getattr(stated, key)), key
