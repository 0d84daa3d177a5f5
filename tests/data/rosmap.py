"""Tiny files in the layout of rosmap: labels and three kinds of measurements, each for train and test."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

BLOCKS = {"mrna": "ENSG0000000000{}.1", "methylation": "cg0000000{}", "mirna": "hsa-miR-{}"}
VIRAL = "ebv-miR-BART8"


def write(folder: Path, seed: int = 0, n: int = 60) -> None:
    """Write labels_train.csv and labels_test.csv, and a file for each block and part."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", n), ("test", n // 2)):
        names = [f"{part[:2]}{i:03d}" for i in range(count)]
        ill = rng.integers(0, 2, count)
        rows = "".join(f"{name},{label}\n" for name, label in zip(names, ill, strict=True))
        (folder / f"labels_{part}.csv").write_text("subject,AD\n" + rows)
        for block, name in BLOCKS.items():
            values = rng.random((count, 5)) * 0.5 + 0.3 * ill[:, None]
            lines = [
                ",".join(
                    ["subject", *(name.format(k) for k in range(4)), VIRAL if block == "mirna" else name.format(4)]
                )
            ]
            lines += [",".join([n, *(f"{v:.6f}" for v in row)]) for n, row in zip(names, values, strict=True)]
            with gzip.open(folder / f"{block}_{part}.csv.gz", "wt") as file:
                file.write("\n".join(lines) + "\n")
