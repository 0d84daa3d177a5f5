"""Figures of censored times: Kaplan-Meier curves by predicted risk, and predicted against observed survival."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zoo.contract import TaskSpec
from zoo.results import Figure, Series
from zoo.tasks.lifetimes import Flags, Floats, kaplan_meier

RISKS = ("lowest", "middle", "highest")
"""Thirds of the rows by predicted risk."""
LEAST = 20
"""Rows of a group of the calibration figure at least."""
MOST = 5
"""Groups of the calibration figure at most."""
TABLE = 6
"""Times at which the rows at risk are counted."""


def risk_groups(risk: Floats, groups: int) -> list[npt.NDArray[np.int64]]:
    """Rows of each of ``groups`` groups of equal size, the lowest predicted risk first; empty ones are left out."""
    return [part for part in np.array_split(np.argsort(risk, kind="stable"), groups) if len(part)]


def horizons(spec: TaskSpec) -> list[int]:
    """The intervals at whose ends calibration is judged: at a quarter, half and three quarters of them."""
    last = spec.num_outputs - 1
    return sorted({round(share * last) for share in (0.25, 0.5, 0.75)})


def risk_curves(spec: TaskSpec, time: Floats, event: Flags, risk: Floats, data: str) -> list[Figure]:
    """Kaplan-Meier curves of the thirds of the rows by predicted risk; none where fewer than three rows are left.

    Args:
        spec: of the task.
        time: (N,) times of the event or of the end of observation.
        event: (N,) whether the event was seen.
        risk: (N,) predicted risk.
        data: "real", "simulated" or "mixed".
    """
    if len(time) < len(RISKS):
        return []
    marks = np.linspace(0, float(time.max()), TABLE + 1)[:-1]
    series, left = [], []
    for name, rows in zip(RISKS, risk_groups(risk, len(RISKS)), strict=True):
        curve = kaplan_meier(time[rows], event[rows])
        falls = np.flatnonzero(np.diff(np.append(1.0, curve.values)) < 0)
        x, before = curve.times[falls], np.append(1.0, curve.values)[falls]
        last = float(time[rows].max())
        xs = np.concatenate([[0.0], np.repeat(x, 2), [last]])
        ys = np.concatenate([[1.0], np.stack([before, curve.values[falls]], 1).ravel(), [curve.values[-1]]])
        counts = curve.left(xs).tolist()
        series.append(Series(f"{name} predicted risk", xs.tolist(), ys.tolist(), n=counts, simulated=data != "real"))
        left.append(f"{name} " + ", ".join(str(n) for n in curve.left(marks).tolist()))
    note = (
        f"Kaplan-Meier curves of thirds of the test rows by predicted risk. At risk at "
        f"{', '.join(f'{m:.3g}' for m in marks)}{_unit(spec)}: {'; '.join(left)}."
    )
    return [
        Figure(
            f"kaplan_meier_{spec.name}",
            f"{spec.name} by predicted risk",
            "lines",
            f"time ({spec.unit})" if spec.unit else "time",
            f"share without {spec.name}",
            series,
            group="survival",
            panel=f"{spec.name}, Kaplan-Meier",
            note=note,
            data=data,
        )
    ]


def calibration_curves(
    spec: TaskSpec, time: Floats, event: Flags, risk: Floats, survival: Floats, data: str
) -> list[Figure]:
    """Predicted against observed survival at three times, in groups of equal size by predicted risk.

    Observed is the Kaplan-Meier estimate of the group, with its 95 % interval. None where there are too few rows for
    two groups.

    Args:
        spec: of the task.
        time: (N,) times of the event or of the end of observation.
        event: (N,) whether the event was seen.
        risk: (N,) predicted risk.
        survival: (N, K) predicted curves.
        data: "real", "simulated" or "mixed".
    """
    groups = min(len(time) // LEAST, MOST)
    if groups < 2:
        return []
    found = [
        _calibration_series(spec, k, risk_groups(risk, groups), time, event, survival, data) for k in horizons(spec)
    ]
    return [
        Figure(
            f"calibration_{spec.name}",
            f"Calibration of {spec.name}",
            "lines",
            "predicted survival, mean of the group",
            "observed survival (Kaplan-Meier)",
            [*found, Series("perfect", [0.0, 1.0], [0.0, 1.0], dashed=True)],
            group="survival",
            panel=f"{spec.name}, calibration",
            note=f"{groups} groups of equal size by predicted risk, with 95 % intervals of Kaplan-Meier's estimate.",
            data=data,
        )
    ]


def _calibration_series(
    spec: TaskSpec,
    k: int,
    groups: Sequence[npt.NDArray[np.int64]],
    time: Floats,
    event: Flags,
    survival: Floats,
    data: str,
) -> Series:
    when = np.array([spec.edges[k + 1]])
    points = []
    for rows in groups:
        curve = kaplan_meier(time[rows], event[rows])
        low, high = (float(end[0]) for end in curve.interval(when))
        points.append((float(survival[rows, k].mean()), float(curve.at(when)[0]), low, high, len(rows)))
    x, y, lows, highs, n = (list(part) for part in zip(*sorted(points), strict=True))
    return Series(f"at {when[0]:.4g}{_unit(spec)}", x, y, lows, highs, n, simulated=data != "real")


def calibration_error(spec: TaskSpec, time: Floats, event: Flags, risk: Floats, survival: Floats) -> float:
    """Mean distance of predicted and observed survival over groups by risk and three times; NaN for too few rows.

    Args:
        spec: of the task.
        time: (N,) times of the event or of the end of observation.
        event: (N,) whether the event was seen.
        risk: (N,) predicted risk.
        survival: (N, K) predicted curves.
    """
    gaps = [
        abs(a - b)
        for figure in calibration_curves(spec, time, event, risk, survival, "real")
        for series in figure.series[:-1]
        for a, b in zip(series.x, series.y, strict=True)
    ]
    return float(np.mean(gaps)) if gaps else float("nan")


def _unit(spec: TaskSpec) -> str:
    return f" {spec.unit}" if spec.unit else ""
