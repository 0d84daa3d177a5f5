"""Write a tiny folder in the layout of the head CT data set."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n images and labels.csv; odd images show a hemorrhage, and the last image repeats the first's bytes."""
    generator = np.random.default_rng(seed)
    lines = ["file,hemorrhage"]
    for i in range(n):
        save_picture(folder / f"{i:03d}.jpg", generator, level=100 + 80 * (i % 2))
        lines.append(f"{i:03d}.jpg,{i % 2}")
    (folder / f"{n - 1:03d}.jpg").write_bytes((folder / "000.jpg").read_bytes())
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
