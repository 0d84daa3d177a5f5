"""MRI: Rician noise, enhancement, and where brain tumours lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from datamodules.phantom.anatomy import axis, body, grid
from datamodules.phantom.latent import BRAIN_TUMOURS, DISEASES, Patient, draw_patient
from datamodules.phantom.mri import SIGNAL, render_brain_mri, render_mri, rician

HEALTHY, CYST, HEMORRHAGE, TUMOUR = range(len(DISEASES))


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def test_rician_noise_has_the_moments_of_a_rice_distribution() -> None:
    rng = np.random.default_rng(0)
    nothing = rician(np.zeros((300, 300), np.float32), 2.0, rng)
    assert nothing.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)
    some = rician(np.full((300, 300), 3.0, np.float32), 2.0, rng)
    assert (some.astype(float) ** 2).mean() == pytest.approx(3.0**2 + 2 * 2.0**2, rel=0.02)


def test_tumour_enhances_as_a_ring_and_cyst_is_dark() -> None:
    for p in cohort(4, organ=2, severity=0.8):
        sick = replace(p, disease=TUMOUR, calcification=0)
        *_, whole, core = body(sick, grid(64))
        image, cyst = render_mri(sick, 64), render_mri(replace(p, disease=CYST), 64)
        rim = (whole.alpha[0] > 0.9) & (core.alpha[0] < 0.05)
        assert image[rim].mean() > 1.5 * image[core.alpha[0] > 0.9].mean()
        assert image[rim].mean() > 1.7 * SIGNAL["liver"]  # type: ignore[operator]
        assert cyst[whole.alpha[0] > 0.9].mean() < 0.1


def test_brain_tumours_lie_where_they_belong() -> None:
    x, y = axis(64)[None, :], axis(64)[:, None]
    for p in cohort(6):
        well = render_brain_mri(replace(p, brain_tumour=BRAIN_TUMOURS.index("no_tumor")), 64)
        where = {}
        for name in BRAIN_TUMOURS[1:]:
            bright = (render_brain_mri(replace(p, brain_tumour=BRAIN_TUMOURS.index(name)), 64) > 0.75) & (well < 0.7)
            where[name] = (float((bright * x).sum() / bright.sum()), float((bright * y).sum() / bright.sum()))
        assert abs(where["pituitary"][0]) < 0.1
        assert where["pituitary"][1] > 0.4
        assert abs(where["glioma"][0]) > 0.2
        assert np.hypot(*where["meningioma"]) > np.hypot(*where["glioma"])
