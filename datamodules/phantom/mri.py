"""MRI of the virtual patient: the body after a contrast agent, and the brain of the tumour visit.

What the body MRI shows: the organ, a tumour (bright ring around a darker core) and a cyst (dark). Hemorrhage,
calcification and effusion leave no trace. The sequence is T1-weighted with contrast agent, fat-saturated, with
an echo short enough to see lung parenchyma. The brain MRI shows patient.brain_tumour and nothing else.
"""

from __future__ import annotations

import numpy as np

from datamodules.phantom.anatomy import FloatArray, axis, body, coverage, grid, paint
from datamodules.phantom.latent import BRAIN_TUMOURS, Patient

SIGNAL: dict[str, float | None] = {
    "muscle": 0.32,
    "fat": 0.20,
    "bone": 0.10,
    "rib": 0.12,
    "brain": 0.45,
    "csf": 0.15,
    "lung": 0.36,
    "heart": 0.58,
    "liver": 0.50,
    "kidney": 0.55,
    "bowel": 0.28,
    "effusion": None,
    "cyst": 0.02,
    "hemorrhage": None,
    "tumour": 1.15,
    "tumour core": 0.60,
    "lung cyst": 0.0,
    "lung hemorrhage": None,
    "lung tumour": 1.15,
    "lung tumour core": 0.60,
    "calcification": None,
}
"""Tissue -> signal in arbitrary units; None where this contrast does not show it."""
NOISE = 0.035
"""Standard deviation of each channel's noise, in the units of SIGNAL."""


def rician(signal: FloatArray, noise: float, rng: np.random.Generator) -> FloatArray:
    """Magnitude of a complex signal with normal noise in both channels (Gudbjartsson and Patz 1995, eq. 1).

    Args:
        signal: magnitudes without noise.
        noise: standard deviation of the noise in each channel.
        rng: draws the noise.
    """
    real, imaginary = rng.normal(0.0, noise, size=(2, *signal.shape))
    return np.asarray(np.hypot(signal + real, imaginary), dtype=np.float32)


def _bias_field(size: int, rng: np.random.Generator) -> FloatArray:
    """Smooth coil sensitivity (size, size) around 1."""
    a, b, c = rng.uniform(-0.08, 0.08, size=3)
    t = axis(size)
    x, y = t[None, :], t[:, None]
    return np.asarray(1.0 + a * x + b * y + c * (x**2 + y**2 - 0.5), dtype=np.float32)


def render_mri(patient: Patient, size: int = 32) -> FloatArray:
    """Axial image (size, size) of the body in arbitrary units, at least 0, the slice that CT shows too.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    rng = patient.generator("mri")
    signal = paint(body(patient, grid(size)), SIGNAL, 0.0)[0]
    return rician(signal * _bias_field(size, rng), NOISE, rng)


def _disc(
    x: FloatArray, y: FloatArray, centre: tuple[float, float], radius: float | FloatArray, aspect: float = 1.0
) -> FloatArray:
    """Coverage of a disc, or of the blob whose radius depends on the direction; ``aspect`` is height to width."""
    distance = np.hypot(x - centre[0], (y - centre[1]) / aspect)
    return coverage(np.asarray(radius - distance, dtype=np.float32), 2.0 / x.shape[1])


def _blend(image: FloatArray, alpha: FloatArray, value: float | FloatArray) -> None:
    image += alpha * (np.float32(1.0) * value - image)


def _brain(size: int, rng: np.random.Generator) -> FloatArray:
    """Coronal head (size, size) without tumour: scalp, skull, grey and white matter, ventricles, fissure."""
    x, y = axis(size)[None, :], axis(size)[:, None]
    s = float(rng.uniform(0.96, 1.03))
    wave = 0.03 * np.sin(8.0 * np.arctan2(y, x) + rng.uniform(0, 6.28))
    image = np.zeros((size, size), dtype=np.float32)
    for radius, value in ((0.82, 0.50), (0.77, 0.06), (0.70, 0.22), (0.66, 0.42)):
        _blend(image, _disc(x, y, (0.0, 0.0), radius * s, 1.16), value)
    white = (0.48 * s + wave).astype(np.float32)
    _blend(image, _disc(x, y, (0.0, 0.0), white, 1.16), 0.52)
    _blend(image, coverage(0.015 - np.abs(x) + 0.0 * y, 2.0 / size) * (y < -0.25) * (y > -0.75 * s), 0.15)
    for sign in (-1, 1):
        dx, dy = rng.uniform(-0.015, 0.015, size=2)
        _blend(image, _disc(x, y, (sign * 0.11 + dx, -0.12 + dy), 0.085, 1.7), 0.10)
    return image


def _glioma(image: FloatArray, rng: np.random.Generator, severity: float) -> None:
    """Irregular ring inside a hemisphere, with a dark core and a dim oedema around it."""
    size = image.shape[0]
    x, y = axis(size)[None, :], axis(size)[:, None]
    sign = 1 if rng.integers(2) else -1
    cx, cy = sign * 0.36 + rng.uniform(-0.04, 0.04), rng.uniform(-0.08, 0.10)
    angle = np.arctan2(y - cy, x - cx)
    radius = (0.20 + 0.07 * severity) * np.ones_like(angle)
    for waves, amplitude in ((2, 0.14), (3, 0.14), (5, 0.10)):
        radius *= 1.0 + amplitude * np.sin(waves * angle + rng.uniform(0.0, 2.0 * np.pi))
    _blend(image, _disc(x, y, (cx, cy), (radius * 1.45).astype(np.float32)), 0.32)
    _blend(image, _disc(x, y, (cx, cy), radius.astype(np.float32)), 0.95)
    _blend(image, _disc(x, y, (cx, cy), (radius * 0.62).astype(np.float32)), 0.12)


def render_brain_mri(patient: Patient, size: int = 32) -> FloatArray:
    """Coronal image (size, size) of the head in arbitrary units, at least 0, with contrast agent.

    Glioma: an irregular bright ring inside one hemisphere. Meningioma: a round, evenly bright mass at the dura.
    Pituitary tumour: a small bright mass at the base, in the midline.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    rng = patient.generator("brain_mri")
    x, y = axis(size)[None, :], axis(size)[:, None]
    image = _brain(size, rng)
    tumour = BRAIN_TUMOURS[patient.brain_tumour]
    if tumour == "glioma":
        _glioma(image, rng, patient.severity)
    elif tumour == "meningioma":
        angle = (1 if rng.integers(2) else -1) * rng.uniform(0.55, 0.85)
        radius = 0.18 + 0.05 * patient.severity
        reach = 0.68 - radius * 0.8
        centre = (float(np.sin(angle) * reach), float(-np.cos(angle) * reach * 1.16))
        _blend(image, _disc(x, y, centre, radius), 1.0)
    elif tumour == "pituitary":
        dx, dy = rng.uniform(-0.025, 0.025, size=2)
        _blend(image, _disc(x, y, (float(dx), 0.55 + float(dy)), 0.12 + 0.03 * patient.severity, 0.9), 1.0)
    return rician(image * _bias_field(size, rng), NOISE, rng)
