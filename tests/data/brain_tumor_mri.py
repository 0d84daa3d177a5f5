"""Write a tiny folder in the layout of the brain tumour MRI data set."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

FOLDERS = ("no_tumor", "glioma_tumor", "meningioma_tumor", "pituitary_tumor")


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n training images, and n // 3 test images, over four classes.

    Training no_tumor/image(1).jpg is byte-identical to Testing no_tumor/image(1).jpg.
    """
    generator = np.random.default_rng(seed)
    for part, count in (("Training", n), ("Testing", max(4, n // 3))):
        for i in range(count):
            k = i % len(FOLDERS)
            path = folder / part / FOLDERS[k] / f"image({i // len(FOLDERS) + 1}).jpg"
            save_picture(path, generator, level=60 + 45 * k)
    name = Path("no_tumor") / "image(1).jpg"
    (folder / "Training" / name).write_bytes((folder / "Testing" / name).read_bytes())
