"""Survival: the time until an event, which for some rows is only known to lie beyond the end of their observation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.contract import TASKS, TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.results import Figure
from zoo.table_task import LabelCells, TableTask
from zoo.tasks import lifetimes, parts, survival_figures
from zoo.tasks.base import Head, TaskKind
from zoo.tasks.survival_codec import SurvivalCodec

GAIN = 10.0
"""Logits a unit of the parameters behind the baseline hazards, so that they learn as fast as the rest."""
SMALLEST = 1e-7
"""Smallest probability that a logarithm is taken of."""


class SurvivalHead(Head):
    """Map z (N, dim) to the logits of the hazards (N, K) of K intervals.

    The hazard of an interval is the probability to die in it, given that it is reached alive.

    Args:
        spec: spec of the task, whose num_outputs is K.
        dim: width of the stream vector.
        token_dim: not used.
        hidden: width of a hidden layer, 0 for none.
        dropout: dropout rate before the last layer.
        proportional: one score a row that moves the logits of all intervals alike, which is Cox's model for discrete
            times (Cox 1972, eq. 21): K + dim parameters. False gives each interval weights of its own, so that curves
            may cross: K x dim parameters.
    """

    def __init__(
        self,
        spec: TaskSpec,
        dim: int,
        token_dim: int = 0,
        *,
        hidden: int = 0,
        dropout: float = 0.0,
        proportional: bool = True,
    ) -> None:
        super().__init__()
        intervals = spec.num_outputs
        self.net = parts.mlp(dim, 1 if proportional else intervals, hidden, dropout)
        # The start is as if half of all rows died, and as many in each interval as in any other.
        left = 2 * intervals - torch.arange(intervals)
        self.baseline = nn.Parameter(-(left - 1).float().log() / GAIN)

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) to (N, K)."""
        score: Tensor = self.net(z)
        return score + self.baseline * GAIN


def log_likelihood(log_stay: Tensor, log_die: Tensor, target: Tensor, edges: tuple[float, ...]) -> Tensor:
    """(N,) log-likelihoods of times under hazards of intervals.

    A row that dies in interval k has lived through the intervals before it. A censored row has lived through the
    intervals before its own, and through the share of its own that it was observed for, under a hazard that is
    constant within the interval. At their maximum, hazards without inputs are those of the life table: deaths over
    time at risk. Who lives beyond the last edge, be the death known or not, has lived through all intervals.

    Args:
        log_stay: (N, K) logarithm of the probability to live through an interval that is reached.
        log_die: (N, K) logarithm of the probability to die in it.
        target: (N, 2) time, and 1 where it is that of a death.
        edges: K + 1 edges of the intervals.
    """
    time, event = target[:, :1].float().contiguous(), target[:, 1] > 0
    bounds = torch.tensor(edges, dtype=torch.float32, device=target.device)
    share = ((time - bounds[:-1]) / bounds.diff()).clamp(0, 1)
    own = torch.searchsorted(bounds[1:], time).squeeze(1)
    dies = F.one_hot(own, len(edges))[:, :-1].bool() & event.unsqueeze(1)
    return torch.where(dies, log_die, share * log_stay).sum(-1)


@TASKS.register_as("survival")
class Survival(TaskKind):
    """Time to an event in discrete intervals (logistic hazard: Gensheimer and Narasimhan, PeerJ 7:e6257, 2019).

    A raw label is a dict of ``time``, at least 0, and ``event``: 1 where the event was seen at that time, and 0 where
    the row was censored. The name of the task is that of the event, such as "death". In a table it is described by
    ``columns: [TIME, EVENT]``; a row with an empty one of the two is not labelled.

    Targets are (N, 2): the time, in ``unit``, and 1 where the event was seen then or 0 where the row was censored.
    Logits (N, K) are those of the hazards, predictions (N, K) the probability to live beyond the end of each of K
    intervals, whose K + 1 ``edges`` the spec holds. Rows are ranked by the mean time that they are expected to live
    up to the last edge; their risk is minus that time.

    Cox's partial likelihood compares each death with all rows at risk, so that it is no mean of losses of single
    rows, as the loss table, its masks and its averaging over processes need. The head has his model for discrete
    times.
    """

    kind = "survival"
    primary = "concordance"
    float_targets = True
    codec = SurvivalCodec

    @classmethod
    def table_check(cls, name: str, told: TableTask) -> None:
        """Refuse anything but a column of times and one of events."""
        super().table_check(name, told)
        if len(told.columns) != 2 or told.column or told.classes:
            raise SpecError(
                f"task '{name}': survival lists its 'columns': that of the times and that of the events (1, or 0 "
                f"where censored), and no 'column' and no 'classes'; got columns {list(told.columns)}"
            )

    @classmethod
    def table_classes(
        cls, name: str, told: TableTask, distinct: Callable[[str], list[str]], *, least: int = 2
    ) -> tuple[str, ...]:
        """None: an event is no class."""
        return ()

    @classmethod
    def table_numbers(cls, name: str, told: TableTask) -> tuple[str, ...]:
        """Times and events."""
        return told.columns

    @classmethod
    def table_known(cls, known: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
        """The rows where both the time and the event are known."""
        return np.asarray(np.logical_and.reduce(known))

    @classmethod
    def table_stratum(cls, name: str, told: TableTask) -> str:
        """The column of events: all parts of a split hold the same share of censored rows."""
        return told.columns[1]

    @classmethod
    def table_label(cls, name: str, told: TableTask, cells: LabelCells) -> Any:
        """Time and event of a row, None where one of them is unknown."""
        time, event = cells.number(told.columns[0]), cells.number(told.columns[1], (0, 1))
        return None if time is None or event is None else {"time": time, "event": event}

    @classmethod
    def check(cls, spec: TaskSpec) -> None:
        """Refuse edges that are not K + 1 rising, finite times from 0 or later on."""
        super().check(spec)
        edges = np.array(spec.edges)
        if len(edges) != spec.num_outputs + 1 or not (np.isfinite(edges).all() and edges[0] >= 0):
            raise SpecError(
                f"task '{spec.name}': survival in {spec.num_outputs} intervals needs {spec.num_outputs + 1} finite "
                f"edges of at least 0, got {spec.edges}"
            )
        if not (np.diff(edges.astype(np.float32)) > 0).all():
            raise SpecError(f"task '{spec.name}': the edges of the intervals must rise, got {spec.edges}")

    @classmethod
    def target_shape(cls, spec: TaskSpec) -> tuple[int, ...]:
        """(2,): time, and 1 for an event or 0 for a censored row."""
        return (2,)

    @property
    def floor(self) -> float:
        """A guesser's concordance, .5."""
        return 0.5

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> Head:
        """Make a SurvivalHead of proportional hazards; ``token_dim`` is not used."""
        return SurvivalHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) negative log-likelihoods, in nats."""
        logits = logits.float()
        return -log_likelihood(-F.softplus(logits), -F.softplus(-logits), target, self.spec.edges)

    def predict(self, logits: Tensor) -> Tensor:
        """Map logits (N, K) to survival curves (N, K): the product of what is left by each interval."""
        return (-F.softplus(logits.float()).cumsum(-1)).exp()

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine curves (S, N, K): weighted average, or as the vote the weighted (lower) median at each edge."""
        return parts.weighted_median(predictions, weights) if voting else parts.average(predictions, weights)

    def combination_loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) negative log-likelihoods of survival curves (N, K)."""
        alive = F.pad(prediction.clamp_min(SMALLEST), (1, 0), value=1.0)
        stay = (alive[:, 1:] / alive[:, :-1]).clamp(SMALLEST, 1 - SMALLEST)
        return -log_likelihood(stay.log(), torch.log1p(-stay), target, self.spec.edges)

    def risk(self, prediction: Tensor) -> parts.Floats:
        """(N,) minus the mean survival time up to the last edge: the area under the curve (N, K), in ``unit``."""
        from scipy.integrate import trapezoid

        curve = np.concatenate([np.ones((len(prediction), 1)), parts.as_numpy(prediction)], 1)
        edges = np.array(self.spec.edges)
        lived: parts.Floats = edges[0] + trapezoid(curve, edges, axis=1)
        return -lived

    def primary_value(self, prediction: Tensor, target: Tensor) -> float:
        """Harrell's concordance alone, see ``metrics``."""
        return lifetimes.concordance(*times_and_events(target), self.risk(prediction))

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return concordance (Harrell), uno_concordance, integrated_brier and calibration_error (lower is better).

        Uno's and Brier's weigh out the censoring, which is estimated from the evaluated rows: for the concordance of
        events before the last edge, for the Brier score over the edges at which somebody is still observed. The
        calibration error is the mean distance of predicted survival from Kaplan-Meier's over groups by predicted risk
        and three times. NaN where no two rows can be compared, no two edges are seen, or there are too few rows.
        """
        time, event = times_and_events(target)
        risk, edges, curves = self.risk(prediction), np.array(self.spec.edges), parts.as_numpy(prediction)
        return {
            "concordance": lifetimes.concordance(time, event, risk),
            "uno_concordance": lifetimes.uno_concordance(time, event, risk, float(edges[-1])),
            "integrated_brier": lifetimes.integrated_brier(time, event, curves, edges[1:]),
            "calibration_error": survival_figures.calibration_error(self.spec, time, event, risk, curves),
        }

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """Kaplan-Meier curve of the training rows at the edges, (n, K)."""
        return self._training_curve(train_target).expand(n, -1).clone()

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """Kaplan-Meier curve of the training rows to a power, (n, K): hazards multiplied by exp of normal noise."""
        ratio = torch.from_numpy(np.exp(generator.standard_normal((n, 1)))).float()
        curve: Tensor = self._training_curve(train_target).expand(n, -1) ** ratio
        return curve

    def example_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) log-likelihoods of single rows, in nats."""
        return -self.combination_loss(prediction, target)

    def describe(self, prediction: Tensor, target: Tensor) -> tuple[str, str]:
        """Time and event of one row, and its predicted median and mean time."""
        time, event = target[0].tolist()
        unit = f" {self.spec.unit}" if self.spec.unit else ""
        truth = f"{self.spec.name} after {time:.4g}{unit}" if event > 0 else f"censored at {time:.4g}{unit}"
        below = (prediction[0] < 0.5).nonzero()
        first = int(below[0]) + 1 if len(below) else len(self.spec.edges) - 1
        median = f"median {'by' if len(below) else 'beyond'} {self.spec.edges[first]:.4g}{unit}"
        return truth, f"{median}, mean up to {self.spec.edges[-1]:.4g}: {-self.risk(prediction)[0]:.4g}{unit}"

    def figures(self, prediction: Tensor, target: Tensor, ids: Sequence[str], data: str) -> list[Figure]:
        """Kaplan-Meier curves by predicted risk, and predicted against observed survival."""
        time, event = times_and_events(target)
        risk, curves = self.risk(prediction), parts.as_numpy(prediction)
        return [
            *survival_figures.risk_curves(self.spec, time, event, risk, data),
            *survival_figures.calibration_curves(self.spec, time, event, risk, curves, data),
        ]

    def columns(self) -> list[str]:
        """Headings of ``cells``: the mean time, and survival at each edge."""
        unit = f" {self.spec.unit}" if self.spec.unit else ""
        return ["predicted", *(f"beyond {edge:.6g}{unit}" for edge in self.spec.edges[1:])]

    def cells(self, prediction: Tensor, length: int) -> list[str | float]:
        """Mean time up to the last edge, and the probability to live beyond each edge."""
        mean = -float(self.risk(prediction[None])[0])
        return [mean, *prediction.tolist()]

    def learnable(self, target: Tensor) -> bool:
        """Whether a training row has an event, and not all times are one."""
        return bool((target[:, 1] > 0).any()) and len(torch.unique(target[:, 0])) > 1

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[parts.Floats, str]:
        """By the time, the shortest last."""
        return parts.rank_shares(-times_and_events(target)[0]), "rows of shorter times miss more"

    def _training_curve(self, train_target: Tensor) -> Tensor:
        if not len(train_target):
            raise SpecError(f"task '{self.spec.name}': no training target, so no baseline can be fitted")
        curve = lifetimes.kaplan_meier(*times_and_events(train_target))
        return torch.from_numpy(curve.at(np.array(self.spec.edges[1:]))).float()


def times_and_events(target: Tensor) -> tuple[lifetimes.Floats, lifetimes.Flags]:
    """Split targets (N, 2) into times (N,) and whether the event was seen (N,)."""
    time, event = parts.as_numpy(target).reshape(-1, 2).T
    return time, event > 0
