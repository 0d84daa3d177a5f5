"""A tiny file in the layout of CB513.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PREFERRED = {"H": "AELMQK", "E": "VIYFWT", "C": "GPNDS"}


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write CB513.csv of n chains of 20 to 40 residues below ``folder``.

    The last row repeats the first chain with another mask; the mask of the second counts nothing.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        states = "".join(s * int(rng.integers(3, 9)) for s in rng.permutation(list("CHECHE")))[:40].ljust(20, "C")
        chain = "".join(str(rng.choice(list(PREFERRED[s]))) for s in states)
        mask = ["0.0" if i == 1 else "1.0"] * len(states)
        if i == n - 1:
            chain, states = rows[0][0], rows[0][1]
            mask = ["1.0"] * 10 + ["0.0"] * (len(states) - 10)
        rows.append((chain, states, states.replace("C", "S"), " ".join(["1.0"] * len(states)), " ".join(mask)))
    folder.mkdir(parents=True, exist_ok=True)
    text = "input,dssp3,dssp8,disorder,cb513_mask\n" + "".join(",".join(row) + "\n" for row in rows)
    (folder / "CB513.csv").write_text(text, encoding="ascii")
