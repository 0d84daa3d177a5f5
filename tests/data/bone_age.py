"""Write a tiny folder in the layout of the bone age data set."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n images; image i shows a hand of 20 i months, modulo 240; the sex alternates."""
    generator = np.random.default_rng(seed)
    lines = ["file,boneage_months,male"]
    for i in range(n):
        months = 20 * i % 240
        save_picture(folder / f"{1400 + i}.jpg", generator, level=40 + months // 2)
        lines.append(f"{1400 + i}.jpg,{months},{i % 2 == 0}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
