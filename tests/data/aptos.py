"""Write a tiny folder in the published layout of APTOS 2019."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 20) -> None:
    """Write n images with the grades in turn; the last is a copy of the first, with another grade."""
    generator = np.random.default_rng(seed)
    lines, names = ["id_code,diagnosis"], [f"{i:04d}a24aab6d" for i in range(n)]
    images = folder / "train_images"
    for i, name in enumerate(names):
        save_picture(images / f"{name}.png", generator, level=60 + 40 * (i % 5), colour=True)
        lines.append(f"{name},{i % 5}")
    (images / f"{names[-1]}.png").write_bytes((images / f"{names[0]}.png").read_bytes())
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
