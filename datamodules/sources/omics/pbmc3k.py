"""PBMC3k: 2638 blood cells of a healthy donor, with the cell types of scanpy's tutorial."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io import download
from datamodules.io.files import one_of, require_file
from datamodules.io.formats.cells import Cells, make_cells
from datamodules.io.formats.h5 import check_claims, reading
from zoo.contract import Sample
from zoo.errors import DataError, unknown_name
from zoo.raw import RawModality, RawTask

CELL_TYPES = (
    "B cells", "CD14+ Monocytes", "CD4 T cells", "CD8 T cells", "Dendritic cells", "FCGR3A+ Monocytes",
    "Megakaryocytes", "NK cells",
)  # fmt: skip
"""Published labels of the clusters."""
_URL = "https://raw.githubusercontent.com/chanzuckerberg/cellxgene/main/example-dataset/pbmc3k.h5ad"
"""The address that scanpy.datasets.pbmc3k_processed takes; no checksum is published."""


@SOURCES.register
class PBMC3k(Source):
    """Read blood cells with their type: ``raw`` of the processed h5ad file, log(1 + counts per 10,000).

    ``X`` of the file is not read: it is scaled gene by gene over all cells, those of the test split included. The
    group column is ``cell_type``.

    Args:
        folder: folder of the file below the root.
        file: name of the h5ad file, as scanpy saves it.
        label: obs column of the cell type.
        modality: name of the modality. Files whose genes differ need different names.
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "pbmc3k",
        file: str = "pbmc3k_processed.h5ad",
        label: str = "louvain",
        modality: str = "scrna",
        task_name: str = "cell_type",
    ) -> None:
        super().__init__(folder=folder)
        self.file, self.label, self.modality, self.task_name = file, label, modality, task_name
        self._cells: Cells | None = None
        self._lines: list[tuple[str, str, int]] = []
        self.card = SourceCard(
            title="3k PBMCs from a Healthy Donor, processed",
            modalities=(RawModality(modality, "expression", "log1p CP10k"),),
            tasks=(RawTask(task_name, "classification", CELL_TYPES, (modality,)),),
            licence="CC BY 4.0 (10x Genomics)",
            access="open",
            citation="10x Genomics, 2016; processed as in Wolf et al., SCANPY, Genome Biology 19:15, 2018",
            where="scanpy.datasets.pbmc3k_processed() saves it as data/pbmc3k_processed.h5ad",
            layout=f"{file}: AnnData with obs['{label}'], and raw of log-normalised expression",
            caution="One donor. The labels come from clustering of the same data, so accuracy on them is optimistic.",
            size="2638 cells, 13714 genes in raw",
        )

    def fetch(self) -> None:
        """Download the file from where scanpy gets it; no checksum is published for it.

        Raises:
            DataError: the transfer failed.
        """
        if not (self.path / self.file).is_file():
            download.fetch(_URL, self.path / self.file)

    def _index(self) -> pd.DataFrame:
        import anndata
        import h5py
        from scipy import sparse

        path = require_file(self.path / self.file, self.card.where)
        with reading(path, "h5ad file"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with h5py.File(path, "r") as handle:
                check_claims(handle, path)
            data = anndata.read_h5ad(path)
            raw = data.raw
            if raw is None or 0 in raw.shape:
                raise DataError("the file has no 'raw'; it must be the processed file of scanpy", file=path)
            if sparse.issparse(raw.X):
                raw.X.check_format(full_check=True)  # scipy trusts the positions and would write anywhere
            cells = make_cells(data, path, raw.X, map(str, raw.var_names), integers=False)
        if self.label not in cells.obs.columns:
            known = unknown_name("obs column", self.label, map(str, cells.obs.columns))
            raise DataError(f"{known}; set 'label'", file=path)
        labels = cells.column(self.label)
        for name, label in zip(cells.names, labels, strict=True):
            one_of(label, CELL_TYPES, f"obs['{self.label}']", file=path, row=name)
        self._cells = cells
        self.card = replace(self.card, modalities=(replace(self.card.modalities[0], features=cells.genes),))
        return pd.DataFrame(
            {
                "id": [f"pbmc3k/{name}" for name in cells.names],
                "subject": "",
                "group": "",
                "stratum": labels,
                "split": "",
                "cell": range(len(labels)),
            }
        )

    def peek(self, row: int) -> Sample:
        """Return the type of a cell, without its expression."""
        if not self._lines:
            columns = [self.index[c].tolist() for c in ("id", "stratum", "cell")]
            self._lines = list(zip(*columns, strict=True))
        name, label, _ = self._lines[row]
        return Sample(name, {self.modality: None}, {self.task_name: label}, {"cell_type": CELL_TYPES.index(label)})

    def read(self, row: int) -> Sample:
        """Read one cell: expression (G,) in log(1 + counts per 10,000), and its type."""
        sample = self.peek(row)
        assert self._cells is not None
        sample.inputs[self.modality] = self._cells.row(self._lines[row][2])
        return sample

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the cell types."""
        return {"cell_type": CELL_TYPES}
