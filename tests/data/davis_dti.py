"""Tiny tables in the layout of the DAVIS affinities."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

DRUGS = ("CC(=O)Oc1ccccc1C(=O)O", "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "c1ccc2[nH]ccc2c1", "C[C@H](N)C(=O)O")


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write drugs.csv, proteins.csv and affinities.csv.gz of 4 drugs and n + 2 kinases below ``folder``.

    The last two kinases are a mutant of the first, with its sequence, and one of the second with another sequence.
    """
    rng = np.random.default_rng(seed)
    sequences = {f"K{i}": "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), rng.integers(30, 60))) for i in range(n)}
    sequences["K0(T315I)"] = sequences["K0"]
    sequences["K1(V600E)"] = sequences["K1"][:-1] + "W"
    drugs = {str(1000 + i): smiles for i, smiles in enumerate(DRUGS)}
    lines = ["drug,protein,Kd_nM,pKd,fold"]
    for d, drug in enumerate(drugs):
        for protein, sequence in sequences.items():
            strength = 5 + d + 10 * sequence.count("K") / len(sequence)
            pkd = max(5.0, round(strength - 1.0, 4))
            lines.append(f"{drug},{protein},{10 ** (9 - pkd):.1f},{pkd},{rng.integers(-1, 5)}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "drugs.csv").write_text("drug,smiles\n" + "".join(f"{k},{v}\n" for k, v in drugs.items()))
    (folder / "proteins.csv").write_text("protein,sequence\n" + "".join(f"{k},{v}\n" for k, v in sequences.items()))
    with gzip.open(folder / "affinities.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
