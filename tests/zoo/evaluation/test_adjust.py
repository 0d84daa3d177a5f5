"""Post-hoc adjustment against brute force, scikit-learn and numbers by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.metrics import f1_score

from zoo.errors import SpecError
from zoo.evaluation.adjust import BIASES, TAUS, Adjustment, descend_bias, sweep_tau
from zoo.evaluation.calibration import fit_temperature
from zoo.tasks.items import Probabilities
from zoo.tasks.parts import macro_f1


def skewed(n: int, seed: int, k: int = 3) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Logits that know the prior of the training rows too well, labels, and counts of the training rows."""
    g = np.random.default_rng(seed)
    labels = g.integers(0, k, n)
    counts = [int(400 / 5**c) + 1 for c in range(k)]
    logits = g.standard_normal((n, k)) + 1.5 * np.eye(k)[labels] + np.log(counts)
    return logits, labels, counts


def fitted(logits: np.ndarray, labels: np.ndarray, counts: list[int], **options: object) -> Adjustment:
    p = torch.from_numpy(softmax(logits, 1))
    return Adjustment.fit(p, torch.from_numpy(labels), counts, **options)  # type: ignore[arg-type]


@given(n=st.integers(1, 40), k=st.integers(2, 6), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_macro_f1_is_that_of_scikit_learn(n: int, k: int, seed: int) -> None:
    g = np.random.default_rng(seed)
    choice, target = g.integers(0, k, n), g.integers(0, k, n)
    assert macro_f1(choice, target) == pytest.approx(f1_score(target, choice, average="macro"))


@pytest.mark.parametrize("seed", range(4))
def test_tau_is_the_best_of_the_grid(seed: int) -> None:
    logits, labels, counts = skewed(80, seed)
    log_prior = np.log(np.array(counts) / sum(counts))
    scores = [f1_score(labels, (logits - t * log_prior).argmax(1), average="macro") for t in TAUS]
    tau = sweep_tau(logits, labels, log_prior)
    assert scores[TAUS.index(tau)] == pytest.approx(max(scores))
    assert all(s < max(scores) - 1e-13 for t, s in zip(TAUS, scores, strict=True) if t < tau), (
        "the smallest of equals"
    )
    assert fitted(logits, labels, counts).tau == tau
    assert tau > 0


@pytest.mark.parametrize("seed", range(3))
def test_bias_of_one_class_against_brute_force(seed: int) -> None:
    """Where one class alone has rows, coordinate descent is a search over its values."""
    logits, labels, _ = skewed(30, seed, k=2)
    labels[:] = 1
    found = descend_bias(logits, labels)
    scores = {b: f1_score(labels, (logits + np.array([0, b])).argmax(1), average="macro") for b in BIASES}
    assert found[0] == 0, "no validation row: no bias"
    assert scores[found[1]] == pytest.approx(max(scores.values()))
    assert abs(found[1]) == min(abs(b) for b, s in scores.items() if s > max(scores.values()) - 1e-13)


@pytest.mark.parametrize("seed", range(4))
def test_no_single_bias_can_be_changed_for_the_better(seed: int) -> None:
    logits, labels, _ = skewed(60, seed)

    def score(bias: np.ndarray) -> float:  # compared with scikit-learn above
        return macro_f1((logits + bias).argmax(1), labels)

    found = descend_bias(logits, labels)
    for k, b in product(range(3), BIASES):
        other = found.copy()
        other[k] = b
        assert score(other) <= score(found) + 1e-12
        if score(other) > score(found) - 1e-13:
            assert abs(b) >= abs(found[k])
    assert score(found) >= score(np.zeros(3))
    everything = max(score(np.array(b)) for b in product(BIASES, repeat=3))
    assert score(found) <= everything + 1e-12


def test_ties_change_nothing() -> None:
    logits = 8 * np.eye(4)[[0, 1, 2, 2]]
    made = fitted(logits, np.array([0, 1, 2, 2]), [100, 10, 1, 5], temperature=False)
    assert made.tau == 0
    assert made.bias == (0.0,) * 4
    p = torch.from_numpy(softmax(logits, 1))
    torch.testing.assert_close(made.apply(p), p)


def test_apply_by_hand() -> None:
    log_prior = np.log([0.5, 0.25, 0.25])
    made = Adjustment(0.5, (0.0, 1.0, -0.5), 2.0, tuple(log_prior.tolist()))
    logits = np.array([[1.0, -1.0, 0.3], [0.0, 0.0, 0.0]])
    expected = softmax((log_softmax(logits, 1) - 0.5 * log_prior + [0.0, 1.0, -0.5]) / 2.0, 1)
    p = torch.from_numpy(softmax(logits, 1)).float()
    got = made.apply(p)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)
    assert made.apply(p[:0]).shape == (0, 3)


def test_the_temperature_is_that_of_the_adjusted_probabilities() -> None:
    logits, labels, counts = skewed(200, 3)
    cold = fitted(logits, labels, counts, temperature=False)
    warm = fitted(logits, labels, counts)
    p = torch.from_numpy(softmax(logits, 1))
    adjusted = Probabilities(cold.apply(p).numpy(), labels, np.arange(200))
    assert cold.temperature == 1.0
    assert warm.temperature == pytest.approx(fit_temperature(adjusted))
    assert torch.equal(warm.apply(p).argmax(1), cold.apply(p).argmax(1))
    before, after = (macro_f1(q.argmax(1).numpy(), labels) for q in (p, warm.apply(p)))
    assert after > before


def test_classes_without_rows_and_probabilities_of_zero() -> None:
    """Class 2 has no training row and class 3 no validation row: neither is raised; zeros stay finite."""
    p = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.6, 0.4, 0.0, 0.0], [0.2, 0.8, 0.0, 0.0]])
    made = Adjustment.fit(p, torch.tensor([0, 1, 1]), [90, 10, 0, 5])
    assert made.log_prior[2] == 0
    assert made.log_prior[0] == pytest.approx(np.log(90 / 105))
    assert made.bias[2:] == (0.0, 0.0)
    got = made.apply(p)
    assert bool(torch.isfinite(got).all())
    torch.testing.assert_close(got.sum(1), torch.ones(3))
    assert got.argmax(1).tolist() == [0, 1, 1]


def test_steps_can_be_left_out_and_one_row_is_enough() -> None:
    logits, labels, counts = skewed(80, 0)
    assert fitted(logits, labels, counts, taus=(0.0,)).tau == 0
    assert set(fitted(logits, labels, counts, biases=(0.0,)).bias) == {0.0}
    one = fitted(logits[:1], labels[:1], counts)
    assert np.isfinite([one.temperature, *one.bias]).all()


def test_errors_name_the_value() -> None:
    p, y = torch.full((2, 3), 1 / 3), torch.tensor([0, 1])
    with pytest.raises(SpecError, match=r"targets \(1,\)"):
        Adjustment.fit(p, y[:1], [1, 1, 1])
    with pytest.raises(SpecError, match="0 to 2, got -1 to 1"):
        Adjustment.fit(p, torch.tensor([-1, 1]), [1, 1, 1])
    with pytest.raises(SpecError, match=r"each of 3 classes, got \[1.0, 1.0\]"):
        Adjustment.fit(p, y, [1, 1])
    with pytest.raises(SpecError, match="through a softmax first"):
        Adjustment.fit(p - 1, y, [1, 1, 1])
    with pytest.raises(SpecError, match="biases 0"):
        Adjustment.fit(p, y, [1, 1, 1], biases=(1.0,))
    with pytest.raises(SpecError, match="of 3 classes, but the probabilities of 2"):
        Adjustment.fit(p, y, [1, 1, 1]).apply(p[:, :2])
