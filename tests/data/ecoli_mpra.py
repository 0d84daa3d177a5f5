"""Tiny files in the layout of the E. coli promoter assay."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n training and n // 2 + 1 test lines below ``folder``; one sequence is in both files.

    The second training line repeats the first. Activity grows with the share of A and T.
    """
    rng = np.random.default_rng(seed)

    def line() -> str:
        weight = float(rng.uniform(0.1, 0.9))
        sequence = "".join(rng.choice(list("ATCG"), 150, p=[weight / 2] * 2 + [(1 - weight) / 2] * 2))
        return f"{sequence}\t{float(np.exp(6 * weight - 4)) - 0.1:.12g}"

    train = [line() for _ in range(n - 1)]
    train.insert(1, train[0])
    test = [line() for _ in range(n // 2)] + [train[-1]]
    folder.mkdir(parents=True, exist_ok=True)
    for part, lines in (("train", train), ("test", test)):
        name = f"tss_expression_model_format_{part}_genome_split.txt"
        (folder / name).write_text("\n".join(lines) + "\n", encoding="ascii")
