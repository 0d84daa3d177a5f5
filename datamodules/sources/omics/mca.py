"""Mouse Cell Atlas reference profiles: average expression of one cell type in one organ."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, SourceCard
from datamodules.io.formats.cells import load_cells
from datamodules.sources.omics.cell_source import CellSource
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

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
class MouseCellAtlas(CellSource):
    """Read reference profiles: mean counts of 3028 named genes, the cell type, the organ.

    By default profiles of one organ never cross a split, so that validation and test hold unseen organs.

    Args:
        folder: folder of the file, below the root.
        file: h5ad with profiles in X and obs columns profile, organ and cell_type.
        cell_types: "recurrent" keeps the profiles of the ten types of RECURRENT; "all" keeps every profile,
            with the types of the file as classes (most of them occur in one organ only).
        modality: name of the modality.
        group_by: what never crosses a split; "none" splits profiles at random, so that organs that are held out (see
            data.split.held_out) can be compared with test profiles of organs that were trained on.

    Raises:
        SpecError: ``cell_types`` or ``group_by`` is none of these.
    """

    group_unit = "organ"

    def __init__(
        self,
        *,
        folder: str = "scrna",
        file: str = "mca_tissues.h5ad",
        cell_types: Literal["recurrent", "all"] = "recurrent",
        modality: str = "scrna",
        group_by: Literal["organ", "none"] = "organ",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "group_by", group_by, ("organ", "none"))
        self.group_by = group_by
        check_choice(self, "cell_types", cell_types, ("recurrent", "all"))
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
            size="894 profiles of 3,028 genes in 47 tissues",
        )

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
        groups = {"organ": organ, "cell_type": kind}
        apart = organ if self.group_by == "organ" else ()
        if self.cell_types == "all":
            return self._take(cells, "mca", {"cell_type": kind}, groups, group=apart, names=profile)
        kept = np.flatnonzero(np.isin(kind, RECURRENT))
        groups["cell_type"] = [k if k in RECURRENT else "" for k in kind]
        self.skipped["cell type is not recurrent"] = len(kind) - len(kept)
        classes = {"cell_type": RECURRENT}
        labels = {"cell_type": groups["cell_type"]}
        return self._take(cells, "mca", labels, groups, group=apart, names=profile, kept=kept, classes=classes)
