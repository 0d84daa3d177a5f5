"""Pathology: nuclei by malignancy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from skimage.color import rgb2hed
from skimage.measure import label

from datamodules.phantom.latent import Patient, draw_patient
from datamodules.phantom.pathology import render_pathology

components: Callable[..., Any] = label


def patient(index: int = 0, **factors: Any) -> Patient:
    return replace(draw_patient(7, index), **factors)


def cohort(n: int, start: int = 0, **factors: Any) -> list[Patient]:
    return [patient(start + i, **factors) for i in range(n)]


def test_malignant_nuclei_cover_more_and_are_larger() -> None:
    def nuclei(p: Patient) -> tuple[float, float]:
        stained = rgb2hed(render_pathology(p, 96))[..., 0] > 0.05
        sizes = np.bincount(components(stained).ravel())[1:]
        return float(stained.mean()), float(np.median(sizes[sizes > 5]))

    benign = np.array([nuclei(p) for p in cohort(12, malignant=0)])
    malignant = np.array([nuclei(p) for p in cohort(12, malignant=1)])
    assert benign[:, 0].max() < malignant[:, 0].min()
    assert np.median(malignant[:, 1]) > 1.4 * np.median(benign[:, 1])
