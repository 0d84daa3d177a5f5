"""PBMC 68k, reduced: 700 blood cells that scanpy ships with, for cell types and masked-gene regression."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.formats.cells import Cells, cell_table, encode, make_cells, natural_order
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

UNIT = "log1p CP10k"


@SOURCES.register
class PBMC68kReduced(Source):
    """Read blood cells: log1p CP10k expression, the cell type, and the expression of genes taken out.

    Args:
        num_targets: how many genes are taken out of the input and become the targets of the regression task
            ``expression``; 0 leaves the task out.
        min_detected: share of all cells in which a gene must be seen to become a target. Among those genes
            the ones of the largest variance over all cells are taken: this defines the task, and is the same
            for every split.
        modality: name of the expression modality.

    Raises:
        SpecError: an argument is out of range.
    """

    def __init__(self, *, num_targets: int = 20, min_detected: float = 0.3, modality: str = "scrna") -> None:
        super().__init__(folder="")
        if num_targets < 0 or not 0 <= min_detected <= 1:
            raise SpecError(
                f"PBMC68kReduced: num_targets must be at least 0 and min_detected in [0, 1], got {num_targets} and "
                f"{min_detected}"
            )
        self.num_targets, self.min_detected = num_targets, min_detected
        cell_type = RawTask("cell_type", "classification", modalities=(modality,))
        expression = RawTask("expression", "regression", modalities=(modality,), unit=UNIT)
        self.card = SourceCard(
            title="PBMC 68k, reduced to 700 cells and 765 genes",
            modalities=(RawModality(modality, "expression", UNIT),),
            tasks=(cell_type, expression) if num_targets else (cell_type,),
            licence="not stated for the data (scanpy: BSD-3-Clause)",
            access="packaged",
            citation="Zheng et al., Massively parallel digital transcriptional profiling of single cells, "
            "Nat. Commun. 8:14049, 2017",
            where="it ships with scanpy: scanpy.datasets.pbmc68k_reduced()",
            layout="no files: installed with scanpy",
            caution="types were given by correlation with bulk profiles of the same genes; 765 genes only, so that a "
            "cell does not sum to ten thousand; target genes are chosen by their variance over all cells",
            size="700 cells, 765 genes",
        )
        self._cells: Cells | None = None
        self._types: tuple[tuple[str, ...], list[int]] = ((), [])
        self._masked: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._visible: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._levels: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)

    def _index(self) -> pd.DataFrame:
        data = _packaged()
        cells = make_cells(
            data, "scanpy.datasets.pbmc68k_reduced", data.raw.X, map(str, data.raw.var_names), integers=False
        )
        labels = cells.column("bulk_labels")
        self._cells, self._types = cells, encode(labels)
        self._masked = self._choose_targets(cells)
        self._visible = np.setdiff1d(np.arange(len(cells.genes)), self._masked)
        self._levels = np.asarray(cells.matrix[:, self._masked].toarray(), dtype=np.float32)
        tasks = [replace(self.card.tasks[0], classes=tuple(natural_order(labels)))]
        if self.num_targets:
            tasks.append(replace(self.card.tasks[1], classes=tuple(cells.genes[g] for g in self._masked)))
        features = tuple(cells.genes[g] for g in self._visible)
        self.card = replace(
            self.card, modalities=(replace(self.card.modalities[0], features=features),), tasks=tuple(tasks)
        )
        return cell_table("pbmc68k", cells.names, [""] * len(labels), labels, np.arange(len(labels)))

    def _choose_targets(self, cells: Cells) -> npt.NDArray[np.int64]:
        dense = np.asarray(cells.matrix.toarray(), dtype=np.float64)
        seen = np.flatnonzero((dense > 0).mean(axis=0) >= self.min_detected)
        if len(seen) < self.num_targets:
            raise DataError(
                f"PBMC68kReduced: only {len(seen)} genes are seen in {self.min_detected:g} of the cells, num_targets "
                f"is {self.num_targets}; lower one of them"
            )
        best = np.argsort(-dense[:, seen].var(axis=0), kind="stable")[: self.num_targets]
        return np.sort(seen[best]).astype(np.int64)

    def read(self, row: int) -> Sample:
        """Read one cell: expression (G,) without the target genes, its type, and the target genes."""
        sample = self.peek(row)
        assert self._cells is not None
        cell = int(self.index["cell"].to_numpy()[row])
        sample.inputs[self.card.modalities[0].name] = self._cells.row(cell)[self._visible]
        return sample

    def peek(self, row: int) -> Sample:
        """Like ``read``, with None for the expression."""
        line = self.index.iloc[row]
        cell = int(line["cell"])
        targets: dict[str, Any] = {"cell_type": line["stratum"]}
        if self.num_targets:
            names = self.card.tasks[1].classes
            targets["expression"] = {name: float(v) for name, v in zip(names, self._levels[cell], strict=True)}
        groups = {"cell_type": self._types[1][cell]}
        return Sample(line["id"], {self.card.modalities[0].name: None}, targets, groups)

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the cell types."""
        return {"cell_type": self._types[0]}


def _packaged() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scanpy

        return scanpy.datasets.pbmc68k_reduced()
