"""Split conformal prediction: sets and intervals that hold the truth with a stated probability.

Calibrated on rows that the model did not learn from and that are exchangeable with the test rows (the validation
split; weights that were chosen by validation have seen it a little, which makes coverage a little low).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError
from zoo.evaluation.exact import proportion
from zoo.evaluation.resampling import Interval, Resampler
from zoo.tasks.base import TaskKind
from zoo.tasks.items import Form, Variable
from zoo.training.collector import Evaluated

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
METHODS: dict[Form, tuple[str, ...]] = {
    "class": ("LAC", "APS"),
    "labels": ("LAC",),
    "values": ("residual",),
    "other": (),
}
"""Methods for what a task predicts; positions and coordinates are no exchangeable items."""


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

    Args:
        n_calibration: rows that the threshold comes from.
        n_test: rows that the coverage is measured on.
        alpha: 1 - the coverage that is wanted.

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
        units: (n,) unit of independence of each entry.
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
    units: list[str]
    threshold: list[float] = field(default_factory=list)
    n_calibration: int = 0
    full: bool = False
    empty: float = 0.0

    def coverage(self, rows: Flags | None = None) -> Interval:
        """Coverage of all entries, or of those that a mask marks, with its interval over units (see exact)."""
        mask = np.ones(len(self.covered), dtype=bool) if rows is None else rows
        return proportion(self.covered[mask], [self.units[k] for k in np.flatnonzero(mask)])

    def by_class(self) -> dict[int, Interval]:
        """Class code -> coverage of the rows of that class. Only the coverage over all rows is guaranteed."""
        return {int(k): self.coverage(self.labels == k) for k in np.unique(self.labels).tolist()}

    def mean_size(self, resamples: int = 500, seed: int = 0) -> Interval:
        """Mean size with its interval over units; infinite where a threshold is, for regression."""
        if not np.isfinite(self.size).all():
            return Interval(math.inf)
        resampler = Resampler(self.units, resamples=resamples, seed=seed)
        return resampler.interval(resampler.means(self.size, self.units))


def conformal(
    kind: TaskKind, calibration: Evaluated, test: Evaluated, *, method: str, alpha: float = 0.1, seed: int = 0
) -> Conformal:
    """Calibrate on one split and look at another.

    Args:
        kind: of the task.
        calibration: predictions of rows that the model did not learn from.
        test: predictions of other rows.
        method: one of METHODS of the form of what the task predicts.
        alpha: 1 - the coverage that is asked for.
        seed: of the randomisation of APS.

    Raises:
        SpecError: a method that does not fit the task kind, or alpha outside (0, 1).
    """
    allowed = METHODS[kind.form]
    if method not in allowed:
        raise SpecError(
            f"task '{kind.spec.name}': conformal method '{method}' does not fit kind '{kind.spec.kind}'; methods: "
            f"{allowed or 'none'}"
        )
    variables = [kind.variables(r.prediction, r.target) for r in (calibration, test)]
    pairs = list(zip(*variables, strict=True))
    if kind.form == "values":
        return _residual(kind.spec.name, pairs, test.drawn, alpha)
    if kind.form == "labels":
        return _per_label(kind.spec.name, pairs, test.drawn, alpha)
    generator = np.random.default_rng(seed)
    parts = []
    for variable in pairs[0]:
        p = variable.prediction
        scores = aps_scores(p, generator.random(len(p))) if method == "APS" else lac_scores(p)
        parts.append((scores, variable.target.astype(np.int64)))
    (scores, labels), (test_scores, test_labels) = parts
    limit = conformal_quantile(_of_label(scores, labels), alpha)
    inside = test_scores <= limit
    covered = _of_label(test_scores, test_labels) <= limit
    covered &= test_labels >= 0  # an answer outside the vocabulary is in no set, not even in a full one
    size = inside.sum(1).astype(np.float64)
    return Conformal(
        kind.spec.name, method, alpha, covered, size, test_labels, test.drawn, [limit], len(labels),
        math.isinf(limit) and too_few(len(labels), alpha), float((size == 0).mean()) if len(size) else 0.0,
    )  # fmt: skip


def _of_label(scores: Floats, labels: Codes) -> Floats:
    """(n,) score of each row's label; infinite for a label that is no class."""
    if not len(labels):
        return np.zeros(0)
    picked = scores[np.arange(len(labels)), np.maximum(labels, 0)]
    return np.where(labels >= 0, picked, np.inf)


def _per_label(
    task: str, pairs: Sequence[tuple[Variable, Variable]], drawn: Sequence[str], alpha: float
) -> Conformal:
    """LAC of each label as two classes, with a threshold of its own."""
    made = Conformal(task, "LAC", alpha, np.zeros(0, bool), np.zeros(0), np.zeros(0, np.int64), [])
    covered, sizes, labels, counts = [], [], [], []
    for pair in pairs:
        (scores, truth), (test_scores, test_truth) = (
            (lac_scores(v.prediction[v.seen]), v.target[v.seen].astype(np.int64)) for v in pair
        )
        limit = conformal_quantile(_of_label(scores, truth), alpha)
        made.threshold.append(limit)
        counts.append(len(truth))
        covered.append(_of_label(test_scores, test_truth) <= limit)
        sizes.append((test_scores <= limit).sum(1).astype(np.float64))
        labels.append(test_truth)
        made.units += [drawn[k] for k in np.flatnonzero(pair[1].seen).tolist()]
    made.covered, made.size = np.concatenate(covered), np.concatenate(sizes)
    made.labels = np.concatenate(labels)
    made.n_calibration, made.full = min(counts), any(too_few(n, alpha) for n in counts)
    made.empty = float((made.size == 0).mean()) if len(made.size) else 0.0
    return made


def _residual(task: str, pairs: Sequence[tuple[Variable, Variable]], drawn: Sequence[str], alpha: float) -> Conformal:
    """Intervals prediction +- quantile of |residual| (Lei et al., JASA 113:1094, 2018), one quantile a target."""
    made = Conformal(task, "residual", alpha, np.zeros(0, bool), np.zeros(0), np.zeros(0, np.int64), [])
    covered, sizes, counts = [], [], []
    for pair in pairs:
        residuals = [np.abs(v.prediction - v.target)[v.seen] for v in pair]
        limit = conformal_quantile(residuals[0], alpha)
        unit = pair[0].scale
        made.threshold.append(limit * unit)
        counts.append(len(residuals[0]))
        covered.append(residuals[1] <= limit)
        sizes.append(np.full(len(residuals[1]), 2 * limit * unit))
        made.units += [drawn[k] for k in np.flatnonzero(pair[1].seen).tolist()]
    made.covered, made.size = np.concatenate(covered), np.concatenate(sizes)
    made.n_calibration, made.full = min(counts), any(too_few(n, alpha) for n in counts)
    return made
