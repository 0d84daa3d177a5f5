"""Subgroups against pandas, and the bootstrap samples against zoo.tasks.base.bootstrap_interval."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.analysis.subgroups import interval, resampled, subgroups, take
from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation import Evaluated
from zoo.tasks import task_kind
from zoo.tasks.base import bootstrap_interval

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
    found = subgroups(CLASSES, result, names, min_rows=20, resamples=200)
    right = (result.prediction.argmax(1) == result.target).numpy()
    table = pd.DataFrame({"group": names, "right": right}).query("group != ''")
    expected = table.groupby("group")["right"].agg(["mean", "size"])
    assert [g.name for g in found.groups] == list(expected.index)
    for group in found.groups:
        assert group.estimate[0] == pytest.approx(expected.loc[group.name, "mean"])
        assert group.n == expected.loc[group.name, "size"]
        assert group.estimate[1] < group.estimate[0] < group.estimate[2]
    assert found.overall[0] == pytest.approx(table["right"].mean())
    assert found.unknown == names.count("")
    assert found.worst == "south"
    value, low, high = interval(found.gap)
    assert value == pytest.approx(expected.loc["south", "mean"] - table["right"].mean())
    assert low < value < high < 0


def test_small_groups_are_shown_but_never_worst() -> None:
    result, names = rows_of(60)
    names[:3] = ["tiny"] * 3
    result.prediction[:3] = torch.eye(3)[(result.target[:3] + 1) % 3]
    found = subgroups(CLASSES, result, names, min_rows=10, resamples=20)
    tiny = next(g for g in found.groups if g.name == "tiny")
    assert tiny.estimate[0] == 0.0
    assert not tiny.counted
    assert found.worst not in ("tiny", "")
    alone = subgroups(CLASSES, result, names, min_rows=1000, resamples=20)
    assert alone.worst == ""
    assert np.isnan(alone.gap).all()


def test_edges() -> None:
    result, _ = rows_of(5)
    one = subgroups(CLASSES, result, ["a"] * 5, min_rows=1, resamples=10)
    assert (one.worst, len(one.groups)) == ("", 1)
    none = subgroups(CLASSES, result, [""] * 5, resamples=10)
    assert none.groups == []
    assert math.isnan(none.overall[0])
    with pytest.raises(SpecError, match="5 rows, but 2 group names"):
        subgroups(CLASSES, result, ["a", "b"])
    with pytest.raises(SpecError, match="min_rows must be at least 1, got 0"):
        subgroups(CLASSES, result, ["a"] * 5, min_rows=0)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_samples_give_the_same_interval_as_the_report(kind: str) -> None:
    g = torch.Generator().manual_seed(0)
    if kind == "classification":
        task, (result, _) = CLASSES, rows_of(80)
    else:
        task = task_kind(TaskSpec("r", "regression", 1))
        x = torch.randn(80, 1, generator=g)
        target = torch.stack([x + torch.randn(80, 1, generator=g), torch.ones(80, 1)], 1)
        result = Evaluated(x, target, torch.zeros(80))
    samples = resampled(task, result, 300)
    value, low, high = interval(samples)
    assert value == pytest.approx(task.primary_value(result.prediction, result.target))
    assert (low, high) == pytest.approx(bootstrap_interval(task, result.prediction, result.target, resamples=300))


def test_samples_of_nothing_and_of_some_rows() -> None:
    result, _ = rows_of(10)
    assert np.isnan(resampled(CLASSES, take(result, []), 5)).all()
    assert take(result, [3, 1]).ids == ["3", "1"]
    assert all(math.isnan(x) for x in interval(np.full(4, np.nan)))
    assert interval(np.array([1.0, np.nan, np.nan, 1.0]))[1:] != (1.0, 1.0), "most resamples have no value"
