"""Splits: grouped, stratified, stable under re-ordering, true to the publisher."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.core.splits import assign_splits, connect
from zoo.errors import SpecError


def table(groups: list[str], strata: list[str], splits: list[str] | None = None) -> pd.DataFrame:
    n = len(groups)
    return pd.DataFrame(
        {"id": [f"r{i:04d}" for i in range(n)], "group": groups, "stratum": strata, "split": splits or [""] * n}
    )


def test_fractions_within_each_stratum() -> None:
    t = table([""] * 1000, ["a"] * 700 + ["b"] * 300)
    t["got"] = assign_splits(t)
    for stratum, n in (("a", 700), ("b", 300)):
        counts = t[t["stratum"] == stratum]["got"].value_counts()
        assert counts["train"] == pytest.approx(0.7 * n, abs=1)
        assert counts["val"] == pytest.approx(0.15 * n, abs=1)
        assert counts["test"] == pytest.approx(0.15 * n, abs=1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from("xyz")), min_size=1, max_size=80), st.integers(0, 5))
def test_groups_never_cross_and_order_does_not_matter(rows: list[tuple[int, str]], seed: int) -> None:
    t = table([f"g{g}" if g else "" for g, _ in rows], [s for _, s in rows])
    t["got"] = assign_splits(t, seed=seed)
    for _, part in t[t["group"] != ""].groupby("group"):
        assert part["got"].nunique() == 1
    shuffled = t.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    again = pd.Series(assign_splits(shuffled, seed=seed), index=shuffled["id"])
    assert (again.loc[t["id"]].to_numpy() == t["got"].to_numpy()).all()


def test_publisher_split_is_kept_and_the_rest_divided() -> None:
    t = table([""] * 100, [""] * 100, ["test"] * 20 + [""] * 80)
    got = assign_splits(t)
    assert (got[:20] == "test").all()
    assert set(got[20:]) == {"train", "val"}
    assert (got[20:] == "val").sum() == pytest.approx(80 * 0.15 / 0.85, abs=1)


def test_group_that_touches_two_published_splits_is_held_out() -> None:
    t = table(["g", "g", "", ""], [""] * 4, ["train", "test", "train", "test"])
    assert assign_splits(t).tolist() == ["test", "test", "train", "test"]


def test_few_groups_still_fill_val_and_test() -> None:
    t = table([f"s{i // 10}" for i in range(90)], ["a"] * 90)
    got = assign_splits(t)
    assert {s: (got == s).sum() // 10 for s in ("train", "val", "test")} == {"train": 6, "val": 1, "test": 2}


def test_bad_fractions_and_names() -> None:
    with pytest.raises(SpecError, match="sum to 1"):
        assign_splits(table(["a"], ["x"]), fractions=(0.5, 0.1, 0.1))
    with pytest.raises(SpecError, match="holdout"):
        assign_splits(table(["a"], ["x"], ["holdout"]))


def test_connect_is_transitive() -> None:
    assert connect([["a", "b"], ["c"], ["b", "c"], ["d"]]).tolist() == [0, 0, 0, 1]
    assert np.unique(connect([[""], [""]])).size == 2


def test_rounding_is_not_carried_from_one_source_to_another() -> None:
    big_groups = table([f"s{i // 600}" for i in range(5400)], ["a"] * 5400)
    small = table([""] * 500, ["b"] * 500)
    both = pd.concat([big_groups.assign(source=0), small.assign(source=1, id=[f"q{i}" for i in range(500)])])
    got = assign_splits(both.reset_index(drop=True))[5400:]
    assert {s: int((got == s).sum()) for s in ("train", "val", "test")} == {"train": 350, "val": 75, "test": 75}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("xyz")), min_size=1, max_size=80),
    st.integers(2, 6),
    st.integers(0, 3),
)
def test_rounds_of_a_cross_validation_test_each_row_once(
    rows: list[tuple[int, str]], folds: int, division: int
) -> None:
    t = table([f"g{g}" if g else "" for g, _ in rows], [s for _, s in rows])
    rounds = [assign_splits(t, seed=division * folds + k, folds=folds) for k in range(folds)]
    assert (sum((r == "test").astype(int) for r in rounds) == 1).all()
    for got in rounds:
        t["got"] = got
        assert (t[t["group"] != ""].groupby("group")["got"].nunique() == 1).all()


def test_folds_divide_each_stratum_and_leave_the_shares_of_train_and_val() -> None:
    t = table([""] * 500, ["a"] * 400 + ["b"] * 100)
    for seed in range(5):
        t["got"] = assign_splits(t, seed=seed, folds=5)
        for stratum, n in (("a", 400), ("b", 100)):
            counts = t[t["stratum"] == stratum]["got"].value_counts()
            assert counts["test"] == n / 5
            assert counts["val"] == pytest.approx(n * 0.8 * 0.15 / 0.85, abs=1)
    first, again = (set(t["id"][assign_splits(t, seed=s, folds=5) == "test"]) for s in (0, 5))
    assert first != again  # another division


def test_folds_keep_what_a_publisher_fixed() -> None:
    fixed = table([""] * 100, [""] * 100, ["test"] * 20 + [""] * 80)
    with pytest.raises(SpecError, match="published parts"):
        assign_splits(fixed, folds=5)
    both = pd.concat([fixed.assign(source=0), table([f"h{i}" for i in range(50)], [""] * 50).assign(source=1)])
    for seed in range(5):
        got = assign_splits(both, seed=seed, folds=5)
        assert (got[:20] == "test").all()
        assert (got[20:100] != "test").all()
        assert (got[100:] == "test").sum() == 10


@pytest.mark.parametrize("folds", [1, -2])
def test_folds_that_are_none(folds: int) -> None:
    with pytest.raises(SpecError, match=f"data.split.cross_validation must be .* got {folds}"):
        assign_splits(table([""] * 9, [""] * 9), folds=folds)
