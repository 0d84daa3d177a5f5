"""Tiny files in the layout of her2st_regions: counts of genes a spot, and its region."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

GENES = ("ERBB2", "HLA-A", "AP000769.1", "CD24")
REGIONS = ("invasive cancer", "connective tissue", "undetermined")


def write(folder: Path, seed: int = 0, n: int = 80) -> None:
    """Write labels.csv and counts.csv.gz of 8 patients; the genes of one spot have no count."""
    rng = np.random.default_rng(seed)
    labels, counts = ["spot,patient,section,region"], ["," + ",".join(GENES)]
    for i in range(n):
        patient, region = "ABCDEFGH"[i % 8], REGIONS[i // 8 % 3]
        spot = f"{patient}1_{i}x{i}"
        held = [int(v) + 1 for v in rng.poisson([20 if region == REGIONS[0] else 2, 3, 1, 4])]
        labels.append(f"{spot},{patient},{patient}1,{region}")
        counts.append(",".join([spot, *map(str, [0] * 4 if i == 1 else held)]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    with gzip.open(folder / "counts.csv.gz", "wt") as out:
        out.write("\n".join(counts) + "\n")
