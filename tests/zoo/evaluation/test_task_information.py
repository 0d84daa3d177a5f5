"""The decomposition of tasks: closed forms through TaskKind predictions, calibration, seeds and labels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from zoo.contract import TaskSpec
from zoo.evaluation.information import Redundancy
from zoo.evaluation.pooled import Pool
from zoo.evaluation.subsets import Subset
from zoo.evaluation.task_information import definition, task_parts
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

EMPTY, A, B, AB = frozenset(""), frozenset("a"), frozenset("b"), frozenset("ab")
BITS = np.array(list(itertools.product((0, 1), (0, 1))) * 25)
XOR = torch.tensor(BITS[:, 0] ^ BITS[:, 1])


def result(prediction: torch.Tensor, target: torch.Tensor) -> Evaluated:
    return Evaluated(
        prediction.double(), target, torch.zeros(len(target)).long(), [f"{k:04}" for k in range(len(target))]
    )


def sure(code: torch.Tensor, p: float = 1.0) -> torch.Tensor:
    return torch.eye(2)[code] * (2 * p - 1) + (1 - p)


def xor_models(p: float = 1.0) -> dict[Subset, Evaluated]:
    half = torch.full((100, 2), 0.5)
    return {A: result(half, XOR), B: result(half, XOR), AB: result(sure(XOR, p), XOR)}


def split(parts) -> list[float]:  # type: ignore[no-untyped-def]
    return [float(v[0]) for v in (parts.redundant, parts.unique_a, parts.unique_b, parts.synergistic)]


def test_exclusive_or_over_two_seeds() -> None:
    kind = task_kind(TaskSpec("t", "classification", 2, ("n", "y")))
    seeds = [xor_models(), xor_models()]
    parts = task_parts(Pool(kind, seeds, resamples=10), seeds, "a", "b")
    assert split(parts) == pytest.approx([0, 0, 0, 1], abs=1e-6)
    assert parts.both.shape == (11,)


def test_temperature_is_fitted_on_validation() -> None:
    """A model that is always right at 0.6 says all it knows once it is calibrated; without validation it does not."""
    kind = task_kind(TaskSpec("t", "classification", 2, ("n", "y")))
    models = xor_models(0.6)
    pool = Pool(kind, [models], resamples=0)
    assert float(task_parts(pool, [models], "a", "b").both[0]) > 0.99
    assert float(task_parts(pool, [{}], "a", "b").both[0]) == pytest.approx(1 + np.log2(0.6))


def test_multilabel_sums_labels_and_skips_the_unknown() -> None:
    """Label one is the exclusive or, label two a; half of label two is unknown."""
    kind = task_kind(TaskSpec("t", "multilabel", 2, ("x", "a")))
    a = torch.tensor(BITS[:, 0])
    seen = torch.ones(100, 2)
    seen[:50, 1] = 0
    target = torch.stack([torch.stack([XOR, a], 1).float(), seen], 1)
    half = torch.full((100,), 0.5)

    def made(one: torch.Tensor, two: torch.Tensor) -> Evaluated:
        return result(torch.stack([one, two], 1), target)

    models = {A: made(half, a.float()), B: made(half, half), AB: made(XOR.float(), a.float())}
    parts = task_parts(Pool(kind, [models], resamples=3), [models], "a", "b")
    assert split(parts) == pytest.approx([0, 1, 0, 1], abs=0.01)


def test_answers_outside_the_vocabulary_are_left_out_and_the_question_is_given() -> None:
    kind = task_kind(TaskSpec("t", "vqa", 2, ("no", "yes"), reads="question"))
    target = XOR.clone()
    target[:4] = -1
    models = {k: result(v.prediction, target) for k, v in xor_models().items()}
    models[EMPTY] = result(torch.full((100, 2), 0.5), target)
    parts = task_parts(Pool(kind, [models], resamples=0), [models], "a", "b", given=True)
    assert split(parts) == pytest.approx([0, 0, 0, 1], abs=1e-6)


def test_regression_is_gaussian() -> None:
    kind = task_kind(TaskSpec("t", "regression", 1, ("v",)))
    generator = torch.Generator().manual_seed(0)
    a, b, noise = torch.randn(3, 20_000, generator=generator, dtype=torch.float64)
    y = a + b + 2**0.5 * noise
    target = torch.stack([y[:, None], torch.ones_like(y)[:, None]], 1)
    models = {k: result(p[:, None], target) for k, p in ((A, a), (B, b), (AB, a + b))}
    parts = task_parts(Pool(kind, [models], resamples=0), [models], "a", "b")
    alone = -0.5 * np.log2(0.75)
    assert split(parts) == pytest.approx([alone, 0, 0, 0.5 - alone], abs=0.02)


def test_definitions() -> None:
    def of(kind: str, redundancy: Redundancy, given: str = "", **more: Any) -> str:
        return definition(task_kind(TaskSpec("t", kind, 2, **more)), redundancy, given)

    assert "I_min" in of("classification", "imin")
    assert "MMI" in of("ordinal", "mmi")
    assert "given question alone" in of("vqa", "imin", "question", reads="q")
    assert "summed" in of("multilabel", "imin")
    assert "Barrett" in of("regression", "imin")
    assert of("structure", "imin", reads="chain") == ""
