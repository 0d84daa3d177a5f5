"""Design: enumerations equal hand numbers, and every renderer shows what the tables say, byte for byte."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from datamodules.phantom.cohort import IMAGES, VISITS, render_input
from datamodules.phantom.design import (
    LABELS,
    LATENTS,
    REVEALS,
    TASK_MODALITIES,
    Information,
    best_accuracy,
    information,
)
from datamodules.phantom.latent import Patient, draw_patient
from zoo.errors import SpecError, UnknownNameError


@pytest.mark.parametrize(
    ("task", "modalities", "value"),
    [
        ("disease", [], 0.25),
        ("disease", ["ct"], 0.75),
        ("disease", ["mri"], 0.75),
        ("disease", ["text"], 0.75),
        ("disease", ["xray"], 0.5),
        ("disease", ["genomics"], 0.25),
        ("disease", ["ct", "mri"], 1.0),
        ("disease", ["xray", "text"], 1.0),
        ("disease", ["ct", "xray"], 0.75),
        ("response", [], 0.5),
        ("response", ["ct"], 0.5),
        ("response", ["genomics"], 0.5),
        ("response", ["ct", "genomics"], 1.0),
        ("response", ["xray", "genomics"], 1.0),
        ("response", ["mri", "genomics"], 0.5),
        ("response", ["ct", "xray"], 0.5),
        ("radiographic_findings", [], 0.5),
        ("radiographic_findings", ["ct"], 1.0),
        ("radiographic_findings", ["xray"], (0.75 + 1 + 1) / 3),
        ("retinopathy", ["oct"], 0.75),
        ("retinopathy", ["fundus"], 1.0),
        ("bone_age", ["xray"], 1.0),
        ("bone_age", [], 0.2),
        ("cell_type", ["text"], 0.2),
        ("cell_type", ["scrna"], 1.0),
        ("motor_imagery", ["eeg"], 1.0),
        ("breast_cancer", ["pathology"], 1.0),
        ("brain_tumor", ["mri"], 1.0),
        ("vqa", ["question", "ct"], 1.0),
        ("vqa", ["question", "mri"], 1.0),
        ("vqa", ["question", "xray"], 1.0),
    ],
)
def test_best_accuracy_by_hand(task: str, modalities: list[str], value: float) -> None:
    assert best_accuracy(task, modalities) == pytest.approx(value)


def test_the_question_alone() -> None:
    ct = 0.25 * 0.25 + 0.65 * 0.5 + 0.1 * 0.75
    xray = 0.35 * 0.25 + 0.55 * 0.5 + 0.1 * 0.75
    mri = 0.5 * 0.25 + 0.5 * 0.5
    assert best_accuracy("vqa", ["question"]) == pytest.approx((ct + xray + mri) / 3)


def test_information_by_hand() -> None:
    response = information("response", "ct", "genomics")
    assert response == Information(0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5)
    disease = information("disease", "ct", "mri")
    assert (disease.unique_a, disease.unique_b, disease.redundant, disease.synergistic) == (0.25, 0.25, 0.25, 0.0)
    same = information("radiographic_findings", "ct", "xray")
    assert same.unique_b == pytest.approx(0.0)
    assert same.redundant == pytest.approx(same.alone_b)
    for a, b in (("ct", "mri"), ("text", "xray"), ("oct", "fundus"), ("ct", "text")):
        for task in ("disease", "retinopathy", "vqa", "response"):
            parts = information(task, a, b)
            total = parts.unique_a + parts.unique_b + parts.redundant + parts.synergistic
            assert total == pytest.approx(parts.both)


def test_more_modalities_never_hurt() -> None:
    for task in LABELS:
        for modality in REVEALS:
            assert best_accuracy(task, ["text", modality]) >= best_accuracy(task, ["text"])


def test_every_classified_task_is_solvable_from_its_modalities() -> None:
    for task in (*LABELS, "vqa"):
        assert best_accuracy(task, TASK_MODALITIES[task]) == pytest.approx(1.0)


def test_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'disease'"):
        best_accuracy("diseases", [])
    with pytest.raises(UnknownNameError, match="unknown modality 'pet'"):
        best_accuracy("disease", ["pet"])
    with pytest.raises(SpecError, match="has no best accuracy"):
        best_accuracy("structure", ["protein"])
    with pytest.raises(SpecError, match="without the question"):
        best_accuracy("vqa", ["ct"])


def _vary(patient: Patient, latent: str, value: int) -> Patient:
    if latent == "bone_age":
        return replace(patient, age_years=4.0 * value + patient.age_years % 4)
    return replace(patient, **{latent: value})


def _bytes(patient: Patient, visit: str, modality: str) -> object:
    value = render_input(patient, visit, modality, 32)
    return value.tobytes() if isinstance(value, np.ndarray) else value


CASES = [(v, m) for v, names in VISITS.items() for m in names if m != "question"]


@pytest.mark.parametrize(("visit", "modality"), CASES)
def test_renderers_show_exactly_what_the_tables_say(visit: str, modality: str) -> None:
    """Changing a factor changes the rendering if and only if the table puts the values in different parts."""
    own = {"hand": {"bone_age"}, "neuro": {"brain_tumour", "hand"}}.get(
        visit, set(LATENTS) - {"bone_age", "brain_tumour"}
    )
    for latent, n in LATENTS.items():
        parts = REVEALS[modality].get(latent, (0,) * n) if latent in own else (0,) * n
        for index in range(3):
            patient = draw_patient(5, index)
            shown = [_bytes(_vary(patient, latent, k), visit, modality) for k in range(n)]
            for a in range(n):
                for b in range(a):
                    assert (shown[a] == shown[b]) == (parts[a] == parts[b]), (latent, a, b)


def test_every_image_of_every_visit_has_a_renderer() -> None:
    images = {"xray", "ct", "mri", "oct", "fundus", "pathology"}
    assert set(IMAGES) == {(v, m) for v, m in CASES if m in images}
