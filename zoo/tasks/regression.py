"""Regression: K real targets in standardised units, some of them unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.contract import TASKS, TaskSpec
from zoo.errors import DataError
from zoo.raw import RawTask
from zoo.table_task import LabelCells, TableTask
from zoo.tasks import parts
from zoo.tasks.base import Head, TaskKind, short
from zoo.tasks.codecs import ValueCodec
from zoo.tasks.items import Floats, Form, Variable, value_variables
from zoo.tasks.readout import Matrix, Readout, fit_values


def correlation(x: parts.Floats, y: parts.Floats) -> float:
    """Pearson correlation of x and y (n,), where y varies; 0 where x is constant (to rounding)."""
    x, y = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((x * x).sum()))
    if spread <= 1e-12 * len(x):
        return 0.0
    return float((x * y).sum() / (spread * np.sqrt((y * y).sum())))


class ScaleCodec(ValueCodec):
    """Encode dicts of target -> number in standard deviations from the training mean, and marks of what is known."""

    fits = True
    mean: parts.Floats
    scale: parts.Floats

    def bind(self, task: RawTask, *, simulated: bool = False) -> None:
        """Take the task; until ``fit`` its targets have mean 0 and scale 1."""
        super().bind(task, simulated=simulated)
        self.mean = np.zeros(len(self.classes))
        self.scale = np.ones(len(self.classes))

    def fit(self, labels: Sequence[Mapping[str, float]], length: int = 0) -> None:
        """Learn mean and standard deviation of each target from known training labels; a spread of 0 counts as 1."""
        super().fit(labels, length)
        table = np.array([[label.get(c, np.nan) for c in self.classes] for label in labels], dtype=float)
        known = ~np.isnan(table)
        n = np.maximum(known.sum(0), 1)
        self.mean = np.where(known, table, 0).sum(0) / n
        self.scale = np.sqrt((np.where(known, table - self.mean, 0) ** 2).sum(0) / n)
        self.scale[self.scale < 1e-12] = 1.0

    def spec(self) -> TaskSpec:
        """The TaskSpec, with the means and scales by which targets were standardised."""
        return self.make_spec(len(self.classes), self.classes, mean=self.mean.tolist(), scale=self.scale.tolist())

    def value(self, name: str, code: int, value: float, row: str) -> float:
        """Standardise a value."""
        return float((value - self.mean[code]) / self.scale[code])


def concordance(x: parts.Floats, y: parts.Floats) -> float:
    """Share of the pairs with different truth y (n,) that predictions x (n,) put in the same order.

    A pair that is predicted alike counts one half (Harrell et al., JAMA 247:2543, 1982, with nothing censored,
    as is usual for the affinity of drugs). It is (1 + D) / 2 with Somers' D, which follows from Kendall's tau-b in
    O(n log n). NaN where y is constant.

    >>> round(concordance(np.array([1.0, 1.0, 3.0]), np.array([1.0, 2.0, 3.0])), 6)  # of three pairs two, one alike
    0.833333
    """
    from scipy.stats import kendalltau

    pairs, alike, alike_x = (_pairs(np.ones(len(y))), _pairs(y), _pairs(x))
    if pairs == alike:
        return parts.NAN
    if pairs == alike_x:
        return 0.5
    tau = float(kendalltau(x, y, method="asymptotic").statistic)
    surplus = tau * np.sqrt((pairs - alike_x) * (pairs - alike))  # concordant pairs less discordant ones
    return float(0.5 + 0.5 * surplus / (pairs - alike))


def _pairs(values: parts.Floats) -> float:
    """How many pairs of equal values there are."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / 2)


@TASKS.register_as("regression")
class Regression(TaskKind):
    """K targets (N, 2, K): [:, 0] values, [:, 1] 1 where observed; logits and predictions (N, K).

    The data module standardises targets on the training split, so nothing is fitted here. What is not
    observed never enters a number.
    """

    kind = "regression"
    primary = "pearson"
    bounds = (-1.0, 1.0)
    form: Form = "values"
    codec = ScaleCodec
    reads_out = True
    float_targets = True

    @classmethod
    def label_targets(cls, label: Mapping[str, float]) -> dict[str, str | float]:
        """Each known target."""
        return {name: float(value) for name, value in label.items()}

    @classmethod
    def table_classes(
        cls, name: str, told: TableTask, distinct: Callable[[str], list[str]], *, least: int = 1
    ) -> tuple[str, ...]:
        """The columns: each holds one target."""
        return told.classes or told.labels(name)

    @classmethod
    def table_numbers(cls, name: str, told: TableTask) -> tuple[str, ...]:
        """All of them: each holds one target; and that of totals."""
        return (*told.labels(name), *([told.library] if told.library else []))

    @classmethod
    def table_label(cls, name: str, told: TableTask, cells: LabelCells) -> dict[str, float] | None:
        """Target -> number, of the columns that are known."""
        known = {c: v for c in told.labels(name) if (v := cells.number(c)) is not None}
        if told.library and known:
            known = cls._per_ten_thousand(known, told.library, cells.number(told.library))
        return known or None

    @staticmethod
    def _per_ten_thousand(counts: Mapping[str, float], column: str, total: float | None) -> dict[str, float]:
        """Map counts to log(1 + 10000 * count / total); {} where the total is unknown."""
        if total is None:
            return {}
        if total <= 0 or min(counts.values()) < 0:
            raise DataError(
                f"counts are at least 0 and their total in column '{column}' is above 0, got a count of "
                f"{min(counts.values()):g} and a total of {total:g}; correct them, or leave out 'library'"
            )
        return {c: float(np.log1p(1e4 * v / total)) for c, v in counts.items()}

    @classmethod
    def target_shape(cls, spec: TaskSpec) -> tuple[int, ...]:
        """(2, K): values, and 1 where observed."""
        return (2, spec.num_outputs)

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a linear head or an MLP, dim -> K; ``token_dim`` is not used."""
        return parts.VectorHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) Huber losses (Huber 1964, delta 1 standard deviation), averaged over observed targets.

        It is half the squared error up to one standard deviation and linear beyond, so a few wild targets do
        not steer a small batch. A row without an observed target has loss 0.
        """
        value, seen = parts.split_observed(target)
        each = F.huber_loss(logits.float(), value, reduction="none")
        return (each * seen).sum(-1) / seen.sum(-1).clamp_min(1.0)

    def predict(self, logits: Tensor) -> Tensor:
        """Return logits (N, K) as they are, in float32: values in standardised units."""
        return logits.float()

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine (S, N, K): weighted average, or as the vote of values the weighted (lower) median."""
        return parts.weighted_median(predictions, weights) if voting else parts.average(predictions, weights)

    def _scored(self, prediction: Tensor, target: Tensor) -> list[tuple[parts.Floats, parts.Floats]]:
        value, seen = parts.split_observed(target)
        keep, guess, truth = seen.numpy() > 0, parts.as_numpy(prediction), parts.as_numpy(value)
        pairs = [(guess[keep[:, k], k], truth[keep[:, k], k]) for k in range(self.spec.num_outputs)]
        return [(p, t) for p, t in pairs if len(t) >= 3 and np.ptp(t) > 0]

    def primary_value(self, prediction: Tensor, target: Tensor) -> float:
        """Pearson's r alone, see ``metrics``."""
        return parts.nan_mean([correlation(p, t) for p, t in self._scored(prediction, target)])

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return pearson, spearman, concordance, r2 and mse.

        The first four are computed for each target over its observed rows and averaged over targets with at
        least 3 rows and values that vary; a constant prediction scores 0 in both correlations and one half in
        concordance. mse (lower is better, standardised units squared) is the mean over all observed entries. NaN
        where nothing qualifies.
        """
        from scipy.stats import rankdata

        pairs = self._scored(prediction, target)
        value, seen = parts.split_observed(target)
        return {
            "pearson": parts.nan_mean([correlation(p, t) for p, t in pairs]),
            "spearman": parts.nan_mean([correlation(rankdata(p), rankdata(t)) for p, t in pairs]),
            "concordance": parts.nan_mean([concordance(p, t) for p, t in pairs]),
            "r2": parts.nan_mean([1 - float(((t - p) ** 2).sum() / ((t - t.mean()) ** 2).sum()) for p, t in pairs]),
            "mse": parts.mean_of(((prediction.float() - value) ** 2)[seen > 0]),
        }

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """Training mean of each target, (n, K); 0 for a target that was never observed."""
        value, seen = parts.split_observed(train_target)
        mean = (value * seen).sum(0) / seen.sum(0).clamp_min(1.0)
        return mean.expand(n, -1).clone()

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """Standard normal noise (n, K), in standardised units."""
        return torch.from_numpy(generator.standard_normal((n, self.spec.num_outputs))).float()

    def variables(self, prediction: Tensor, target: Tensor) -> list[Variable]:
        """One for each target."""
        return value_variables(prediction, target, self.spec.scale)

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[Floats, str]:
        """By the mean of the known targets."""
        return parts.rank_shares(parts.observed_mean(target)), "higher targets are missing more"

    def example_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) minus the mean absolute error over known targets, in standard deviations; NaN where none is known."""
        value, seen = parts.split_observed(target)
        return parts.row_mean(-(prediction - value).abs(), seen)

    def describe(self, prediction: Tensor, target: Tensor) -> tuple[str, str]:
        """Known targets and their predictions, in the unit of the task."""
        value, seen = (x[0] for x in parts.split_observed(target))
        return self._named(value, seen), self._named(prediction[0], seen)

    def _named(self, values: Tensor, seen: Tensor) -> str:
        unit = f" {self.spec.unit}" if self.spec.unit else ""
        names, shown = self.spec.classes or ("",) * len(values), self._in_unit(values).tolist()
        named = zip(names, shown, seen.tolist(), strict=True)
        return short(", ".join(f"{c} {v:.3g}{unit}".strip() for c, v, known in named if known > 0))

    def _in_unit(self, values: Tensor) -> Tensor:
        """Standardised values (..., K) in the unit of the task."""
        spec = self.spec
        return values * values.new_tensor(spec.scale) + values.new_tensor(spec.mean) if spec.scale else values

    def cells(self, prediction: Tensor, length: int) -> list[str | float]:
        """No class, and the values in the unit of the task."""
        return super().cells(self._in_unit(prediction), length)

    def known(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows with a known target."""
        return (target[:, 1] > 0).any(1)

    def complete(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows of which everything is known."""
        return (target[:, 1] > 0).all(1)

    def learnable(self, target: Tensor) -> bool:
        """Whether a target has two values among training rows."""
        return parts.any_varies(target)

    def readout(self, features: Matrix, target: Tensor, *, seed: int, strengths: Sequence[float]) -> Readout:
        """Ridge regression."""
        return fit_values(features, target)
