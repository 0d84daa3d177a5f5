"""Coherence of joint draws: by hand, with floors by a slow loop, and no gain where everything is made alike."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import DataError, UnknownNameError
from zoo.evaluation.generated.coherence import coherence


def test_cosine_by_hand() -> None:
    joint = ([[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 1.0]])
    independent = ([[1.0, 0.0], [0.0, 2.0]], [[0.0, 1.0], [0.0, 1.0]])
    found = coherence(joint, independent, real=joint, resamples=20)
    assert (found.joint.value, found.independent.value, found.difference.value) == (1.0, 0.5, 0.5)
    assert found.joint_floor.value == 0.0
    assert found.independent_floor.value == 0.5
    assert found.gain.value == pytest.approx(1.0)
    assert found.real is not None
    assert found.real.value == 1.0


def test_hamming_by_hand() -> None:
    joint = ([[1, 0, 1, 0]], [[1, 0, 0, 0]])
    independent = ([[1, 0, 1, 0]], [[0, 1, 0, 0]])
    found = coherence(joint, independent, similarity="hamming", resamples=0)
    assert found.joint.value == pytest.approx(0.75)
    assert found.independent.value == pytest.approx(0.25)
    assert np.isnan(found.joint_floor.value)  # one row has no other


def test_the_floor_is_the_mean_over_pairs_of_different_patients() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 12, 3))
    units = [f"patient:{k // 3}" for k in range(12)]
    found = coherence((a, b), (a, b), units=units, resamples=10)
    first, second = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    pairs = [first[i] @ second[j] for i in range(12) for j in range(12) if units[i] != units[j]]
    assert found.joint_floor.value == pytest.approx(np.mean(pairs))
    assert found.unit == "patient (4)"


def test_joint_draws_that_share_a_latent_are_found() -> None:
    generator = np.random.default_rng(1)
    latent, other, a, b = generator.normal(size=(4, 150, 8))
    found = coherence((latent + a, latent + b), (latent + a, other + b))
    assert found.difference.low > 0
    assert found.gain.low > 0
    assert found.p < 0.01
    assert found.joint_floor.low < 0 < found.joint_floor.high


def test_draws_that_are_all_alike_are_similar_and_gain_nothing() -> None:
    generator = np.random.default_rng(2)
    noise = generator.normal(size=(4, 150, 8))
    found = coherence((5 + noise[0], 5 + noise[1]), (noise[2], noise[3]))
    assert found.difference.low > 0.8
    assert found.gain.low < 0 < found.gain.high


def test_what_cannot_be_compared_is_said() -> None:
    a = np.ones((3, 2))
    with pytest.raises(UnknownNameError, match="unknown similarity 'dot'"):
        coherence((a, a), (a, a), similarity="dot")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"got shapes \[\(2, 2\), \(3, 2\)\]"):
        coherence((a, a), (a[:2], a[:2]))
    with pytest.raises(DataError, match=r"1 vectors of the joint draws are zero.*\[row: 1\]"):
        coherence((a, [[1, 1], [0, 0], [1, 1]]), (a, a))
    with pytest.raises(DataError, match=r"joint draws must be 0 or 1, got \[2"):
        coherence((2 * a, a), (a, a), similarity="hamming")
    with pytest.raises(DataError, match="and 2 units"):
        coherence((a, a), (a, a), units=["p", "q"])
