"""OCT B-scan of the virtual patient: a layered retina with a foveal pit, fluid and speckle.

What it shows: retinopathy only from moderate on, as dark pockets of fluid, two small ones, or four large ones
in a thicker retina when severe. The grades below are the same image.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datamodules.phantom.anatomy import FloatArray, axis, coverage
from datamodules.phantom.latent import RETINOPATHY, Patient

BANDS = (
    (0.00, 0.85),
    (0.10, 0.50),
    (0.30, 0.34),
    (0.40, 0.55),
    (0.48, 0.28),
    (0.78, 0.90),
    (0.84, 0.45),
    (0.90, 1.00),
    (1.00, 0.55),
)
"""Depth of each layer's upper edge as a fraction of the retina's thickness, and its reflectivity: nerve fibres,
ganglion cells, inner nuclear, outer plexiform, outer nuclear, ellipsoid zone, its gap, pigment epithelium,
choroid."""
LOOKS = 5
"""Shape of the gamma speckle: its relative standard deviation is LOOKS ** -0.5."""
POCKETS = {"no_dr": (), "mild": (), "moderate": (0.12, 0.13), "severe": (0.17, 0.21, 0.22, 0.18)}
"""Half-widths of the pockets by grade, in half fields of view."""
PLACES = (-0.26, 0.26, -0.66, 0.66)


def _surfaces(size: int, thick: float, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Height of the pigment epithelium and thickness of the retina, each (size,), in half fields of view."""
    x = axis(size).astype(np.float64)
    a, b, c, phase = rng.uniform((-0.05, -0.06, -0.03, 0.0), (0.05, 0.10, 0.03, 6.28))
    bottom = 0.34 + a * x + b * x**2 + 0.02 * np.sin(3.0 * x + phase)
    pit = 0.26 * np.exp(-(((x - c) / 0.20) ** 2))
    return bottom.astype(np.float32), (thick * (1.0 - pit)).astype(np.float32)


def render_oct(patient: Patient, size: int = 32) -> npt.NDArray[np.uint8]:
    """B-scan (size, size), vitreous at the top.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    rng = patient.generator("oct")
    grade = RETINOPATHY[patient.retinopathy]
    x, y = axis(size)[None, :], axis(size)[:, None]
    bottom, thick = _surfaces(size, 0.86 if grade == "severe" else 0.76, rng)
    depth = (y - (bottom - thick)[None, :]) / thick[None, :]
    image = np.full((size, size), 0.05, dtype=np.float32)
    for start, reflectivity in BANDS:
        alpha = coverage((depth - start) * thick[None, :], 2.0 / size)
        image += alpha * (np.float32(reflectivity) - image)
    image *= np.where(depth > 1.0, np.exp(-1.6 * (depth - 1.0)), 1.0).astype(np.float32)
    jitter = rng.uniform(-1.0, 1.0, size=(len(PLACES), 3))
    for place, half, (dx, dy, ds) in zip(PLACES, POCKETS[grade], jitter, strict=False):
        wide = half * (1.0 + 0.12 * ds)
        cx = place + 0.05 * dx
        column = int(np.clip((cx + 1.0) * size / 2.0, 0, size - 1))
        cy = bottom[column] - thick[column] * (0.50 + 0.04 * dy)
        distance = 1.0 - np.hypot((x - cx) / wide, (y - cy) / (wide * 0.85))
        image += coverage((distance * wide * 0.85).astype(np.float32), 2.0 / size) * (np.float32(0.03) - image)
    speckle = rng.gamma(LOOKS, 1.0 / LOOKS, size=image.shape)
    return np.clip(np.rint(190.0 * image * speckle + rng.normal(0.0, 4.0, size=image.shape)), 0, 255).astype(np.uint8)
