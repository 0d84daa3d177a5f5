"""Colour fundus photograph of the virtual patient: disc, vessels, and the lesions of diabetic retinopathy.

What it shows: the grade of retinopathy, as numbers of red dots (microaneurysms, hemorrhages) and yellow spots
(exudates), whose ranges do not overlap between grades, though lesions may hide each other.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from datamodules.phantom.anatomy import FloatArray, axis, coverage
from datamodules.phantom.latent import RETINOPATHY, Patient

RED = {"no_dr": (0, 0), "mild": (6, 8), "moderate": (14, 17), "severe": (26, 30)}
"""Lowest and highest number of red dots by grade."""
YELLOW = {"no_dr": (0, 0), "mild": (0, 0), "moderate": (5, 7), "severe": (13, 16)}
"""Lowest and highest number of exudates by grade."""
COLOURS = {
    "retina": (214.0, 104.0, 44.0),
    "vessel": (150.0, 46.0, 28.0),
    "optic disc": (250.0, 214.0, 140.0),
    "fovea": (160.0, 62.0, 26.0),
    "red": (104.0, 8.0, 14.0),
    "yellow": (255.0, 240.0, 90.0),
}
"""Mean colour of each structure, as red, green, blue, 0 to 255."""
RADIUS = 0.94
"""Radius of the visible disc, in half fields of view."""


def _blend(image: FloatArray, alpha: FloatArray, colour: str, strength: float = 1.0) -> None:
    image += (strength * alpha)[..., None] * (np.asarray(COLOURS[colour], dtype=np.float32) - image)


def _walk(start: tuple[float, float], heading: float, bend: float, rng: np.random.Generator) -> FloatArray:
    """Points (16, 2) of a vessel: a walk whose heading turns by ``bend`` radians in all, and at random."""
    headings = heading + np.linspace(0.0, bend, 16) + np.cumsum(rng.normal(0.0, 0.09, 16))
    steps = 0.09 * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return (np.asarray(start) + np.cumsum(steps, axis=0)).astype(np.float32)


def _vessels(disc: tuple[float, float], toward: int, size: int, rng: np.random.Generator) -> FloatArray:
    """Coverage (size, size) of two arcades around the fovea, two nasal vessels, and a branch of each."""
    x, y = axis(size)[None, :], axis(size)[:, None]
    temporal = 0.0 if toward > 0 else np.pi
    found = np.zeros((size, size), dtype=np.float32)
    for side in (-1, 1):
        for turn, bend in ((1.25, -1.6), (2.4, 0.5)):
            flip = side * toward
            trunk = _walk(disc, temporal + flip * turn, flip * bend, rng)
            forked = 4 + int(rng.integers(4))
            step = trunk[forked] - trunk[forked - 1]
            branch = _walk(
                (float(trunk[forked, 0]), float(trunk[forked, 1])),
                float(np.arctan2(step[1], step[0])) + flip * 0.6,
                flip * 0.4,
                rng,
            )
            for points, width in ((trunk, 0.026), (branch, 0.016)):
                near = np.full((size, size), np.inf, dtype=np.float32)
                for (ax, ay), (bx, by) in pairwise(points):
                    dx, dy = bx - ax, by - ay
                    t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
                    np.minimum(near, (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2, out=near)
                np.maximum(found, coverage(width - np.sqrt(near), 2.0 / size), out=found)
    return found


def _scatter(count: int, low: float, high: float, size: int, rng: np.random.Generator) -> FloatArray:
    """Coverage (size, size) of ``count`` spots with radii from ``low`` to ``high``, anywhere but at the rim."""
    x, y = axis(size)[None, :], axis(size)[:, None]
    found = np.zeros((size, size), dtype=np.float32)
    reach, angle = 0.80 * np.sqrt(rng.uniform(0.0, 1.0, count)), rng.uniform(0.0, 2.0 * np.pi, count)
    for r, a, radius in zip(reach, angle, rng.uniform(low, high, count), strict=True):
        distance = radius - np.hypot(x - r * np.cos(a), y - r * np.sin(a))
        np.maximum(found, coverage(distance.astype(np.float32), 2.0 / size), out=found)
    return found


def render_fundus(patient: Patient, size: int = 32) -> npt.NDArray[np.uint8]:
    """Photograph (size, size, 3), red, green, blue.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    rng = patient.generator("fundus")
    x, y = axis(size)[None, :], axis(size)[:, None]
    grade = RETINOPATHY[patient.retinopathy]
    toward = 1 if rng.integers(2) else -1
    disc = (-toward * float(rng.uniform(0.47, 0.53)), float(rng.uniform(-0.06, 0.06)))
    inside = coverage((RADIUS - np.hypot(x, y)).astype(np.float32), 2.0 / size)
    light = 1.0 - 0.22 * ((x - rng.uniform(-0.2, 0.2)) ** 2 + (y - rng.uniform(-0.2, 0.2)) ** 2)
    tone = rng.normal(1.0, (0.03, 0.05, 0.06))
    image = np.broadcast_to(np.asarray(COLOURS["retina"], dtype=np.float32), (size, size, 3)).copy()
    fovea = np.exp(-(((x - toward * 0.12) ** 2 + y**2) / 0.03)).astype(np.float32)
    _blend(image, fovea, "fovea", 0.6)
    _blend(image, coverage((0.15 - np.hypot(x - disc[0], y - disc[1])).astype(np.float32), 2.0 / size), "optic disc")
    _blend(image, _vessels(disc, toward, size, rng), "vessel", 0.75)
    _blend(image, _scatter(int(rng.integers(*YELLOW[grade], endpoint=True)), 0.045, 0.07, size, rng), "yellow")
    _blend(image, _scatter(int(rng.integers(*RED[grade], endpoint=True)), 0.045, 0.075, size, rng), "red")
    seen = image * (light[..., None] * tone) * inside[..., None] + rng.normal(0.0, 4.0, size=image.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)
