"""Joining sources: subjects meet, splits cannot part them, and nothing depends on the order of an index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.core.join import Join, join_sources, merge_samples
from datamodules.core.splits import assign_splits
from tests.datamodules.fakes import NOTE, TABLE, Fake, Row
from zoo.contract import Sample
from zoo.errors import SpecError


def opened(name: str, rows: list[Row]) -> Fake:
    source = Fake(rows, name=name, modalities=(TABLE, NOTE))
    source.open()
    return source


def names(join: Join, *sources: Fake) -> list[set[str]]:
    """The ids of the rows that make each sample."""
    return [{f"{sources[s].name}:{sources[s].index['id'][r]}" for s, r in m} for m in join.members]


def test_rows_of_one_subject_become_one_sample() -> None:
    a = opened("A", [Row("a1", subject="ann"), Row("a2", subject="bob"), Row("a3")])
    b = opened("B", [Row("b1", subject="bob"), Row("b2", subject="cat"), Row("b3")])
    join = join_sources([a, b])
    assert names(join, a, b) == [{"A:a1"}, {"A:a2", "B:b1"}, {"A:a3"}, {"B:b2"}, {"B:b3"}]
    assert join.table["id"].tolist() == ["A/a1", "A/a2", "A/a3", "B/b2", "B/b3"]
    assert join.table["source"].tolist() == [0, 0, 0, 1, 1]


def test_the_kth_row_meets_the_kth() -> None:
    a = opened("A", [Row("a1", subject="s"), Row("a2", subject="s"), Row("a3", subject="s")])
    b = opened("B", [Row("b1", subject="s"), Row("b2", subject="s")])
    join = join_sources([a, b])
    assert names(join, a, b) == [{"A:a1", "B:b1"}, {"A:a2", "B:b2"}, {"A:a3"}]
    assert join.table["group"].nunique() == 1  # one subject, one side of a split


def test_groups_and_subjects_connect_over_sources() -> None:
    a = opened("A", [Row("a1", subject="ann", group="h1"), Row("a2", group="h1"), Row("a3", group="h2")])
    b = opened("B", [Row("b1", subject="ann", group="g"), Row("b2", group="g"), Row("b3", group="h2")])
    join = join_sources([a, b])
    group = dict(zip(join.table["id"], join.table["group"], strict=True))
    assert group["A/a1"] == group["A/a2"] == group["B/b2"]
    assert group["A/a3"] != group["B/b3"]  # groups of two sources only share a name
    assert len({group["A/a1"], group["A/a3"], group["B/b3"]}) == 3


def test_the_unit_of_a_sample_is_what_no_split_parts() -> None:
    a = opened("A", [Row("a1", group="h1"), Row("a2", group="h1"), Row("a3"), Row("a4", subject="ann")])
    b = opened("B", [Row("b1", subject="ann"), Row("b2", group="g", subject="bob"), Row("b3", subject="bob")])
    a.group_unit, b.group_unit = "lesion", "patient"
    join = join_sources([a, b])
    units = {join.id(k): join.unit(k) for k in range(len(join))}
    assert units["A/a1"] == units["A/a2"] == "lesion:A|group|h1"
    assert units["A/a3"] == "row:A/a3"
    assert units["A/a4"].startswith("subject:")
    assert "B/b1" not in units  # it is joined to A/a4
    assert units["B/b2"] == units["B/b3"]
    assert units["B/b2"].startswith("patient:")
    same_group = join.table.groupby("group").indices.values()
    assert all(len({join.unit(int(k)) for k in rows}) == 1 for rows in same_group)


def test_the_word_is_that_of_the_first_source_that_groups() -> None:
    a = opened("A", [Row("a1", subject="ann", group="h")])
    b = opened("B", [Row("b1", subject="ann", group="g")])
    a.group_unit, b.group_unit = "lesion", "patient"
    assert join_sources([a, b]).unit(0).split(":")[0] == "lesion"
    assert join_sources([b, a]).unit(0).split(":")[0] == "patient"


def test_a_class_used_twice_is_numbered() -> None:
    sources = [opened("A", [Row("x")]), opened("A", [Row("x")]), opened("B", [Row("x")]), opened("A", [Row("x")])]
    assert join_sources(sources).table["id"].tolist() == ["A/x", "A#2/x", "B/x", "A#3/x"]


def test_publishers_splits_that_disagree_are_refused() -> None:
    a = opened("A", [Row("a1", subject="ann", split="train")])
    b = opened("B", [Row("b1", subject="ann", split="test")])
    with pytest.raises(SpecError, match=r"A row 'a1'.*another split.*train.*test"):
        join_sources([a, b])
    kept = join_sources([a, opened("B", [Row("b1", subject="ann")])])
    assert kept.table["split"].tolist() == ["train"]


SUBJECTS = st.sampled_from(["", "ann", "bob", "cat"])
GROUPS = st.sampled_from(["", "g", "h"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(SUBJECTS, GROUPS), min_size=1, max_size=8),
    st.lists(st.tuples(SUBJECTS, GROUPS), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_the_order_of_an_index_changes_nothing(
    first: list[tuple[str, str]], second: list[tuple[str, str]], random: object
) -> None:
    def rows(prefix: str, keys: list[tuple[str, str]]) -> list[Row]:
        return [Row(f"{prefix}{i}", subject=s, group=g) for i, (s, g) in enumerate(keys)]

    plain = [opened("A", rows("a", first)), opened("B", rows("b", second))]
    shuffled = []
    for name, keys in (("A", first), ("B", second)):
        made = rows(name.lower(), keys)
        random.shuffle(made)  # type: ignore[attr-defined]
        shuffled.append(opened(name, made))
    one, two = join_sources(plain), join_sources(shuffled)
    assert one.table.equals(two.table)
    assert names(one, *plain) == names(two, *shuffled)
    assert sorted(m for joined in one.members for m in joined) == sorted(
        (s, r) for s, source in enumerate(plain) for r in range(len(source))
    )
    parts = assign_splits(one.table, fractions=(0.5, 0.25, 0.25))
    for source, keys in ((0, first), (1, second)):
        for kind in (0, 1):
            sides: dict[str, set[str]] = {}
            for k, joined in enumerate(one.members):
                for s, r in joined:
                    key = keys[int(plain[s].index["id"][r][1:])][kind] if s == source else ""
                    if key:
                        sides.setdefault(key, set()).add(str(parts[k]))
            assert all(len(side) == 1 for side in sides.values())


def test_adding_a_source_does_not_rename_samples_or_groups() -> None:
    a = opened("A", [Row("a1", group="g"), Row("a2")])
    alone = join_sources([a]).table
    more = join_sources([a, opened("B", [Row("b1"), Row("b2")])]).table
    assert alone.equals(more.iloc[:2])


def test_merging_joins_inputs_labels_and_groups() -> None:
    left = Sample("l", {"scan": 1}, {"sick": "yes", "age": {"years": 3.0}}, {"site": 2})
    right = Sample("r", {"note": "x"}, {"sick": "yes"}, {"site": 5, "ward": 1})
    merged = merge_samples("name", [left, right])
    assert merged.id == "name"
    assert merged.inputs == {"scan": 1, "note": "x"}
    assert merged.targets == {"sick": "yes", "age": {"years": 3.0}}
    assert merged.groups == {"site": 2, "ward": 1}
    alone = merge_samples("name", [left])
    alone.inputs["scan"] = 9
    assert left.inputs["scan"] == 1  # a copy


@pytest.mark.parametrize(
    ("label", "other"),
    [("yes", "no"), ({"a": 1}, {"a": 0}), ({"a": 1}, {"a": 1, "b": 0}), (np.zeros((2, 4)), np.ones((2, 4)))],
)
def test_conflicting_labels_are_refused_and_equal_ones_are_not(label: object, other: object) -> None:
    with pytest.raises(SpecError, match=r"'name'.*label 'sick'"):
        merge_samples("name", [Sample("l", {}, {"sick": label}), Sample("r", {}, {"sick": other})])
    same = merge_samples("name", [Sample("l", {}, {"sick": label}), Sample("r", {}, {"sick": label})])
    assert np.array_equal(np.asarray(same.targets["sick"]), np.asarray(label))


def test_a_modality_held_twice_is_refused() -> None:
    with pytest.raises(SpecError, match=r"two joined rows hold the modality 'scan' \(one is 'r'\)"):
        merge_samples("name", [Sample("l", {"scan": 1}), Sample("r", {"scan": 1})])
