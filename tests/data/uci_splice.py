"""A tiny file in the layout of the UCI splice-junction csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write splice.csv of n rows below ``folder``, blanks and all.

    The last row repeats name and sequence of the first; the second holds ambiguity codes.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n - 1):
        label = ("EI", "IE", "N")[i % 3]
        letters = rng.choice(list("ACGT"), 60)
        if label == "EI":
            letters[30:32] = ["G", "T"]
        if label == "IE":
            letters[28:30] = ["A", "G"]
        if i == 1:
            letters[:2] = ["N", "R"]
        rows.append(f"{label},    SYNTH-{i}-{label},               {''.join(letters)}")
    rows.append(rows[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "splice.csv").write_text("label,instance_name,sequence\n" + "\n".join(rows) + "\n", encoding="ascii")
