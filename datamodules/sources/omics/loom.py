"""Single cells in a loom file: the Loom source, read with h5py in blocks of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, SourceCard
from datamodules.io.formats.cells import Cells, stays_on_disk
from datamodules.io.formats.csr import GeneMajorRows
from datamodules.io.formats.h5 import check_claims, check_heaps, reading
from datamodules.sources.omics.cell_source import DONOR_COLUMNS, CellSource, find_label, group_columns, labels_of
from zoo.errors import DataError, unknown_name
from zoo.raw import RawModality, RawTask

_BLOCK_CELLS = 512


@dataclass(frozen=True)
class LoomMatrix(Settings):
    """What is read of a loom file, and how.

    Attributes:
        cell_names: column attribute with the names of the cells, which must differ.
        gene_names: row attribute with the names of the genes.
        layer: "" takes the main matrix, any other name that layer.
        unit: "counts", or what else the matrix holds, such as "log1p CP10k".
        backed: leave the matrix on disk; "auto" does so for files beyond 1 GiB. Loom files are chunked and
            compressed for both directions, so that shuffled cells are slow: convert large ones to h5ad.
    """

    cell_names: str = "CellID"
    gene_names: str = "Gene"
    layer: str = ""
    unit: str = "counts"
    backed: bool | Literal["auto"] = "auto"


@SOURCES.register
class Loom(CellSource):
    """Read single cells with a cell type from a loom file: matrix (genes, cells), attributes of rows and columns.

    Args:
        folder: folder of the file, below the root.
        file: name of the loom file.
        label: column attribute of the cell type; "" takes the first known name that is there, None reads no
            labels.
        group_by: column attribute whose cells never cross a split; "" takes a donor attribute where there is one.
        groups: column attributes that become group columns; None takes organ, tissue, donor, patient and batch
            where they are there.
        matrix: what is read of the file, and how.
        modality: name of the modality. Files whose genes differ need different names.

    The classes are known after ``open``. A cell whose label is empty is read without a target.
    """

    def __init__(
        self,
        *,
        folder: str = "loom",
        file: str = "cells.loom",
        label: str | None = "",
        group_by: str = "",
        groups: list[str] | None = None,
        matrix: LoomMatrix = LoomMatrix(),
        modality: str = "scrna",
    ) -> None:
        super().__init__(folder=folder)
        self.file, self.label, self.group_by, self.groups = file, label, group_by, groups
        self.cell_names, self.gene_names = matrix.cell_names, matrix.gene_names
        self.layer, self.backed = matrix.layer, matrix.backed
        self.card = SourceCard(
            title=f"Single-cell RNA sequencing, {file}",
            modalities=(RawModality(modality, "expression", matrix.unit),),
            tasks=() if label is None else (RawTask("cell_type", "classification", modalities=(modality,)),),
            licence="that of the file",
            access="open",
            citation="that of the file; the format: loompy.org",
            where="any loom file of your own, such as an atlas published as loom",
            layout=f"{file}: HDF5 with matrix (genes, cells), row_attrs/{matrix.gene_names}, "
            f"col_attrs/{matrix.cell_names} and a column attribute with the cell type",
            caution="cell types are mostly clusters of the same expression, so accuracy on them is optimistic; give "
            "group_by the donor, or cells of one donor are in all splits",
            size="that of the file",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        if not path.is_file():
            raise DataError("the file does not exist; check the source's 'file' argument", file=path)
        cells = self._cells_of(path)
        stem = Path(self.file).stem
        label = "" if self.label is None else find_label(cells, self.label)
        labels = {"cell_type": labels_of(cells, label)} if label else {}
        groups = {**labels, **group_columns(cells, self.groups, [label])}
        donors = [c for c in DONOR_COLUMNS if c in cells.obs.columns and c != label]
        group_by = self.group_by or next(iter(donors), "")
        self.group_unit = group_by
        return self._take(cells, stem, labels, groups, group=cells.column(group_by) if group_by else [])

    def _cells_of(self, path: Path) -> Cells:
        import h5py

        check_heaps(path)
        key = f"layers/{self.layer}" if self.layer else "matrix"
        with reading(path, "loom file"), h5py.File(path, "r") as file:
            for needed in ("matrix", "row_attrs", "col_attrs"):
                if needed not in file:
                    raise DataError(f"no loom file: it has no '{needed}', but {sorted(file)}", file=path)
            if key not in file:
                raise unknown_name(f"layer of {path.name}", self.layer, file.get("layers", ()))
            for node in (file[key], file["row_attrs"], file["col_attrs"]):
                check_claims(node, path)
            shape = tuple(int(n) for n in file[key].shape)
            if len(shape) != 2 or 0 in shape:
                raise DataError(f"'{key}' has shape {shape}; expected (genes, cells)", file=path)
            genes = _names(file["row_attrs"], self.gene_names, shape[0], "row attribute", path)
            names = _names(file["col_attrs"], self.cell_names, shape[1], "column attribute", path)
            columns = {n: _values(d) for n, d in file["col_attrs"].items() if _fits(d, shape[1])}
        whole = self.card.modalities[0].unit == "counts"
        rows = GeneMajorRows(path, (shape[1], shape[0]), (key,), names=names, genes=genes, whole=whole)
        obs = pd.DataFrame(columns, index=list(names))
        return Cells(path, rows if stays_on_disk(path, self.backed) else _in_memory(rows), names, genes, obs)


def _in_memory(rows: GeneMajorRows) -> Any:
    """The whole matrix as scipy CSR, made from blocks of cells."""
    from scipy import sparse

    starts = range(0, len(rows), _BLOCK_CELLS)
    blocks = [sparse.csr_matrix(rows.rows(range(s, min(s + _BLOCK_CELLS, len(rows))))) for s in starts]
    return sparse.vstack(blocks, format="csr", dtype=np.float32)


def _fits(dataset: Any, n: int) -> bool:
    return getattr(dataset, "shape", None) == (n,)


def _values(dataset: Any) -> Any:
    """A one-dimensional attribute as numbers, or as text, None where empty."""
    values = dataset[()]
    if values.dtype.kind not in "SO":
        return values
    texts = [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]
    return np.array([t or None for t in texts], dtype=object)


def _names(group: Any, name: str, n: int, what: str, path: Path) -> tuple[str, ...]:
    if name not in group:
        raise unknown_name(f"{what} of {path.name}", name, group)
    if not _fits(group[name], n):
        raise DataError(f"{what} '{name}' has shape {group[name].shape}, the matrix needs ({n},)", file=path)
    found: Sequence[Any] = _values(group[name]).tolist()
    return tuple("" if v is None else str(v) for v in found)
