"""Synthetic pictures for the generators of image data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def save_picture(
    path: Path,
    generator: np.random.Generator,
    *,
    level: int = 120,
    size: tuple[int, int] = (24, 20),
    colour: bool = False,
) -> None:
    """Save a noisy disc of grey ``level`` (or a reddish one) of ``size`` (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    y, x = np.mgrid[:height, :width]
    disc = ((x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(size) / 3) ** 2) * level
    grey = (disc + generator.integers(0, 40, (height, width))).clip(0, 255).astype(np.uint8)
    pixels = np.stack([grey, grey // 2, grey // 3], axis=2) if colour else grey
    Image.fromarray(pixels).save(path)
