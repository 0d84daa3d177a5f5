"""Frontal radiograph of the virtual patient: the body summed from front to back, by Beer and Lambert.

What it shows: the organ, calcification, effusion and, of the diseases, hemorrhage alone (dense). Cyst and
tumour attenuate like their organ: on X-ray they cannot be told from health.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datamodules.phantom.anatomy import FloatArray, axis, body, grid, paint
from datamodules.phantom.latent import Patient

ATTENUATION: dict[str, float | None] = {
    "muscle": 1.0,
    "fat": 0.75,
    "bone": 2.0,
    "rib": 3.0,
    "brain": 1.0,
    "csf": 0.95,
    "lung": 0.25,
    "heart": 1.05,
    "liver": 1.15,
    "kidney": 1.3,
    "bowel": 0.45,
    "effusion": 2.1,
    "cyst": None,
    "hemorrhage": 4.8,
    "tumour": None,
    "tumour core": None,
    "lung cyst": None,
    "lung hemorrhage": 4.2,
    "lung tumour": None,
    "lung tumour core": None,
    "calcification": 14.0,
}
"""Tissue -> attenuation in 1 / half field of view; None where X-ray does not show it."""
THICKEST = 3.4
"""Line integral that is shown white."""
MOST_SLICES = 48


def line_integrals(patient: Patient, size: int = 32) -> FloatArray:
    """Attenuation (Z, W) summed along y, head up; Z is ``size``, at most MOST_SLICES. Without noise."""
    heights = -axis(min(size, MOST_SLICES))
    volume = paint(body(patient, grid(size, heights)), ATTENUATION, 0.0)
    return np.asarray(volume.sum(axis=1) * (2.0 / size), dtype=np.float32)


def render_xray(patient: Patient, size: int = 32, photons: float | None = 4000.0) -> npt.NDArray[np.uint8]:
    """Radiograph (size, size), 0 for air to 255 for line integrals of THICKEST and more.

    Args:
        patient: the patient.
        size: pixels a side.
        photons: photons a pixel before the body; None for no noise.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    integral = line_integrals(patient, size).astype(np.float64)
    if integral.shape[0] != size:
        from scipy.ndimage import zoom

        integral = zoom(integral, (size / integral.shape[0], 1.0), order=1, grid_mode=True, mode="nearest")
    if photons is not None:
        counts = patient.generator("xray").poisson(photons * np.exp(-integral))
        integral = -np.log(np.maximum(counts, 1) / photons)
    return np.clip(np.rint(integral * (255.0 / THICKEST)), 0, 255).astype(np.uint8)
