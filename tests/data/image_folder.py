"""Write tiny images in a folder for each class."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 24, parts: tuple[str, ...] = ("",)) -> None:
    """Write n images of two classes, two of each patient, evenly into the folders of ``parts``, and a note."""
    generator = np.random.default_rng(seed)
    for i in range(n):
        place = folder / parts[i // 2 % len(parts)] / ("NORMAL", "2")[i % 2]
        name = f"patient{i // 2:02d}_{i % 2}.png"
        save_picture(place / name, generator, level=110 + 90 * (i % 2), size=(18 + i % 3, 17), colour=False)
    (folder / parts[0] / "NORMAL" / "readme.txt").write_text("not an image")
