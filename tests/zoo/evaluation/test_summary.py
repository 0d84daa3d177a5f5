"""The final table by hand: references of each source, words, flags, intervals and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from tests.zoo.intervals import ends
from zoo.contract import TaskSpec
from zoo.evaluation.summary import TaskResult, summarise
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

SICK = TaskSpec("sick", "classification", 3, ("a", "b", "c"))
AGE = TaskSpec("age", "regression", 1, ("years",))
KINDS = {t.name: task_kind(t) for t in (SICK, AGE)}
NAMES = ("First", "Second")


def onehot(codes: list[int]) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(codes), 3).float()


def evaluated(guess: list[int], target: list[int], source: list[int]) -> Evaluated:
    return Evaluated(onehot(guess), torch.tensor(target), torch.tensor(source), [f"i{k}" for k in range(len(guess))])


TRAIN = (torch.tensor([0, 0, 1, 2, 2, 1, 1]), torch.tensor([0, 0, 0, 1, 1, 1, 1]))
"""Source 0 has the classes a and b, mostly a; source 1 has b and c, and its first majority is b."""


def lines(
    result: Evaluated, train: tuple[Tensor, Tensor] = TRAIN, simulated: tuple[bool, ...] = (False, True)
) -> list[TaskResult]:
    return summarise({"sick": KINDS["sick"]}, {"sick": result}, lambda task: train, NAMES, simulated, resamples=200)


def test_baseline_is_the_majority_within_each_source() -> None:
    target, source = [0, 0, 0, 1, 1, 1, 2, 0], [0, 0, 0, 0, 1, 1, 1, 1]
    whole, first, second = lines(evaluated(target, target, source))
    # source 0 says a: 3 of 4; source 1 has b and c twice each in training, the first is b: 2 of 4
    assert first.baseline == pytest.approx(3 / 4)
    assert second.baseline == pytest.approx(2 / 4)
    assert whole.baseline == pytest.approx(5 / 8)
    assert (whole.value, whole.n) == (1.0, 8)
    assert [x.task for x in (whole, first, second)] == ["sick", "sick [First]", "sick [Second]"]
    assert [x.source for x in (whole, first, second)] == ["", "First", "Second"]


def test_chance_knows_the_classes_of_each_source() -> None:
    n = 400
    generator = np.random.default_rng(1)
    source = [0] * n + [1] * n
    target = generator.choice([0, 1], n).tolist() + generator.choice([1, 2], n).tolist()
    whole, first, second = lines(evaluated(target, target, source))
    for line in (whole, first, second):
        assert line.chance == pytest.approx(0.5, abs=0.03)  # two classes a source, although the task has three


def test_a_source_without_training_labels_falls_back_on_all_of_them() -> None:
    train = (torch.tensor([2, 2, 1]), torch.tensor([0, 0, 0]))
    _, first, second = lines(evaluated([2, 1], [2, 1], [0, 1]), train)
    assert (first.baseline, second.baseline) == (1.0, 0.0)


def test_words_for_real_simulated_and_mixed() -> None:
    target, source = [0, 1, 1, 2], [0, 0, 1, 1]
    whole, first, second = lines(evaluated(target, target, source))
    assert [(x.data, x.real) for x in (whole, first, second)] == [
        ("mixed", False),
        ("real", True),
        ("simulated", False),
    ]
    assert [x.data for x in lines(evaluated(target, target, source), simulated=(True, True))] == ["simulated"] * 3
    assert lines(evaluated([0], [0], [0]))[0].data == "real"
    assert len(lines(evaluated([0], [0], [0]))) == 1  # one source needs no parts


def test_flags_ask_the_whole_interval_to_lie_above() -> None:
    target = [0] * 60 + [1] * 40
    perfect = lines(evaluated(target, target, [0] * 100))[0]
    assert perfect.beats_chance
    assert perfect.beats_baseline
    assert (perfect.low, perfect.high) == pytest.approx((0.025 ** (1 / 100), 1.0))
    assert (perfect.interval, perfect.unit) == ("exact", "row (100)")
    majority = lines(evaluated([0] * 100, target, [0] * 100))[0]
    assert majority.value == pytest.approx(majority.baseline) == pytest.approx(0.6)
    assert not majority.beats_baseline
    noisy = [1 - t if k % 3 == 0 else t for k, t in enumerate(target)]  # 66 of 100 are right
    slightly = lines(evaluated(noisy, target, [0] * 100))[0]
    assert slightly.value > slightly.baseline > slightly.low
    assert not slightly.beats_baseline
    assert slightly.beats_chance == (slightly.low > slightly.chance)


def test_regression_baseline_scores_no_correlation() -> None:
    values = torch.linspace(-1, 1, 20)
    target = torch.stack([torch.stack([v.view(1), torch.ones(1)]) for v in values])
    result = Evaluated(values.view(-1, 1), target, torch.zeros(20, dtype=torch.long), [str(k) for k in range(20)])
    line = summarise(
        {"age": KINDS["age"]}, {"age": result}, lambda task: (target, torch.zeros(20)), NAMES, (False, False)
    )[0]
    assert line.metric == "pearson"
    assert line.value == pytest.approx(1.0)
    assert line.baseline == 0.0
    assert abs(line.chance) < 0.2
    assert line.beats_baseline


def test_what_is_not_finite_becomes_null_and_never_beats_anything() -> None:
    target = torch.tensor([[[0.3], [1.0]]])  # one row: no correlation
    result = Evaluated(torch.tensor([[0.1]]), target, torch.zeros(1, dtype=torch.long), ["a"])
    line = summarise(
        {"age": KINDS["age"]}, {"age": result}, lambda task: (target, torch.zeros(1)), NAMES, (False, False), 20
    )[0]
    assert math.isnan(line.value)
    assert not line.beats_chance
    assert not line.beats_baseline
    text = json.dumps(line.as_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["value"] is None
    assert back["metrics"]["pearson"] is None
    assert back["metrics"]["mse"] == pytest.approx(0.04, abs=1e-6)
    assert back["n"] == 1


def test_tasks_without_rows_have_no_line() -> None:
    results: Mapping[str, Evaluated] = {}
    assert summarise(KINDS, results, lambda task: TRAIN, NAMES, (False, False)) == []


def test_bootstrap_of_an_accuracy_is_the_binomial_interval() -> None:
    n, right = 200, 140
    prediction = onehot([0] * right + [1] * (n - right))
    low, high = ends(KINDS["sick"], prediction, torch.zeros(n, dtype=torch.long), resamples=4000)
    assert low == pytest.approx(binom.ppf(0.025, n, right / n) / n, abs=0.006)
    assert high == pytest.approx(binom.ppf(0.975, n, right / n) / n, abs=0.006)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    covered, trials, n = 0, 150, 80
    for k in range(trials):
        hits = generator.random(n) < 0.7
        prediction = onehot([0 if h else 1 for h in hits])
        low, high = ends(KINDS["sick"], prediction, torch.zeros(n, dtype=torch.long), resamples=200, seed=k)
        covered += low <= 0.7 <= high
    assert 0.88 <= covered / trials <= 0.99


def test_bootstrap_is_deterministic_and_nan_without_rows() -> None:
    prediction, target = onehot([0, 1, 1, 0, 2]), torch.tensor([0, 1, 2, 0, 2])
    first = ends(KINDS["sick"], prediction, target, resamples=50)
    assert first == ends(KINDS["sick"], prediction, target, resamples=50)
    nothing = ends(KINDS["sick"], prediction[:0], target[:0])
    assert all(math.isnan(x) for x in nothing)
