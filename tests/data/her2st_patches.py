"""Tiny files in the layout of her2st_patches: a patch of tissue a spot, and counts of genes."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]
GENES = ("ERBB2", "HLA-A", "AP000769.1", "CD24")


def write(folder: Path, seed: int = 0, n: int = 48) -> None:
    """Write spots.csv, counts.csv.gz (its first column has no name) and images/ of the sections B4, C2, C3 and C4."""
    rng = np.random.default_rng(seed)
    spots, counts = ["file,patient,section,x,y,pixel_x,pixel_y,total_counts"], ["," + ",".join(GENES)]
    for i in range(n):
        section = ("B4", "C2", "C3", "C4")[i % 4]
        file, bright = f"{section}_{i}x{i}.jpg", int(rng.integers(20, 200))
        save_picture(folder / "images" / file, rng, level=bright, colour=True)
        held = [int(v) for v in rng.poisson([bright / 10, 3, 1, 200 / bright])]
        spots.append(f"{file},{section[0]},{section},{i},{i},{i}.5,{i}.5,{sum(held) + 500}")
        counts.append(",".join([file, *map(str, held)]))
    (folder / "spots.csv").write_text("\n".join(spots) + "\n")
    with gzip.open(folder / "counts.csv.gz", "wt") as out:
        out.write("\n".join(counts) + "\n")
