"""Single cells as Cell Ranger writes them: the TenX source, of an h5 file or a folder of mtx and tsv files."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, SourceCard
from datamodules.io.files import read_csv
from datamodules.io.formats.cells import Cells, checked_cells, stays_on_disk
from datamodules.io.formats.csr import SparseRows
from datamodules.io.formats.h5 import check_claims, check_heaps, reading
from datamodules.sources.omics.cell_source import CellSource, group_columns, labels_of
from zoo.errors import DataError, SpecError, unknown_name
from zoo.raw import RawModality, RawTask

_SHORTEST_ENTRY = 6
"""Bytes of the line "1 1 1" of an mtx file."""


@dataclass(frozen=True)
class BarcodeTable(Settings):
    """A table that labels cells by their barcodes.

    Attributes:
        file: csv with one line a barcode; "" leaves all cells without a label, which fits sources that others
            label. The default is the graph-based clustering of Cell Ranger 2 to 6; later versions write
            analysis/clustering/gene_expression_graphclust/clusters.csv.
        barcode: column with the barcode, as in the matrix ("AAACCTGAGCATCATC-1").
    """

    file: str = "analysis/clustering/graphclust/clusters.csv"
    barcode: str = "Barcode"


@dataclass(frozen=True)
class TenXFeatures(Settings):
    """Which genes of a matrix are kept, and how they are read.

    Attributes:
        names: whether genes go by their "symbols" (repeated ones get -1, -2 ..., as scanpy does) or "ids".
        feature_type: which features of version 3 and later are kept.
        genome: which genome of a version 2 h5 file with several; "" where there is one.
        backed: leave the matrix of an h5 file on disk; "auto" does so beyond 1 GiB. Cell Ranger compresses, so
            that shuffled cells are slow: convert large files to h5ad.
    """

    names: Literal["symbols", "ids"] = "symbols"
    feature_type: str = "Gene Expression"
    genome: str = ""
    backed: bool | Literal["auto"] = "auto"


@SOURCES.register
class TenX(CellSource):
    """Read single cells from the output of Cell Ranger, versions 2 and later; labels come from a table by barcode.

    Args:
        folder: the ``outs`` folder of a run, below the root.
        matrix: the h5 file, or the folder with matrix.mtx.gz, features.tsv.gz and barcodes.tsv.gz (version 2:
            matrix.mtx, genes.tsv and barcodes.tsv).
        labels: the table of labels.
        label: column of that table with the cell type.
        groups: columns of that table that become group columns; None takes organ, tissue, donor, patient and
            batch where they are there.
        group_by: column of that table whose cells never cross a split; "" for none.
        features: which genes are kept, and how they are read.
        modality: name of the modality. Runs whose genes differ need different names.

    Raises:
        SpecError: an mtx folder shall stay on disk.

    Lines of the table of labels whose barcode is not in the matrix are counted in ``skipped``; a cell without a line
    is read without a target.
    """

    def __init__(
        self,
        *,
        folder: str = "ten_x",
        matrix: str = "filtered_feature_bc_matrix.h5",
        labels: BarcodeTable = BarcodeTable(),
        label: str = "Cluster",
        groups: list[str] | None = None,
        group_by: str = "",
        features: TenXFeatures = TenXFeatures(),
        modality: str = "scrna",
    ) -> None:
        super().__init__(folder=folder)
        self.matrix, self.labels, self.barcode, self.label = matrix, labels.file, labels.barcode, label
        self.groups, self.group_by, self.names = groups, group_by, features.names
        self.feature_type, self.genome, self.backed = features.feature_type, features.genome, features.backed
        self.card = SourceCard(
            title="Single-cell RNA sequencing, Cell Ranger output",
            modalities=(RawModality(modality, "expression", "counts"),),
            tasks=(RawTask("cell_type", "classification", modalities=(modality,)),) if labels.file else (),
            licence="that of the data; public 10x Genomics data sets: CC BY 4.0",
            access="open",
            citation="that of the data; Zheng et al., Nat. Commun. 8:14049, 2017 for the platform",
            where="the outs folder of your own run, or of a data set of 10xgenomics.com",
            layout=f"{matrix} (or a folder with matrix.mtx.gz, features.tsv.gz, barcodes.tsv.gz)"
            + (f", and {labels.file} with the columns {labels.barcode}, {label}" if labels.file else ""),
            caution="clusters of Cell Ranger come from the same counts, so accuracy on them is optimistic; their "
            "numbers mean nothing across runs; barcodes repeat across runs",
            size="that of the files",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / self.matrix
        if path.is_dir():
            if self.backed is True:
                raise SpecError(
                    f"TenX: '{self.matrix}' is a folder of text files, which cannot stay on disk; use backed: false, "
                    "or the h5 file of the run"
                )
            cells = self._mtx(path)
        elif path.is_file():
            cells = self._h5(path)
        else:
            raise DataError("there is no such file or folder; check the source's 'matrix' argument", file=path)
        cells = replace(cells, obs=self._obs(cells))
        prefix = self.path.name or "ten_x"
        labels = {"cell_type": labels_of(cells, self.label)} if self.labels else {}
        groups = {**labels, **group_columns(cells, self.groups, [self.label])}
        group = cells.column(self.group_by) if self.group_by else []
        self.group_unit = self.group_by
        return self._take(cells, prefix, labels, groups, group=group)

    def _obs(self, cells: Cells) -> pd.DataFrame:
        if not self.labels:
            return pd.DataFrame(index=list(cells.names))
        path = self.path / self.labels
        wanted = {self.barcode, self.label, *(self.groups or []), *([self.group_by] if self.group_by else [])}
        table = read_csv(path, sorted(wanted)).replace("", None)
        repeated = np.flatnonzero(table[self.barcode].duplicated())
        if len(repeated):
            row = int(repeated[0])
            raise DataError(f"barcode '{table[self.barcode].iloc[row]}' occurs twice", file=path, row=row)
        table = table.set_index(self.barcode)
        known = table.index.isin(cells.names)
        if not known.any():
            raise DataError(
                f"none of its {len(table)} barcodes is in '{self.matrix}', e.g. '{table.index[0]}' (there: "
                f"'{cells.names[0]}'); check that both are of one run and have the same suffix",
                file=path,
            )
        if not known.all():
            self.skipped[f"barcode of '{Path(self.labels).name}' is not in the matrix"] = int((~known).sum())
        return table.reindex(list(cells.names))

    # -- h5 --------------------------------------------------------------------------------------------------

    def _h5(self, path: Path) -> Cells:
        import h5py

        check_heaps(path)
        with reading(path, "10x h5 file"), h5py.File(path, "r") as file:
            key = "matrix" if "matrix" in file else self._genome(file, path)
            group = file[key]
            check_claims(group, path)
            genes, columns = self._features(group, path)
            barcodes = _texts(group["barcodes"])
            shape = tuple(int(n) for n in group["shape"][()])
            everything = len(group["features/id"] if "features" in group else group["genes"])
        if len(shape) != 2 or shape != (everything, len(barcodes)):
            raise DataError(
                f"'{key}/shape' is {shape}, but there are {everything} features and {len(barcodes)} barcodes; get "
                "the file again",
                file=path,
            )
        keys = (f"{key}/data", f"{key}/indices")
        shown = genes if columns is None else ()
        rows = SparseRows(path, (shape[1], shape[0]), keys, names=barcodes, genes=shown, whole=True)
        if stays_on_disk(path, self.backed):
            rows.rows([])  # reads the index of rows, so that a broken file shows here
            return Cells(path, rows, barcodes, genes, pd.DataFrame(index=list(barcodes)), columns=columns)
        matrix: Any = rows.rows(range(len(barcodes)))
        return Cells(path, matrix if columns is None else matrix[:, columns], barcodes, genes, pd.DataFrame())

    def _genome(self, file: Any, path: Path) -> str:
        """Name of the group of a version 2 file."""
        found = [str(name) for name in file if "genes" in file[name]]
        if self.genome and self.genome not in found:
            raise unknown_name(f"genome of {path.name}", self.genome, found)
        if not found or (len(found) > 1 and not self.genome):
            raise DataError(
                f"expected the group 'matrix', or one of a genome; genomes: {found}, groups: {sorted(file)}. Choose "
                "one with the source's 'genome' argument",
                file=path,
            )
        return self.genome or found[0]

    def _features(self, group: Any, path: Path) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None]:
        """Names of the genes that are kept, and their columns; None for all."""
        if "features" not in group:
            return self._unique(_texts(group["gene_names" if self.names == "symbols" else "genes"])), None
        names = _texts(group["features"]["name" if self.names == "symbols" else "id"])
        return self._kept(names, _texts(group["features"]["feature_type"]), path)

    def _kept(
        self, names: tuple[str, ...], kinds: tuple[str, ...], path: Path
    ) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None]:
        columns = np.flatnonzero(np.array(kinds) == self.feature_type)
        if not len(columns):
            raise unknown_name(f"feature type of {path.name}", self.feature_type, kinds)
        genes = self._unique(tuple(names[i] for i in columns.tolist()))
        return genes, None if len(columns) == len(names) else columns

    def _unique(self, names: tuple[str, ...]) -> tuple[str, ...]:
        from anndata.utils import make_index_unique

        return tuple(map(str, make_index_unique(pd.Index(list(names)))))

    # -- mtx -------------------------------------------------------------------------------------------------

    def _mtx(self, folder: Path) -> Cells:
        old = (folder / "genes.tsv").is_file() or (folder / "genes.tsv.gz").is_file()
        features = _tsv(folder / ("genes.tsv" if old else "features.tsv"), 2 if old else 3)
        barcodes = tuple(line[0] for line in _tsv(folder / "barcodes.tsv", 1))
        names = tuple(line[0 if self.names == "ids" else 1] for line in features)
        genes, columns = (
            (self._unique(names), None) if old else self._kept(names, tuple(line[2] for line in features), folder)
        )
        path = _either(folder / "matrix.mtx")
        matrix = _read_mtx(path, (len(features), len(barcodes)))
        matrix = matrix.T.tocsr() if columns is None else matrix.T.tocsr()[:, columns]
        return checked_cells(path, matrix, barcodes, genes, pd.DataFrame(), {}, integers=True)


def _texts(dataset: Any) -> tuple[str, ...]:
    return tuple(v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in dataset[()])


def _either(path: Path) -> Path:
    """The file, or the same with .gz."""
    packed = path.with_name(f"{path.name}.gz")
    if packed.is_file() or path.is_file():
        return packed if packed.is_file() else path
    raise DataError(f"neither '{path.name}.gz' nor '{path.name}' is there; restore it from the run", file=path)


def _handle(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _tsv(path: Path, columns: int) -> list[list[str]]:
    """Lines of a table without header that has at least ``columns`` columns."""
    path = _either(path)
    with reading(path, "tsv file"), _handle(path) as handle:
        lines = [line.split("\t") for line in handle.read().decode("utf-8").splitlines()]
    if not lines:
        raise DataError("the table is empty; restore it from the run", file=path)
    for row, line in enumerate(lines):
        if len(line) < columns:
            raise DataError(f"the line has {len(line)} columns, expected {columns}", file=path, row=row)
    return lines


def _read_mtx(path: Path, shape: tuple[int, int]) -> Any:
    """Read a Matrix Market file (features, barcodes) whose header must say ``shape``."""
    from scipy import io

    with reading(path, "Matrix Market file"):
        with _handle(path) as handle:
            line = handle.readline(1000)
            banner = line.decode("ascii", "replace").lower().split()
            if banner[:3] != ["%%matrixmarket", "matrix", "coordinate"]:
                raise DataError(
                    f"the first line is {line[:60]!r}; expected '%%MatrixMarket matrix coordinate'", file=path
                )
            while line.startswith(b"%"):
                line = handle.readline(10_000)
            sizes = tuple(int(n) for n in line.split())
        entries = sizes[2] if len(sizes) == 3 else -1
        most = path.stat().st_size * (1100 if path.suffix == ".gz" else 1) // _SHORTEST_ENTRY + 1
        if sizes[:2] != shape or not 0 <= entries <= most:
            raise DataError(
                f"the header says {sizes} (rows, columns, entries); there are {shape[0]} features and {shape[1]} "
                f"barcodes, and the file has room for {most} entries at most: get the file again",
                file=path,
            )
        with _handle(path) as handle:
            return io.mmread(handle)
