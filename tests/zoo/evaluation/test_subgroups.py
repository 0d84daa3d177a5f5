"""Subgroups against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.subgroups import subgroups
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

CLASSES = task_kind(TaskSpec("t", "classification", 3))


def rows_of(n: int, seed: int = 0) -> tuple[Evaluated, list[str]]:
    g = np.random.default_rng(seed)
    names = g.choice(["north", "south", "east", ""], n, p=[0.5, 0.3, 0.1, 0.1]).tolist()
    target = g.integers(0, 3, n)
    hit = g.random(n) < np.array([0.4 if name == "south" else 0.8 for name in names])
    choice = np.where(hit, target, (target + 1) % 3)
    prediction = torch.eye(3)[torch.from_numpy(choice)]
    return Evaluated(prediction, torch.from_numpy(target), torch.zeros(n), [str(k) for k in range(n)]), names


def test_values_and_counts_are_those_of_pandas() -> None:
    result, names = rows_of(300)
    found = subgroups(CLASSES, result, names, min_rows=20)
    right = (result.prediction.argmax(1) == result.target).numpy()
    table = pd.DataFrame({"group": names, "right": right}).query("group != ''")
    expected = table.groupby("group")["right"].agg(["mean", "size"])
    assert [g.name for g in found.groups] == list(expected.index)
    for group in found.groups:
        assert group.value == pytest.approx(expected.loc[group.name, "mean"])
        assert len(group.part.ids) == expected.loc[group.name, "size"]
    known = found.known
    assert CLASSES.primary_value(known.prediction, known.target) == pytest.approx(table["right"].mean())
    assert found.unknown == names.count("")
    assert found.worst is not None
    assert found.worst.name == "south"


def test_small_groups_are_shown_but_never_worst() -> None:
    result, names = rows_of(60)
    names[:3] = ["tiny"] * 3
    result.prediction[:3] = torch.eye(3)[(result.target[:3] + 1) % 3]
    found = subgroups(CLASSES, result, names, min_rows=10)
    tiny = next(g for g in found.groups if g.name == "tiny")
    assert tiny.value == 0.0
    assert not tiny.counted
    assert found.worst is not None
    assert found.worst.name != "tiny"
    alone = subgroups(CLASSES, result, names, min_rows=1000)
    assert alone.worst is None


def test_edges() -> None:
    result, _ = rows_of(5)
    one = subgroups(CLASSES, result, ["a"] * 5, min_rows=1)
    assert (one.worst, len(one.groups)) == (None, 1)
    none = subgroups(CLASSES, result, [""] * 5)
    assert none.groups == []
    assert none.known.ids == []
    with pytest.raises(SpecError, match="5 rows, but 2 group names"):
        subgroups(CLASSES, result, ["a", "b"])
    with pytest.raises(SpecError, match="min_rows must be at least 1, got 0"):
        subgroups(CLASSES, result, ["a"] * 5, min_rows=0)
