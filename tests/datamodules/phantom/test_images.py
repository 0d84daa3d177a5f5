"""The image renderers: what they promise of units, determinism, physics, and of what each modality shows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from datamodules.phantom.ct import render_ct
from datamodules.phantom.fundus import render_fundus
from datamodules.phantom.hand import render_hand
from datamodules.phantom.latent import DISEASES, ORGANS, Patient, draw_patient
from datamodules.phantom.mri import render_brain_mri, render_mri
from datamodules.phantom.oct import render_oct
from datamodules.phantom.pathology import render_pathology
from datamodules.phantom.xray import render_xray
from zoo.errors import SpecError

HEALTHY, CYST, HEMORRHAGE, TUMOUR = range(len(DISEASES))
RENDERERS: dict[str, tuple[Callable[..., Any], type, int]] = {
    "ct": (render_ct, np.float32, 1),
    "xray": (render_xray, np.uint8, 1),
    "mri": (render_mri, np.float32, 1),
    "brain_mri": (render_brain_mri, np.float32, 1),
    "oct": (render_oct, np.uint8, 1),
    "fundus": (render_fundus, np.uint8, 3),
    "pathology": (render_pathology, np.uint8, 3),
    "hand": (render_hand, np.uint8, 1),
}
NAMES = sorted(RENDERERS)


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


# --- every renderer ---


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [32, 48, 100])
def test_shape_dtype_and_range(name: str, size: int) -> None:
    render, dtype, channels = RENDERERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = render(patient(3), size)
    assert image.dtype == dtype
    assert image.shape == ((size, size) if channels == 1 else (size, size, 3))
    assert np.isfinite(image).all()
    assert image.std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_same_patient_same_bytes_in_any_order(name: str) -> None:
    render = RENDERERS[name][0]
    people = cohort(3)
    forward = [render(p).tobytes() for p in people]
    np.random.default_rng(0).random()
    for other in NAMES:
        RENDERERS[other][0](people[0])
    backward = [render(draw_patient(7, i)).tobytes() for i in (2, 1, 0)][::-1]
    assert forward == backward
    assert len(set(forward)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_the_global_generator_is_neither_read_nor_moved(name: str) -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    first = RENDERERS[name][0](patient(1))
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]
    np.random.seed(2)
    assert (RENDERERS[name][0](patient(1)) == first).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, 15, 1025])
def test_a_size_that_is_not_allowed_is_refused(name: str, size: int) -> None:
    with pytest.raises(SpecError, match=f"size is {size} pixels; allowed: 16 to 1024"):
        RENDERERS[name][0](patient(), size)


SHOWS = {
    "ct": {"organ", "disease", "severity", "side", "calcification", "effusion"},
    "xray": {"organ", "disease", "severity", "side", "calcification", "effusion"},
    "mri": {"organ", "disease", "severity", "side"},
    "brain_mri": {"brain_tumour", "severity"},
    "oct": {"retinopathy"},
    "fundus": {"retinopathy"},
    "pathology": {"malignant"},
    "hand": {"age_years"},
}
OTHER_VALUES: dict[str, Any] = {
    "organ": 1, "disease": CYST, "severity": 0.9, "side": 1, "calcification": 1, "effusion": 1, "promoter": 1,
    "upstream": 1, "brain_tumour": 2, "malignant": 1, "retinopathy": 3, "age_years": 15.0, "hand": 1, "cell_type": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_factor_that_is_not_shown_leaves_no_trace(name: str) -> None:
    render = RENDERERS[name][0]
    base = patient(
        5, organ=0, disease=HEMORRHAGE if name == "xray" else TUMOUR if name == "mri" else HEMORRHAGE, severity=0.2,
        side=0, calcification=0, effusion=0, promoter=0, upstream=0, brain_tumour=1, malignant=0, retinopathy=0,
        age_years=4.0, hand=0, cell_type=0,
    )  # fmt: skip
    image = render(base)
    changed = {
        f for f, value in OTHER_VALUES.items() if not np.array_equal(render(replace(base, **{f: value})), image)
    }
    assert changed == SHOWS[name]


# --- what each modality shows of a disease, by design ---

SAME = {"ct": [HEALTHY, TUMOUR], "xray": [HEALTHY, CYST, TUMOUR], "mri": [HEALTHY, HEMORRHAGE]}


@pytest.mark.parametrize("name", sorted(SAME))
@pytest.mark.parametrize("organ", range(len(ORGANS)))
def test_diseases_that_look_alike_are_identical_and_the_others_are_not(name: str, organ: int) -> None:
    render = RENDERERS[name][0]
    images = [render(patient(2, organ=organ, disease=d)).tobytes() for d in range(len(DISEASES))]
    different = [d for d in range(len(DISEASES)) if d not in SAME[name]]
    assert len({images[d] for d in SAME[name]}) == 1
    assert len({images[d] for d in different} | {images[HEALTHY]}) == len(different) + 1


def _features(images: list[Any]) -> Any:
    return np.stack([np.asarray(i, dtype=np.float32).ravel() for i in images])


def _accuracy(name: str, train: list[Patient], test: list[Patient], target: Callable[[Patient], int]) -> float:
    render = RENDERERS[name][0]
    forest = RandomForestClassifier(60, random_state=0, n_jobs=1)
    forest.fit(_features([render(p) for p in train]), [target(p) for p in train])
    return float(forest.score(_features([render(p) for p in test]), [target(p) for p in test]))


@pytest.mark.parametrize(
    ("name", "disease", "low", "high"),
    [
        ("ct", TUMOUR, 0.35, 0.65),
        ("ct", CYST, 0.9, 1.0),
        ("ct", HEMORRHAGE, 0.9, 1.0),
        ("mri", TUMOUR, 0.9, 1.0),
        ("mri", CYST, 0.9, 1.0),
        ("mri", HEMORRHAGE, 0.35, 0.65),
        ("xray", CYST, 0.35, 0.65),
    ],
)
def test_disease_against_health_at_chance_or_clear(name: str, disease: int, low: float, high: float) -> None:
    people = [patient(i, disease=disease if i % 2 else HEALTHY) for i in range(360)]
    # Of 120 fair coins, 42 to 78 heads has a probability of more than 0.998.
    assert low <= _accuracy(name, people[:240], people[240:], lambda p: int(p.disease != HEALTHY)) <= high


@pytest.mark.parametrize(
    ("name", "factor", "floor"),
    [
        ("ct", "organ", 0.95),
        ("ct", "calcification", 0.95),
        ("ct", "effusion", 0.9),
        ("xray", "organ", 0.95),
        ("xray", "calcification", 0.95),
        ("xray", "effusion", 0.9),
        ("mri", "organ", 0.95),
        ("brain_mri", "brain_tumour", 0.9),
        ("pathology", "malignant", 0.9),
        ("hand", "bone_age", 0.7),
    ],
)
def test_a_shown_factor_is_learnt_from_few_images(name: str, factor: str, floor: float) -> None:
    people = cohort(360)
    assert _accuracy(name, people[:260], people[260:], lambda p: int(getattr(p, factor))) >= floor
