"""Single cells in an h5ad file, in memory or left on disk: the SingleCellH5AD source."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from datamodules.formats.cell_source import (
    DONOR_COLUMNS,
    GROUP_COLUMNS,
    LABEL_COLUMNS,
    CellSource,
    find_label,
    group_columns,
    labels_of,
    read_levels,
)
from datamodules.formats.cells import (
    Cells,
    cell_table,
    choose_cells,
    class_names,
    encode,
    load_cells,
    make_cells,
    natural_order,
)
from datamodules.source import SOURCES, RawModality, RawTask, SourceCard
from zoo.errors import SpecError

__all__ = [
    "DONOR_COLUMNS",
    "GROUP_COLUMNS",
    "LABEL_COLUMNS",
    "Cells",
    "SingleCellH5AD",
    "cell_table",
    "choose_cells",
    "class_names",
    "encode",
    "load_cells",
    "make_cells",
    "natural_order",
]

_KNOWN = {
    "kidney.h5ad": "Young et al., Single-cell transcriptomes from human kidneys, Science 361, 2018 (in scDCC: "
    "Tian et al., Nat. Commun. 12:1873, 2021)",
    "pbmc4k.h5ad": "10x Genomics, PBMC 4k (in scDCC: Tian et al., Nat. Commun. 12:1873, 2021)",
}


@SOURCES.register
class SingleCellH5AD(CellSource):
    """Read single cells with a cell type from any h5ad file: X of counts (N, G), labels in obs.

    Args:
        folder: folder of the file, below the root.
        file: name of the h5ad file.
        label: obs column of the cell type; "" takes the first of LABEL_COLUMNS that is there.
        tasks: task -> obs column, for several or other labels, such as {cell_type: celltype, disease:
            condition}; the first is what splits are stratified by. None has the one task ``cell_type``.
        organ: organ of all cells, for a file without such a column; "" leaves it unknown.
        group_by: obs column whose cells never cross a split; "" takes a donor column where there is one.
        groups: obs columns that become group columns; None takes those of GROUP_COLUMNS that are there.
        unit: "counts", "mean counts", or what else the matrix holds, such as "log1p CP10k".
        layer: "" takes X, "raw" the matrix and genes of raw, any other name that layer.
        obsm: table of obsm, such as the surface proteins of CITE-seq, to give as well; "" for none. Its name
            becomes that of the modality or task.
        obsm_as: whether that table is a tabular "modality" or the "target" of a regression task.
        obsm_unit: its unit.
        backed: leave the matrix on disk and read cells as they are asked for, checking them then; "auto" does so
            for files beyond 1 GiB. Uncompressed files are fastest. Processed cells are still kept in memory up to
            ``data.cache_mib``.
        modality: name of the modality. Files whose genes differ need different names.

    Raises:
        SpecError: both ``label`` and ``tasks`` are given, or ``obsm_as`` or ``backed`` is none of those above.

    The classes are known after ``open``. Labels that are mere numbers are prefixed by the file's name
    ("kidney type 3"). A cell without a label is read without a target. Group columns are the tasks and ``groups``.
    """

    def __init__(
        self,
        *,
        folder: str = "scrna",
        file: str = "kidney.h5ad",
        label: str = "",
        tasks: dict[str, str] | None = None,
        organ: str = "",
        group_by: str = "",
        groups: list[str] | None = None,
        unit: str = "counts",
        layer: str = "",
        obsm: str = "",
        obsm_as: Literal["modality", "target"] = "modality",
        obsm_unit: str = "",
        backed: bool | Literal["auto"] = False,
        modality: str = "scrna",
    ) -> None:
        super().__init__(folder=folder)
        if label and tasks is not None:
            raise SpecError("SingleCellH5AD: give 'label' or 'tasks', not both: put the label into tasks")
        if obsm_as not in ("modality", "target"):
            raise SpecError(f"SingleCellH5AD: obsm_as is {obsm_as!r}; allowed: ('modality', 'target')")
        if backed not in (True, False, "auto"):
            raise SpecError(f"SingleCellH5AD: backed is {backed!r}; allowed: (true, false, 'auto')")
        self.file, self.label, self.organ, self.group_by = file, label, organ, group_by
        self.tasks, self.groups, self.layer = tasks, groups, layer
        self.obsm, self.obsm_as, self.backed = obsm, obsm_as, backed
        labels = ["cell_type"] if tasks is None else list(tasks)
        known = [RawTask(t, "classification", modalities=(modality,)) for t in labels]
        modalities = [RawModality(modality, "expression", unit)]
        if obsm and obsm_as == "modality":
            modalities.append(RawModality(obsm, "tabular", obsm_unit))
        elif obsm:
            known.append(RawTask(obsm, "regression", modalities=(modality,), unit=obsm_unit))
        self.card = SourceCard(
            title=f"Single-cell RNA sequencing, {file}",
            modalities=tuple(modalities),
            tasks=tuple(known),
            licence="not stated",
            access="open",
            citation=_KNOWN.get(file, "not stated"),
            where="the scDCC repository (data/Small_Datasets), or any h5ad file of your own",
            layout=f"{file}: AnnData with X (cells, genes) in '{unit}' and a column of obs with the cell type",
            caution="kidney and pbmc4k: 2000 genes without names, not shared between files; the labels of pbmc4k "
            "come from clustering of the same data, so accuracy on them is optimistic",
            size="that of the file",
        )

    def _index(self) -> pd.DataFrame:
        whole = self.card.modalities[0].unit == "counts"
        obsm = [self.obsm] if self.obsm else []
        cells = load_cells(self.path / self.file, integers=whole, backed=self.backed, layer=self.layer, obsm=obsm)
        stem = Path(self.file).stem
        tasks = {"cell_type": find_label(cells, self.label)} if self.tasks is None else self.tasks
        labels = {task: labels_of(cells, column, stem) for task, column in tasks.items()}
        groups = {**labels, **group_columns(cells, self.groups, list(tasks.values()))}
        if self.organ and "organ" not in groups:
            groups["organ"] = [self.organ] * len(cells.names)
        donors = [c for c in DONOR_COLUMNS if c in cells.obs.columns and c not in tasks.values()]
        group_by = self.group_by or next(iter(donors), "")
        group = cells.column(group_by) if group_by else []
        is_input = self.obsm_as == "modality"
        levels = [read_levels(cells, name, name, is_input) for name in obsm]
        return self._take(cells, stem, labels, groups, group=group, levels=levels)
