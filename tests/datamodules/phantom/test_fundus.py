"""Fundus: lesion counts by grade."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from datamodules.phantom.fundus import RED, YELLOW, render_fundus
from datamodules.phantom.latent import RETINOPATHY, Patient, draw_patient


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def _grade_means(statistic: Callable[[Patient], float]) -> list[float]:
    return [float(np.mean([statistic(p) for p in cohort(8, retinopathy=g)])) for g in range(len(RETINOPATHY))]


def test_fundus_counts_rise_with_the_grade() -> None:
    def red(p: Patient) -> float:
        image = render_fundus(p, 64).astype(float)
        return float(((image[..., 0] < 150) & (image[..., 0] > 70) & (image[..., 1] < 40)).sum())

    def yellow(p: Patient) -> float:
        image = render_fundus(p, 64).astype(float)
        return float(((image[..., 1] > 190) & (image[..., 2] < 110)).sum())

    assert (np.diff(_grade_means(red)) > 15).all()
    means = _grade_means(yellow)
    assert means[0] == pytest.approx(means[1], abs=5)
    assert means[2] > means[1] + 10
    assert means[3] > means[2] + 20
    for table in (RED, YELLOW):
        bounds = [table[g] for g in RETINOPATHY]
        assert all(a[1] < b[0] or a == b == (0, 0) for a, b in pairwise(bounds))
