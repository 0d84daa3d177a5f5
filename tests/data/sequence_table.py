"""Tiny tables of sequences: one with classes and one with measured values."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, seed: int = 0, n: int = 18) -> None:
    """Write sequences.csv (classes) and expression.tsv (two values, one of them unknown in the third row) of n rows.

    The last row repeats the sequence of the first, in lower case. Blanks stand around some cells.
    """
    rng = np.random.default_rng(seed)
    csv, tsv = ["name, label, sequence, part, gene"], ["sequence\tliver\tbrain"]
    sequences: list[str] = []
    for i in range(n):
        weight = 0.15 if i % 2 else 0.35
        letters = rng.choice(list("ACGT"), 40, p=[weight, 0.5 - weight, 0.5 - weight, weight])
        sequences.append("".join(letters))
        sequence = sequences[0].lower() if i == n - 1 else sequences[i]
        label = ("AT", "GC")[i % 2]
        csv.append(f"row{i},  {label}, {sequence}, {('train', 'train', 'val', 'test')[i % 4]}, gene{i // 2}")
        tsv.append(f"{sequence}\t{i}.5\t{'NA' if i == 2 else f'{i / 4 - 1}'}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sequences.csv").write_text("\n".join(csv) + "\n", encoding="ascii")
    (folder / "expression.tsv").write_text("\n".join(tsv) + "\n", encoding="ascii")
