"""How the cells of a new row are read: as those of the table of training, or by the card of another source."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.core.processor import Processor
from datamodules.core.source import Source
from datamodules.io.column_types import ColumnType
from datamodules.io.fixed_table import FixedTable, NewTable
from datamodules.io.typed_table import TableReading
from datamodules.io.unknown import Unknown, text_of
from datamodules.sources.table import Table, TableModality
from zoo.errors import DataError, SpecError
from zoo.modality import MODALITIES
from zoo.raw import RawModality, RawTask
from zoo.table_task import TableTask
from zoo.task import TASKS


class CellReader(Table):
    """Read cells of new rows, without a file behind it and without guessing anything from the rows.

    Args:
        modalities: name -> where it is found; columns are listed one by one.
        tasks: name -> where its labels are found; classes are given.
        unknown: words that stand for an unknown value.
        reading: exceptions among numbers, and words that are values.
        types: column -> its type in training.
        id: column of the rows' names; "" for none.
        group: column of the unit of independence, such as the patient; "" for none.
        as_given: whether a cell of a modality that is kept in files may be a path or a list of numbers, as it comes.
            Tables of training say which.

    Attributes:
        renamed: column -> its name in the modality, where another modality has a column of that name.
    """

    def __init__(
        self,
        *,
        modalities: Mapping[str, TableModality],
        tasks: Mapping[str, TableTask],
        unknown: Sequence[str] = (),
        reading: TableReading = TableReading(),
        types: Mapping[str, ColumnType] | None = None,
        id: str = "",
        group: str = "",
        as_given: bool = False,
    ) -> None:
        super().__init__(
            folder="", modalities=modalities, tasks=tasks, unknown=unknown, reading=reading, id=id, group=group
        )
        self.types, self.as_given = dict(types or {}), as_given
        self.renamed: dict[str, str] = {}
        self._fixed: FixedTable | None = None

    def take(self, rows: NewTable, folder: Path) -> None:
        """Read these rows; columns may be absent.

        Args:
            rows: the new rows.
            folder: what paths in cells are relative to.
        """
        unknown = Unknown(self.unknown, self.reading.values)
        self._fixed = FixedTable(rows, unknown, self.types, self.reading.exceptions)
        self._rows, self.path = self._fixed, folder

    @property
    def fixed(self) -> FixedTable:
        """The rows that were taken."""
        assert self._fixed is not None
        return self._fixed

    def value(self, name: str, row: int) -> Any:
        """The raw value of a modality that a row has; an array in memory is a raw value already.

        Raises:
            DataError: its file is missing or broken, or a cell is not what the kind needs.
        """
        told, cells = self.modalities[name], self.cells(name, row)
        first = next(iter(cells.values()))
        if isinstance(first, np.ndarray) and not told.columns:
            return first
        if not self.as_given or told.columns or MODALITIES.get(told.kind).cheap:
            return self.read_cells(name, {self.renamed.get(c, c): v for c, v in cells.items()}, told.path, row)
        if isinstance(first, str) and first.startswith("["):
            return self.read_cells(name, {c: _numbers(c, v) for c, v in cells.items()}, "", row)
        return self.read_cells(name, cells, "{}" if isinstance(first, str) else "", row)

    def id(self, row: int) -> str:
        """Name of a row; its number where there is no column of names."""
        return self.name_of(row) or str(row)

    def name_of(self, row: int) -> str:
        """Name of a row; "" where there is no column of names."""
        return text_of(self.fixed.value(self.columns["id"], row))

    def unit_of(self, row: int) -> str:
        """The unit of independence of a row, such as "patient:17"; "" where there is none."""
        column = self.columns["group"]
        name = text_of(self.fixed.value(column, row))
        return f"{column}:{name}" if name else ""

    def classes(self, name: str) -> tuple[str, ...]:
        """The classes of a task as they were told; none are looked for in the rows."""
        return self.tasks[name].classes

    def label_columns(self, task: str) -> tuple[str, ...]:
        """The columns that hold the labels of a task."""
        return self.tasks[task].labels(task)

    def as_json(self) -> dict[str, Any]:
        """The options, as plain data."""
        return {
            "modalities": {n: asdict(m) for n, m in self.modalities.items()},
            "tasks": {n: asdict(t) for n, t in self.tasks.items()},
            "unknown": list(self.unknown),
            "values": list(self.reading.values),
            "exceptions": self.reading.exceptions,
            "types": {c: asdict(t) for c, t in self.types.items()},
            "id": self.columns["id"],
            "group": self.columns["group"],
            "as_given": self.as_given,
            "renamed": self.renamed,
            "image_size": self.image_size,
        }


def _numbers(column: str, cell: str) -> Any:
    try:
        return json.loads(cell)
    except json.JSONDecodeError as error:
        raise DataError(f"column '{column}' holds no list of numbers: {cell[:60]!r}") from error


def from_json(told: Mapping[str, Any]) -> CellReader:
    """Invert ``CellReader.as_json``."""
    made = CellReader(
        modalities={n: TableModality(**_tuples(m)) for n, m in told["modalities"].items()},
        tasks={n: TableTask(**_tuples(t)) for n, t in told["tasks"].items()},
        unknown=told["unknown"],
        reading=TableReading(exceptions=told["exceptions"], values=tuple(told["values"])),
        types={c: ColumnType(**t) for c, t in told["types"].items()},
        id=told["id"],
        group=told["group"],
        as_given=told["as_given"],
    )
    made.renamed = dict(told.get("renamed", {}))
    made.image_size = int(told["image_size"])
    return made


def _tuples(told: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}


def reader_of(
    source: Source,
    modalities: Mapping[str, RawModality],
    tasks: Mapping[str, RawTask],
    processors: Mapping[str, Processor],
    taken: Mapping[str, str] | None = None,
) -> CellReader:
    """What reads new rows as a source's rows are read.

    Args:
        source: that is open.
        modalities: that are kept, by name.
        tasks: that are kept, by name.
        processors: modality -> fitted processor, which knows the columns of tables.
        taken: see ``by_cards``.
    """
    own = [m.name for m in source.card.modalities if m.name in modalities]
    labelled = [t.name for t in source.card.tasks if t.name in tasks]
    told = source.cell_options()
    if told is None:
        made = by_cards([modalities[n] for n in own], processors, [tasks[n] for n in labelled], taken)
    else:
        kept = {k: {n: v for n, v in told[k].items() if n in (*own, *labelled)} for k in ("modalities", "tasks")}
        made = from_json({**told, **kept, "as_given": False, "image_size": 0})
    made.image_size = source.image_size
    return made


def by_cards(
    modalities: Sequence[RawModality],
    processors: Mapping[str, Processor],
    tasks: Sequence[RawTask] = (),
    taken: Mapping[str, str] | None = None,
) -> CellReader:
    """What reads rows that have a column named after each modality, or the columns of a table.

    A column of a table whose name another modality has already is named "MODALITY.COLUMN": a row that has the one
    need not have the other.

    Args:
        modalities: that a row may have.
        processors: modality -> fitted processor.
        tasks: that a row may have labels of.
        taken: column -> the modality that has it already.
    """
    kinds = {m.name: processors[m.name].known_columns() for m in modalities if MODALITIES.get(m.kind).table}
    used, told = dict(taken or {}), dict[str, TableModality]()
    types, renamed = dict[str, ColumnType](), dict[str, str]()
    for m in modalities:
        columns = {c if used.get(c, m.name) == m.name else f"{m.name}.{c}": c for c in kinds.get(m.name, ())}
        renamed |= {new: old for new, old in columns.items() if new != old}
        types |= {new: ColumnType(kinds[m.name][old]) for new, old in columns.items()}
        used |= dict.fromkeys(columns or (m.name,), m.name)
        told[m.name] = TableModality(
            m.kind,
            columns=tuple(columns),
            unit=m.unit,
            sampling_rate=m.sampling_rate,
            channels=m.features if m.sampling_rate else (),
        )
    labelled = {t.name: labels for t in tasks if (labels := _labels(t)) is not None}
    made = CellReader(modalities=told, tasks=labelled, types=types, as_given=True)
    made.renamed = renamed
    return made


def _labels(task: RawTask) -> TableTask | None:
    """A column named after the task, or one for each of its numbers; None for labels that no table holds."""
    kind = TASKS.get(task.kind)
    several = bool(task.classes) and not kind.class_codes and not kind.labels_positions
    told = TableTask(
        task.kind,
        columns=task.classes if several else (),
        classes=() if several else task.classes,
        modalities=task.modalities,
        reads=task.reads,
        unit=task.unit,
    )
    try:
        kind.table_check(task.name, told)
    except SpecError:
        return None
    return told
