"""Hand X-ray: growth by age."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from skimage.measure import label
from sklearn.linear_model import LogisticRegression

from datamodules.phantom.hand import growth_plate, hand_scale, hand_thickness, render_hand
from datamodules.phantom.latent import Patient, draw_patient

components: Callable[..., Any] = label


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def _features(images: list[Any]) -> Any:
    return np.stack([np.asarray(i, dtype=np.float32).ravel() for i in images])


def test_growth_plates_close_and_the_hand_grows() -> None:
    ages = np.arange(0.0, 21.0)
    assert (np.diff([growth_plate(a) for a in ages]) <= 0).all()
    assert growth_plate(18.0) == 0 < growth_plate(14.0)
    assert (np.diff([hand_scale(a) for a in ages]) > 0).all()
    assert hand_scale(20.0) == 1


def test_bones_come_and_grow_in_the_image() -> None:
    areas = [float(hand_thickness(a, 96)[0].sum()) for a in np.linspace(0, 20, 11)]
    assert (np.diff(areas) > 0).all()

    def wrist(age: float) -> int:
        bone = hand_thickness(age, 256, scale=1.0 / hand_scale(age))[0]
        return int(components(bone[148:200, 100:165] > 0.3).max())

    assert wrist(1.0) < wrist(5.0) < wrist(9.0)


def test_hand_image_follows_age_almost_linearly() -> None:
    people = cohort(120)
    bright = np.array([render_hand(p).astype(float).mean() for p in people])
    assert np.corrcoef(bright, [p.age_years for p in people])[0, 1] > 0.97


def test_bone_age_is_read_by_a_linear_model() -> None:
    people = cohort(400)
    features = _features([render_hand(p) for p in people]) / 255.0
    classes = [p.bone_age for p in people]
    model = LogisticRegression(C=0.3, max_iter=200).fit(features[:300], classes[:300])
    assert model.score(features[300:], classes[300:]) > 0.75
