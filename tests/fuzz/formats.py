"""The formats that the zoo reads: which source reads them, what is written, and what may be damaged."""

from __future__ import annotations

import gzip
import runpy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import datamodules.sources  # noqa: F401
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.sources.signals.options import EpochOptions
from datamodules.sources.table import TableModality
from tests.options import grouped_for
from zoo.contract import Sample
from zoo.raw import RawModality, RawTask
from zoo.table_task import TableTask

ROOT = Path(__file__).parents[2]
Write = Callable[[Path], None]
DX = {"dx": TableTask("classification")}


class Structures(Source):
    """Every structure file of a folder, for the formats that no tiny source of the zoo is made of."""

    def __init__(self, *, folder: str = "structures") -> None:
        super().__init__(folder=folder)
        self.card = SourceCard(
            "structures", (RawModality("protein", "protein"),), (RawTask("structure", "structure", reads="protein"),),
            "none", "open", "none", "tests", "files",
        )  # fmt: skip

    def _index(self) -> pd.DataFrame:
        names = sorted(p.name for p in self.path.iterdir())
        return pd.DataFrame({"id": names, "subject": "", "group": "", "stratum": "", "split": ""})

    def read(self, row: int) -> Sample:
        from datamodules.io.formats.structure import read_structure

        chain = read_structure(self.path / self.id(row))
        return Sample(self.id(row), {"protein": chain.sequence}, {"structure": chain.xyz.copy()})


@dataclass(frozen=True)
class Format:
    """A format: a source, its arguments, a writer, and which files are damaged.

    Attributes:
        make: builds the unopened source.
        write: writes the tiny files below the folder it is given.
        files: pattern of the files to damage, below the source's folder.
        per_row: each damaged file holds one input of one row: the others must not change, and ``on_error: skip``
            must leave out this row alone.
        named: other names that an error may give, where only two files together tell that one is damaged.
        extra: the optional library, "" for none.
    """

    make: Callable[[], Source]
    write: Write
    files: str
    per_row: bool = False
    named: tuple[str, ...] = field(default=())
    extra: str = ""


def generator(name: str, **options: Any) -> Write:
    """The generator tests/data/<name>.py with options."""

    def write(folder: Path) -> None:
        runpy.run_path(str(ROOT / "tests" / "data" / f"{name}.py"))["write"](folder, 0, **options)

    return write


def source(name: str, **options: Any) -> Callable[[], Source]:
    return lambda: SOURCES.get(name)(**grouped_for(SOURCES.get(name), **options))


_DEEP = ("npy", "tiff")


def _table(suffix: str, kind: str = "image", **options: Any) -> Format:
    """A table of 16 rows whose one modality lies in a file a row."""

    def write(folder: Path) -> None:
        import tifffile
        from PIL import Image

        rng = np.random.default_rng(0)
        (folder / "files").mkdir(parents=True)
        lines = ["name,dx"]
        for i in range(16):
            path = folder / "files" / f"item{i:02d}.{suffix}"
            if kind == "signal":
                np.save(path, rng.normal(size=(3, 40)).astype(np.float32))
            elif suffix == "npy":
                np.save(path, rng.integers(0, 255, (20, 24, 3)[: 2 + i % 2]).astype(("u1", "u2", "f4")[i % 3]))
            elif suffix in ("webp", "gif", "bmp"):
                Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(path)
            elif suffix == "tiff":
                order, packing = "<>"[i % 2], (None, "zlib")[i // 2 % 2]
                deep = rng.integers(0, 65535, (20, 24, 3)[: 2 + i // 4 % 2]).astype(("u2", "f4")[i // 8])
                tifffile.imwrite(
                    path,
                    deep,
                    byteorder=order,
                    compression=packing,
                    tile=(16, 16),
                    photometric=("minisblack", "rgb")[deep.ndim - 2],
                )
            elif suffix == "png":
                Image.fromarray(rng.integers(0, 255, (20, 24, 3)[: 2 + i % 2], dtype=np.uint8)).save(path)
            else:
                packing = (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg")[i % 4]
                Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(path, compression=packing)
            lines.append(f"item{i:02d},{('sick', 'well')[i % 2]}")
        (folder / "table.csv").write_text("\n".join(lines) + "\n")

    rate = {"unit": "uV", "sampling_rate": 10.0} if kind == "signal" else {"unit": "HU"} if suffix in _DEEP else {}
    one = {"item": TableModality(kind, column="name", path=f"files/{{}}.{suffix}", **rate)}  # type: ignore[arg-type]
    return Format(source("Table", id="name", modalities=one, tasks=DX), write, f"files/*.{suffix}", per_row=True)


def _columns(suffix: str) -> Format:
    """A table of 16 rows with a text, a list of numbers and two measurements."""

    def write(folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.feather as feather
        import pyarrow.parquet as pq

        rng = np.random.default_rng(0)
        folder.mkdir(parents=True)
        table = pa.table(
            {
                "name": [f"row{i:02d}" for i in range(16)],
                "note": [f"a note of case {i}" for i in range(16)],
                "age": [20.0 + i for i in range(16)],
                "sex": ["fm"[i % 2] for i in range(16)],
                "trace": [rng.normal(size=20).astype(np.float32).tolist() for _ in range(16)],
                "dx": [("sick", "well")[i % 2] for i in range(16)],
            }
        )
        if suffix == "parquet":
            pq.write_table(table, folder / "table.parquet", row_group_size=5)
        elif suffix == "arrow":
            feather.write_feather(table, folder / "table.arrow", compression="uncompressed")
        elif suffix == "feather":
            feather.write_feather(table, folder / "table.feather", compression="zstd")
        elif suffix == "xlsx":
            table.drop(["trace"]).to_pandas().to_excel(folder / "table.xlsx", index=False)
        else:
            table.drop(["trace"]).to_pandas().to_csv(folder / f"table.{suffix}", index=False)

    given = {"note": TableModality("text"), "clinical": TableModality("tabular", columns=("age", "sex"))}
    if suffix in ("parquet", "arrow", "feather"):
        given["trace"] = TableModality("expression", column="trace")
    make = source("Table", file=f"table.{suffix}", id="name", modalities=given, tasks=DX)
    return Format(make, write, f"table.{suffix}")


def _eeg(kind: str, files: str) -> Format:
    """Two recordings of 12 s with four events, three channels at 100 Hz, in folders of subjects."""

    def write(folder: Path) -> None:
        save = runpy.run_path(str(ROOT / "tests" / "datamodules" / "sources" / "signals" / "test_eeg_folder.py"))[
            "save"
        ]
        rng = np.random.default_rng(0)
        for subject in ("sub01", "sub02"):
            events = [(float(t), 1.0, ("left", "right")[i % 2]) for i, t in enumerate((1, 4, 7, 10))]
            save(folder / subject, kind, events, np.round(rng.normal(0, 20, (3, 1200)), 1))

    return Format(source("EEGFolder", epochs=EpochOptions(tmax=1.0)), write, files, extra="eeg")


def _nifti_plain(folder: Path) -> None:
    generator("mosmed", n=10)(folder)
    for path in sorted(folder.rglob("*.nii.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


def _fasta_packed(folder: Path) -> None:
    generator("fasta_labels")(folder)
    path = folder / "sequences.fasta"
    (folder / "sequences.fasta.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def _vcf_plain(folder: Path) -> None:
    generator("variants")(folder)
    path = folder / "clinvar.vcf.gz"
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()


def _structures(suffix: str) -> Write:
    def write(folder: Path) -> None:
        import biotite.structure.io.pdb as pdb
        import biotite.structure.io.pdbx as pdbx

        generator("protein_structures", n=6)(folder.parent / "pdb")
        folder.mkdir(parents=True)
        for number, path in enumerate(sorted(p for p in (folder.parent / "pdb").rglob("*") if ".pdb" in p.name)[:4]):
            content = path.read_bytes()
            plain = folder.parent / "plain.pdb"
            plain.write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
            atoms = pdb.PDBFile.read(str(plain)).get_structure(model=1)
            file = pdbx.CIFFile() if suffix == "cif" else pdbx.BinaryCIFFile()
            pdbx.set_structure(file, atoms)
            file.write(str(folder / f"chain{number}.{suffix}"))

    return write


_TEN = ("matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz", "filtered_feature_bc_matrix", "clusters.csv")
_VARIANTS = ("clinvar.vcf", "Homo_sapiens.GRCh38.dna.primary_assembly.fa")
_LABELS = ("sequences.fasta", "labels.csv")
_BRAINVISION = ("a.vhdr", "a.vmrk", "a.eeg")

FORMATS: dict[str, Format] = {
    "jpeg": Format(source("HAM10000"), generator("ham10000", n=21), "*/*.jpg", per_row=True),
    "png": _table("png"),
    "tiff": _table("tif"),
    "tiff.deep": _table("tiff"),
    "webp": _table("webp"),
    "gif": _table("gif"),
    "bmp": _table("bmp"),
    "npy": _table("npy", "signal"),
    "npy.image": _table("npy"),
    "npz": Format(source("MedMNIST"), generator("med_mnist"), "*.npz"),
    "npz.plain": Format(source("MedMNIST"), generator("med_mnist", compressed=False), "*.npz"),
    "npz.eeg": Format(source("BCIIV2b"), generator("bci_iv_2b"), "*.npz"),
    "hdf5": Format(source("PatchCamelyon"), generator("patch_camelyon"), "**/*.h5"),
    "dicom": Format(source("RSNAPneumonia"), generator("rsna_pneumonia"), "*/*.dcm", per_row=True, extra="dicom"),
    "dicom.packed": Format(source("VinDrCXR"), generator("vindr_cxr"), "**/*.dicom", per_row=True, extra="dicom"),
    "nifti": Format(source("MosMedData"), _nifti_plain, "**/*.nii", extra="nifti"),
    "nifti.gz": Format(source("MosMedData"), generator("mosmed", n=10), "**/*.nii.gz", extra="nifti"),
    "csv": Format(source("HAM10000"), generator("ham10000", n=21), "*.csv"),
    "csv.arrow": _columns("csv"),
    "csv.gz": _columns("csv.gz"),
    "csv.zip": _columns("csv.zip"),
    "csv.xz": _columns("csv.xz"),
    "xlsx": replace(_columns("xlsx"), extra="excel"),
    "feather": _columns("feather"),
    "csv.notes": Format(source("ClinicalNotes"), generator("notes"), "*.csv"),
    "csv.sequences": Format(source("SequenceTable"), generator("sequence_table"), "*.csv"),
    "tsv": Format(source("EarthMicrobiome"), generator("emp"), "*.tsv"),
    "json": Format(source("VQARAD"), generator("vqa_rad"), "*.json"),
    "jsonl": Format(source("PMCOA"), generator("pmc_oa"), "pmc_oa.jsonl"),
    "xml": Format(source("OpenI"), generator("open_i"), "**/*.xml"),
    "xml.boxes": Format(source("BCCD"), generator("bccd"), "**/*.xml"),
    "parquet": _columns("parquet"),
    "parquet.images": Format(source("PathVQA"), generator("path_vqa"), "**/*.parquet", extra="parquet"),
    "arrow": _columns("arrow"),
    "edf": _eeg("edf", "*/a.edf"),
    "bdf": _eeg("bdf", "*/a.bdf"),
    "gdf": _eeg("gdf", "*/a.gdf"),
    "fif": _eeg("fif", "*/a_raw.fif"),
    "brainvision": Format(_eeg("vhdr", "").make, _eeg("vhdr", "").write, "*/a.*", named=_BRAINVISION, extra="eeg"),
    "eeglab": _eeg("set", "*/a.set"),
    "eeglab.fdt": Format(
        _eeg("fdt", "").make, _eeg("fdt", "").write, "*/a.*", named=("a.set", "a.fdt"), extra="eeg"
    ),
    "fasta": Format(source("FASTALabels"), generator("fasta_labels"), "sequences.fasta", named=_LABELS),
    "fasta.gz": Format(source("FASTALabels", fasta="sequences.fasta.gz"), _fasta_packed, "*.gz", named=_LABELS),
    "genbank": Format(source("GenBankFeatures"), generator("genbank"), "first.gb"),
    "genbank.gz": Format(source("GenBankFeatures"), generator("genbank"), "second.gbff.gz"),
    "vcf": Format(source("VariantWindows", vcf="clinvar.vcf"), _vcf_plain, "clinvar.vcf", named=_VARIANTS),
    "vcf.gz": Format(source("VariantWindows"), generator("variants"), "clinvar.vcf.gz", named=_VARIANTS),
    "fasta.reference": Format(source("VariantWindows"), generator("variants"), "*.fa", named=_VARIANTS),
    "xena": Format(source("XenaExpression"), generator("xena"), "HiSeqV2.gz", named=("BRCA_clinicalMatrix",)),
    "h5ad": Format(source("SingleCellH5AD"), generator("single_cell"), "*.h5ad"),
    "h5ad.backed": Format(source("SingleCellH5AD", backed=True), generator("single_cell"), "*.h5ad"),
    "loom": Format(source("Loom"), generator("loom"), "*.loom"),
    "10x.mtx": Format(
        source("TenX", matrix="filtered_feature_bc_matrix"), generator("ten_x"), "filtered_feature_bc_matrix/*",
        named=_TEN,
    ),
    "10x.h5": Format(
        source("TenX"), generator("ten_x"), "filtered_feature_bc_matrix.h5", named=("clusters.csv",)
    ),
    "pdb": Format(source("ProteinStructures"), generator("protein_structures"), "**/*.pdb*"),
    "mmcif": Format(Structures, _structures("cif"), "*.cif", per_row=True, extra="structure"),
    "bcif": Format(Structures, _structures("bcif"), "*.bcif", per_row=True, extra="structure"),
}  # fmt: skip
