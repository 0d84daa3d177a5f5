"""A tiny FASTA file with a table of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, seed: int = 0, n: int = 18) -> None:
    """Write sequences.fasta (lines of 20 letters) and labels.csv of n records; the last repeats the first's letters.

    Record 1 is in lower case and record 2 holds ambiguity codes. Enhancers are rich in G and C.
    """
    rng = np.random.default_rng(seed)
    records: list[str] = []
    rows = ["id,label,split,family"]
    sequences: list[str] = []
    for i in range(n):
        label = ("enhancer", "silencer")[i % 2]
        weights = [0.1, 0.4, 0.4, 0.1] if label == "enhancer" else [0.4, 0.1, 0.1, 0.4]
        letters = "".join(rng.choice(list("ACGT"), int(rng.integers(30, 50)), p=weights))
        letters = letters.lower() if i == 1 else "RN" + letters if i == 2 else letters
        sequences.append(letters)
        if i == n - 1:
            letters, label = sequences[0], "enhancer"
        lines = [letters[k : k + 20] for k in range(0, len(letters), 20)]
        records.append(f">seq{i} made up\n" + "\n".join(lines) + "\n")
        rows.append(f"seq{i},{label},{('train', 'train', 'valid', 'test')[i % 4]},family{i // 2}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sequences.fasta").write_text("".join(records), encoding="ascii")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="ascii")
