"""Tiny proteins: a FASTA file with labels in its headers and in a table, and a file of clusters."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np


def write(folder: Path, seed: int = 0, n: int = 18) -> None:
    """Write n proteins of 10 to 20 residues below ``folder``.

    sequences.fasta and sequences.fasta.gz: headers ``p03 TARGET=membrane SET=train``; labels.csv: id, label, states
    (a letter a residue), value and weight (empty in every fifth row), split, organism; clusters.tsv: three to a
    cluster. The last protein repeats the first.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    fasta, table, clusters = "", "id,label,states,value,weight,split,organism\n", ""
    first = ""
    for i in range(n):
        label = ("membrane", "soluble")[i % 2]
        sequence = "".join(rng.choice(list("LIVFA" if label == "membrane" else "DEKRS"), int(rng.integers(10, 21))))
        first = first or sequence
        sequence = first if i == n - 1 else sequence
        states = "".join("H" if s in "LAEK" else "C" for s in sequence[:-2]) + "--"
        split = ("train", "train", "test")[i // 3 % 3]
        wrapped = "\n".join(sequence[k : k + 8] for k in range(0, len(sequence), 8))
        fasta += f">p{i:02d} TARGET={label} SET={split}\n{wrapped}\n"
        weight = "" if i % 5 == 4 else f"{rng.normal():.3f}"
        table += f"p{i:02d},{label},{states},{sequence.count('L') / 7:.4f},{weight},{split},org{i // 2}\n"
        clusters += f"p{i // 3 * 3:02d}\tp{i:02d}\n"
    (folder / "sequences.fasta").write_text(fasta, encoding="ascii")
    (folder / "sequences.fasta.gz").write_bytes(gzip.compress(fasta.encode(), mtime=0))
    (folder / "labels.csv").write_text(table, encoding="ascii")
    (folder / "clusters.tsv").write_text(clusters, encoding="ascii")
