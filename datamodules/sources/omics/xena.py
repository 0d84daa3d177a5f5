"""Expression matrices of the UCSC Xena hubs, such as TCGA's, with their phenotype tables."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import one_of
from datamodules.io.formats.sequences import class_order, open_bytes, read_delimited
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

TISSUES = ("normal", "tumour")
"""Classes of the default task. TCGA and TARGET code tumours as 01 to 09 and normal tissue as 10 to 19."""
_TCGA = re.compile(r"(TCGA-\w{2}-\w{4})-(\d{2})[A-Z]?(-.*)?")
_TARGET = re.compile(r"(TARGET-\d{2}-\w+)-(\d{2})[A-Z]?(-.*)?")
_GTEX = re.compile(r"(GTEX-[A-Z0-9]+)-.+")
_LOG2 = re.compile(r"log2\((.+)\+1\)")
_BLOCK = 2000
_BROKEN = (OSError, EOFError, zlib.error, ValueError, pd.errors.ParserError)


def parse_barcode(sample: str) -> tuple[str, str] | None:
    """Return the patient and "normal", "tumour" or "" (neither) of a TCGA, TARGET or GTEx sample; None for others.

    GTEx donors are taken as normal.

    >>> parse_barcode("TCGA-AR-A5QQ-01"), parse_barcode("TCGA-A7-A0CE-11A"), parse_barcode("GTEX-S4Q7-0003-SM-3NM8M")
    (('TCGA-AR-A5QQ', 'tumour'), ('TCGA-A7-A0CE', 'normal'), ('GTEX-S4Q7', 'normal'))
    >>> parse_barcode("TARGET-20-PABLDZ-09"), parse_barcode("TCGA-AB-2803-20"), parse_barcode("K-562-SM-26GMQ")
    (('TARGET-20-PABLDZ', 'tumour'), ('TCGA-AB-2803', ''), None)
    """
    if gtex := _GTEX.fullmatch(sample):
        return gtex[1], "normal"
    found = _TCGA.fullmatch(sample) or _TARGET.fullmatch(sample)
    if not found:
        return None
    code = int(found[2])
    return found[1], "tumour" if 1 <= code <= 9 else "normal" if 10 <= code <= 19 else ""


@dataclass(frozen=True)
class Phenotype(Settings):
    """The phenotype table, and the second task that it may hold.

    Attributes:
        file: name of the table, tsv, plain or gzip; "" for none.
        sample_column: its column of sample names ("sampleID", or "sample" in the Toil hub).
        label_column: its column of the second task, such as "PAM50Call_RNAseq"; "" for none.
        label_task: name of the second task.
        classes: classes of the second task, in order; () takes the labels that occur, sorted.
        encoding: of the table; that of the Toil hub is "latin-1".
        unmatched: "raise" where a sample is not in the table; "skip" leaves such samples out, counted.
    """

    file: str = "BRCA_clinicalMatrix"
    sample_column: str = "sampleID"
    label_column: str = ""
    label_task: str = "subtype"
    classes: tuple[str, ...] = ()
    encoding: str = "utf-8"
    unmatched: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_column and not self.file:
            raise SpecError(
                f"XenaExpression: label_column '{self.label_column}' needs a phenotype table, whose file is ''"
            )


@dataclass(frozen=True)
class ExpressionValues(Settings):
    """What is read of a matrix of expression.

    Attributes:
        unit: unit of the values.
        natural_log: multiply log2 values by ln 2: "log2(x+1)" becomes "log1p x", from which ExpressionProcessor can
            choose variable genes (num_genes).
        genes: keep only these, in this order; () keeps all.
        missing_values: "raise" where a value is unknown; "skip" leaves such genes out, counted.
        max_bytes: refuse a matrix that needs more memory.
    """

    unit: str = "log2(norm_count+1)"
    natural_log: bool = False
    genes: tuple[str, ...] = ()
    missing_values: Literal["raise", "skip"] = "raise"
    max_bytes: int = 2**32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.natural_log and not _LOG2.fullmatch(self.unit):
            raise SpecError(f"XenaExpression: natural_log needs a unit of the form 'log2(x+1)', got '{self.unit}'")

    @property
    def kept_unit(self) -> str:
        """Unit of the values that are given."""
        inner = _LOG2.fullmatch(self.unit)
        return f"log1p {inner[1]}" if self.natural_log and inner else self.unit


@SOURCES.register
class XenaExpression(Source):
    """Read bulk expression profiles from a matrix of genes by samples, with tumour or normal from the barcode.

    ``expression_profile`` is a row of (G,) values in ``unit``. The matrix is read once, in blocks of genes, and held
    as float32 (samples, genes): 100 MB for the 20,530 genes and 1,218 samples of TCGA-BRCA. Samples of one patient
    share a group. ``label_column`` of the phenotype table is a second task; samples for which it is empty lack it.

    Args:
        folder: folder of both files, below the root.
        matrix: name of the matrix, tsv, plain or gzip: a line a gene, a column a sample.
        phenotype: the phenotype table, and the second task that it may hold.
        values: what is read of the matrix.
        barcodes: "raise" where a sample's name is no TCGA, TARGET or GTEx barcode; "skip" leaves such samples out,
            counted; "ignore" keeps them, each as its own patient and without a label of the default task.
        join_patients: give the patient as join key, so that other sources of the same patients meet this one.
        task_name: name of the default task, with the classes normal and tumour.
    """

    def __init__(
        self,
        *,
        folder: str = "TCGA.BRCA.sampleMap",
        matrix: str = "HiSeqV2.gz",
        phenotype: Phenotype = Phenotype(),
        values: ExpressionValues = ExpressionValues(),
        barcodes: Literal["raise", "skip", "ignore"] = "raise",
        join_patients: bool = False,
        task_name: str = "tumour",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "barcodes", barcodes, ("raise", "skip", "ignore"))
        self.matrix, self.phenotype, self.sample_column = matrix, phenotype.file, phenotype.sample_column
        self.label_column, self.label_task = phenotype.label_column, phenotype.label_task
        self.encoding, self.missing_values = phenotype.encoding, values.missing_values
        self.natural_log, self.genes = values.natural_log, tuple(values.genes)
        self.barcodes, self.unmatched, self.join_patients = barcodes, phenotype.unmatched, join_patients
        self.max_bytes, self.task_name = values.max_bytes, task_name
        self._values: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        profile = ("expression_profile",)
        tasks = [RawTask(task_name, "classification", TISSUES, profile)]
        if self.label_column:
            tasks.append(RawTask(self.label_task, "classification", tuple(phenotype.classes), profile))
        self.card = SourceCard(
            title=f"UCSC Xena, {folder}/{matrix}",
            modalities=(RawModality("expression_profile", "expression", values.kept_unit, features=self.genes),),
            tasks=tuple(tasks),
            licence="not stated by the hub; TCGA's open-access data ask for citation",
            access="open",
            citation="Goldman et al., Visualizing and interpreting cancer genomics data via the Xena platform, "
            "Nature Biotechnology 38:675, 2020",
            where="the UCSC Xena data pages: hub tcga.xenahubs.net, TCGA.BRCA.sampleMap/HiSeqV2.gz and "
            "TCGA.BRCA.sampleMap/BRCA_clinicalMatrix",
            layout=f"{matrix}: sample <tab> a column a sample, then a line a gene; "
            f"{self.phenotype or 'no phenotype'}: {self.sample_column} and further columns",
            caution="A patient can have tumour, normal and metastatic samples. Normal tissue lies beside the tumour. "
            "Most samples are tumours: report balanced accuracy. PAM50 calls were made from the same expression. "
            "Batches (tissue source site, plate) are confounded with class; GTEx and TCGA differ as studies.",
            size="TCGA-BRCA HiSeqV2: 1,218 samples, 20,530 genes",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / self.matrix
        samples, genes, values = self._read_matrix(path)
        if self.natural_log:
            values *= np.float32(np.log(2))
        labels = self._labels(samples) if self.phenotype else dict.fromkeys(samples, "")
        rows: list[tuple[str, str, str, str, str, int]] = []
        for column, sample in enumerate(samples):
            parsed = parse_barcode(sample)
            if parsed is None and self.barcodes == "raise":
                raise DataError(
                    f"the sample '{sample}' is no TCGA, TARGET or GTEx barcode; give barcodes='skip' or 'ignore'",
                    file=path,
                    row=f"column {column + 2}",
                )
            if (parsed is None and self.barcodes == "skip") or sample not in labels:
                why = "not in the phenotype table (unmatched)" if parsed else "no barcode (barcodes)"
                self.skipped[why] = self.skipped.get(why, 0) + 1
                continue
            patient, tissue = parsed or (sample, "")
            rows.append((sample, patient, tissue, labels[sample], labels[sample] or tissue, column))
        self._values = values
        self._set_card(genes, [row[3] for row in rows])
        return pd.DataFrame(rows, columns=["id", "group", "tissue", "label", "stratum", "column"]).assign(
            subject=[row[1] for row in rows] if self.join_patients else "", split=""
        )

    def _set_card(self, genes: tuple[str, ...], labels: list[str]) -> None:
        """Fill in the names of the genes and of the classes of the second task, and check the labels."""
        tasks = [self.card.tasks[0]]
        if self.label_column:
            classes = self.card.tasks[1].classes or class_order(labels)
            path = self.path / self.phenotype
            if len(classes) < 2:
                raise DataError(
                    f"the column '{self.label_column}' has the classes {classes}; 2 are needed", file=path
                )
            for label in {label for label in labels if label}:
                one_of(label, classes, f"the value of '{self.label_column}'", file=path, row=label)
            tasks.append(replace(self.card.tasks[1], classes=tuple(classes)))
        modality = replace(self.card.modalities[0], features=genes)
        self.card = replace(self.card, modalities=(modality,), tasks=tuple(tasks))

    def _labels(self, samples: list[str]) -> dict[str, str]:
        """Sample -> label, "" where it is empty; samples that the phenotype table lacks are left out."""
        path = self.path / self.phenotype
        columns = [self.sample_column, *([self.label_column] if self.label_column else [])]
        table, lines = read_delimited(path, columns, delimiter="\t", quoted=False, encoding=self.encoding)
        names = table[self.sample_column].tolist()
        repeated = table[self.sample_column].duplicated().to_numpy()
        if repeated.any():
            at = int(repeated.argmax())
            raise DataError(f"the sample '{names[at]}' occurs twice; remove a line", file=path, row=lines[at])
        labels = [""] * len(names)
        if self.label_column:
            labels = self.known_cells(table[self.label_column], self.label_column, self.card.tasks[1].classes)
        known = dict(zip(names, labels, strict=True))
        absent = [s for s in samples if s not in known]
        if absent and self.unmatched == "raise":
            raise DataError(
                f"{len(absent)} of the {len(samples)} samples of '{self.matrix}' are not in column "
                f"'{self.sample_column}', the first is '{absent[0]}'; give unmatched='skip' to leave them out, or "
                "phenotype='' to do without",
                file=path,
                row=absent[0],
            )
        return {s: known[s] for s in samples if s in known}

    def _read_matrix(self, path: Path) -> tuple[list[str], tuple[str, ...], npt.NDArray[np.float32]]:
        """Read the matrix in blocks of genes: S samples, G genes, and (S, G) values."""
        samples = self._header(path)
        names: list[str] = []
        parts: list[npt.NDArray[np.float32]] = []
        wanted = set(self.genes)
        dropped: list[str] = []
        try:
            with open_bytes(path) as handle:
                blocks = pd.read_csv(
                    handle, sep="\t", header=None, skiprows=1, names=["gene", *map(str, range(len(samples)))],
                    index_col=False, chunksize=_BLOCK, quoting=3, keep_default_na=False,
                    na_values=["NA", "", "nan", "NaN"],
                    dtype={"gene": str, **{str(i): np.float32 for i in range(len(samples))}}, on_bad_lines="error",
                )  # fmt: skip
                for block in blocks:
                    block_names = block["gene"].astype(str).str.strip().tolist()
                    keep = [i for i, n in enumerate(block_names) if not wanted or n in wanted]
                    values = block.iloc[keep, 1:].to_numpy(np.float32)
                    good = np.isfinite(values).all(axis=1)
                    if not good.all() and self.missing_values == "raise":
                        raise self._unknown(path, [block_names[i] for i in keep], samples, values)
                    dropped += [block_names[i] for i, fine in zip(keep, good, strict=True) if not fine]
                    names += [block_names[i] for i, fine in zip(keep, good, strict=True) if fine]
                    parts.append(values[good])
                    if len(names) * len(samples) * 4 > self.max_bytes:
                        raise DataError(
                            f"the matrix needs more than max_bytes={self.max_bytes}; name fewer 'genes', or raise "
                            "max_bytes",
                            file=path,
                            row=names[-1],
                        )
        except DataError:
            raise
        except _BROKEN as error:
            raise DataError(
                f"the matrix cannot be read near gene {len(names) + 1} ({type(error).__name__}: {error}); expected "
                "numbers, tab-separated, a line a gene: fetch it again",
                file=path,
                row=len(names) + 2,
            ) from error
        if dropped:
            self.skipped["gene with unknown values (missing_values)"] = len(dropped)
        absent = [g for g in self.genes if g not in {*names, *dropped}]
        if absent:
            raise DataError(
                f"the genes {absent[:5]} are not in the matrix; name genes of its first column", file=path
            )
        return samples, *self._ordered(path, names, parts)

    def _ordered(
        self, path: Path, names: list[str], parts: list[npt.NDArray[np.float32]]
    ) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
        """Check the names of the genes, bring them into the order of ``genes``, and turn the matrix."""
        place = {name: i for i, name in enumerate(names)}
        if not names or len(place) != len(names) or "" in place:
            twice = next((n for i, n in enumerate(names) if place[n] != i), "")
            raise DataError(
                f"the gene '{twice}' occurs twice or has no name, or there is no gene; expected a line a gene",
                file=path,
            )
        order = [place[g] for g in self.genes if g in place] if self.genes else list(range(len(names)))
        values = np.concatenate(parts)
        return tuple(names[i] for i in order), np.ascontiguousarray(values[order].T)

    def _header(self, path: Path) -> list[str]:
        try:
            with open_bytes(path) as handle:
                cells = handle.readline(2**26).decode("utf-8").rstrip("\r\n").split("\t")
                second = handle.readline(2**28).rstrip(b"\r\n")
        except _BROKEN as error:
            raise DataError(
                f"the matrix cannot be read ({type(error).__name__}: {error}); fetch it again", file=path
            ) from error
        samples = [c.strip() for c in cells[1:]]
        width = second.count(b"\t") + 1
        if not samples or len(set(samples)) != len(samples) or "" in samples or width != len(cells):
            raise DataError(
                f"the first line names {len(samples)} samples, of which {len(set(samples))} differ, and the second "
                f"has {width - 1} values; expected 'sample' and a column a sample, tab-separated",
                file=path,
                row=1,
            )
        return samples

    @staticmethod
    def _unknown(path: Path, names: list[str], samples: list[str], values: npt.NDArray[np.float32]) -> DataError:
        gene, sample = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        return DataError(
            f"gene '{names[gene]}' has no finite value in sample '{samples[sample]}'; give missing_values='skip' to "
            "leave such genes out",
            file=path,
            row=names[gene],
        )

    @cached_property
    def _cells(self) -> dict[str, list[Any]]:
        return {c: self.index[c].tolist() for c in ("id", "tissue", "label", "column")}

    def peek(self, row: int) -> Sample:
        """Return the labels of a sample, without its profile."""
        cells = self._cells
        targets = {self.task_name: cells["tissue"][row]} if cells["tissue"][row] else {}
        if cells["label"][row]:
            targets[self.label_task] = cells["label"][row]
        return Sample(cells["id"][row], {"expression_profile": None}, dict(targets))

    def read(self, row: int) -> Sample:
        """Read the profile (G,) of a sample, float32, and its labels."""
        sample = self.peek(row)
        sample.inputs["expression_profile"] = self._values[self._cells["column"][row]]
        return sample
