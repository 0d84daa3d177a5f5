"""Write a tiny folder in the published layout of CC-CCII."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

CLASSES = ("NCP", "CP", "Normal")


def write(folder: Path, seed: int = 0, n: int = 15, table: bool = True) -> None:
    """Write n patients over three classes, every third with two scans of five slices, and the table of scans.

    Slices are 0.png, 4.png, ..., 16.png: in the order of their names the third is 16.png, by number 8.png; their
    brightness is the number.
    """
    generator = np.random.default_rng(seed)
    lines = ["zip_file,label,patient_id,scan_id,n_slice"]
    for i in range(n):
        label = CLASSES[i % 3]
        for scan in range(1 + (i // 3) % 2):
            number = 1000 + 2 * i + scan
            for k in range(0, 20, 4):
                path = folder / label / str(i + 1) / str(number) / f"{k}.png"
                save_picture(path, generator, level=40 + 60 * (i % 3) + k, size=(20, 20))
            lines.append(f"{label}-1.zip,{label},{i + 1},{number},5")
    if table:
        (folder / "unzip_filenames.csv").write_text("\n".join(lines) + "\n")
