"""Questions about one image of a virtual patient, and their answers.

Which question is asked never depends on the patient, so a question alone says nothing about the image. Only
what the image shows by design is asked. Answers: ``yes``, ``no`` or an organ.
"""

from __future__ import annotations

from collections.abc import Mapping

from datamodules.phantom.latent import DISEASES, ORGANS, Patient
from zoo.errors import unknown_name

IMAGE_NAMES = {"ct": "CT scan", "xray": "radiograph", "mri": "MRI"}
"""Modalities that can be asked about, and how a question names them."""
KINDS: dict[str, dict[str, float]] = {
    "ct": {
        "organ": 0.25,
        "calcification": 0.25,
        "effusion": 0.2,
        "lesion": 0.2,
        "hyperdense": 0.05,
        "hypodense": 0.05,
    },
    "xray": {"organ": 0.35, "calcification": 0.3, "effusion": 0.25, "hyperdense": 0.1},
    "mri": {"organ": 0.5, "lesion": 0.5},
}
"""Image modality -> kind of question -> how often it is asked.

Calcification, effusion and lesion are as often present as absent. Hyperdense and hypodense lesions are rarer
(one patient in four), so half of those questions ask for the absence: yes and no are then equally frequent.
"""
_TEMPLATES: dict[str, tuple[str, ...]] = {
    "organ": ("Which organ is shown on the {image}?", "What organ does the {image} show?"),
    "calcification": ("Is there a calcification on the {image}?", "Does the {image} show a calcification?"),
    "effusion": ("Is there an effusion on the {image}?", "Does the {image} show an effusion?"),
    "lesion": ("Is there a visible lesion on the {image}?", "Does the {image} show any lesion?"),
    "hyperdense": ("Is there a hyperdense lesion on the {image}?", "Is the {image} free of hyperdense lesions?"),
    "hypodense": ("Is there a hypodense lesion on the {image}?", "Is the {image} free of hypodense lesions?"),
}
ABSENCE = {"hyperdense": (False, True), "hypodense": (False, True)}
"""Kinds whose templates ask, in this order, for presence (False) or absence (True)."""
_VISIBLE = {"ct": ("cyst", "hemorrhage"), "mri": ("cyst", "tumour")}
_DENSITY = {"hyperdense": "hemorrhage", "hypodense": "cyst"}


def answer(modality: str, kind: str, absence: bool, values: Mapping[str, int]) -> str:
    """Return the answer for latent ``values`` (organ, disease, calcification, effusion as codes).

    Args:
        modality: that the question is about.
        kind: of the question, such as "lesion".
        absence: whether the question asks for absence.
        values: latent variable -> code.

    >>> answer("ct", "lesion", False, {"disease": 3}), answer("mri", "lesion", False, {"disease": 3})
    ('no', 'yes')
    """
    if kind == "organ":
        return ORGANS[values["organ"]]
    if kind in ("calcification", "effusion"):
        found = bool(values[kind])
    elif kind == "lesion":
        found = DISEASES[values["disease"]] in _VISIBLE[modality]
    else:
        found = DISEASES[values["disease"]] == _DENSITY[kind]
    return "yes" if found != absence else "no"


def render_question(patient: Patient, image_modality: str) -> tuple[str, str]:
    """Return (question, answer) about the patient's ``image_modality``: ct, xray or (body) mri.

    Raises:
        UnknownNameError: no questions are known for the modality.
    """
    if image_modality not in KINDS:
        raise unknown_name("image modality of a question", image_modality, KINDS)
    g = patient.generator("question")
    table = KINDS[image_modality]
    kind = str(g.choice(list(table), p=list(table.values())))
    variant = int(g.integers(2))
    absence = ABSENCE.get(kind, (False, False))[variant]
    values = {
        "organ": patient.organ,
        "disease": patient.disease,
        "calcification": patient.calcification,
        "effusion": patient.effusion,
    }
    question = _TEMPLATES[kind][variant].format(image=IMAGE_NAMES[image_modality])
    return question, answer(image_modality, kind, absence, values)
