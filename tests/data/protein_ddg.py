"""Tiny files in the layout of protein_ddg: mutations, and the chains that they are in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def write(folder: Path, seed: int = 0, n: int = 60) -> None:
    """Write mutations.csv of n mutations and sequences.csv of ten chains in nine families."""
    rng = np.random.default_rng(seed)
    chains = {f"1A{i:02d}_A": "".join(rng.choice(list(LETTERS), 40)) for i in range(10)}
    family = {c: list(chains)[max(i, 1)] for i, c in enumerate(chains)}
    lines = ["chain,position,pdb_residue,wild,mutant,ddg,exposure,dssp3,cb_neighbours_10A,family"]
    for i in range(n):
        chain, place = list(chains)[i % 10], int(rng.integers(40))
        wild, buried = chains[chain][place], rng.random()
        ddg = round(3 * buried - 1 + rng.normal() / 4, 2)
        lines.append(
            f"{chain},{place},{place + 1},{wild},{rng.choice(list(LETTERS))},{ddg},{1 - buried:.4f},"
            f"{'HSO'[i % 3]},{int(20 * buried)},{family[chain]}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mutations.csv").write_text("\n".join(lines) + "\n")
    rows = "".join(f"{c},{s},{family[c]}\n" for c, s in chains.items())
    (folder / "sequences.csv").write_text("chain,sequence,family\n" + rows)
