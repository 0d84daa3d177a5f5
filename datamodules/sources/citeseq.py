"""CITE-seq of cord blood: gene expression and surface proteins of the same cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from datamodules.sources.single_cell import (
    Cells,
    cell_table,
    choose_cells,
    class_names,
    encode,
    load_cells,
    natural_order,
)
from zoo.contract import Sample
from zoo.errors import DataError, SpecError

PROTEIN = "surface_protein"
ROLES = ("modality", "target")


@SOURCES.register
class CITESeq(Source):
    """Read cord blood mononuclear cells: counts of 2000 genes, 10 surface proteins, and the cell type.

    Args:
        folder: folder of the file, below the root.
        file: h5ad with counts in X, obs["cell_type"] and obsm["protein"].
        protein_as: "modality" gives the proteins as the tabular modality ``surface_protein``; "target" makes
            them the regression task ``surface_protein``, predicted from expression.
        max_cells: how many cells to keep, drawn at random; 0 keeps all.
        seed: seed of that draw.
        modality: name of the expression modality.

    The classes ("cbmc type 1" ...) and names of genes and proteins are known after ``open``.
    """

    def __init__(
        self,
        *,
        folder: str = "scrna",
        file: str = "cbmc_citeseq.h5ad",
        protein_as: Literal["modality", "target"] = "modality",
        max_cells: int = 0,
        seed: int = 0,
        modality: str = "scrna",
    ) -> None:
        super().__init__(folder=folder)
        if protein_as not in ROLES:
            raise SpecError(f"CITESeq: protein_as is {protein_as!r}; allowed: {ROLES}")
        if max_cells < 0:
            raise SpecError(f"CITESeq: max_cells must be at least 0, got {max_cells}")
        self.file, self.protein_as, self.max_cells, self.seed = file, protein_as, max_cells, seed
        rna = RawModality(modality, "expression", "counts")
        protein = RawModality(PROTEIN, "tabular", "CLR")
        is_input = protein_as == "modality"
        cell_type = RawTask("cell_type", "classification")
        level = RawTask(PROTEIN, "regression", modalities=(modality,), unit="CLR")
        self.card = SourceCard(
            title="CITE-seq of cord blood mononuclear cells (CBMC)",
            modalities=(rna, protein) if is_input else (rna,),
            tasks=(cell_type,) if is_input else (cell_type, level),
            licence="not stated (the repository it was taken from: Apache-2.0)",
            access="open",
            citation="Stoeckius et al., Simultaneous epitope and transcriptome measurement in single cells, "
            "Nat. Methods 14:865, 2017 (GSE100866)",
            where="GEO, accession GSE100866; or the scDCC repository (data/CITE_PBMC)",
            layout=f"{file}: AnnData with counts in X, obs['cell_type'] and obsm['protein'] (cells, proteins)",
            caution="genes, proteins and types have no names; the types come from clustering of the same RNA, so "
            "accuracy on them is optimistic",
        )
        self._cells: Cells | None = None
        self._protein: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self._types: tuple[tuple[str, ...], list[int]] = ((), [])
        self._names: tuple[str, ...] = ()

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        cells = load_cells(path, integers=True)
        if "cell_type" not in cells.obs.columns or "protein" not in cells.obsm:
            raise DataError(
                f"expected obs['cell_type'] and obsm['protein']; obs has {list(cells.obs.columns)}, obsm has "
                f"{list(cells.obsm)}",
                file=path,
            )
        self._read_protein(cells, path)
        labels = class_names(cells.column("cell_type"), Path(self.file).stem.split("_")[0])
        if "" in labels:
            raise DataError("a cell has no cell type", file=path, row=cells.names[labels.index("")])
        self._types, self._cells = encode(labels), cells
        self._describe(cells.genes, tuple(natural_order(labels)))
        kept = choose_cells(len(labels), self.max_cells, self.seed)
        return cell_table(Path(self.file).stem, cells.names, [""] * len(labels), labels, kept)

    def _read_protein(self, cells: Cells, path: Path) -> None:
        table = cells.obsm["protein"]
        values = np.asarray(table, dtype=np.float32)
        if values.ndim != 2 or not values.shape[1]:
            raise DataError(f"obsm['protein'] has shape {values.shape}; expected (cells, proteins)", file=path)
        columns = map(str, table.columns) if isinstance(table, pd.DataFrame) else map(str, range(values.shape[1]))
        self._names = tuple(f"protein_{c}" if c.isdigit() else c for c in columns)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            cell, protein = bad[0]
            raise DataError(
                f"obsm['protein']: '{self._names[protein]}' is {values[cell, protein]}; drop the cell",
                file=path,
                row=cells.names[cell],
            )
        self._protein = values

    def _describe(self, genes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        rna, tasks = self.card.modalities[0], list(self.card.tasks)
        modalities = [replace(rna, features=genes)]
        tasks[0] = replace(tasks[0], classes=classes)
        if self.protein_as == "modality":
            modalities.append(replace(self.card.modalities[1], features=self._names))
        else:
            tasks[1] = replace(tasks[1], classes=self._names)
        self.card = replace(self.card, modalities=tuple(modalities), tasks=tuple(tasks))

    def read(self, row: int) -> Sample:
        """Read one cell: counts (G,), its proteins as input or target, its type."""
        sample = self.peek(row)
        assert self._cells is not None
        sample.inputs[self.card.modalities[0].name] = self._cells.row(int(self.index["cell"].to_numpy()[row]))
        return sample

    def peek(self, row: int) -> Sample:
        """Like ``read``, with None for the expression."""
        line = self.index.iloc[row]
        cell = int(line["cell"])
        sample = Sample(line["id"], {self.card.modalities[0].name: None}, {"cell_type": line["stratum"]})
        levels = {name: float(v) for name, v in zip(self._names, self._protein[cell], strict=True)}
        (sample.inputs if self.protein_as == "modality" else sample.targets)[PROTEIN] = levels
        sample.groups["cell_type"] = self._types[1][cell]
        return sample

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the cell types."""
        return {"cell_type": self._types[0]}
