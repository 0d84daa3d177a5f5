"""Tiny files in the layout of the tcga sets: a target, three kinds of measurements and clinical columns."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

GENES = ("TP53", "EGFR", "ESR1", "GATA3")
BLOCKS = {"rna": [f"{g}_{k}" for k, g in enumerate(GENES)], "mirna": ["hsa_mir_1", "hsa_mir_2"], "methylation": GENES}


def write(folder: Path, seed: int = 0, n: int = 60) -> None:
    """Write target.csv, clinical.csv, rna.csv.gz, mirna.csv.gz and methylation.csv.gz of n patients."""
    rng = np.random.default_rng(seed)
    names, target = [f"TCGA-00-{i:04d}" for i in range(n)], rng.integers(0, 2, n)
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{name},{label}\n" for name, label in zip(names, target, strict=True))
    (folder / "target.csv").write_text("patient,target\n" + rows)
    ages = "".join(f"{name},{30 + i % 50},{i % 2}\n" for i, name in enumerate(names))
    (folder / "clinical.csv").write_text("patient,years_to_birth,race_black or african american\n" + ages)
    for block, columns in BLOCKS.items():
        values = rng.normal(8, 1, (n, len(columns))) + 2 * target[:, None]
        lines = [",".join(["patient", *columns])]
        lines += [",".join([p, *(f"{v:.5f}" for v in row)]) for p, row in zip(names, values, strict=True)]
        with gzip.open(folder / f"{block}.csv.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
