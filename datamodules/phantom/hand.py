"""Hand radiograph of the virtual patient: long bones with growth plates, carpal bones, age 0 to 20 years.

What it shows: age. The hand grows, bones become denser, carpal bones appear one after the other (after the
order of Greulich and Pyle's atlas, ages rounded) and growth plates close. All hands are left hands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datamodules.phantom.anatomy import FloatArray, axis
from datamodules.phantom.latent import Patient

CARPALS = (
    ("capitate", 0.2, -0.01, 0.32, 0.082),
    ("hamate", 0.4, -0.15, 0.33, 0.075),
    ("triquetrum", 2.5, -0.20, 0.47, 0.060),
    ("lunate", 3.5, -0.05, 0.49, 0.068),
    ("scaphoid", 5.5, 0.12, 0.46, 0.075),
    ("trapezium", 6.0, 0.24, 0.34, 0.062),
    ("trapezoid", 6.5, 0.12, 0.30, 0.055),
)
"""Name, age in years at which it begins to ossify, x, y and full radius, in half fields of view of a grown hand."""
FINGERS = (
    (-0.24, 0.22, -0.26, (0.36, 0.24, 0.15, 0.12)),
    (-0.10, 0.20, -0.09, (0.40, 0.29, 0.19, 0.13)),
    (0.04, 0.19, 0.05, (0.42, 0.31, 0.20, 0.13)),
    (0.17, 0.20, 0.18, (0.40, 0.28, 0.17, 0.12)),
    (0.28, 0.27, 0.72, (0.27, 0.20, 0.15)),
)
"""x and y of the base of the metacarpal, heading in radians from straight up, lengths of the bones."""
CLOSED_AT = 17.0
"""Age at which the growth plates have closed, in years."""


def growth_plate(age_years: float) -> float:
    """Width of the growth plates in half fields of view of a grown hand: falls linearly, 0 from CLOSED_AT on.

    >>> growth_plate(0.0), growth_plate(18.0)
    (0.07, 0.0)
    """
    return 0.07 * max(0.0, 1.0 - age_years / CLOSED_AT)


def hand_scale(age_years: float) -> float:
    """Size of the hand as a fraction of a grown one, linear in age: 0.58 at birth, 1 at 20 years."""
    return 0.58 + 0.42 * min(max(age_years, 0.0), 20.0) / 20.0


def _capsule(x: FloatArray, y: FloatArray, start: FloatArray, end: FloatArray, radius: float) -> FloatArray:
    """Thickness (H, W), 0 to 1, of a rod with round ends seen from the side."""
    d = end - start
    t = np.clip(((x - start[0]) * d[0] + (y - start[1]) * d[1]) / max(float(d @ d), 1e-9), 0.0, 1.0)
    squared = ((x - start[0] - t * d[0]) ** 2 + (y - start[1] - t * d[1]) ** 2) / radius**2
    return np.asarray(np.sqrt(np.clip(1.0 - squared, 0.0, 1.0)), dtype=np.float32)


def _long_bones(x: FloatArray, y: FloatArray, age: float) -> tuple[FloatArray, FloatArray]:
    """Bone and flesh (H, W) of the fingers, the palm and the forearm, in the frame of a grown hand."""
    gap, width = growth_plate(age), 0.046 + 0.012 * age / 20.0
    bone = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    flesh = _capsule(x, y, np.array([0.0, 0.25], np.float32), np.array([0.0, 0.40], np.float32), 0.36)
    cap = min(max((age - 1.0) / 4.0, 0.0), 1.0)
    for bx, by, heading, lengths in FINGERS:
        up = np.array([np.sin(heading), -np.cos(heading)], dtype=np.float32)
        at = np.array([bx, by], dtype=np.float32)
        tip = at + up * (sum(lengths) + 0.03 * len(lengths))
        np.maximum(flesh, _capsule(x, y, at, tip, 0.088), out=flesh)
        for n, length in enumerate(lengths):
            r = width * (1.0 - 0.13 * n)
            first, last = at + up * (0.012 + r + gap), at + up * (length - r)
            np.maximum(bone, _capsule(x, y, first, last, r), out=bone)
            if cap > 0:
                side = np.array([-up[1], up[0]], dtype=np.float32) * r * 0.5
                base = at + up * (0.012 + r * 0.5)
                np.maximum(bone, cap * _capsule(x, y, base - side, base + side, r * 0.5), out=bone)
            at = at + up * (length + 0.03)
    for fx, r in ((0.09, 0.12), (-0.16, 0.075)):
        np.maximum(
            bone, _capsule(x, y, np.array([fx, 0.70 + gap], np.float32), np.array([fx, 1.6], np.float32), r), out=bone
        )
        np.maximum(
            flesh, _capsule(x, y, np.array([fx, 0.5], np.float32), np.array([fx, 1.8], np.float32), 0.24), out=flesh
        )
        if cap > 0 and (fx > 0 or age > 6.0):
            ends = np.array([fx - r * 0.6, 0.615], np.float32), np.array([fx + r * 0.6, 0.615], np.float32)
            np.maximum(bone, cap * _capsule(x, y, *ends, 0.05), out=bone)
    return bone, flesh


def hand_thickness(
    age_years: float, size: int, shift: tuple[float, float] = (0.0, 0.0), turn: float = 0.0, scale: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Relative thickness (size, size) of bone and of flesh, without noise.

    Args:
        age_years: age in years.
        size: pixels a side.
        shift: displacement along x and y, in half fields of view.
        turn: rotation, in radians.
        scale: factor on the size for the age.
    """
    s = hand_scale(age_years) * scale
    px, py = axis(size)[None, :] - shift[0], axis(size)[:, None] - shift[1] - 0.08
    x = ((px * np.cos(turn) + py * np.sin(turn)) / s).astype(np.float32)
    y = ((py * np.cos(turn) - px * np.sin(turn)) / s).astype(np.float32)
    bone, flesh = _long_bones(x, y, age_years)
    for _, onset, cx, cy, radius in CARPALS:
        grown = min(max((age_years - onset) / (13.0 - onset), 0.0), 1.0) ** 0.6 * radius
        if grown > 0:
            centre = np.array([cx, cy], dtype=np.float32)
            np.maximum(bone, _capsule(x, y, centre, centre, grown), out=bone)
    return bone, flesh


def render_hand(patient: Patient, size: int = 32) -> npt.NDArray[np.uint8]:
    """Radiograph (size, size), fingers up, bone bright.

    Raises:
        SpecError: ``size`` is not allowed.
    """
    rng = patient.generator("hand")
    dx, dy = rng.uniform(-0.025, 0.025, size=2)
    turn, scale = float(rng.uniform(-0.06, 0.06)), float(rng.uniform(0.98, 1.02))
    bone, flesh = hand_thickness(patient.age_years, size, (float(dx), float(dy)), turn, scale)
    dense = (0.45 + 0.75 * patient.age_years / 20.0) * rng.uniform(0.96, 1.04)
    integral = 0.35 * flesh + dense * bone
    counts = rng.poisson(1500.0 * np.exp(-integral))
    return np.clip(np.rint(-np.log(np.maximum(counts, 1) / 1500.0) * 150.0), 0, 255).astype(np.uint8)
