"""Enumeration and forward selection."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import SpecError
from zoo.evaluation.subsets import Subset, best_step, greedy, label, missing, subsets


@given(st.integers(1, 6), st.integers(0, 7))
def test_counts(players: int, order: int) -> None:
    names = [f"m{k}" for k in range(players)]
    found = subsets(names, order)
    sizes = range(1, players + 1)
    wanted = [k for k in sizes if order == 0 or k <= order or k == players]
    assert len(found) == len(set(found)) == sum(math.comb(players, k) for k in wanted)
    assert [len(s) for s in found] == sorted(len(s) for s in found)
    assert found[-1] == frozenset(names)


def test_missing_counts_the_empty_set() -> None:
    known = dict.fromkeys(subsets(["a", "b"]), 0.0)
    assert missing(["a", "b"], known) == [frozenset()]


@pytest.mark.parametrize(("players", "order"), [([], 1), (["a", "a"], 1), (["a"], -1)])
def test_wrong_players(players: list[str], order: int) -> None:
    with pytest.raises(SpecError):
        subsets(players, order)


def test_label() -> None:
    assert label(frozenset({"b", "a"}), ["a", "b"], ["question"]) == "question + a + b"
    assert label(frozenset(), ["a"]) == "nothing"


def table(values: dict[str, float], asked: list[list[Subset]]):  # type: ignore[no-untyped-def]
    def evaluate(wanted: Sequence[Subset]) -> dict[Subset, float]:
        asked.append(list(wanted))
        return {s: values["".join(sorted(s))] for s in wanted if "".join(sorted(s)) in values}

    return evaluate


def test_greedy_by_hand() -> None:
    """b first; then b + c beats b + a although a alone beats c; all in the end, which is worse."""
    asked: list[list[Subset]] = []
    values = {"a": 0.5, "b": 0.6, "c": 0.1, "ab": 0.61, "bc": 0.9, "abc": 0.8}
    steps = greedy(["a", "b", "c"], table(values, asked))
    assert [(s.added, s.value) for s in steps] == [("b", 0.6), ("c", 0.9), ("a", 0.8)]
    assert steps[1].tried == {"a": 0.61, "c": 0.9}
    assert best_step(steps).subset == {"b", "c"}
    assert [len(a) for a in asked] == [3, 2, 1]


def test_greedy_misses_what_only_a_pair_says() -> None:
    """As its docstring says: a xor b is passed over while c helps a little."""
    values = {"a": 0.5, "b": 0.5, "c": 0.6, "ac": 0.6, "bc": 0.6, "abc": 1.0}
    assert [s.added for s in greedy(["a", "b", "c"], table(values, []))] == ["c", "a", "b"]


def test_greedy_takes_the_first_of_equals_and_the_smallest_best() -> None:
    steps = greedy(["x", "y"], table({"x": 0.7, "y": 0.7, "xy": 0.7}, []))
    assert steps[0].added == "x"
    assert best_step(steps).subset == {"x"}


def test_greedy_without_values_stops() -> None:
    assert greedy(["a", "b"], table({}, [])) == []
    steps = greedy(["a", "b"], table({"a": math.nan, "b": 0.1}, []))
    assert [s.added for s in steps] == ["b"]
    with pytest.raises(SpecError):
        best_step([])
