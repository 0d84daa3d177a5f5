"""Single cells in an h5ad file, in memory or left on disk: the SingleCellH5AD source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, SourceCard
from datamodules.io.formats.cells import Cells, load_cells
from datamodules.sources.omics.cell_source import (
    DONOR_COLUMNS,
    CellSource,
    find_label,
    group_columns,
    known_label,
    labels_of,
    read_levels,
)
from zoo.raw import RawModality, RawTask

_KNOWN = {
    "kidney.h5ad": "Young et al., Single-cell transcriptomes from human kidneys, Science 361, 2018 (in scDCC: "
    "Tian et al., Nat. Commun. 12:1873, 2021)",
    "pbmc4k.h5ad": "10x Genomics, PBMC 4k (in scDCC: Tian et al., Nat. Commun. 12:1873, 2021)",
}


@dataclass(frozen=True)
class H5ADMatrix(Settings):
    """What is read of an h5ad file, and how.

    Attributes:
        unit: "counts", "mean counts", or what else the matrix holds, such as "log1p CP10k".
        layer: "" takes X, "raw" the matrix and genes of raw, any other name that layer.
        obsm: table of obsm, such as the surface proteins of CITE-seq, to give as well; "" for none. Its name
            becomes that of the modality or task.
        obsm_as: whether that table is a tabular "modality" or the "target" of a regression task.
        obsm_unit: its unit.
        backed: leave the matrix on disk and read cells as they are asked for, checking them then; "auto" does so
            for files beyond 1 GiB. Uncompressed files are fastest. Processed cells are still kept in memory up to
            ``data.loading.cache_mib``.
    """

    unit: str = "counts"
    layer: str = ""
    obsm: str = ""
    obsm_as: Literal["modality", "target"] = "modality"
    obsm_unit: str = ""
    backed: bool | Literal["auto"] = False


@SOURCES.register
class SingleCellH5AD(CellSource):
    """Read single cells with a cell type from any h5ad file: X of counts (N, G), labels in obs.

    Args:
        folder: folder of the file, below the root.
        file: name of the h5ad file.
        label: obs column of the cell type; "" takes the first of LABEL_COLUMNS that is there. Or task -> obs column,
            for several or other labels, such as {cell_type: celltype, disease: condition}; the first is what splits
            are stratified by, and {} reads no labels. "" reads none either where the file names no cell types and
            ``matrix.obsm`` is the target.
        organ: organ of all cells, for a file without such a column; "" leaves it unknown.
        group_by: obs column whose cells never cross a split; "" takes a donor column where there is one.
        groups: obs columns that become group columns; None takes those of GROUP_COLUMNS that are there.
        matrix: what is read of the file, and how.
        modality: name of the modality. Files whose genes differ need different names.

    The classes are known after ``open``, and have the names that the file gives them. A cell without a label is read
    without a target. Group columns are the tasks and ``groups``.
    """

    def __init__(
        self,
        *,
        folder: str = "scrna",
        file: str = "kidney.h5ad",
        label: str | dict[str, str] = "",
        organ: str = "",
        group_by: str = "",
        groups: list[str] | None = None,
        matrix: H5ADMatrix = H5ADMatrix(),
        modality: str = "scrna",
    ) -> None:
        super().__init__(folder=folder)
        self.file, self.organ, self.group_by, self.groups = file, organ, group_by, groups
        self.tasks = None if isinstance(label, str) else dict(label)
        self.label = label if isinstance(label, str) else ""
        self.layer, self.obsm, self.obsm_as, self.backed = matrix.layer, matrix.obsm, matrix.obsm_as, matrix.backed
        labels = ["cell_type"] if self.tasks is None else list(self.tasks)
        known = [RawTask(t, "classification", modalities=(modality,)) for t in labels]
        modalities = [RawModality(modality, "expression", matrix.unit)]
        if self.obsm and self.obsm_as == "modality":
            modalities.append(RawModality(self.obsm, "tabular", matrix.obsm_unit))
        elif self.obsm:
            known.append(RawTask(self.obsm, "regression", modalities=(modality,), unit=matrix.obsm_unit))
        self.card = SourceCard(
            title=f"Single-cell RNA sequencing, {file}",
            modalities=tuple(modalities),
            tasks=tuple(known),
            licence="not stated",
            access="open",
            citation=_KNOWN.get(file, "not stated"),
            where="the scDCC repository (data/Small_Datasets), or any h5ad file of your own",
            layout=f"{file}: AnnData with X (cells, genes) in '{matrix.unit}' and a column of obs with the cell type",
            caution="kidney and pbmc4k: 2000 genes without names, not shared between files; the labels of pbmc4k "
            "come from clustering of the same data, so accuracy on them is optimistic",
            size="that of the file",
        )

    def _index(self) -> pd.DataFrame:
        whole = self.card.modalities[0].unit == "counts"
        obsm = [self.obsm] if self.obsm else []
        cells = load_cells(self.path / self.file, integers=whole, backed=self.backed, layer=self.layer, obsm=obsm)
        stem = Path(self.file).stem
        tasks = self._tasks_of(cells)
        labels = {task: labels_of(cells, column) for task, column in tasks.items()}
        groups = {**labels, **group_columns(cells, self.groups, list(tasks.values()))}
        if self.organ and "organ" not in groups:
            groups["organ"] = [self.organ] * len(cells.names)
        donors = [c for c in DONOR_COLUMNS if c in cells.obs.columns and c not in tasks.values()]
        group_by = self.group_by or next(iter(donors), "")
        self.group_unit = group_by
        group = cells.column(group_by) if group_by else []
        is_input = self.obsm_as == "modality"
        levels = [read_levels(cells, name, name, is_input) for name in obsm]
        return self._take(cells, stem, labels, groups, group=group, levels=levels)

    def _tasks_of(self, cells: Cells) -> dict[str, str]:
        """Task -> obs column; without the task ``cell_type`` where only the table of obsm can be a target."""
        if self.tasks is not None:
            return self.tasks
        if self.obsm and self.obsm_as == "target" and not self.label and not known_label(cells):
            self.card = replace(self.card, tasks=self.card.tasks[1:])
            return {}
        return {"cell_type": find_label(cells, self.label)}
