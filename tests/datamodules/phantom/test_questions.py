"""Questions: answers follow from the patient, and the question alone says nothing of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from datamodules.phantom.latent import DISEASES, ORGANS, draw_patient
from datamodules.phantom.questions import ABSENCE, KINDS, answer, render_question
from zoo.errors import UnknownNameError

PATIENTS = [draw_patient(0, i) for i in range(2000)]


def test_shares_add_up() -> None:
    for table in KINDS.values():
        assert sum(table.values()) == pytest.approx(1.0)


def test_an_unknown_image_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'xray'"):
        render_question(PATIENTS[0], "x_ray")


@pytest.mark.parametrize("modality", ["ct", "xray", "mri"])
def test_the_question_does_not_depend_on_the_patient(modality: str) -> None:
    for patient in PATIENTS[:40]:
        asked = {
            render_question(replace(patient, disease=d, organ=o, calcification=c, effusion=c), modality)[0]
            for d in range(4)
            for o in range(4)
            for c in range(2)
        }
        assert len(asked) == 1


def test_answers_by_hand() -> None:
    codes = {name: i for i, name in enumerate(DISEASES)}
    assert answer("ct", "organ", False, {"organ": 2}) == "liver"
    assert answer("ct", "calcification", False, {"calcification": 1}) == "yes"
    assert answer("xray", "effusion", False, {"effusion": 0}) == "no"
    assert answer("ct", "hyperdense", False, {"disease": codes["hemorrhage"]}) == "yes"
    assert answer("ct", "hyperdense", True, {"disease": codes["hemorrhage"]}) == "no"
    assert answer("ct", "hypodense", False, {"disease": codes["tumour"]}) == "no"
    assert answer("mri", "lesion", False, {"disease": codes["hemorrhage"]}) == "no"
    assert answer("mri", "lesion", False, {"disease": codes["cyst"]}) == "yes"


@pytest.mark.parametrize("modality", ["ct", "xray", "mri"])
def test_answers_are_balanced(modality: str) -> None:
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for patient in PATIENTS:
        question, reply = render_question(patient, modality)
        rare = "dense" in question
        kind = "dense" if rare else "organ" if "organ" in question else question.split()[-4]
        answers[kind][reply] += 1
    for kind, counts in answers.items():
        if kind == "organ":
            assert set(counts) == set(ORGANS)
            assert max(counts.values()) / counts.total() < 0.32
        else:
            assert set(counts) == {"yes", "no"}
            assert max(counts.values()) / counts.total() < 0.6, (kind, counts)


def test_only_what_the_image_shows_is_asked() -> None:
    text = " ".join(render_question(p, "mri")[0] for p in PATIENTS[:300])
    assert "calcification" not in text
    assert "effusion" not in text
    assert "dense" not in text
    assert set(ABSENCE) == {"hyperdense", "hypodense"}
