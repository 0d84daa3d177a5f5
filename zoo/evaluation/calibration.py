"""Whether probabilities mean what they say: ECE, Brier score, NLL, reliability, and temperature scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from torch import Tensor

from zoo.errors import SpecError
from zoo.evaluation.exact import proportion
from zoo.evaluation.resampling import Resampler
from zoo.tasks.base import TaskKind
from zoo.tasks.items import Probabilities
from zoo.training.collector import Evaluated

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
TINY = 1e-12
"""Smallest probability that a logarithm is taken of: classical pipelines give 0 to classes that they never saw."""
HOTTEST = 50.0
"""Temperatures are looked for between 1 / HOTTEST and HOTTEST."""


def probabilities(kind: TaskKind, result: Evaluated) -> Probabilities:
    """Class probabilities behind predictions.

    Raises:
        SpecError: the task kind predicts no probabilities.
    """
    found = kind.probabilities(result.prediction, result.target)
    drawn = result.drawn
    return replace(found, units=[drawn[k] for k in found.rows.tolist()])


def prevalence(kind: TaskKind, whole: Evaluated, train_target: Tensor) -> Evaluated:
    """The class frequencies of training targets as the prediction of every row: what knows no input.

    One row is added to each class, so that none has probability 0.

    Args:
        kind: of the task.
        whole: predictions whose rows are taken.
        train_target: training targets, encoded.
    """
    return replace(whole, prediction=kind.prevalence(train_target, whole.prediction.shape))


def _confidence(p: Probabilities) -> tuple[Floats, Floats]:
    """(n,) probability of the most probable class, and 1 where it is the label."""
    return p.values.max(1), (p.values.argmax(1) == p.labels).astype(np.float64)


def _bins(confidence: Floats, bins: int, scheme: str) -> Codes:
    """(n,) number of each item's bin: equal widths over (0, 1], closed on the right, or equal numbers of items."""
    if scheme == "width":
        return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    order = np.argsort(confidence, kind="stable")
    place = np.empty(len(confidence), dtype=np.int64)
    place[order] = np.arange(len(confidence)) * bins // max(len(confidence), 1)
    return place


def ece(p: Probabilities, bins: int = 15, scheme: Literal["width", "mass"] = "width") -> float:
    """Expected calibration error of the most probable class: sum_b n_b / n |accuracy_b - confidence_b|.

    Naeini et al., AAAI 2015 (bins of equal width); Nguyen and O'Connor, EMNLP 2015 (equal mass). NaN for no items.

    Args:
        p: probabilities and outcomes.
        bins: number of bins.
        scheme: "width" for bins of equal width, "mass" for bins of equally many items.

    Raises:
        SpecError: fewer than one bin, or an unknown scheme.
    """
    if bins < 1 or scheme not in ("width", "mass"):
        raise SpecError(f"ece takes bins >= 1 and scheme 'width' or 'mass', got {bins} and {scheme!r}")
    if not len(p.labels):
        return math.nan
    confidence, right = _confidence(p)
    gaps = np.bincount(_bins(confidence, bins, scheme), right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def ece_if_calibrated(p: Probabilities, bins: int = 15, draws: int = 200, seed: int = 0) -> tuple[float, float]:
    """Mean and 95 % quantile of the ECE (equal width) that these confidences would have were they right.

    Outcomes are drawn from the confidences, as for the consistency bars of Broecker and Smith (Weather and
    Forecasting 22:651, 2007). With few items the ECE of a perfect model is far from 0. Items of one row are drawn
    independently.

    Args:
        p: probabilities; their outcomes are not used.
        bins: number of bins.
        draws: of outcomes.
        seed: of the draws.
    """
    if not len(p.labels):
        return math.nan, math.nan
    confidence, _ = _confidence(p)
    place, generator = _bins(confidence, bins, "width"), np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        right = (generator.random(len(confidence)) < confidence).astype(np.float64)
        found.append(np.abs(np.bincount(place, right - confidence, minlength=bins)).sum() / len(right))
    return float(np.mean(found)), float(np.quantile(found, 0.95))


def brier_scores(p: Probabilities) -> Floats:
    """(n,) squared distances of the probabilities from the one-hot label (Brier 1950), in [0, 2]."""
    hot = np.zeros_like(p.values)
    hot[np.arange(len(p.labels)), p.labels] = 1.0
    return np.asarray(((p.values - hot) ** 2).sum(1), dtype=np.float64)


def nlls(p: Probabilities) -> Floats:
    """(n,) negative log-likelihoods of the labels, in nats."""
    picked = p.values[np.arange(len(p.labels)), p.labels]
    return np.asarray(-np.log(np.maximum(picked, TINY)), dtype=np.float64)


def at_temperature(p: Probabilities, temperature: float) -> Probabilities:
    """Probabilities after p ** (1 / T), normalised: softmax(logits / T) for a model that ends in a softmax."""
    logs = np.log(np.maximum(p.values, TINY)) / temperature
    logs -= logs.max(1, keepdims=True, initial=-np.inf)
    values = np.exp(logs)
    return replace(p, values=values / values.sum(1, keepdims=True))


def fit_temperature(p: Probabilities) -> float:
    """The temperature of the least mean NLL (Guo et al., ICML 2017, section 4.2); 1 for no items.

    The NLL is convex in 1 / T, so a bounded scalar search finds its only minimum. A result near HOTTEST or
    1 / HOTTEST says that the items cannot tell (all right, or no better than chance).
    """
    if not len(p.labels):
        return 1.0
    bound = math.log(HOTTEST)
    found = minimize_scalar(
        lambda log_t: float(nlls(at_temperature(p, math.exp(log_t))).mean()),
        bounds=(-bound, bound),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(math.exp(found.x))


@dataclass
class Reliability:
    """Reliability diagram: per bin of equal width with items in it, its mean confidence, accuracy and count."""

    confidence: list[float]
    accuracy: list[float]
    low: list[float]
    high: list[float]
    count: list[int]


def reliability(p: Probabilities, bins: int = 10) -> Reliability:
    """Points of a reliability diagram, with 95 % intervals of the accuracy over units (zoo.evaluation.exact)."""
    confidence, right = _confidence(p)
    place, drawn = _bins(confidence, bins, "width"), p.drawn
    found = Reliability([], [], [], [], [])
    for b in np.unique(place).tolist():
        inside = place == b
        ends = proportion(right[inside], [drawn[k] for k in np.flatnonzero(inside)])
        found.confidence.append(float(confidence[inside].mean()))
        found.accuracy.append(ends.value)
        found.low.append(ends.low)
        found.high.append(ends.high)
        found.count.append(int(inside.sum()))
    return found


@dataclass
class Calibration:
    """How well one set of probabilities is calibrated.

    Attributes:
        temperature: that was applied; 1 for none.
        ece, ece_mass: with bins of equal width and of equal mass.
        ece_expected, ece_limit: mean and 95 % quantile of the ECE under perfect calibration.
        brier, nll: samples (R + 1,).
        accuracy: of the most probable class.
        n, left_out: items, and those outside the vocabulary.
    """

    temperature: float
    ece: float
    ece_mass: float
    ece_expected: float
    ece_limit: float
    brier: Floats
    nll: Floats
    accuracy: float
    n: int
    left_out: int


def calibration(p: Probabilities, *, resampler: Resampler, temperature: float = 1.0, bins: int = 15) -> Calibration:
    """Measure calibration, after a temperature.

    Args:
        p: probabilities of items.
        resampler: of their units.
        temperature: that is applied first; 1 for none.
        bins: of the ECE.
    """
    scaled = at_temperature(p, temperature) if temperature != 1.0 else p
    expected, limit = ece_if_calibrated(scaled, bins)
    right = _confidence(scaled)[1] if len(scaled.labels) else np.zeros(0)
    return Calibration(
        temperature,
        ece(scaled, bins),
        ece(scaled, bins, "mass"),
        expected,
        limit,
        resampler.means(brier_scores(scaled), scaled.drawn),
        resampler.means(nlls(scaled), scaled.drawn),
        float(right.mean()) if len(right) else math.nan,
        len(scaled.labels),
        scaled.left_out,
    )
