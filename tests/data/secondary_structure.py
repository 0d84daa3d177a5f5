"""A tiny file in the layout of secondary_structure: states of residues, and which were resolved."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

PREFERRED = {"H": "AELMQK", "E": "VIYFWT", "C": "GPNDS"}


def write(folder: Path, seed: int = 0, n: int = 40) -> None:
    """Write netsurfp2.csv.gz of n chains; the first two residues of each are not resolved."""
    rng = np.random.default_rng(seed)
    lines = ["id,set,sequence,ss3,mask"]
    for i in range(n):
        states = "".join(s * int(rng.integers(3, 9)) for s in rng.permutation(list("CHECHE")))
        chain = "".join(str(rng.choice(list(PREFERRED[s]))) for s in states)
        part = ("train", "train", "validation", "test")[i % 4]
        lines.append(f"{i:04d}-A,{part},{chain},{states},{'00' + '1' * (len(states) - 2)}")
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "netsurfp2.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
