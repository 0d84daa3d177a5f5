"""Pathology slide of the virtual patient: nuclei in stroma, stained with haematoxylin and eosin.

What it shows: malignancy. Malignant nuclei are more, larger, irregular in size and outline, and darker; benign
ones are few, small and round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datamodules.phantom.anatomy import FloatArray, axis, coverage
from datamodules.phantom.latent import MALIGNANCY, Patient


@dataclass(frozen=True)
class Nuclei:
    """How the nuclei of one diagnosis look.

    Attributes:
        count: lowest and highest number in a field.
        radius: lowest and highest mean radius, in half fields of view.
        irregular: amplitude of the outline's waves, as a fraction of the radius.
        stain: lowest and highest optical density of haematoxylin.
    """

    count: tuple[int, int]
    radius: tuple[float, float]
    irregular: float
    stain: tuple[float, float]


LOOKS = {
    "benign": Nuclei(count=(14, 22), radius=(0.065, 0.085), irregular=0.05, stain=(0.085, 0.13)),
    "malignant": Nuclei(count=(24, 34), radius=(0.08, 0.17), irregular=0.28, stain=(0.085, 0.16)),
}


def _texture(size: int, scale: float, rng: np.random.Generator) -> FloatArray:
    """Smooth random field (size, size) of mean 0 and standard deviation 1; ``scale`` is in half fields of view."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.normal(size=(size, size)), scale * size / 2.0, mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _nuclei(look: Nuclei, size: int, rng: np.random.Generator) -> FloatArray:
    """Optical density (size, size) of haematoxylin in the nuclei, brighter inside than at the membrane."""
    x, y = axis(size)[None, :], axis(size)[:, None]
    density = np.zeros((size, size), dtype=np.float32)
    for _ in range(int(rng.integers(*look.count, endpoint=True))):
        cx, cy = rng.uniform(-1.05, 1.05, size=2)
        radius, stain = rng.uniform(*look.radius), rng.uniform(*look.stain)
        stretch, turn, phase2, phase3 = rng.uniform(
            (0.0, 0.0, 0.0, 0.0), (0.9 * look.irregular + 0.08, 3.14, 6.28, 6.28)
        )
        dx, dy = x - cx, y - cy
        u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        angle = np.arctan2(v, u)
        outline = radius * (
            1.0 + look.irregular * (0.5 * np.sin(3 * angle + phase3) + 0.4 * np.sin(2 * angle + phase2))
        )
        inner = outline - np.hypot(u / (1.0 + stretch), v * (1.0 + stretch))
        alpha = coverage(np.asarray(inner, dtype=np.float32), 2.0 / size)
        rim = 1.0 - 0.25 * np.clip(inner / radius, 0.0, 1.0)
        np.maximum(density, (stain * alpha * rim).astype(np.float32), out=density)
    return density


def render_pathology(patient: Patient, size: int = 32) -> npt.NDArray[np.uint8]:
    """Field (size, size, 3), red, green, blue: optical densities through Ruifrok and Johnston's stain matrix.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    from skimage.color import hed2rgb

    rng = patient.generator("pathology")
    nuclei = _nuclei(LOOKS[MALIGNANCY[patient.malignant]], size, rng)
    fibres = _texture(size, 0.12, rng)
    batch_h, batch_e = rng.uniform(0.9, 1.1, size=2)
    haematoxylin = batch_h * (
        0.012 + 0.004 * _texture(size, 0.05, rng) + nuclei * (1.0 + 0.12 * _texture(size, 0.03, rng))
    )
    eosin = batch_e * (0.042 + 0.010 * fibres) * (1.0 - 0.5 * np.clip(nuclei / 0.1, 0.0, 1.0))
    stains = np.stack([np.clip(haematoxylin, 0.0, None), np.clip(eosin, 0.0, None), np.zeros_like(nuclei)], axis=-1)
    image = 255.0 * np.asarray(hed2rgb(stains)) + rng.normal(0.0, 3.0, size=(size, size, 3))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
