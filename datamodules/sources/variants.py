"""Variants of a VCF file, each as the window of DNA around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from datamodules.formats.sequences import FastaFile, class_order, text_lines
from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from datamodules.splits import connect
from zoo.contract import Sample
from zoo.errors import DataError, SpecError

CLINVAR = {
    "Benign": "benign",
    "Likely_benign": "benign",
    "Benign/Likely_benign": "benign",
    "Pathogenic": "pathogenic",
    "Likely_pathogenic": "pathogenic",
    "Pathogenic/Likely_pathogenic": "pathogenic",
}
"""Value of ClinVar's CLNSIG -> class; all other values (uncertain, conflicting, risk factor...) have none."""
_HEADER = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
_CHOICES = {
    "allele": ("alternate", "reference"),
    "group_by": ("gene", "chromosome"),
    "unmapped": ("skip", "raise"),
    "symbolic": ("raise", "skip"),
    "missing_contigs": ("raise", "skip"),
}
_LISTED = 8


@dataclass(frozen=True)
class _Variant:
    """One alternate allele: contig of the reference, position from 0, letters, genes, label, and line of the VCF."""

    name: str
    chromosome: str
    contig: str
    start: int
    reference: str
    alternate: str
    genes: tuple[str, ...]
    label: str
    line: int


@SOURCES.register
class VariantWindows(Source):
    """Read windows of DNA around variants, with one allele put in and a class from the INFO column.

    A row is an alternate allele: ``length`` letters, of which ``length // 2`` lie before POS, then the allele, then
    what follows REF in the reference; "N" beyond the ends of a chromosome. REF is compared with the reference
    for every row. The reference is never held in memory where it is a plain file (see FastaFile): give one with a
    ``.fai`` index. Contigs are matched by name, with and without "chr", and MT as M. The group column is
    ``chromosome``.

    Args:
        folder: folder of both files, below the root.
        vcf: name of the VCF, plain or gzip.
        reference: name of the FASTA of the assembly that the VCF was called on.
        length: letters of a window.
        allele: "alternate", or "reference" for the same windows without the variants.
        label_key: key of INFO that holds the label. Where the header says Number=A, each allele has its own.
        labels: value of that key -> class; None takes CLINVAR for CLNSIG, and the values themselves for other keys.
        unmapped: "skip" leaves out variants without the key, or with a value that is not in ``labels``, counted;
            "raise" refuses them.
        gene_key: key of INFO that names genes, as "symbol:number|symbol:number".
        group_by: "gene": variants of one gene, and those whose windows overlap, never cross a split. "chromosome":
            those of one chromosome.
        val_chromosomes, test_chromosomes: chromosomes, as the VCF writes them, that are held out.
        max_allele: variants with a longer allele are left out, counted.
        symbolic: what to do with alleles without letters, such as <DEL>, * and breakends.
        missing_contigs: what to do with variants on contigs that the reference lacks.
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "clinvar",
        vcf: str = "clinvar.vcf.gz",
        reference: str = "Homo_sapiens.GRCh38.dna.primary_assembly.fa",
        length: int = 512,
        allele: Literal["alternate", "reference"] = "alternate",
        label_key: str = "CLNSIG",
        labels: dict[str, str] | None = None,
        unmapped: Literal["skip", "raise"] = "skip",
        gene_key: str = "GENEINFO",
        group_by: Literal["gene", "chromosome"] = "gene",
        val_chromosomes: tuple[str, ...] = (),
        test_chromosomes: tuple[str, ...] = (),
        max_allele: int = 50,
        symbolic: Literal["raise", "skip"] = "raise",
        missing_contigs: Literal["raise", "skip"] = "raise",
        task_name: str = "pathogenicity",
    ) -> None:
        super().__init__(folder=folder)
        given = {"allele": allele, "group_by": group_by, "unmapped": unmapped, "symbolic": symbolic}
        for name, value in (given | {"missing_contigs": missing_contigs}).items():
            if value not in _CHOICES[name]:
                raise SpecError(f"VariantWindows: {name} is {value!r}; allowed: {_CHOICES[name]}")
        if max_allele < 1 or length < 2 * max_allele:
            raise SpecError(
                f"VariantWindows: an allele of max_allele={max_allele} must fit into half of length={length}, and "
                "max_allele be at least 1"
            )
        if both := set(val_chromosomes) & set(test_chromosomes):
            raise SpecError(f"VariantWindows: {sorted(both)} are in val_chromosomes and in test_chromosomes")
        self.vcf, self.reference, self.length, self.allele = vcf, reference, length, allele
        self.label_key, self.unmapped, self.gene_key, self.group_by = label_key, unmapped, gene_key, group_by
        self.labels = dict(labels) if labels is not None else (CLINVAR if label_key == "CLNSIG" else None)
        self.splits = dict.fromkeys(val_chromosomes, "val") | dict.fromkeys(test_chromosomes, "test")
        self.max_allele, self.symbolic, self.missing_contigs = max_allele, symbolic, missing_contigs
        self.task_name = task_name
        self._fasta: FastaFile | None = None
        self._chromosomes: tuple[str, ...] = ()
        classes = tuple(dict.fromkeys(self.labels.values())) if self.labels else ()
        self.card = SourceCard(
            title="ClinVar, variants in VCF" if label_key == "CLNSIG" else f"Variants of {vcf}",
            modalities=(RawModality("genomics", "dna"),),
            tasks=(RawTask(task_name, "classification", classes, ("genomics",)),),
            licence="ClinVar: free of use restrictions, with attribution asked for (NCBI); other VCFs: not stated",
            access="open",
            citation="Landrum et al., ClinVar: improving access to variant interpretations and supporting evidence, "
            "Nucleic Acids Research 46:D1062, 2018",
            where="ClinVar's FTP site, vcf_GRCh38/clinvar.vcf.gz, and the GRCh38 primary assembly of Ensembl "
            "(unpacked with gunzip)",
            layout=f"{vcf} and {reference}, and {reference}.fai where samtools faidx made one",
            caution="Labels are submitted opinions of differing review status (CLNREVSTAT), and change between "
            "releases. Pathogenic and benign variants differ by gene, type and position in the gene, so a model may "
            "score well without the variant: compare with allele='reference'. Genes of one family may fall into "
            "different splits.",
            size="ClinVar grows monthly; other VCFs: that of the file",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / self.vcf
        fasta = self._fasta = FastaFile(self.path / self.reference)
        rows: list[_Variant] = []
        dropped: Counter[str] = Counter()
        values: Counter[str] = Counter()
        contigs: dict[str, str] = {}
        for variant, reason in self._variants(path, fasta, contigs, values):
            if variant is None:
                dropped[reason] += 1
            else:
                self._check_reference(variant, fasta, path)
                rows.append(variant)
        for value, n in values.most_common(_LISTED):
            dropped[f"{self.label_key} '{value}' is in no class (labels)"] = n
        if rest := sum(values.values()) - sum(n for _, n in values.most_common(_LISTED)):
            dropped[f"other {self.label_key} that are in no class (labels)"] = rest
        self.skipped = dict(dropped)
        if not self.card.tasks[0].classes:
            classes = class_order([row.label for row in rows])
            if len(classes) < 2:
                raise DataError(f"INFO {self.label_key} has the values {classes}; at least 2 are needed", file=path)
            self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=classes),))
        self._chromosomes = class_order([row.chromosome for row in rows])
        if absent := set(self.splits) - set(self._chromosomes):
            raise SpecError(
                f"VariantWindows: no variant lies on the held-out chromosomes {sorted(absent)}; the VCF has "
                f"{self._chromosomes}"
            )
        return pd.DataFrame(
            {
                "id": [row.name for row in rows],
                "subject": "",
                "group": self._groups(rows),
                "stratum": [row.label for row in rows],
                "split": [self.splits.get(row.chromosome, "") for row in rows],
                "row": pd.Series(rows, dtype=object),
            }
        )

    def _variants(
        self, path: Path, fasta: FastaFile, contigs: dict[str, str], values: Counter[str]
    ) -> Iterator[tuple[_Variant | None, str]]:
        """Yield one variant an allele, or the reason why it is left out; labels without a class go to ``values``."""
        per_allele = False
        header = False
        for number, line in enumerate(text_lines(path), start=1):
            if line.startswith("#"):
                header = header or line.rstrip("\r\n").split("\t")[:8] == _HEADER
                per_allele = per_allele or line.startswith(f"##INFO=<ID={self.label_key},Number=A,")
                continue
            if not line.strip():
                continue
            cells = line.rstrip("\r\n").split("\t")
            if not header or len(cells) < 8 or not cells[1].isascii() or not cells[1].isdigit() or len(cells[1]) > 12:
                raise DataError(
                    f"{line[:60]!r} is no line of a VCF; expected {' '.join(_HEADER)} as header and columns, with "
                    "tabs between",
                    file=path,
                    row=number,
                )
            yield from self._alleles(cells, number, per_allele, fasta, contigs, values, path)

    def _alleles(
        self,
        cells: Sequence[str],
        number: int,
        per_allele: bool,
        fasta: FastaFile,
        contigs: dict[str, str],
        values: Counter[str],
        path: Path,
    ) -> Iterator[tuple[_Variant | None, str]]:
        chromosome, position, name, reference = cells[0], int(cells[1]), cells[2], cells[3].upper()
        info = dict(part.partition("=")[::2] for part in cells[7].split(";"))
        alternates = cells[4].upper().split(",")
        found = info.get(self.label_key, "")
        each = found.split(",") if per_allele and found else [found] * len(alternates)
        if len(each) != len(alternates):
            raise DataError(
                f"INFO {self.label_key} has {len(each)} values for {len(alternates)} alleles", file=path, row=number
            )
        genes = tuple(g.partition(":")[0] for g in info.get(self.gene_key, "").split("|") if g not in ("", "."))
        for alternate, value in zip(alternates, each, strict=True):
            label = self._label(value, path, number)
            if not label:
                values[value] += 1
                continue
            reason = self._unusable(reference, alternate, path, number)
            contig = "" if reason else self._contig(chromosome, fasta, contigs, path, number)
            if not contig:
                yield None, reason or "contig is not in the reference (missing_contigs)"
                continue
            own = f"{chromosome}:{position}:{reference}>{alternate}" + (f"/{name}" if name not in ("", ".") else "")
            yield _Variant(own, chromosome, contig, position - 1, reference, alternate, genes, label, number), ""

    def _label(self, value: str, path: Path, number: int) -> str:
        label = value if self.labels is None else self.labels.get(value, "")
        if (not label or value in ("", ".")) and self.unmapped == "raise":
            raise DataError(
                f"INFO {self.label_key} is {value!r}, which is in no class; add it to 'labels', or give "
                "unmapped='skip'",
                file=path,
                row=number,
            )
        return "" if value in ("", ".") else label

    def _unusable(self, reference: str, alternate: str, path: Path, number: int) -> str:
        """Why an allele gives no window; "" where it does."""
        if alternate == ".":
            return "no alternate allele (ALT is '.')"
        letters = set("ACGTN")
        if not reference or not set(reference) <= letters | set("RYSWKMBDHV"):
            raise DataError(f"REF {quoted(reference)} is not made of nucleotides", file=path, row=number)
        if not alternate or not set(alternate) <= letters:
            if self.symbolic == "raise":
                raise DataError(
                    f"ALT {quoted(alternate)} is no string of nucleotides; give symbolic='skip' to leave such out",
                    file=path,
                    row=number,
                )
            return "ALT has no letters (symbolic)"
        return "allele is too long (max_allele)" if max(len(reference), len(alternate)) > self.max_allele else ""

    def _contig(self, name: str, fasta: FastaFile, contigs: dict[str, str], path: Path, number: int) -> str:
        if name not in contigs:
            bare = name.removeprefix("chr")
            near = (name, f"chr{bare}", bare, *(("chrM", "MT", "M") if bare in ("M", "MT") else ()))
            contigs[name] = next((n for n in near if n in fasta), "")
        if not contigs[name] and self.missing_contigs == "raise":
            raise DataError(
                f"contig '{name}' is not in '{self.reference}', which has {fasta.names[:5]}...; take the FASTA of "
                "the same assembly, or give missing_contigs='skip'",
                file=path,
                row=number,
            )
        return contigs[name]

    def _check_reference(self, variant: _Variant, fasta: FastaFile, path: Path) -> None:
        stop = variant.start + len(variant.reference)
        inside = variant.start >= 0 and stop <= fasta.length(variant.contig)
        there = fasta.window(variant.contig, variant.start, stop) if inside else "nothing"
        if not inside or any(a != b and b in "ACGT" for a, b in zip(variant.reference, there, strict=True)):
            raise DataError(
                f"REF is {quoted(variant.reference)} at {variant.chromosome}:{variant.start + 1}, where "
                f"'{self.reference}' has {quoted(there)}; take the FASTA of the assembly that the VCF was made on",
                file=path,
                row=variant.line,
            )

    def _groups(self, rows: Sequence[_Variant]) -> list[str]:
        if self.group_by == "chromosome" or not rows:
            return [f"chromosome {row.contig}" for row in rows]
        order = sorted(range(len(rows)), key=lambda i: (rows[i].contig, rows[i].start))
        start = np.array([rows[i].start for i in order], dtype=np.int64)
        contig = np.array([rows[i].contig for i in order])
        apart = (np.diff(start) > self.length + self.max_allele) | (contig[1:] != contig[:-1])
        cluster = np.zeros(len(rows), dtype=np.int64)
        cluster[order] = np.concatenate([[0], np.cumsum(apart)])
        keys = [[f"place {c}", *(f"gene {g}" for g in row.genes)] for c, row in zip(cluster, rows, strict=True)]
        return [f"genes {number}" for number in connect(keys)]

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``chromosome``."""
        return {"chromosome": self._chromosomes}

    @cached_property
    def _rows(self) -> list[_Variant]:
        return list(self.index["row"])

    def peek(self, row: int) -> Sample:
        """Return the class and the chromosome of a variant, without its window."""
        variant = self._rows[row]
        groups = {"chromosome": self._chromosomes.index(variant.chromosome)}
        return Sample(variant.name, {"genomics": None}, {self.task_name: variant.label}, groups)

    def read(self, row: int) -> Sample:
        """Read the window around a variant, its class and its chromosome.

        Raises:
            DataError: the reference holds something else than nucleotides there.
        """
        sample, variant = self.peek(row), self._rows[row]
        assert self._fasta is not None
        inside = variant.alternate if self.allele == "alternate" else variant.reference
        before = self.length // 2
        left = self._fasta.window(variant.contig, variant.start - before, variant.start)
        stop = variant.start + len(variant.reference)
        right = self._fasta.window(variant.contig, stop, stop + self.length - before - len(inside))
        sample.inputs["genomics"] = left + inside + right
        return sample


def quoted(text: str) -> str:
    """Text for a message: quoted, and cut where it is long.

    >>> quoted("ACGT" * 20)
    "'ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT'..."
    """
    return f"'{text[:40]}'" + ("..." if len(text) > 40 else "")
