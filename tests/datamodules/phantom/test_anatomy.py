"""The body: shapes, tables, and the lesion that CT, X-ray and MRI share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.phantom.anatomy import LESION_RADIUS, axis, body, ellipsoid, grid, lesion_radius, paint, side_sign
from datamodules.phantom.ct import HOUNSFIELD, true_hounsfield
from datamodules.phantom.latent import DISEASES, ORGANS, Patient, draw_patient
from datamodules.phantom.mri import SIGNAL, render_mri
from datamodules.phantom.xray import ATTENUATION, line_integrals
from zoo.errors import SpecError

HEALTHY, CYST, HEMORRHAGE, TUMOUR = range(len(DISEASES))


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def test_an_ellipsoid_has_the_area_of_an_ellipse() -> None:
    alpha = ellipsoid(grid(128), (0.1, -0.1, 0.0), (0.5, 0.3, 0.4))
    assert alpha.sum() * (2 / 128) ** 2 == pytest.approx(np.pi * 0.5 * 0.3, rel=0.01)
    higher = ellipsoid(grid(128, (0.24,)), (0.1, -0.1, 0.0), (0.5, 0.3, 0.4))
    assert higher.sum() * (2 / 128) ** 2 == pytest.approx(np.pi * 0.5 * 0.3 * (1 - 0.6**2), rel=0.02)


def test_paint_replaces_by_share_skips_none_and_refuses_the_unknown() -> None:
    layers = body(patient(0, organ=0, disease=HEALTHY, calcification=0, effusion=0), grid(16))[:1]
    half = replace(layers[0], alpha=np.full((1, 16, 16), 0.25, np.float32))
    assert paint([half], {"muscle": 8.0}, -4.0)[0, 0, 0] == pytest.approx(0.25 * 8 - 0.75 * 4)
    assert (paint([half], {"muscle": None}, -4.0) == -4.0).all()
    with pytest.raises(SpecError, match="'muscle' is not in the table"):
        paint([half], {"bone": 1.0}, 0.0)


def test_every_tissue_is_in_every_table() -> None:
    found = {
        layer.tissue
        for organ in range(len(ORGANS))
        for disease in range(len(DISEASES))
        for layer in body(patient(0, organ=organ, disease=disease, calcification=1, effusion=1), grid(16))
    }
    assert found == set(HOUNSFIELD) == set(ATTENUATION) == set(SIGNAL)


@settings(max_examples=25, deadline=None)
@given(severity=st.floats(0, 1), organ=st.integers(0, 3), disease=st.integers(1, 3), side=st.integers(0, 1))
def test_lesion_lies_on_its_side_of_the_body(severity: float, organ: int, disease: int, side: int) -> None:
    p = patient(1, organ=organ, disease=disease, severity=severity, side=side, calcification=0)
    lesion = body(p, grid(64))[-1].alpha[0]
    columns = lesion.sum(0)
    assert lesion.max() == 1
    assert np.sign((columns * axis(64)).sum()) == side_sign(p)
    assert columns[: 31 if side == 0 else 64].sum() == pytest.approx(0 if side == 0 else columns.sum())


@pytest.mark.parametrize("disease", [CYST, HEMORRHAGE, TUMOUR])
def test_severity_enlarges_the_lesion(disease: int) -> None:
    name = DISEASES[disease]
    areas = []
    for severity in np.linspace(0, 1, 6):
        p = patient(2, organ=2, disease=disease, severity=float(severity))
        (lesion,) = [layer.alpha.sum() for layer in body(p, grid(64)) if layer.tissue == name]
        areas.append(lesion)
    assert (np.diff(areas) > 0).all()
    assert areas[-1] / areas[0] == pytest.approx((LESION_RADIUS[1] / LESION_RADIUS[0]) ** 2, rel=0.02)
    assert lesion_radius(patient(disease=HEALTHY)) == 0


@pytest.mark.parametrize("organ", range(len(ORGANS)))
@pytest.mark.parametrize("side", [0, 1])
def test_lesion_is_at_one_place_in_ct_mri_and_xray(organ: int, side: int) -> None:
    sick = patient(4, organ=organ, disease=CYST, side=side, calcification=0, effusion=0)
    well = replace(sick, disease=HEALTHY)
    ct = true_hounsfield(sick, 64) - true_hounsfield(well, 64)
    mri = render_mri(sick, 64).astype(float) - render_mri(well, 64)
    bled = replace(sick, disease=HEMORRHAGE)
    xray = line_integrals(bled, 64) - line_integrals(well, 64)
    x, y = axis(64)[None, :], axis(64)[:, None]

    def centre(change: Any, along: Any) -> float:
        weight = np.abs(change)
        return float((weight * along).sum() / weight.sum())

    assert centre(ct, x) == pytest.approx(centre(mri, x), abs=0.05)
    assert centre(ct, y) == pytest.approx(centre(mri, y), abs=0.05)
    assert centre(ct, x) == pytest.approx(centre(xray, x), abs=0.05)
    assert np.sign(centre(ct, x)) == side_sign(sick)
