"""What all sources of single cells share: reading cells in blocks, their labels, groups and further tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import Source
from datamodules.io.formats.cells import Cells, cell_table, encode, natural_order
from zoo.contract import Sample
from zoo.errors import DataError, unknown_name

LABEL_COLUMNS = (
    "cell_type",
    "celltype",
    "cell_types",
    "bulk_labels",
    "label",
    "labels",
    "cluster",
    "louvain",
    "leiden",
)
"""Columns of obs that are taken as the label, the first that is there."""
GROUP_COLUMNS = ("organ", "tissue", "donor", "patient", "batch")
"""Columns of obs that become group columns where they are there."""
DONOR_COLUMNS = ("donor", "patient", "batch")
"""Columns of obs whose cells stay in one split by default, the first that is there."""


@dataclass(frozen=True)
class Levels:
    """A further table of the cells, such as surface proteins.

    Attributes:
        name: of the tabular modality or the regression task.
        is_input: whether it is a modality; else it is a task.
        columns: P names.
        values: (N, P), finite.
    """

    name: str
    is_input: bool
    columns: tuple[str, ...]
    values: npt.NDArray[np.float32]


def read_levels(cells: Cells, table: str, name: str, is_input: bool) -> Levels:
    """Take ``obsm[table]`` of the cells as levels; columns of an array, which have no names, become "protein_3".

    Args:
        cells: of a file.
        table: key of obsm.
        name: of the modality or task that the levels are for.
        is_input: whether they become inputs and not targets.

    Raises:
        DataError: the table is not (cells, columns) of numbers, or a value is not finite.
        UnknownNameError: there is no such table.
    """
    if table not in cells.obsm:
        raise unknown_name(f"obsm table of {Path(cells.file).name}", table, cells.obsm)
    found = cells.obsm[table]
    dense = found.toarray() if hasattr(found, "toarray") else found
    try:
        values = np.asarray(dense, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"obsm['{table}'] does not hold numbers ({error})", file=cells.file) from error
    if values.ndim != 2 or not values.shape[1] or len(values) != len(cells.names):
        raise DataError(f"obsm['{table}'] has shape {values.shape}; expected (cells, columns)", file=cells.file)
    named = isinstance(found, pd.DataFrame)
    names = tuple(str(c) for c in found.columns) if named else tuple(f"{table}_{i}" for i in range(values.shape[1]))
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        cell, column = bad[0]
        raise DataError(
            f"obsm['{table}']: '{names[column]}' is {values[cell, column]}; drop the cell",
            file=cells.file,
            row=cells.names[cell],
        )
    return Levels(name, is_input, names, values)


class CellSource(Source):
    """Base of the sources of single cells: a subclass makes Cells in ``_index`` and hands them to ``_take``."""

    def __init__(self, *, folder: str = "") -> None:
        super().__init__(folder=folder)
        self._cells: Cells | None = None
        self._labels: dict[str, Sequence[str]] = {}
        self._groups: dict[str, tuple[tuple[str, ...], list[int]]] = {}
        self._levels: tuple[Levels, ...] = ()
        self._ids: list[str] = []
        self._positions: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def _take(
        self,
        cells: Cells,
        prefix: str,
        labels: Mapping[str, Sequence[str]],
        groups: Mapping[str, Sequence[str]],
        *,
        group: Sequence[str] = (),
        levels: Sequence[Levels] = (),
        names: Sequence[str] = (),
        kept: npt.NDArray[np.int64] | None = None,
        classes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> pd.DataFrame:
        """Remember the cells, complete the card and return the index.

        Args:
            cells: of the file.
            prefix: of the ids.
            labels: task -> label of each cell, "" where unknown; the first task is the stratum.
            groups: group column -> value of each cell.
            group: what never crosses a split; () for nothing.
            levels: further tables.
            names: of the cells in ids; () takes their own.
            kept: positions of the cells that become rows; None for all.
            classes: task -> classes, where they are not just those that occur.
        """
        self._cells, self._labels, self._levels = cells, dict(labels), tuple(levels)
        self._groups = {name: encode(values) for name, values in groups.items()}
        columns = {level.name: level.columns for level in levels}
        known = {t: tuple(natural_order([v for v in values if v])) for t, values in labels.items()}
        known.update(classes or {})
        modalities = [replace(self.card.modalities[0], features=cells.genes)]
        modalities += [replace(m, features=columns.get(m.name, m.features)) for m in self.card.modalities[1:]]
        tasks = [replace(t, classes=known.get(t.name, columns.get(t.name, t.classes))) for t in self.card.tasks]
        self.card = replace(self.card, modalities=tuple(modalities), tasks=tuple(tasks))
        n = len(cells.names)
        self.remarks = [remark for told in cells.remarks.values() for remark in told]
        _check_names(names or cells.names, cells.file)
        stratum = next(iter(labels.values()), [""] * n)
        return cell_table(
            prefix, names or cells.names, group or [""] * n, stratum, np.arange(n) if kept is None else kept
        )

    def read(self, row: int) -> Sample:
        """Read one cell: its expression (G,) in the unit of the card, further tables, labels and groups."""
        return self.read_many([row])[0]

    def read_many(self, rows: Sequence[int]) -> list[Sample]:
        """Read cells in the order given; from a file on disk in sorted blocks."""
        samples = [self.peek(row) for row in rows]
        assert self._cells is not None
        name = self.card.modalities[0].name
        for sample, values in zip(samples, self.expression(rows), strict=True):
            sample.inputs[name] = values
        return samples

    def expression(self, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Expression (n, G) of lines ``rows`` of the index, in that order."""
        self._arrays()
        assert self._cells is not None
        return self._cells.rows(self._positions[np.asarray(rows, dtype=np.int64)])

    def peek(self, row: int) -> Sample:
        """Like ``read``, with None for the expression."""
        self._arrays()
        cell = int(self._positions[row])
        targets: dict[str, Any] = {task: values[cell] for task, values in self._labels.items() if values[cell]}
        groups = {name: codes[cell] for name, (_, codes) in self._groups.items()}
        sample = Sample(self._ids[row], {self.card.modalities[0].name: None}, targets, groups)
        for level in self._levels:
            values = dict(zip(level.columns, level.values[cell].tolist(), strict=True))
            (sample.inputs if level.is_input else sample.targets)[level.name] = values
        return sample

    def _arrays(self) -> None:
        if not self._ids:
            self._ids = self.index["id"].tolist()
            self._positions = self.index["cell"].to_numpy(dtype=np.int64)

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the values of the group columns: cell types, donors, organs."""
        return {name: names for name, (names, _) in self._groups.items()}


def labels_of(cells: Cells, column: str) -> list[str]:
    """Labels of a column of obs, as the file names them, "" where unknown.

    Whole numbers that are stored as floats, as pandas does where some are unknown, are written without a point.

    Args:
        cells: of a file.
        column: of obs.

    Raises:
        DataError: fewer than two classes, or numbers that are no classes.
        UnknownNameError: there is no such column.
    """
    labels = cells.column(column)
    values = cells.obs[column]
    if pd.api.types.is_float_dtype(values.dtype) and bool((values.dropna() % 1 != 0).any()):
        raise DataError(f"obs column '{column}' holds measurements, not classes; name another one", file=cells.file)
    classes = tuple(natural_order([name for name in labels if name]))
    if len(classes) < 2:
        raise DataError(f"obs column '{column}' has the classes {classes}; at least 2 are needed", file=cells.file)
    return labels


def known_label(cells: Cells) -> str:
    """Name of the first of LABEL_COLUMNS that obs has; "" for none."""
    return next((c for c in LABEL_COLUMNS if c in cells.obs.columns), "")


def find_label(cells: Cells, label: str) -> str:
    """Name of the label column: ``label``, or the first of LABEL_COLUMNS that is there.

    Raises:
        DataError: none is.
    """
    found = label or known_label(cells)
    if not found:
        raise DataError(
            f"no column of obs is known to hold labels; give 'label' as one of {list(cells.obs.columns)}",
            file=cells.file,
        )
    return found


def group_columns(cells: Cells, wanted: Sequence[str] | None, labels: Sequence[str]) -> dict[str, list[str]]:
    """Group columns of obs: ``wanted``, or those of GROUP_COLUMNS that are there and are no label.

    Args:
        cells: of a file.
        wanted: columns to take; None for those of GROUP_COLUMNS that are there.
        labels: columns that are labels, and so no groups.
    """
    if wanted is None:
        wanted = [c for c in GROUP_COLUMNS if c in cells.obs.columns and c not in labels]
    return {name: cells.column(name) for name in wanted}


def _check_names(names: Sequence[str], path: Path | str) -> None:
    """Raise DataError where two cells have one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"the cell '{name}' occurs twice; give each a name of its own", file=path)
        seen.add(name)
