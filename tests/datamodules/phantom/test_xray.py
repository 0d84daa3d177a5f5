"""X-ray: the projection and its noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from datamodules.phantom.anatomy import axis, body, grid, paint
from datamodules.phantom.latent import Patient, draw_patient
from datamodules.phantom.xray import ATTENUATION, THICKEST, line_integrals, render_xray


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def test_xray_without_noise_is_the_sum_of_the_volume() -> None:
    p = patient(6, calcification=1)
    volume = paint(body(p, grid(32, -axis(32))), ATTENUATION, 0.0)
    total = np.zeros((32, 32))
    for row in range(32):
        total += volume[:, row, :] * (2 / 32)
    np.testing.assert_allclose(line_integrals(p, 32), total, rtol=1e-4, atol=1e-5)
    shown = render_xray(p, 32, photons=None).astype(float) * THICKEST / 255
    np.testing.assert_allclose(shown, np.minimum(total, THICKEST), atol=0.51 * THICKEST / 255)


def test_xray_noise_is_poisson() -> None:
    people = cohort(8, organ=2, calcification=0)
    for photons in (4e3, 4e5):
        found, expected = [], []
        for p in people:
            integral = line_integrals(p, 32)
            inner = (integral > 0.5) & (integral < 3.0)
            noise = render_xray(p, 32, photons) * (THICKEST / 255) - integral
            found.append(np.var(noise[inner]))
            expected.append(np.mean(np.exp(integral[inner]) / photons) + (THICKEST / 255) ** 2 / 12)
        assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.15)
