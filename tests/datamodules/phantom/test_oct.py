"""OCT: fluid by grade."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from datamodules.phantom.latent import RETINOPATHY, Patient, draw_patient
from datamodules.phantom.oct import render_oct


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def _grade_means(statistic: Callable[[Patient], float]) -> list[float]:
    return [float(np.mean([statistic(p) for p in cohort(8, retinopathy=g)])) for g in range(len(RETINOPATHY))]


def test_oct_shows_fluid_from_moderate_on_and_nothing_below() -> None:
    p = patient(1, retinopathy=0)
    assert (render_oct(p) == render_oct(replace(p, retinopathy=1))).all()

    def dark(q: Patient) -> float:
        image = render_oct(q, 64).astype(float)
        first = np.argmax(image > 100, axis=0)
        return float(sum((image[first[c] : 40, c] < 12).sum() for c in range(64)))

    means = _grade_means(dark)
    assert means[0] == means[1]
    assert means[2] > means[1] + 20
    assert means[3] > means[2] + 50
