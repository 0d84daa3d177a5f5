"""Split conformal prediction: sets and intervals that hold the truth with a stated probability.

Calibrated on rows that the model did not learn from and that are exchangeable with the test rows (the validation
split; weights that were chosen by validation have seen it a little, which makes coverage a little low).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError
from zoo.evaluation import Evaluated
from zoo.tasks.base import TaskKind

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
METHODS: dict[str, tuple[str, ...]] = dict.fromkeys(("classification", "ordinal", "vqa"), ("LAC", "APS"))
METHODS |= {"multilabel": ("LAC",), "regression": ("residual",)}
"""Methods of each task kind; positions of token_classification and coordinates are no exchangeable items."""


def conformal_quantile(scores: Floats, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest score (Vovk et al. 2005); infinite where n is smaller than that.

    >>> conformal_quantile(np.arange(1.0, 20.0), 0.1), conformal_quantile(np.arange(8.0), 0.1)
    (18.0, inf)

    Raises:
        SpecError: alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise SpecError(f"alpha must lie between 0 and 1, got {alpha}")
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def too_few(n: int, alpha: float) -> bool:
    """Whether n calibration rows are too few for any threshold, so that every set is full."""
    return math.ceil((n + 1) * (1 - alpha) - 1e-9) > n


def expected_coverage(n_calibration: int, n_test: int, alpha: float) -> tuple[float, float]:
    """95 % range of the coverage of n_test rows by a threshold from n_calibration exchangeable rows without ties.

    The count is beta-binomial with a = k and b = n + 1 - k, k = ceil((n + 1)(1 - alpha)) (Angelopoulos and Bates,
    arXiv 2107.07511, section 3.2): few calibration rows make coverage vary, however many test rows there are.

    >>> expected_coverage(5, 100, 0.1)
    (1.0, 1.0)
    """
    from scipy.stats import betabinom

    if too_few(n_calibration, alpha) or not n_test:
        return 1.0, 1.0
    rank = math.ceil((n_calibration + 1) * (1 - alpha) - 1e-9)
    low, high = betabinom(n_test, rank, n_calibration + 1 - rank).ppf([0.025, 0.975]) / n_test
    return float(low), float(high)


def lac_scores(p: Floats) -> Floats:
    """(n, K) scores 1 - p of every class (Sadinle, Lei and Wasserman, JASA 114:223, 2019)."""
    return 1.0 - p


def aps_scores(p: Floats, uniform: Floats) -> Floats:
    """(n, K) adaptive scores of every class: the mass ranked above it plus a random share of its own.

    Romano, Sesia and Candes, NeurIPS 2020, eqs. 4-7, with the randomisation that makes coverage exact.

    Args:
        p: (n, K) probabilities.
        uniform: (n,) in [0, 1].
    """
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, 1)
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, ranked.cumsum(1) - (1.0 - uniform[:, None]) * ranked, 1)
    return scores


@dataclass
class Conformal:
    """What conformal sets are worth on test rows.

    Attributes:
        task, method: which; "LAC", "APS" or "residual".
        alpha: 1 - the coverage that is asked for.
        covered: (n,) whether the set holds the truth. Of several labels or targets the entries follow each other.
        size: (n,) classes in the set, or width of the interval in the task's unit.
        labels: (n,) class codes; empty for regression.
        threshold: one a label or target, else one.
        n_calibration: rows that each threshold was made of, the smallest.
        full: whether a threshold is infinite for want of calibration rows.
        empty: share of sets without a class.
    """

    task: str
    method: str
    alpha: float
    covered: Flags
    size: Floats
    labels: Codes
    threshold: list[float] = field(default_factory=list)
    n_calibration: int = 0
    full: bool = False
    empty: float = 0.0

    def coverage(self, rows: Flags | None = None) -> tuple[float, float, float, int]:
        """Coverage with its 95 % Wilson interval and number of entries; NaN for none."""
        from scipy.stats import binomtest

        covered = self.covered if rows is None else self.covered[rows]
        if not len(covered):
            return math.nan, math.nan, math.nan, 0
        ends = binomtest(int(covered.sum()), len(covered)).proportion_ci(method="wilson")
        return float(covered.mean()), float(ends.low), float(ends.high), len(covered)

    def by_class(self) -> dict[int, tuple[float, float, float, int]]:
        """Class code -> coverage of the rows of that class. Only the coverage over all rows is guaranteed."""
        return {int(k): self.coverage(self.labels == k) for k in np.unique(self.labels).tolist()}

    def mean_size(self, resamples: int = 500, seed: int = 0) -> tuple[float, float, float]:
        """Mean size with its 95 % bootstrap interval; infinite where a threshold is, for regression."""
        if not len(self.size):
            return math.nan, math.nan, math.nan
        mean = float(self.size.mean())
        if not math.isfinite(mean):
            return mean, math.nan, math.nan
        generator = np.random.default_rng(seed)
        n = len(self.size)
        drawn = [self.size[generator.integers(0, n, n)].mean() for _ in range(resamples)]
        low, high = np.percentile(drawn, [2.5, 97.5])
        return mean, float(low), float(high)


def conformal(
    kind: TaskKind, calibration: Evaluated, test: Evaluated, *, method: str, alpha: float = 0.1, seed: int = 0
) -> Conformal:
    """Calibrate on one split and look at another.

    Args:
        kind: of the task.
        calibration: predictions of rows that the model did not learn from.
        test: predictions of other rows.
        method: one of METHODS of the task kind.
        alpha: 1 - the coverage that is asked for.
        seed: of the randomisation of APS.

    Raises:
        SpecError: a method that does not fit the task kind, or alpha outside (0, 1).
    """
    allowed = METHODS.get(kind.spec.kind, ())
    if method not in allowed:
        raise SpecError(
            f"task '{kind.spec.name}': conformal method '{method}' does not fit kind '{kind.spec.kind}'; methods: "
            f"{allowed or 'none'}"
        )
    if kind.spec.kind == "regression":
        return _residual(kind, calibration, test, alpha)
    if kind.spec.kind == "multilabel":
        return _per_label(kind, calibration, test, alpha)
    generator = np.random.default_rng(seed)
    parts = []
    for result in (calibration, test):
        p = result.prediction.double().numpy()
        scores = aps_scores(p, generator.random(len(p))) if method == "APS" else lac_scores(p)
        parts.append((scores, result.target.numpy().astype(np.int64)))
    (scores, labels), (test_scores, test_labels) = parts
    limit = conformal_quantile(_of_label(scores, labels), alpha)
    inside = test_scores <= limit
    covered = _of_label(test_scores, test_labels) <= limit
    covered &= test_labels >= 0  # an answer outside the vocabulary is in no set, not even in a full one
    size = inside.sum(1).astype(np.float64)
    return Conformal(
        kind.spec.name, method, alpha, covered, size, test_labels, [limit], len(labels),
        math.isinf(limit) and too_few(len(labels), alpha), float((size == 0).mean()) if len(size) else 0.0,
    )  # fmt: skip


def _of_label(scores: Floats, labels: Codes) -> Floats:
    """(n,) score of each row's label; infinite for a label that is no class."""
    if not len(labels):
        return np.zeros(0)
    picked = scores[np.arange(len(labels)), np.maximum(labels, 0)]
    return np.where(labels >= 0, picked, np.inf)


def _per_label(kind: TaskKind, calibration: Evaluated, test: Evaluated, alpha: float) -> Conformal:
    """LAC of each label as two classes, with a threshold of its own."""
    made = Conformal(kind.spec.name, "LAC", alpha, np.zeros(0, bool), np.zeros(0), np.zeros(0, np.int64))
    covered, sizes, labels, counts = [], [], [], []
    for k in range(kind.spec.num_outputs):
        (scores, truth), (test_scores, test_truth) = (_binary(result, k) for result in (calibration, test))
        limit = conformal_quantile(_of_label(scores, truth), alpha)
        made.threshold.append(limit)
        counts.append(len(truth))
        covered.append(_of_label(test_scores, test_truth) <= limit)
        sizes.append((test_scores <= limit).sum(1).astype(np.float64))
        labels.append(test_truth)
    made.covered, made.size = np.concatenate(covered), np.concatenate(sizes)
    made.labels = np.concatenate(labels)
    made.n_calibration, made.full = min(counts), any(too_few(n, alpha) for n in counts)
    made.empty = float((made.size == 0).mean()) if len(made.size) else 0.0
    return made


def _binary(result: Evaluated, k: int) -> tuple[Floats, Codes]:
    """LAC scores (n, 2) and codes (n,) of the rows that know label k."""
    seen = (result.target[:, 1, k] > 0).numpy()
    p = result.prediction[:, k].double().numpy()[seen]
    return lac_scores(np.stack([1 - p, p], 1)), (result.target[:, 0, k].numpy()[seen] > 0.5).astype(np.int64)


def _residual(kind: TaskKind, calibration: Evaluated, test: Evaluated, alpha: float) -> Conformal:
    """Intervals prediction +- quantile of |residual| (Lei et al., JASA 113:1094, 2018), one quantile a target."""
    made = Conformal(kind.spec.name, "residual", alpha, np.zeros(0, bool), np.zeros(0), np.zeros(0, np.int64))
    covered, sizes, counts = [], [], []
    for k in range(kind.spec.num_outputs):
        residuals = []
        for result in (calibration, test):
            seen = result.target[:, 1, k] > 0
            off = (result.prediction[:, k].double() - result.target[:, 0, k].double()).abs()
            residuals.append(off[seen].numpy())
        limit = conformal_quantile(residuals[0], alpha)
        unit = kind.spec.scale[k] if kind.spec.scale else 1.0
        made.threshold.append(limit * unit)
        counts.append(len(residuals[0]))
        covered.append(residuals[1] <= limit)
        sizes.append(np.full(len(residuals[1]), 2 * limit * unit))
    made.covered, made.size = np.concatenate(covered), np.concatenate(sizes)
    made.n_calibration, made.full = min(counts), any(too_few(n, alpha) for n in counts)
    return made
