"""Clinical notes of a virtual patient, with negation and distractors.

A note reveals the organ, the effusion, and the disease only as the partition healthy | cyst | hemorrhage or
tumour. Everything else in it is drawn without looking at the patient.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datamodules.phantom.latent import ORGANS, Patient

ORGAN_WORDS = {
    "brain": ("brain", "cerebral parenchyma", "head"),
    "lung": ("lung", "pulmonary parenchyma", "chest"),
    "liver": ("liver", "hepatic parenchyma", "right upper abdomen"),
    "kidney": ("kidney", "renal parenchyma", "flank"),
}
"""How a note may name each organ."""
UNCERTAIN = "a lesion of uncertain nature"
"""The only words for a hemorrhage or a tumour."""

_OPENING = (
    "Patient referred for imaging of the {organ}.",
    "Follow-up visit; the {organ} was examined.",
    "Indication: complaint related to the {organ}.",
    "Routine assessment of the {organ}.",
)
_DISEASE: dict[str, Sequence[str]] = {
    "none": (
        "No focal lesion is seen.",
        "There is no evidence of a cyst or of any other lesion.",
        "The parenchyma is unremarkable, without cyst or mass.",
        "Earlier suspicion of a cyst was not confirmed; the study is normal.",
    ),
    "cyst": (
        "A simple cyst is present.",
        "There is a thin-walled cyst, without solid parts.",
        "Findings are consistent with a simple cyst; no other lesion.",
        "A cyst is seen; no evidence of a mass.",
    ),
    "uncertain": (
        f"There is {UNCERTAIN}.",
        f"Study shows {UNCERTAIN}; further imaging is advised.",
        f"No evidence of a cyst, but {UNCERTAIN} is noted.",
        f"The report describes {UNCERTAIN}, not typical of a cyst.",
    ),
}
_EFFUSION: dict[int, Sequence[str]] = {
    0: (
        "No evidence of effusion.",
        "There is no free fluid.",
        "An effusion was looked for and not found.",
        "Negative for effusion.",
    ),
    1: (
        "An effusion is present.",
        "There is free fluid nearby.",
        "Small effusion noted, not seen before.",
        "Effusion without loculation.",
    ),
}
_DISTRACTORS = (
    "Denies fever and night sweats.",
    "Denies smoking.",
    "Reports mild fatigue.",
    "No history of trauma.",
    "Blood pressure within normal limits.",
    "Family history is not contributory.",
    "Takes no regular medication.",
    "No known drug allergy.",
    "Appetite is good; weight is stable.",
    "Reports intermittent pain, now resolved.",
    "Laboratory values are pending.",
    "No evidence of fracture.",
)
_AGES = ("young adult", "middle-aged adult", "older adult")


def disease_group(disease: int) -> str:
    """Return what a note tells about the disease: ``none``, ``cyst`` or ``uncertain``.

    >>> [disease_group(d) for d in range(4)]
    ['none', 'cyst', 'uncertain', 'uncertain']
    """
    return ("none", "cyst", "uncertain", "uncertain")[disease]


def _pick(options: Sequence[str], generator: np.random.Generator) -> str:
    return options[int(generator.integers(len(options)))]


def render_note(patient: Patient) -> str:
    """Return a note of five to eight sentences in random order after the first.

    Every option is drawn uniformly, so given organ, effusion and disease group nothing else can be read.
    """
    g = patient.generator("text")
    opening = _pick(_OPENING, g).format(organ=_pick(ORGAN_WORDS[ORGANS[patient.organ]], g))
    body = [_pick(_DISEASE[disease_group(patient.disease)], g), _pick(_EFFUSION[patient.effusion], g)]
    body.append(f"{_pick(_AGES, g).capitalize()}, examined as an outpatient.")
    body += [_DISTRACTORS[i] for i in g.permutation(len(_DISTRACTORS))[: int(g.integers(1, 5))]]
    return " ".join([opening, *(body[i] for i in g.permutation(len(body)))])
