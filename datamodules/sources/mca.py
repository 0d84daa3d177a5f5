"""Mouse Cell Atlas reference profiles: average expression of one cell type in one organ."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from datamodules.sources.single_cell import Cells, cell_table, encode, load_cells
from zoo.contract import Sample
from zoo.errors import DataError, SpecError

RECURRENT = (
    "B cell",
    "Dendritic cell",
    "Endothelial cell",
    "Epithelial cell",
    "Erythroblast",
    "Macrophage",
    "NK cell",
    "Neutrophil",
    "Stromal cell",
    "T cell",
)
"""The ten cell types that occur in at least eight organs under one clear name."""


@SOURCES.register
class MouseCellAtlas(Source):
    """Read reference profiles: mean counts of 3028 named genes, the cell type, the organ.

    Profiles of one organ never cross a split, so that validation and test hold unseen organs.

    Args:
        folder: folder of the file, below the root.
        file: h5ad with profiles in X and obs columns profile, organ and cell_type.
        cell_types: "recurrent" keeps the profiles of the ten types of RECURRENT; "all" keeps every profile,
            with the types of the file as classes (most of them occur in one organ only).
        modality: name of the modality.

    Raises:
        SpecError: ``cell_types`` is neither.
    """

    def __init__(
        self,
        *,
        folder: str = "scrna",
        file: str = "mca_tissues.h5ad",
        cell_types: Literal["recurrent", "all"] = "recurrent",
        modality: str = "scrna",
    ) -> None:
        super().__init__(folder=folder)
        if cell_types not in ("recurrent", "all"):
            raise SpecError(f"MouseCellAtlas: cell_types is {cell_types!r}; allowed: ('recurrent', 'all')")
        self.file, self.cell_types = file, cell_types
        self.card = SourceCard(
            title="Mouse Cell Atlas, reference profiles of 47 tissues (scMCA)",
            modalities=(RawModality(modality, "expression", "mean counts"),),
            tasks=(RawTask("cell_type", "classification", RECURRENT, (modality,)),),
            licence="not stated for the data (the package it was taken from: GPL-3)",
            access="open",
            citation="Han et al., Mapping the Mouse Cell Atlas by Microwell-Seq, Cell 172:1091, 2018",
            where="the scMCA package (data/ref.expr.rda), stored as h5ad",
            layout=f"{file}: AnnData with profiles in X and obs columns profile, organ, cell_type",
            caution="a profile is the average of cells (pseudo-bulk), not a cell; mouse, not human",
        )
        self._cells: Cells | None = None
        self._groups: dict[str, tuple[tuple[str, ...], list[int]]] = {}

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        cells = load_cells(path, integers=False)
        missing = [c for c in ("profile", "organ", "cell_type") if c not in cells.obs.columns]
        if missing:
            raise DataError(f"obs lacks the columns {missing}; it has {list(cells.obs.columns)}", file=path)
        profile, organ, kind = (cells.column(c) for c in ("profile", "organ", "cell_type"))
        for i, values in enumerate(zip(profile, organ, kind, strict=True)):
            if "" in values:
                raise DataError(f"profile, organ and cell type are {values}; none may be empty", file=path, row=i)
        kept = np.arange(len(kind))
        if self.cell_types == "recurrent":
            kept = np.flatnonzero(np.isin(kind, RECURRENT))
            kind_of_kept = [k if k in RECURRENT else "" for k in kind]
        else:
            kind_of_kept = kind
        types = encode(kind_of_kept)
        self._cells, self._groups = cells, {"organ": encode(organ), "cell_type": types}
        classes = RECURRENT if self.cell_types == "recurrent" else types[0]
        self.card = replace(
            self.card,
            modalities=(replace(self.card.modalities[0], features=cells.genes),),
            tasks=(replace(self.card.tasks[0], classes=classes),),
        )
        return cell_table("mca", profile, organ, kind, kept)

    def read(self, row: int) -> Sample:
        """Read one profile: mean counts (G,), its cell type, and the codes of organ and type."""
        sample = self.peek(row)
        assert self._cells is not None
        sample.inputs[self.card.modalities[0].name] = self._cells.row(int(self.index["cell"].to_numpy()[row]))
        return sample

    def peek(self, row: int) -> Sample:
        """Like ``read``, with None for the expression."""
        line = self.index.iloc[row]
        groups = {name: codes[line["cell"]] for name, (_, codes) in self._groups.items()}
        return Sample(line["id"], {self.card.modalities[0].name: None}, {"cell_type": line["stratum"]}, groups)

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of organs and cell types."""
        return {name: names for name, (names, _) in self._groups.items()}
