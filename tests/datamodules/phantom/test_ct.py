"""CT: Hounsfield units, the radon transform, photon noise and the signs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from datamodules.phantom.anatomy import body, grid
from datamodules.phantom.ct import FIELD, WATER, render_ct, sinogram, true_hounsfield
from datamodules.phantom.latent import DISEASES, ORGANS, Patient, draw_patient

HEALTHY, CYST, HEMORRHAGE, TUMOUR = range(len(DISEASES))


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def test_sinogram_at_zero_degrees_is_the_column_sum_of_the_attenuation() -> None:
    truth = true_hounsfield(patient(1), 32)
    expected = (WATER * FIELD / 32 * (1 + truth / 1000)).sum(0)
    np.testing.assert_allclose(sinogram(truth, np.array([0.0]))[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_ct_noise_falls_with_the_square_root_of_the_photons() -> None:
    noise = {}
    for photons in (1e5, 1e6, 1e7):
        noise[photons] = np.mean(
            [np.std((render_ct(p, 32, photons) - render_ct(p, 32, 1e13))[10:22, 10:22]) for p in cohort(6, organ=2)]
        )
    assert noise[1e5] / noise[1e6] == pytest.approx(10**0.5, rel=0.25)
    assert noise[1e6] / noise[1e7] == pytest.approx(10**0.5, rel=0.25)


def test_ct_is_in_hounsfield_units() -> None:
    well = {"disease": HEALTHY, "effusion": 0, "calcification": 0}
    liver = np.mean([render_ct(p, 64)[28:34, 18:24].mean() for p in cohort(5, organ=2, **well)])
    air = np.mean([render_ct(p, 64)[:3].mean() for p in cohort(5, organ=2, **well)])
    lung = np.mean([render_ct(p, 64)[30:34, 46:50].mean() for p in cohort(5, organ=1, **well)])
    assert liver == pytest.approx(70, abs=25)
    assert air == pytest.approx(-1000, abs=25)
    assert lung == pytest.approx(-450, abs=60)


@pytest.mark.parametrize("organ", range(len(ORGANS)))
def test_calcification_is_the_dense_spot(organ: int) -> None:
    for p in cohort(4, organ=organ, disease=HEALTHY, effusion=0):
        front = (slice(6, 15), slice(11, 21))
        assert (render_ct(replace(p, calcification=1))[front] > 900).any()
        assert not (render_ct(replace(p, calcification=0))[front] > 500).any()


@pytest.mark.parametrize("organ", range(len(ORGANS)))
def test_cyst_is_dark_and_hemorrhage_bright_on_ct(organ: int) -> None:
    for p in cohort(3, organ=organ, effusion=0, calcification=0):
        well = render_ct(replace(p, disease=HEALTHY))
        lesion = body(replace(p, disease=CYST), grid(32))[-1].alpha[0] > 0.9
        assert (render_ct(replace(p, disease=CYST)) - well)[lesion].mean() < -150
        assert (render_ct(replace(p, disease=HEMORRHAGE)) - well)[lesion].mean() > 150
