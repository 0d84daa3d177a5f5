"""Write a tiny folder in the layout of the ten-grade retinopathy data set."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

GRADES = (
    "1 - No DR",
    "2 - Mild DR without maculopathy",
    "3 - Mild DR with maculopathy",
    "4 - Moderate DR without maculopathy",
    "5 - Moderate DR with maculopathy",
    "6 - Severe DR without maculopathy",
    "7 - Severe DR with maculopathy",
    "8 - PDR without maculopathy",
    "9 - PDR with maculopathy",
    "10 - ADED",
)


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n images, two a patient, with the grades in turn; one file name has "-" before the side."""
    generator = np.random.default_rng(seed)
    lines = ["file,grade"]
    for i in range(n):
        grade = i % 10
        name = f"{grade + 1}_Patient{i // 2:03d}{'-' if i == 3 else '_'}{'LR'[i % 2]}.jpg"
        save_picture(folder / name, generator, level=60 + 18 * grade, colour=True)
        lines.append(f"{name},{GRADES[grade]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
