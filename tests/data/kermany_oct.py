"""Write a tiny folder in the published layout of OCT2017 (Kermany)."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

CLASSES = ("CNV", "DME", "DRUSEN", "NORMAL")


def write(folder: Path, seed: int = 0, n: int = 32) -> None:
    """Write n training images of n / 2 patients, eight test images and four of val, over four classes.

    The first patient of train (number 1000, CNV) is in test too, and patient 1004 (CNV) in val; patient 1000 also
    has a training image of drusen.
    """
    generator = np.random.default_rng(seed)

    def save(part: str, k: int, patient: int, number: int) -> None:
        name = f"{CLASSES[k]}-{patient}-{number}.jpeg"
        save_picture(folder / part / CLASSES[k] / name, generator, level=40 + 50 * k, size=(28, 24))

    for i in range(n // 2):
        save("train", i % 4, 1000 + i, 1)
        save("train", i % 4, 1000 + i, 2)
    save("train", 2, 1000, 3)
    for i in range(8):
        save("test", i % 4, 1000 if i == 0 else 2000 + i, 4)
    for i in range(4):
        save("val", i, 1004 if i == 0 else 3000 + i, 5)
