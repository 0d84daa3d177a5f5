"""Variants of a VCF file, each as the window of DNA around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.core.splits import connect
from datamodules.io.formats.sequences import FastaFile, class_order, text_lines
from datamodules.io.formats.vcf import FIXED, VCFHeader, VCFKey, info_of
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

CLINVAR = {
    "Benign": "benign",
    "Likely_benign": "benign",
    "Benign/Likely_benign": "benign",
    "Pathogenic": "pathogenic",
    "Likely_pathogenic": "pathogenic",
    "Pathogenic/Likely_pathogenic": "pathogenic",
}
"""Value of ClinVar's CLNSIG -> class; all other values (uncertain, conflicting, risk factor...) have none."""
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


@dataclass(frozen=True)
class AlleleOptions(Settings):
    """Which allele a window shows, and which ones are left out.

    Attributes:
        allele: "alternate", or "reference" for the same windows without the variants.
        max_allele: variants with a longer allele are left out, counted.
        symbolic: what to do with alleles without letters, such as <DEL>, * and breakends.
        missing_contigs: what to do with variants on contigs that the reference lacks.
    """

    allele: Literal["alternate", "reference"] = "alternate"
    max_allele: int = 50
    symbolic: Literal["raise", "skip"] = "raise"
    missing_contigs: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_allele < 1:
            raise SpecError(f"VariantWindows: max_allele must be at least 1, got {self.max_allele}")


@dataclass(frozen=True)
class InfoLabels(Settings):
    """Where the label of a variant stands.

    Attributes:
        label_key: key of INFO that holds the label, or one of FORMAT as "FORMAT/GT" (with several samples
            "FORMAT/GT/NA12878"). Where the header says Number=A or R, each allele has its own value; a flag is True
            or False, and a genotype the number of copies of the allele.
        classes: value of that key -> class; None takes CLINVAR for CLNSIG, and the values themselves for other keys.
        unmapped: "skip" leaves out variants without the key, or with a value that has no class, counted; "raise"
            refuses them.
    """

    label_key: str = "CLNSIG"
    classes: Mapping[str, str] | None = None
    unmapped: Literal["skip", "raise"] = "skip"


@dataclass(frozen=True)
class VariantGroups(Settings):
    """What never crosses a split, and which chromosomes are held out.

    Attributes:
        group_by: "gene": variants of one gene, and those whose windows overlap, never cross a split. "chromosome":
            those of one chromosome.
        gene_key: key of INFO that names genes, as "symbol:number|symbol:number".
        val_chromosomes: chromosomes, as the VCF writes them, that are the validation part.
        test_chromosomes: chromosomes that are the test part.
    """

    group_by: Literal["gene", "chromosome"] = "gene"
    gene_key: str = "GENEINFO"
    val_chromosomes: tuple[str, ...] = ()
    test_chromosomes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if both := set(self.val_chromosomes) & set(self.test_chromosomes):
            raise SpecError(f"VariantWindows: {sorted(both)} are in val_chromosomes and in test_chromosomes")


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
        alleles: which allele a window shows, and which ones are left out.
        labels: the key of INFO or FORMAT that holds the label, and its classes.
        grouping: what never crosses a split, and which chromosomes are held out.
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "clinvar",
        vcf: str = "clinvar.vcf.gz",
        reference: str = "Homo_sapiens.GRCh38.dna.primary_assembly.fa",
        length: int = 512,
        alleles: AlleleOptions = AlleleOptions(),
        labels: InfoLabels = InfoLabels(),
        grouping: VariantGroups = VariantGroups(),
        task_name: str = "pathogenicity",
    ) -> None:
        super().__init__(folder=folder)
        if length < 2 * alleles.max_allele:
            raise SpecError(
                f"VariantWindows: an allele of max_allele={alleles.max_allele} must fit into half of length={length}"
            )
        self.vcf, self.reference, self.length, self.allele = vcf, reference, length, alleles.allele
        self.label_key, self.unmapped = labels.label_key, labels.unmapped
        self.gene_key, self.group_by = grouping.gene_key, grouping.group_by
        self.group_unit = grouping.group_by
        self.labels = dict(labels.classes) if labels.classes is not None else None
        if self.labels is None and self.label_key == "CLNSIG":
            self.labels = CLINVAR
        val, test = grouping.val_chromosomes, grouping.test_chromosomes
        self.splits = dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
        self.max_allele, self.symbolic = alleles.max_allele, alleles.symbolic
        self.missing_contigs = alleles.missing_contigs
        self.task_name = task_name
        self._fasta: FastaFile | None = None
        self._chromosomes: tuple[str, ...] = ()
        classes = tuple(dict.fromkeys(self.labels.values())) if self.labels else ()
        self.card = SourceCard(
            title="ClinVar, variants in VCF" if self.label_key == "CLNSIG" else f"Variants of {vcf}",
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
                raise DataError(f"{self.label_key} has the values {classes}; at least 2 are needed", file=path)
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
        header, key = VCFHeader(), VCFKey.parse(self.label_key)
        for number, line in enumerate(text_lines(path), start=1):
            if line.startswith("#"):
                header.read(line)
                continue
            if not line.strip():
                continue
            cells = line.rstrip("\r\n").split("\t")
            known = header.complete and len(cells) >= 8 and cells[1].isascii() and cells[1].isdigit()
            if not known or len(cells[1]) > 12:
                raise DataError(
                    f"{line[:60]!r} is no line of a VCF; expected {' '.join(FIXED)} as header and columns, with "
                    "tabs between",
                    file=path,
                    row=number,
                )
            try:
                found = key.values(cells, header)
            except DataError as error:
                raise DataError(str(error), file=path, row=number) from error
            yield from self._alleles(cells, number, found, fasta, contigs, values, path)

    def _alleles(
        self,
        cells: Sequence[str],
        number: int,
        found: Sequence[str],
        fasta: FastaFile,
        contigs: dict[str, str],
        values: Counter[str],
        path: Path,
    ) -> Iterator[tuple[_Variant | None, str]]:
        chromosome, position, name, reference = cells[0], int(cells[1]), cells[2], cells[3].upper()
        genes = tuple(
            g.partition(":")[0] for g in info_of(cells).get(self.gene_key, "").split("|") if g not in ("", ".")
        )
        for alternate, value in zip(cells[4].upper().split(","), found, strict=True):
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
                f"{self.label_key} is {value!r}, which is in no class; add it to 'labels', or give unmapped='skip'",
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
