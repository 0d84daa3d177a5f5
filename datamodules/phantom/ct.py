"""CT of the virtual patient: attenuation, radon transform, photon counts, filtered back projection.

What it shows: the organ, calcification, effusion, cyst (darker than its surroundings) and hemorrhage
(brighter). A tumour has the attenuation of its organ: on CT it cannot be told from health. The order of the
Hounsfield units is right, but the contrast of signs is several times that of a real scan (a cyst is nearly as
dark as gas, the lung is dense), so that small models find them at 32 pixels without a window.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.phantom.anatomy import FloatArray, body, grid, paint
from datamodules.phantom.latent import Patient

HOUNSFIELD: dict[str, float | None] = {
    "muscle": 60.0,
    "fat": -110.0,
    "bone": 700.0,
    "rib": 600.0,
    "brain": 40.0,
    "csf": -10.0,
    "lung": -450.0,
    "heart": 60.0,
    "liver": 70.0,
    "kidney": 60.0,
    "bowel": 20.0,
    "effusion": 230.0,
    "cyst": -800.0,
    "hemorrhage": 500.0,
    "tumour": None,
    "tumour core": None,
    "lung cyst": -990.0,
    "lung hemorrhage": 500.0,
    "lung tumour": None,
    "lung tumour core": None,
    "calcification": 1800.0,
}
"""Tissue -> HU; None where CT does not show it."""
AIR = -1000.0
WATER = 0.19
"""Attenuation of water at about 70 keV, in 1/cm."""
FIELD = 36.0
"""Field of view, in cm."""
RANGE = (-1024.0, 3071.0)
"""HU that 12 bits can store; a scanner clips there too."""


def true_hounsfield(patient: Patient, size: int = 32) -> FloatArray:
    """HU (H, W) of the axial slice, before any measurement."""
    (image,) = paint(body(patient, grid(size)), HOUNSFIELD, AIR)
    return np.asarray(image, dtype=np.float32)


def sinogram(hounsfield: FloatArray, angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Line integrals (W, A) of the attenuation, without unit, for (H, W) HU and (A,) angles in degrees."""
    from skimage import transform  # heavy: only where a scan is made

    radon: Callable[..., Any] = transform.radon
    attenuation = WATER * FIELD / hounsfield.shape[1] * (1.0 + hounsfield.astype(np.float64) / 1000.0)
    with warnings.catch_warnings():  # of the corners outside the scanner's circle, which hold air
        warnings.filterwarnings("ignore", message="Radon transform")
        return np.asarray(radon(attenuation, theta=angles, circle=True), dtype=np.float64)


def render_ct(patient: Patient, size: int = 32, photons: float = 3e5) -> FloatArray:
    """Image (size, size) in HU.

    Counts are Poisson with mean N exp(-p) for a line integral p (Beer and Lambert); a ray that no photon
    survives counts as one, as in practice.

    Args:
        patient: the patient.
        size: pixels a side.
        photons: N, photons a ray before the body; noise falls with its square root.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    from skimage import transform

    iradon: Callable[..., Any] = transform.iradon
    truth = true_hounsfield(patient, size)
    angles = np.linspace(0.0, 180.0, int(np.clip(size, 36, 180)), endpoint=False)
    counts = patient.generator("ct").poisson(photons * np.exp(-sinogram(truth, angles)))
    measured = -np.log(np.maximum(counts, 1) / photons)
    attenuation = iradon(measured, theta=angles, filter_name="shepp-logan", circle=True, output_size=size)
    hounsfield = 1000.0 * (attenuation * size / (WATER * FIELD) - 1.0)
    return np.asarray(np.clip(hounsfield, *RANGE), dtype=np.float32)
