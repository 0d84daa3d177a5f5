"""A tiny file in the layout of gb1_fitness: variants of one protein, their fitness, and published splits."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

DOMAIN = "MQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"
SITES = (38, 39, 40, 53)
SPLITS = ("one_vs_rest", "two_vs_rest", "three_vs_rest", "low_vs_high", "sampled")


def write(folder: Path, seed: int = 0, n: int = 60) -> None:
    """Write gb1.csv.gz of n variants at four places of a domain, which a tail follows."""
    rng = np.random.default_rng(seed)
    lines = [",".join(["sequence", "target", *SPLITS])]
    for i in range(n):
        letters = list(DOMAIN)
        for place in SITES:
            letters[place] = str(rng.choice(list("ACDEFGHIKLMNPQRSTVWY")))
        part = ("train", "train", "validation", "test")[i % 4]
        fitness = round(float(rng.random() + (letters[38] in "AVIL")), 4)
        lines.append(",".join(["".join(letters) + "LEVLFQGPLDPNS", str(fitness), *[part] * len(SPLITS)]))
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "gb1.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
