"""Estimates from censored times: Kaplan-Meier curves, concordance and Brier scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NAN = float("nan")
TIED = 1e-8
"""Risks nearer than this count as equal, as in scikit-survival."""
BLOCK = 1 << 21
"""Pairs that are compared at once."""


@dataclass(frozen=True)
class Survival:
    """A survival curve as a step function.

    Attributes:
        times: (T,) increasing times at which somebody dies or is censored.
        values: (T,) probability to live longer than each of them.
        at_risk: (T,) rows that are still observed just before each time.
        errors: (T,) standard errors of log(-log(value)) (Kalbfleisch and Prentice); NaN where value is 0 or 1.
    """

    times: Floats
    values: Floats
    at_risk: npt.NDArray[np.int64]
    errors: Floats

    def at(self, times: Floats) -> Floats:
        """Probability to live longer than each of ``times``; 1 before the first known time."""
        return np.append(1.0, self.values)[np.searchsorted(self.times, times, side="right")]

    def left(self, times: Floats) -> npt.NDArray[np.int64]:
        """Rows at risk just before each of ``times``."""
        return np.append(self.at_risk, 0)[np.searchsorted(self.times, times, side="left")]

    def interval(self, times: Floats) -> tuple[Floats, Floats]:
        """Ends of the 95 % interval at each of ``times``, on the scale log(-log S): always within 0 and 1."""
        value = self.at(times)
        error = np.append(NAN, self.errors)[np.searchsorted(self.times, times, side="right")]
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(1.959964 * error)
            low, high = value**factor, value ** (1 / factor)
        return np.where(np.isnan(error), value, low), np.where(np.isnan(error), value, high)


def kaplan_meier(time: Floats, event: Flags, *, censoring: bool = False) -> Survival:
    """Estimate the survival curve of N rows (Kaplan and Meier 1958).

    Args:
        time: (N,) times of death or of the end of observation.
        event: (N,) whether the row died then.
        censoring: estimate the distribution of censoring in the place of that of death; who dies at a time counts
            as gone before those who are censored at it.

    >>> kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([True, False, True])).values.round(3).tolist()
    [0.667, 0.667, 0.0]
    """
    times, place = np.unique(time, return_inverse=True)
    died = np.bincount(place, event, minlength=len(times))
    gone = np.bincount(place, minlength=len(times)).astype(np.float64)
    at_risk = len(time) - np.cumsum(gone) + gone
    ends, exposed = (gone - died, at_risk - died) if censoring else (died, at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        stay = np.where(exposed > 0, 1 - ends / np.maximum(exposed, 1), 1.0)
        values = np.asarray(np.cumprod(stay), dtype=np.float64)
        variance = np.cumsum(ends / (exposed * (exposed - ends)))
        errors = np.sqrt(variance) / -np.log(values)
    known = (values > 0) & (values < 1)
    return Survival(times, values, at_risk.astype(np.int64), np.where(known, errors, NAN))


def concordance(time: Floats, event: Flags, risk: Floats, weight: Floats | None = None) -> float:
    """Share of comparable pairs in which the row that dies first has the higher risk (Harrell et al. 1982).

    A pair is comparable where one row is seen to die and the other one lives longer, or is censored at the same time.
    Equal risks count half. NaN where no pair is comparable.

    Args:
        time: (N,) times of death or of the end of observation.
        event: (N,) whether the row died then.
        risk: (N,) predicted risk; higher means an earlier death.
        weight: (N,) weight of the pairs in which a row is the one that dies; None weighs all alike.

    >>> concordance(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), np.array([3.0, 1.0, 2.0]))
    1.0
    """
    dies = np.flatnonzero(event)
    right = total = 0.0
    step = max(BLOCK // max(len(time), 1), 1)
    for start in range(0, len(dies), step):
        rows = dies[start : start + step]
        first = time[rows, None]
        pairs = (time > first) | ((time == first) & ~event)
        ahead = risk[rows, None] - risk
        score = ((ahead > TIED) & pairs).sum(1) + 0.5 * ((np.abs(ahead) <= TIED) & pairs).sum(1)
        count = pairs.sum(1)
        right += float(score.sum() if weight is None else score @ weight[rows])
        total += float(count.sum() if weight is None else count @ weight[rows])
    return right / total if total > 0 else NAN


def uno_concordance(time: Floats, event: Flags, risk: Floats, until: float) -> float:
    """Concordance of which the censoring is weighed out, for deaths before ``until`` (Uno et al. 2011).

    A pair weighs 1 / G(t)^2, with G the Kaplan-Meier estimate of the censoring of these rows and t the earlier time.
    NaN where no pair is comparable.

    Args:
        time: (N,) time of the event or of the end of observation.
        event: (N,) whether the event was observed.
        risk: (N,) higher for an earlier event.
        until: events at this time or later are left out.
    """
    reach = kaplan_meier(time, event, censoring=True).at(time)
    counted = event & (time < until) & (reach > 0)
    return concordance(time, event, risk, np.where(counted, 1 / np.maximum(reach, 1e-12) ** 2, 0.0))


def brier_scores(time: Floats, event: Flags, survival: Floats, times: Floats) -> Floats:
    """Brier scores (T,) of survival (N, T) at ``times``, of which the censoring is weighed out (Graf et al. 1999).

    The censoring is estimated from the rows themselves.

    Args:
        time: (N,) time of the event or of the end of observation.
        event: (N,) whether the event was observed.
        survival: (N, T) predicted probability to be without event at each time.
        times: (T,) increasing.
    """
    if not len(time):
        return np.full(len(times), NAN)
    censoring = kaplan_meier(time, event, censoring=True)
    own, now = censoring.at(time), censoring.at(times)
    own, now = np.where(own > 0, own, np.inf), np.where(now > 0, now, np.inf)
    dead = (time[:, None] <= times) & event[:, None]
    alive = time[:, None] > times
    scores: Floats = (survival**2 * dead / own[:, None] + (1 - survival) ** 2 * alive / now).mean(0)
    return scores


def integrated_brier(time: Floats, event: Flags, survival: Floats, times: Floats) -> float:
    """Mean of the Brier scores over those ``times`` at which somebody is still observed, by the trapezoid rule.

    NaN where there are fewer than two such times.

    Args:
        time: (N,) time of the event or of the end of observation.
        event: (N,) whether the event was observed.
        survival: (N, T) predicted probability to be without event at each time.
        times: (T,) increasing.
    """
    from scipy.integrate import trapezoid

    seen = times < (time.max() if len(time) else 0.0)
    if seen.sum() < 2:
        return NAN
    kept = times[seen]
    scores = brier_scores(time, event, survival[:, seen], kept)
    return float(trapezoid(scores, kept) / (kept[-1] - kept[0]))


def life_table_edges(time: Floats, event: Flags, intervals: int) -> Floats:
    """Edges (K + 1,) of intervals from 0 to the last death, with about as many deaths in each.

    Args:
        time: (N,) times of death or of the end of observation.
        event: (N,) whether the row died then; at least one did after time 0.
        intervals: K at most; there are fewer where deaths fall on few different times.
    """
    dead = time[event & (time > 0)]
    inner = np.quantile(dead, np.linspace(0, 1, intervals + 1)[1:])
    return np.append(0.0, np.unique(inner.astype(np.float32).astype(np.float64)))
