"""The parametric body that CT, X-ray and body MRI look at, so that the three agree on one patient.

A body is a list of layers, painted in order. A layer is a tissue and how much of each voxel it fills. Each
modality has a table tissue -> signal, where None states that the modality does not show the tissue: what lies
below stays. So whatever a modality must not show leaves no trace in its image, not even in the noise.

Coordinates: x to the right of the image, y down (dorsal), z up (cranial), each -1 to 1 over the field of view.
Images are in the radiological convention: the patient's left is on the right of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.phantom.latent import DISEASES, ORGANS, Patient
from zoo.errors import SpecError

FloatArray = npt.NDArray[np.float32]

SMALLEST, LARGEST = 16, 1024
"""Allowed image sizes, in pixels."""
LESION_RADIUS = (0.18, 0.27)
"""Radius of a lesion at severity 0 and 1, in half fields of view."""
CALCIFICATION_RADIUS = 0.085
"""Radius of the calcification, in half fields of view."""
SLICE = (0.0,)
"""The z of the axial slice that CT and MRI image."""


@dataclass(frozen=True)
class Grid:
    """Voxel centres, as arrays that broadcast to (Z, H, W).

    Attributes:
        x: (1, 1, W).
        y: (1, H, 1).
        z: (Z, 1, 1).
    """

    x: FloatArray
    y: FloatArray
    z: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (Z, H, W)."""
        return self.z.shape[0], self.y.shape[1], self.x.shape[2]


@dataclass(frozen=True)
class Layer:
    """One tissue of the body.

    Attributes:
        tissue: its name, a key of the modalities' tables.
        alpha: (Z, H, W), the fraction of each voxel that it fills.
    """

    tissue: str
    alpha: FloatArray


def axis(size: int) -> FloatArray:
    """Pixel centres from -1 to 1, shape (size,).

    Raises:
        SpecError: ``size`` is outside SMALLEST to LARGEST.

    >>> axis(16)[:2].tolist()
    [-0.9375, -0.8125]
    """
    if not SMALLEST <= size <= LARGEST:
        raise SpecError(f"phantom image size is {size} pixels; allowed: {SMALLEST} to {LARGEST}")
    return ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)


def grid(size: int, z: tuple[float, ...] | FloatArray = SLICE) -> Grid:
    """Make the grid of slices at ``z`` of ``size`` x ``size`` pixels."""
    pixels = axis(size)
    heights = np.asarray(z, dtype=np.float32)
    return Grid(pixels[None, None, :], pixels[None, :, None], heights[:, None, None])


def coverage(distance: npt.NDArray[np.floating[Any]], pixel: float) -> FloatArray:
    """Turn a signed distance (positive inside) into the fraction of a pixel inside; edges are 1 pixel wide."""
    return np.asarray(np.clip(distance / pixel + 0.5, 0.0, 1.0), dtype=np.float32)


def ellipsoid(
    g: Grid, centre: tuple[float, float, float], radii: tuple[float, float, float], grow: float = 0.0
) -> FloatArray:
    """Coverage (Z, H, W) of an axis-aligned ellipsoid whose radii are enlarged by ``grow``.

    Args:
        g: grid of points.
        centre: z, y, x of the middle, in the units of the grid.
        radii: along z, y, x.
        grow: added to each radius.
    """
    rx, ry, rz = (r + grow for r in radii)
    q = ((g.x - centre[0]) / rx) ** 2 + ((g.y - centre[1]) / ry) ** 2 + ((g.z - centre[2]) / rz) ** 2
    return coverage((1.0 - np.sqrt(q)) * min(rx, ry), 2.0 / g.x.shape[2])


def side_sign(patient: Patient) -> int:
    """Sign of x on the lesion's side: 1 (right of the image) for the patient's left, -1 for the right."""
    return 1 if patient.side == 0 else -1


def lesion_radius(patient: Patient) -> float:
    """Radius of the lesion in half fields of view: linear in severity; 0 for the healthy."""
    if DISEASES[patient.disease] == "healthy":
        return 0.0
    low, high = LESION_RADIUS
    return low + (high - low) * patient.severity


@dataclass(frozen=True)
class _Frame:
    """The trunk or head of one patient: scale and the jitters, drawn whether they are used or not."""

    g: Grid
    scale: float
    jitter: FloatArray

    def blob(
        self, centre: tuple[float, float, float], radii: tuple[float, float, float], n: int, grow: float = 0.0
    ) -> FloatArray:
        """Ellipsoid with the ``n``-th jitter of its centre."""
        dx, dy = (float(v) for v in self.jitter[n])
        x, y, z = centre
        s = self.scale
        return ellipsoid(self.g, (x * s + dx, y * s + dy, z * s), (radii[0] * s, radii[1] * s, radii[2] * s), grow)


TRUNK = (0.86, 0.70, 3.0)
CAVITY = (0.77, 0.60, 2.6)
HEAD = (0.72, 0.88, 0.90)
LESION_SITES = {"brain": (0.35, 0.00), "lung": (0.46, 0.02), "liver": (0.40, -0.10), "kidney": (0.46, 0.10)}
CALCIFICATION_SITES = ((-0.10, -0.33), (0.10, -0.33))


def _ribs(f: _Frame) -> FloatArray:
    shell = f.blob((0, 0, 0), CAVITY, 0, grow=0.045) - f.blob((0, 0, 0), CAVITY, 0, grow=-0.035)
    phase = np.cos(np.float32(2 * np.pi) * (f.g.z * 2.2 + f.g.y * 1.3 + 0.1))
    return (shell * np.clip(phase * 2.0 + 0.6, 0.0, 1.0)).astype(np.float32)


def _spine(f: _Frame) -> list[Layer]:
    return [
        Layer("bone", f.blob((0, 0.42, 0), (0.15, 0.13, 9.0), 1)),
        Layer("bone", f.blob((0, 0.60, 0), (0.05, 0.10, 9.0), 1)),
    ]


def _brain(f: _Frame) -> list[Layer]:
    layers = [
        Layer("muscle", f.blob((0, 0, 0), HEAD, 0)),
        Layer("bone", f.blob((0, 0, 0), HEAD, 0, grow=-0.05)),
        Layer("brain", f.blob((0, 0, 0), HEAD, 0, grow=-0.13)),
    ]
    for n, x in enumerate((-0.09, 0.09)):
        layers.append(Layer("csf", f.blob((x, 0.02, 0.1), (0.06, 0.20, 0.25), 2 + n)))
    return layers


def _lung(f: _Frame) -> list[Layer]:
    layers = [Layer("muscle", f.blob((0, 0, 0), TRUNK, 0))]
    for n, x in enumerate((-0.43, 0.43)):
        layers.append(Layer("lung", f.blob((x, 0.02, 0.1), (0.35, 0.50, 0.85), 2 + n)))
    layers.append(Layer("heart", f.blob((0.12, -0.22, -0.15), (0.26, 0.24, 0.36), 4)))
    return [*layers, *_spine(f), Layer("rib", _ribs(f))]


def _abdomen(f: _Frame) -> list[Layer]:
    return [
        Layer("muscle", f.blob((0, 0, 0), TRUNK, 0)),
        Layer("fat", f.blob((0, 0, 0), CAVITY, 0)),
    ]


def _liver(f: _Frame) -> list[Layer]:
    return [
        *_abdomen(f),
        Layer("liver", f.blob((-0.34, -0.04, 0.0), (0.44, 0.46, 0.60), 2)),
        Layer("liver", f.blob((0.26, -0.12, 0.1), (0.46, 0.32, 0.40), 2)),
        Layer("muscle", f.blob((0.52, 0.28, 0.3), (0.17, 0.17, 0.30), 3)),
        *_spine(f),
        Layer("rib", _ribs(f)),
    ]


def _kidney(f: _Frame) -> list[Layer]:
    layers = _abdomen(f)
    for n, (x, y) in enumerate(((-0.34, -0.30), (0.02, -0.22), (0.36, -0.32))):
        layers.append(Layer("bowel", f.blob((x, y, -0.3), (0.17, 0.15, 0.30), 2 + n)))
    for n, x in enumerate((-0.45, 0.45)):
        layers.append(Layer("kidney", f.blob((x, 0.12, 0.0), (0.22, 0.30, 0.50), 5 + n)))
        layers.append(Layer("muscle", f.blob((np.sign(x) * 0.21, 0.42, 0), (0.12, 0.13, 9.0), 1)))
    return [*layers, *_spine(f)]


def _effusion(f: _Frame, organ: str, amount: float, sign: int) -> Layer:
    """Fluid at the dorsal, caudal and lateral wall: the cavity without the same cavity shifted away from there."""
    outer = (0.58, 0.74, 0.85) if organ == "brain" else (0.76, 0.59, 0.95)
    thick = 0.13 + 0.05 * amount
    shifted = f.blob((-sign * thick * 1.2, -thick, 0.2), outer, 0)
    return Layer("effusion", (f.blob((0, 0, 0), outer, 0) * (1.0 - shifted)).astype(np.float32))


def body(patient: Patient, g: Grid) -> list[Layer]:
    """Build the layers of the patient's body on a grid, from the outside in; the signs of illness come last.

    The tissues of signs are ``effusion``, ``cyst``, ``hemorrhage``, ``tumour`` and ``tumour core`` (with
    ``lung `` before them in the lung), and ``calcification``. The lesion is on ``patient.side``; the sides of
    effusion and calcification are drawn independently of it.
    """
    rng = patient.generator("anatomy")
    scale = float(rng.uniform(0.95, 1.02))
    jitter = rng.uniform(-0.025, 0.025, size=(16, 2)).astype(np.float32)
    spot = CALCIFICATION_SITES[int(rng.integers(2))]
    fluid_side = 1 if rng.integers(2) else -1
    organ = ORGANS[patient.organ]
    frame = _Frame(g, scale, jitter)
    layers = {"brain": _brain, "lung": _lung, "liver": _liver, "kidney": _kidney}[organ](frame)
    if patient.effusion:
        layers.append(_effusion(frame, organ, patient.severity, fluid_side))
    radius, disease = lesion_radius(patient), DISEASES[patient.disease]
    if radius > 0:
        x, y = LESION_SITES[organ]
        centre = (side_sign(patient) * x, y, 0.0)
        prefix = "lung " if organ == "lung" else ""
        layers.append(Layer(prefix + disease, frame.blob(centre, (radius,) * 3, 14)))
        if disease == "tumour":
            layers.append(Layer(prefix + "tumour core", frame.blob(centre, (radius * 0.5,) * 3, 14)))
    if patient.calcification:
        layers.append(Layer("calcification", frame.blob((*spot, 0.0), (CALCIFICATION_RADIUS,) * 3, 15)))
    return layers


def paint(layers: list[Layer], table: Mapping[str, float | None], background: float) -> FloatArray:
    """Map (Z, H, W) of a modality's signal: each layer replaces what lies below by its share of the voxel.

    Args:
        layers: what ``body`` returns.
        table: tissue -> signal; None where the modality does not show the tissue.
        background: signal of air.

    Raises:
        SpecError: a tissue is not in the table.
    """
    image = np.full(layers[0].alpha.shape, background, dtype=np.float32)
    for layer in layers:
        if layer.tissue not in table:
            raise SpecError(f"tissue '{layer.tissue}' is not in the table; tissues: {sorted(table)}")
        value = table[layer.tissue]
        if value is not None:
            image += layer.alpha * (np.float32(value) - image)
    return image
