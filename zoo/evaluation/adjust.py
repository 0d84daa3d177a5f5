"""Post-hoc calibration of a classifier, learned on validation rows alone: prior, bias per class, temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.evaluation import calibration as cal
from zoo.tasks.items import Probabilities
from zoo.tasks.parts import macro_f1

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
"""Strengths of the logit adjustment that are tried; 0 is none."""
BIASES = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
"""Values that the bias of a class may take."""
ROUNDS = 20
"""Most rounds of coordinate descent over the classes; it ends with the first that changes nothing."""
_EQUAL = 1e-12


@dataclass(frozen=True)
class Adjustment:
    """What is done to class probabilities p: softmax((log p - tau log prior + bias) / temperature).

    log p stands for the logits, which it equals up to a number per row that a softmax does not see, so that
    ensembles and classical pipelines can be adjusted too.

    Attributes:
        tau: strength of the logit adjustment (Menon et al., ICLR 2021, eq. 9); 0 for none.
        bias: K numbers, one a class.
        temperature: as in calibration.fit_temperature; changes no decision.
        log_prior: K logs of the class shares of the training rows; 0 for a class without any, which the model never
            saw and the adjustment therefore does not raise.
    """

    tau: float
    bias: tuple[float, ...]
    temperature: float
    log_prior: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        probabilities: Tensor,
        target: Tensor,
        counts: Sequence[int],
        *,
        taus: Sequence[float] = TAUS,
        biases: Sequence[float] = BIASES,
        temperature: bool = True,
    ) -> Adjustment:
        """Learn from validation rows; no other may be given.

        In order: the tau of the best macro-F1 (cross-modal generative augmentation, appendix C, which calls it a
        temperature sweep; its grid has 0, by which nothing can be divided, and a temperature changes no F1), a bias
        per class by coordinate descent for macro-F1, and the temperature of the least NLL. Of equal scores the least
        change wins: the smallest tau, then the smallest absolute bias. Classes without a validation row keep bias 0.

        Args:
            probabilities: (N, K) of the validation rows.
            target: (N,) class codes.
            counts: K training rows of each class.
            taus: strengths to try; (0.0,) leaves the step out.
            biases: values to try for each class, 0 among them; (0.0,) leaves the step out.
            temperature: whether to fit one; 1 otherwise.

        Raises:
            SpecError: no rows, shapes or codes that do not fit, nothing to try, or no training row in ``counts``.
        """
        logs, codes = _logs(probabilities), _codes(target)
        shares = np.asarray(list(counts), dtype=np.float64)
        _check(logs, codes, shares, taus, biases)
        log_prior = np.where(shares > 0, np.log(np.maximum(shares, 1.0) / shares.sum()), 0.0)
        tau = sweep_tau(logs, codes, log_prior, taus)
        moved = logs - tau * log_prior
        bias = descend_bias(moved, codes, biases)
        heat = 1.0
        if temperature:
            heat = cal.fit_temperature(Probabilities(_softmax(moved + bias), codes, np.arange(len(codes))))
        return cls(tau, tuple(bias.tolist()), heat, tuple(log_prior.tolist()))

    def apply(self, probabilities: Tensor) -> Tensor:
        """Adjust (N, K) probabilities; they come back as probabilities of the same type.

        Raises:
            SpecError: another number of classes than in ``fit``.
        """
        logs = _logs(probabilities)
        if logs.shape[1] != len(self.bias):
            raise SpecError(
                f"the adjustment is of {len(self.bias)} classes, but the probabilities of {logs.shape[1]}"
            )
        moved = logs - self.tau * np.asarray(self.log_prior) + np.asarray(self.bias)
        return torch.from_numpy(_softmax(moved / self.temperature)).to(probabilities.dtype)


def sweep_tau(logs: Floats, target: Codes, log_prior: Floats, taus: Sequence[float] = TAUS) -> float:
    """The tau whose logs (N, K) - tau log_prior (K,) have the highest macro-F1; the smallest of equal ones.

    Args:
        logs: (N, K) logarithms of probabilities.
        target: (N,) true classes.
        log_prior: (K,) logarithms of the frequencies of the classes in training.
        taus: strengths to try.
    """
    best, found = -1.0, 0.0
    for tau in sorted(taus, key=abs):
        score = macro_f1((logs - tau * log_prior).argmax(1), target)
        if score > best + _EQUAL:
            best, found = score, float(tau)
    return found


def descend_bias(logs: Floats, target: Codes, biases: Sequence[float] = BIASES) -> Floats:
    """(K,) biases to add to logs (N, K) for a higher macro-F1, one class after the other until nothing changes.

    Each step takes the best of ``biases`` for one class, the others held; of equal ones the one nearest to 0. Classes
    without a row keep 0.

    Args:
        logs: (N, K) logarithms of probabilities.
        target: (N,) true classes.
        biases: values to try for each class.
    """
    bias = np.zeros(logs.shape[1])
    tried = sorted(biases, key=lambda b: (abs(b), b))
    for _ in range(ROUNDS):
        before = bias.copy()
        for k in np.unique(target).tolist():
            best, found = -1.0, bias[k]
            for b in tried:
                bias[k] = b
                score = macro_f1((logs + bias).argmax(1), target)
                if score > best + _EQUAL:
                    best, found = score, b
            bias[k] = found
        if np.array_equal(bias, before):
            break
    return bias


def _check(logs: Floats, target: Codes, counts: Floats, taus: Sequence[float], biases: Sequence[float]) -> None:
    n, classes = logs.shape
    if not n or target.shape != (n,):
        raise SpecError(f"Adjustment.fit takes N > 0 rows and N targets, got {n} rows and targets {target.shape}")
    if target.min() < 0 or target.max() >= classes:
        raise SpecError(
            f"Adjustment.fit: class codes are 0 to {classes - 1}, got {int(target.min())} to {int(target.max())}"
        )
    if len(counts) != classes or (counts < 0).any() or not counts.sum() > 0:
        raise SpecError(
            f"Adjustment.fit takes a count of training rows for each of {classes} classes, got {counts.tolist()}"
        )
    if not len(taus) or 0.0 not in biases:
        raise SpecError(f"Adjustment.fit: taus must name one value or more and biases 0, got {taus} and {biases}")


def _logs(probabilities: Tensor) -> Floats:
    """(N, K) logs; a probability of 0 counts as calibration.TINY."""
    values = probabilities.detach().cpu().double().numpy()
    if values.ndim != 2 or not np.isfinite(values).all() or (values < 0).any():
        raise SpecError(
            f"an adjustment takes probabilities (N, K) that are finite and >= 0, got shape {values.shape}; logits go "
            "through a softmax first"
        )
    return np.asarray(np.log(np.maximum(values, cal.TINY)), dtype=np.float64)


def _codes(target: Tensor) -> Codes:
    return np.asarray(target.detach().cpu().numpy(), dtype=np.int64)


def _softmax(logs: Floats) -> Floats:
    values = np.exp(logs - logs.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(values / values.sum(1, keepdims=True), dtype=np.float64)
