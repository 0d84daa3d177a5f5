"""A tiny TCGA cohort in the layout of the UCSC Xena hub."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

SUBTYPES = ("LumA", "LumB", "Basal", "Her2")


def write(folder: Path, seed: int = 0, n: int = 20, genes: int = 12) -> None:
    """Write HiSeqV2.gz and BRCA_clinicalMatrix of n patients; every second also has a sample of normal tissue.

    Gene 0 is high in tumours. The last tumour has no subtype, and the table holds a sample more than the matrix.
    """
    rng = np.random.default_rng(seed)
    samples, subtypes = [], []
    for i in range(n):
        patient = f"TCGA-{'AB'[i % 2]}{i % 10}-A{i:03d}"
        samples.append(f"{patient}-{'06' if i == 3 else '01'}")
        subtypes.append("" if i == n - 1 else SUBTYPES[i % 4])
        if i % 2 == 0:
            samples.append(f"{patient}-11")
            subtypes.append("")
    values = rng.uniform(0, 12, (genes, len(samples)))
    values[0] = [10 + rng.uniform() if s[13] == "0" else rng.uniform() for s in samples]
    lines = ["sample\t" + "\t".join(samples)]
    names = ["ARHGEF10L", "HIF3A", "?|729884", *(f"GENE{k}" for k in range(3, genes))]
    lines += [name + "\t" + "\t".join(f"{v:.4f}" for v in row) for name, row in zip(names, values, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "HiSeqV2.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode("ascii")))
    rows = ["sampleID\tPAM50Call_RNAseq\tsample_type\t_PATIENT\tnote"]
    for sample, subtype in [*zip(samples, subtypes, strict=True), ("TCGA-ZZ-A999-01", "LumA")]:
        kind = (
            "Primary Tumor"
            if sample.endswith("-01")
            else "Metastatic"
            if sample.endswith("-06")
            else "Solid Tissue Normal"
        )
        rows.append(f'{sample}\t{subtype}\t{kind}\t{sample[:12]}\t5" cut')
    (folder / "BRCA_clinicalMatrix").write_text("\n".join(rows) + "\n", encoding="ascii")
