"""Tiny files in the layout of brain_tumor_mri_large: labels.csv and a folder for each part and class."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]
CLASSES = ("glioma", "meningioma", "notumor", "pituitary")


def write(folder: Path, seed: int = 0, n: int = 64) -> None:
    """Write labels.csv and images; the first test image has a twin in the training part."""
    rng = np.random.default_rng(seed)
    lines = ["file,split,label,dup_group"]
    for i in range(n):
        split, label = ("Testing" if i % 16 < 4 else "Training"), CLASSES[i % 4]
        file = f"{split}/{label}/Te-{i:04d}.jpg"
        save_picture(folder / file, rng, level=50 + 50 * (i % 4))
        lines.append(f"{file},{split},{label},{0 if i == 4 else i}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
