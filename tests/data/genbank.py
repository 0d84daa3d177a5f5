"""Tiny GenBank records of made-up bacteria."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

PRODUCTS = ("ligase", "kinase")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def record(number: int, rng: np.random.Generator) -> str:
    """A record of 600 letters with a gene, a CDS on either strand, a joined one, a tRNA and an rRNA."""
    letters = "".join(rng.choice(list("acgt"), 600))
    product = PRODUCTS[number % 2]
    features = [
        ("source", "1..600", [("organism", f"Madeupium species{number // 2}")]),
        ("gene", "11..100", [("gene", "aaa")]),
        ("CDS", "11..100", [("gene", "aaa"), ("product", product)]),
        ("CDS", "complement(151..210)", [("product", PRODUCTS[1 - number % 2])]),
        ("CDS", "complement(join(221..230,241..250))", [("product", product)]),
        ("tRNA", "301..370", [("product", "tRNA-Ala")]),
        ("rRNA", "<401..520", [("product", "16S ribosomal RNA")]),
    ]
    lines = [
        f"LOCUS       XX{number:06d}                 600 bp    DNA     linear   BCT 01-JAN-2020",
        f"DEFINITION  Madeupium species{number // 2}, contig {number}.",
        f"ACCESSION   XX{number:06d}",
        f"VERSION     XX{number:06d}.1",
        f"SOURCE      Madeupium species{number // 2}",
        f"  ORGANISM  Madeupium species{number // 2}",
        "            Bacteria.",
        "FEATURES             Location/Qualifiers",
    ]
    for kind, place, qualifiers in features:
        lines.append(f"     {kind:<16}{place}")
        lines += [f'                     /{key}="{value}"' for key, value in qualifiers]
    lines.append("ORIGIN")
    for k in range(0, 600, 60):
        lines.append(f"{k + 1:>9} " + " ".join(letters[j : j + 10] for j in range(k, k + 60, 10)))
    return "\n".join([*lines, "//", ""])


def write(folder: Path, seed: int = 0, n: int = 8) -> None:
    """Write n records, five features each (and a gene), into one plain and one gzip file."""
    rng = np.random.default_rng(seed)
    records = [record(number, rng) for number in range(n)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "first.gb").write_text("".join(records[: n // 2]), encoding="ascii")
    (folder / "second.gbff.gz").write_bytes(gzip.compress("".join(records[n // 2 :]).encode("ascii")))
