"""Your own data: a table with a column a modality and a column a label, described in YAML alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.arrow_table import ArrowTable, as_text, stamp
from datamodules.source import SOURCES, Overview, RawModality, RawTask, Source, SourceCard
from datamodules.table_values import read_value
from zoo.contract import MODALITY_KINDS, TASK_KINDS, Sample
from zoo.errors import DataError, SpecError

UNKNOWN = ("", "nan", "NaN", "NA", "N/A", "null", "None")
"""Words that stand for an unknown value unless others are given."""


@dataclass(frozen=True)
class TableModality:
    """Where a modality is found in the table.

    Attributes:
        kind: image, signal, dna, expression, protein, text or tabular.
        column: its column: an inline value, or a file where ``path`` is given; "" takes the modality's name.
        columns: the columns of a tabular modality, or the genes of an expression that has a column each.
        path: the file below the table's folder, with "{}" for the cell, such as "images/{}.png"; "{}" where the
            cell is the path itself.
        unit: of the values, such as "HU", "uV", "counts".
        sampling_rate: of a signal, in Hz.
    """

    kind: str
    column: str = ""
    columns: tuple[str, ...] = ()
    path: str = ""
    unit: str = ""
    sampling_rate: float = 0.0


@dataclass(frozen=True)
class TableTask:
    """Where the labels of a task are found in the table.

    Attributes:
        kind: classification, multilabel, ordinal, regression, structure, token_classification or vqa.
        column: its column; "" takes the task's name. Multilabel: the labels of a row, parted by ``separator``.
        columns: for multilabel and regression, a column a label or target (0 or 1, or a number).
        classes: the classes; () takes what the column holds, sorted (ordinal: in order, and must be given).
        modalities: those that may inform the task; () for all.
        reads: the modality that the head reads (vqa: the question; structure and token_classification: the protein).
        separator: between the labels of a multilabel column.
        path: structure: the file of a (L, 3) or (L, 4) array, with "{}" for the cell.
        unit: of the targets.
    """

    kind: str
    column: str = ""
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    reads: str = ""
    separator: str = "|"
    path: str = ""
    unit: str = ""


@SOURCES.register
class Table(Source):
    """Read a table of your own: csv, tsv, Parquet or Arrow.

    A cell that is empty or says unknown is a modality or a label that the row does not have. Paths are relative
    to the table's folder. With ``data.index`` the table is memory-mapped: it may have millions of rows.

    Args:
        folder: folder of the table below the root.
        file: name of the table.
        modalities: name -> where it is found.
        tasks: name -> where its labels are found.
        id: column of the rows' names, each once; "" numbers the rows.
        subject: column of the join key: rows of different sources with the same subject become one sample.
        group: column of what must not cross a split, such as the patient; "" for none.
        split: column that says train, val or test, empty where it is open; "" for none.
        groups: columns that become group codes, such as site, for evaluation out of distribution.
        unknown: words that stand for an unknown value.
        title: what the data are called in reports; "" takes the file's name.
        simulated: whether the rows come from a simulator.
    """

    sorts = False  # the order of the table is the order of the rows, so that nothing but the file is kept

    def __init__(
        self,
        *,
        folder: str = "mydata",
        file: str = "table.csv",
        modalities: Mapping[str, TableModality] | None = None,
        tasks: Mapping[str, TableTask] | None = None,
        id: str = "",
        subject: str = "",
        group: str = "",
        split: str = "",
        groups: Sequence[str] = (),
        unknown: Sequence[str] = UNKNOWN,
        title: str = "",
        simulated: bool = False,
    ) -> None:
        super().__init__(folder=folder)
        self.file, self.unknown = file, tuple(unknown)
        self.modalities, self.tasks = dict(modalities or {}), dict(tasks or {})
        self.columns = {"id": id, "subject": subject, "group": group, "split": split}
        self.groups = tuple(groups)
        self._rows: ArrowTable | None = None
        self._names: dict[str, tuple[str, ...]] = {}
        self._found: dict[str, tuple[str, ...]] = {}  # classes of multilabel columns, which take a look at all rows
        self._check()
        self.card = SourceCard(
            title=title or file,
            modalities=tuple(_raw_modality(n, m) for n, m in self.modalities.items()),
            tasks=tuple(_raw_task(n, t) for n, t in self.tasks.items()),
            licence="yours",
            access="simulated" if simulated else "open",
            citation="your own data",
            where="you have it: a table with a row a sample",
            layout=f"{file}: a column a modality (a value, or a path), a column a label, group columns",
            size="any: see data.index for tables of millions of rows",
        )

    def _check(self) -> None:
        for name, modality in self.modalities.items():
            if modality.kind not in MODALITY_KINDS:
                raise SpecError(f"modality '{name}': kind '{modality.kind}' is unknown; kinds: {MODALITY_KINDS}")
            if modality.kind == "tabular" and not modality.columns:
                raise SpecError(f"modality '{name}': a tabular modality lists its 'columns'")
        for name, task in self.tasks.items():
            if task.kind not in TASK_KINDS:
                raise SpecError(f"task '{name}': kind '{task.kind}' is unknown; kinds: {TASK_KINDS}")
            if task.kind == "ordinal" and not task.classes:
                raise SpecError(f"task '{name}': an ordinal task lists its 'classes' in increasing order")
            if task.kind == "token_classification" and not task.classes:
                raise SpecError(
                    f"task '{name}': lists its 'classes', one letter each, of which a cell holds one a token"
                )
            if task.kind in ("vqa", "structure", "token_classification") and not task.reads:
                raise SpecError(f"task '{name}': a {task.kind} task names the modality that its head 'reads'")

    # -- opening ---------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Map the table; nothing of it is read."""
        if self._rows is None:
            self._rows = ArrowTable(self.path / self.file, self.index_folder)
            self._rows.require([c for c in self._all_columns() if c])
            self._names = {g: self._group_names(g) for g in self.groups}

    def _group_names(self, column: str) -> tuple[str, ...]:
        return tuple(v for v in self.rows.distinct(column) if v not in self.unknown)

    @property
    def rows(self) -> ArrowTable:
        """The table."""
        self.ready()
        assert self._rows is not None
        return self._rows

    def _all_columns(self) -> list[str]:
        named = [c for n, m in self.modalities.items() for c in (m.columns or (m.column or n,))]
        named += [c for n, t in self.tasks.items() for c in (t.columns or (t.column or n,))]
        return [*named, *self.columns.values(), *self.groups]

    def stamp(self, root: Path | str | None) -> str:
        """Size and time of change of the table."""
        return stamp(Path(root or ".") / self.folder / self.file)

    def _index(self) -> pd.DataFrame:
        if not self.modalities or not self.tasks:
            raise SpecError(
                "Table: describe at least one of 'modalities' and one of 'tasks'; see README, Your own data"
            )
        self.card = replace(
            self.card,
            modalities=tuple(_raw_modality(n, m) for n, m in self.modalities.items()),
            tasks=tuple(replace(_raw_task(n, t), classes=self._classes(n, t)) for n, t in self.tasks.items()),
        )
        count = len(self.rows)
        told = {c: self._clean(name) if name else np.full(count, "", object) for c, name in self.columns.items()}
        if self.columns["id"]:
            empty = np.flatnonzero(told["id"] == "")
            if len(empty):
                raise DataError(
                    f"the id column '{self.columns['id']}' is empty", file=self.rows.path, row=int(empty[0])
                )
            twice = pd.Series(told["id"]).duplicated().to_numpy()
            if twice.any():
                row = int(np.argmax(twice))
                raise DataError(f"the id '{told['id'][row]}' occurs twice", file=self.rows.path, row=row)
        else:
            width = len(str(count - 1))  # so that the order of names is the order of rows
            told["id"] = np.char.zfill(np.arange(count).astype(str), width).astype(object)
        wrong = sorted(set(told["split"]) - {"", "train", "val", "test"})
        if wrong:
            raise DataError(
                f"column '{self.columns['split']}' says {wrong}; use train, val, test", file=self.rows.path
            )
        first = next((n for n, t in self.tasks.items() if t.kind in ("classification", "ordinal")), "")
        stratum = self._clean(self.tasks[first].column or first) if first else np.full(count, "", object)
        return pd.DataFrame({**told, "stratum": stratum})

    def _clean(self, column: str) -> npt.NDArray[np.object_]:
        values = self.rows.texts(column)
        values[~self.rows.known(column, self.unknown)] = ""
        return values

    def _classes(self, name: str, task: TableTask) -> tuple[str, ...]:
        if task.classes or task.kind in ("vqa", "structure"):
            return task.classes
        if task.columns:
            return task.columns
        column = task.column or name
        if task.kind == "regression":
            return (column,)
        found = [v for v in self.rows.distinct(column) if v not in self.unknown]
        if task.kind == "multilabel":
            found = sorted({label.strip() for v in found for label in v.split(task.separator) if label.strip()})
        if len(found) < (1 if task.kind == "multilabel" else 2):
            raise DataError(
                f"task '{name}': column '{column}' holds the classes {found}; 2 are needed", file=self.rows.path
            )
        return tuple(found)

    # -- reading ---------------------------------------------------------------------------------------------

    def overview(self) -> Overview:
        """Which cells are known, column by column."""

        def known(columns: Sequence[str]) -> npt.NDArray[np.bool_]:
            mask: npt.NDArray[np.bool_] = np.logical_or.reduce([self.rows.known(c, self.unknown) for c in columns])
            return mask

        return Overview(
            {n: known(m.columns or (m.column or n,)) for n, m in self.modalities.items()},
            {n: known(t.columns or (t.column or n,)) for n, t in self.tasks.items()},
        )

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """The values of each group column."""
        self.ready()
        return dict(self._names)

    def id(self, row: int) -> str:
        """Name of a row: its id, or its number."""
        if self.columns["id"]:
            return self.rows.text(self.columns["id"], row)
        return str(row).zfill(len(str(len(self.rows) - 1)))

    def __len__(self) -> int:
        return len(self.rows)

    def peek(self, row: int) -> Sample:
        """Labels, groups, texts, sequences and table columns of a row; None for what lies in files."""
        return self._sample(row, decode=False)

    def read(self, row: int) -> Sample:
        """Read a row.

        Raises:
            DataError: a file is missing or broken, or a cell is not what its kind needs.
        """
        return self._sample(row, decode=True)

    def _sample(self, row: int, *, decode: bool) -> Sample:
        sample = Sample(self.id(row))
        for name, modality in self.modalities.items():
            columns = modality.columns or (modality.column or name,)
            cells = {c: self._cell(c, row) for c in columns}
            if any(v is not None for v in cells.values()):
                cheap = modality.kind in ("text", "dna", "protein", "tabular") and not modality.path
                sample.inputs[name] = self._input(name, modality, cells, row) if decode or cheap else None
        for name, task in self.tasks.items():
            label = self._label(name, task, row)
            if label is not None:
                sample.targets[name] = label
        for column in self.groups:
            value = self.rows.text(column, row)
            sample.groups[column] = self._names[column].index(value) if value in self._names[column] else -1
        return sample

    def _cell(self, column: str, row: int) -> Any:
        """A cell, None where it is unknown."""
        value = self.rows.value(column, row)
        if isinstance(value, str):
            value = value.strip()
        return None if value is None or value in self.unknown or value != value else value

    def _input(self, name: str, modality: TableModality, cells: dict[str, Any], row: int) -> Any:
        try:
            return read_value(modality.kind, cells, self.path, modality.path, self.image_size, bool(modality.columns))
        except DataError as error:
            if error.file is not None:
                raise
            raise DataError(f"modality '{name}': {error}", file=self.rows.path, row=self.id(row)) from error

    def _label(self, name: str, task: TableTask, row: int) -> Any:
        column = task.column or name
        if task.columns or task.kind == "regression":
            known = {c: self._cell(c, row) for c in (task.columns or (column,))}
            numbers = {c: self._number(name, c, v, row) for c, v in known.items() if v is not None}
            return (numbers if task.kind == "regression" else {c: int(v) for c, v in numbers.items()}) or None
        cell = self._cell(column, row)
        if cell is None:
            return None
        if task.kind == "structure":
            return _coordinates(read_value("array", {column: cell}, self.path, task.path or "{}", 0, False))
        if task.kind == "multilabel":
            held = {label.strip() for label in as_text(cell).split(task.separator)}
            if name not in self._found:
                self._found[name] = self._classes(name, task)
            classes = self._found[name]
            return {c: int(c in held) for c in classes} | {c: 1 for c in held if c and c not in classes}
        return as_text(cell)

    def _number(self, task: str, column: str, value: Any, row: int) -> float:
        allowed = "0 or 1" if self.tasks[task].kind == "multilabel" else "a number (finite)"
        try:
            number = float({"true": 1, "false": 0}.get(str(value).lower(), value))
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or (allowed == "0 or 1" and number not in (0, 1)):
            raise DataError(
                f"task '{task}': column '{column}' holds {value!r}, not {allowed}; name it under 'unknown' if it "
                "means that",
                file=self.rows.path,
                row=self.id(row),
            )
        return number


def _coordinates(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Give (L, 3) coordinates the mark of resolved residues."""
    if array.ndim == 2 and array.shape[1] == 3:
        resolved = np.asarray(np.isfinite(array).all(axis=1))
        return np.concatenate([np.where(resolved[:, None], array, 0.0), resolved[:, None]], 1).astype(np.float32)
    return array


def _raw_modality(name: str, told: TableModality) -> RawModality:
    features = told.columns if told.kind in ("tabular", "expression") else ()
    return RawModality(name, told.kind, told.unit, told.sampling_rate, tuple(features))


def _raw_task(name: str, told: TableTask) -> RawTask:
    classes = told.classes or told.columns
    return RawTask(name, told.kind, tuple(classes), tuple(told.modalities), told.reads, told.unit)
