"""CITE-seq of cord blood: gene expression and surface proteins of the same cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from datamodules.core.source import SOURCES, SourceCard
from datamodules.io.formats.cells import choose_cells, load_cells
from datamodules.sources.omics.cell_source import CellSource, labels_of, read_levels
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

PROTEIN = "surface_protein"
ROLES = ("modality", "target")


@SOURCES.register
class CITESeq(CellSource):
    """Read cord blood mononuclear cells: counts of 2000 genes, 10 surface proteins, and the cell type.

    Args:
        folder: folder of the file, below the root.
        file: h5ad with counts in X, obs["cell_type"] and obsm["protein"].
        protein_as: "modality" gives the proteins as the tabular modality ``surface_protein``; "target" makes
            them the regression task ``surface_protein``, predicted from expression.
        max_cells: how many cells to keep, drawn at random; 0 keeps all.
        seed: seed of that draw.
        modality: name of the expression modality.

    The classes and the names of genes and proteins are those of the file, and known after ``open``. With the proteins
    as the target the file needs no cell types.
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
        check_choice(self, "protein_as", protein_as, ROLES)
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
            size="8,617 cells, 2,000 genes and 10 proteins in the file named above",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        cells = load_cells(path, integers=True)
        is_input = self.protein_as == "modality"
        typed = "cell_type" in cells.obs.columns
        if "protein" not in cells.obsm or (is_input and not typed):
            raise DataError(
                f"expected obs['cell_type'] and obsm['protein']; obs has {list(cells.obs.columns)}, obsm has "
                f"{list(cells.obsm)}",
                file=path,
            )
        levels = [read_levels(cells, "protein", PROTEIN, is_input)]
        types = {"cell_type": labels_of(cells, "cell_type")} if typed else {}
        if "" in types.get("cell_type", ()):
            raise DataError("a cell has no cell type", file=path, row=cells.names[types["cell_type"].index("")])
        if not typed:
            self.card = replace(self.card, tasks=self.card.tasks[1:])
        kept = choose_cells(len(cells.names), self.max_cells, self.seed)
        return self._take(cells, Path(self.file).stem, types, types, levels=levels, kept=kept)
