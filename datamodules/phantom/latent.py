"""The latent state of a virtual patient: what every renderer reads and every label follows from.

A patient is a pure function of (seed, index). All factors are independent of each other, except that
``response`` and the labels of the tasks are functions of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VERSION = 1
"""Version of the simulator. Raise it when any rendering or label changes; it is part of every cache key."""

ORGANS = ("brain", "lung", "liver", "kidney")
DISEASES = ("healthy", "cyst", "hemorrhage", "tumour")
FINDINGS = ("lesion", "calcification", "effusion")
BRAIN_TUMOURS = ("no_tumor", "glioma", "meningioma", "pituitary")
MALIGNANCY = ("benign", "malignant")
RETINOPATHY = ("no_dr", "mild", "moderate", "severe")
BONE_AGES = ("0-4y", "4-8y", "8-12y", "12-16y", "16-20y")
HANDS = ("left", "right")
CELL_TYPES = ("T cell", "B cell", "monocyte", "NK cell", "dendritic cell")
RESPONSES = ("non-responder", "responder")


@dataclass(frozen=True)
class Patient:
    """One virtual patient.

    Attributes:
        seed, index: what the patient is a function of.
        organ: index into ORGANS, the organ that CT, X-ray, body MRI and note show.
        disease: index into DISEASES.
        severity: 0 to 1, size of the lesion and amount of everything else that can be more or less.
        side: 0 left, 1 right, where the lesion is.
        calcification: 0 or 1, a dense spot on CT and X-ray.
        effusion: 0 or 1, fluid beside the organ on CT and X-ray.
        promoter: 0 weak, 1 strong -10 box in the promoter DNA.
        upstream: 0 or 1, whether the promoter carries the UP element.
        brain_tumour: index into BRAIN_TUMOURS, on the brain MRI.
        malignant: 0 or 1, on the pathology slide.
        retinopathy: index into RETINOPATHY, on fundus and (as fluid) on OCT.
        age_years: 0 to 20, on the hand X-ray.
        hand: index into HANDS, the imagined movement in the EEG.
        cell_type: index into CELL_TYPES, in the scRNA counts.
    """

    seed: int
    index: int
    organ: int
    disease: int
    severity: float
    side: int
    calcification: int
    effusion: int
    promoter: int
    upstream: int
    brain_tumour: int
    malignant: int
    retinopathy: int
    age_years: float
    hand: int
    cell_type: int

    @property
    def response(self) -> int:
        """Index into RESPONSES: calcification XOR strong promoter, so neither alone says anything."""
        return self.calcification ^ self.promoter

    @property
    def bone_age(self) -> int:
        """Index into BONE_AGES."""
        return min(int(self.age_years // 4), len(BONE_AGES) - 1)

    def generator(self, what: str) -> np.random.Generator:
        """The random generator of one rendering, such as ``"ct"``: a function of (seed, index, what) alone."""
        return np.random.default_rng([self.seed, self.index, *what.encode()])


def draw_patient(seed: int, index: int) -> Patient:
    """Draw patient ``index`` of the cohort ``seed``."""
    g = np.random.default_rng([seed, index, *b"latent"])
    return Patient(
        seed=seed,
        index=index,
        organ=int(g.integers(len(ORGANS))),
        disease=int(g.integers(len(DISEASES))),
        severity=float(g.uniform()),
        side=int(g.integers(2)),
        calcification=int(g.integers(2)),
        effusion=int(g.integers(2)),
        promoter=int(g.integers(2)),
        upstream=int(g.integers(2)),
        brain_tumour=int(g.integers(len(BRAIN_TUMOURS))),
        malignant=int(g.integers(2)),
        retinopathy=int(g.integers(len(RETINOPATHY))),
        age_years=float(g.uniform(0, 20)),
        hand=int(g.integers(2)),
        cell_type=int(g.integers(len(CELL_TYPES))),
    )
