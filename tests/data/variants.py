"""A tiny ClinVar release with its reference."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

HEADER = """##fileformat=VCFv4.1
##source=ClinVar
##reference=GRCh38
##INFO=<ID=ALLELEID,Number=1,Type=Integer,Description="the ClinVar Allele ID">
##INFO=<ID=CLNSIG,Number=.,Type=String,Description="Aggregate germline classification for this single variant">
##INFO=<ID=GENEINFO,Number=1,Type=String,Description="Gene(s) for the variant reported as gene symbol:gene id">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO
"""
SIGNIFICANCE = (
    "Pathogenic",
    "Benign",
    "Likely_pathogenic",
    "Likely_benign",
    "Pathogenic/Likely_pathogenic",
    "Benign",
)


def write(folder: Path, seed: int = 0, n: int = 20) -> None:
    """Write clinvar.vcf.gz of n + 4 lines, the reference of three chromosomes, and no index.

    Variants lie 700 apart, two a gene, on 1, 2 and MT: substitutions, deletions and insertions. The four lines more
    are uncertain, conflicting, without CLNSIG, and of a long deletion.
    """
    rng = np.random.default_rng(seed)
    size = 700 * (n // 2 + 1)
    genome = {c: "".join(rng.choice(list("ACGT"), size)) for c in ("1", "2")} | {
        "MT": "".join(rng.choice(list("ACGT"), 300))
    }
    lines = []
    for i in range(n):
        chromosome = "MT" if i == n - 1 else "12"[i % 2]
        position = 100 if chromosome == "MT" else 700 * (i // 2) + 40
        there = genome[chromosome][position - 1 :]
        other = "ACGT"["ACGT".index(there[0]) - 1]
        reference, alternate = [(there[0], other), (there[:3], there[0]), (there[0], there[0] + "GATTACA")][i % 3]
        gene = f"GENE{i // 4}{'ABM'['12M'.index(chromosome[0])]}:{i // 4}"
        info = f"ALLELEID={100 + i};CLNSIG={SIGNIFICANCE[i % 6]};GENEINFO={gene}"
        lines.append((chromosome, position, 1000 + i, reference, alternate, info))
    for k, info in enumerate(
        ("CLNSIG=Uncertain_significance", "CLNSIG=Conflicting_classifications_of_pathogenicity", "ALLELEID=7")
    ):
        lines.append(
            ("2", 300 + k, 2000 + k, genome["2"][299 + k], "ACGT"["ACGT".index(genome["2"][299 + k]) - 1], info)
        )
    lines.append(("1", 300, 3000, genome["1"][299:399], genome["1"][299], "CLNSIG=Pathogenic;GENEINFO=LONG:9"))
    lines.sort(key=lambda line: (line[0], line[1]))
    folder.mkdir(parents=True, exist_ok=True)
    text = HEADER + "".join(f"{c}\t{p}\t{i}\t{r}\t{a}\t.\t.\t{info}\n" for c, p, i, r, a, info in lines)
    (folder / "clinvar.vcf.gz").write_bytes(gzip.compress(text.encode("ascii")))
    fasta = []
    for name, letters in genome.items():
        fasta.append(f">{name} dna:chromosome\n")
        fasta += [letters[k : k + 60] + "\n" for k in range(0, len(letters), 60)]
    (folder / "Homo_sapiens.GRCh38.dna.primary_assembly.fa").write_text("".join(fasta), encoding="ascii")
