"""Whether probabilities mean what they say: ECE, Brier score, NLL, reliability, and temperature scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from zoo.errors import SpecError
from zoo.evaluation import Evaluated
from zoo.tasks.base import TaskKind

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
KINDS = ("classification", "ordinal", "vqa", "multilabel", "token_classification")
"""Task kinds that predict probabilities. Values and coordinates have none to calibrate."""
TINY = 1e-12
"""Smallest probability that a logarithm is taken of: classical pipelines give 0 to classes that they never saw."""
HOTTEST = 50.0
"""Temperatures are looked for between 1 / HOTTEST and HOTTEST."""


@dataclass
class Probabilities:
    """Class probabilities of items: rows, or labels of multilabel, or positions of token_classification.

    Attributes:
        values: (n, K), summing to 1. A label of multilabel is of two classes, absent and present.
        labels: (n,) class codes.
        rows: (n,) row that an item belongs to; the bootstrap draws rows.
        left_out: rows whose answer is outside the vocabulary (vqa), to which no probability was given.
    """

    values: Floats
    labels: Codes
    rows: Codes
    left_out: int = 0


def probabilities(kind: TaskKind, result: Evaluated) -> Probabilities:
    """Class probabilities behind predictions.

    Raises:
        SpecError: the task kind predicts no probabilities.
    """
    p, y = result.prediction.double(), result.target
    name = kind.spec.kind
    if name not in KINDS:
        raise SpecError(f"task '{kind.spec.name}': kind '{name}' predicts no probabilities; kinds that do: {KINDS}")
    rows = torch.arange(len(p))
    left_out = 0
    if name == "multilabel":
        seen = y[:, 1] > 0
        rows = rows[:, None].expand(seen.shape)[seen]
        p, y = p[seen], (y[:, 0][seen] > 0.5).long()
        p = torch.stack([1 - p, p], -1)
    else:
        if name == "token_classification":
            rows = rows[:, None].expand(y.shape)
        known = y >= 0
        left_out = int((~known).sum()) if name == "vqa" else 0
        p, y, rows = p[known], y[known], rows[known]
    total = p.sum(-1, keepdim=True).clamp_min(TINY)
    return Probabilities((p / total).numpy(), y.numpy().astype(np.int64), rows.numpy().astype(np.int64), left_out)


def prevalence(kind: TaskKind, whole: Evaluated, train_target: Tensor) -> Evaluated:
    """The class frequencies of training targets as the prediction of every row: what knows no input.

    One row is added to each class, so that none has probability 0.
    """
    if kind.spec.kind == "multilabel":
        prediction = kind.constant(train_target, len(whole.target)).clamp(1e-3, 1 - 1e-3)
    else:
        counts = torch.bincount(train_target[train_target >= 0], minlength=kind.spec.num_outputs) + 1
        prediction = (counts / counts.sum()).expand(whole.prediction.shape).clone()
    return Evaluated(prediction, whole.target, whole.source, whole.ids)


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
    return Probabilities(values / values.sum(1, keepdims=True), p.labels, p.rows, p.left_out)


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
    """Points of a reliability diagram, with 95 % Wilson intervals of the accuracy."""
    from scipy.stats import binomtest

    confidence, right = _confidence(p)
    place = _bins(confidence, bins, "width")
    found = Reliability([], [], [], [], [])
    for b in np.unique(place).tolist():
        inside = place == b
        k, n = int(right[inside].sum()), int(inside.sum())
        ends = binomtest(k, n).proportion_ci(method="wilson")
        found.confidence.append(float(confidence[inside].mean()))
        found.accuracy.append(k / n)
        found.low.append(float(ends.low))
        found.high.append(float(ends.high))
        found.count.append(n)
    return found


def row_means(values: Floats, rows: Codes, resamples: int = 500, seed: int = 0) -> Floats:
    """Mean of item values and its means on bootstrap resamples of rows, as samples (R + 1,)."""
    if not len(values):
        return np.full(resamples + 1, math.nan)
    names, number = np.unique(rows, return_inverse=True)
    total, count = np.bincount(number, values), np.bincount(number).astype(np.float64)
    generator = np.random.default_rng(seed)
    picks = [np.arange(len(names))] + [generator.integers(0, len(names), len(names)) for _ in range(resamples)]
    return np.asarray([total[pick].sum() / count[pick].sum() for pick in picks], dtype=np.float64)


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


def calibration(p: Probabilities, *, temperature: float = 1.0, bins: int = 15, resamples: int = 500) -> Calibration:
    """Measure calibration, after a temperature."""
    scaled = at_temperature(p, temperature) if temperature != 1.0 else p
    expected, limit = ece_if_calibrated(scaled, bins)
    right = _confidence(scaled)[1] if len(scaled.labels) else np.zeros(0)
    return Calibration(
        temperature,
        ece(scaled, bins),
        ece(scaled, bins, "mass"),
        expected,
        limit,
        row_means(brier_scores(scaled), scaled.rows, resamples),
        row_means(nlls(scaled), scaled.rows, resamples),
        float(right.mean()) if len(right) else math.nan,
        len(scaled.labels),
        scaled.left_out,
    )
