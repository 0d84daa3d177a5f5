"""Write a tiny folder in the published layout of the NLM malaria cell images."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

SMEARS = (
    "C1_thinF", "C33P1thinF", "C37BP2_thinF", "C39P4thinF_original", "C47P8thin_Original_Motic",
    "C47P8thinOriginalOlympusCX21", "C59P20thinF", "C99P60ThinF", "C100P61ThinF", "C203ThinF", "C241NThinF",
    "C181P142_ThinF",
)  # fmt: skip
"""Names of smears as published; two of them are of one patient (C47P8)."""


def write(folder: Path, seed: int = 0, n: int = 24, nested: bool = False) -> None:
    """Write n cells of twelve smears, Thumbs.db in both folders, and perhaps the nested second copy."""
    generator = np.random.default_rng(seed)
    for outer in (folder, folder / "cell_images") if nested else (folder,):
        for i in range(n):
            infected = i % 2 == 0
            name = f"{SMEARS[(i // 2) % len(SMEARS)]}_IMG_20150619_114756a_cell_{i}.png"
            path = outer / ("Parasitized" if infected else "Uninfected") / name
            save_picture(path, generator, level=200 if infected else 110, size=(18 + i % 3, 17), colour=True)
        for name in ("Parasitized", "Uninfected"):
            (outer / name / "Thumbs.db").write_bytes(b"not an image")
