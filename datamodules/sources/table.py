"""Your own data: a table with a column a modality and a column a label, described in YAML alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Overview, Source, SourceCard
from datamodules.core.splits import SPLITS
from datamodules.io.arrow_table import ArrowTable, stamps
from datamodules.io.joined_table import JoinedTable
from datamodules.io.table_file import TextFormat
from datamodules.io.table_values import TableCell
from datamodules.io.typed_table import OPEN, TableReading, TypedTable
from datamodules.io.unknown import Unknown, text_of
from zoo.contract import MODALITIES, TASKS, Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask
from zoo.table_task import TableTask


@dataclass(frozen=True)
class TableModality:
    """Where a modality is found in the table.

    Attributes:
        kind: name of a registered ModalityKind, such as image, signal, text or tabular.
        column: its column: an inline value, or a file where ``path`` is given; "" takes the modality's name.
        columns: for kinds of which a value lies in several columns: those of a tabular modality, or the genes of an
            expression. A pattern such as "mrna_*" means all columns that match, but none of labels and names.
        path: the file below the table's folder, with "{}" for the cell, such as "images/{}.png"; "{}" where the
            cell is the path itself.
        unit: of the values, such as "HU", "uV", "counts".
        sampling_rate: in Hz, of kinds that have one, such as signals.
        channels: names of the channels of signals, in the order wanted. Where they, the unit or the rate are left
            out, files that state them, such as WFDB records, are read as the first of them is.
    """

    kind: str
    column: str = ""
    columns: tuple[str, ...] = ()
    path: str = ""
    unit: str = ""
    sampling_rate: float = 0.0
    channels: tuple[str, ...] = ()


@SOURCES.register
class Table(Source):
    """Read a table of your own: csv, tsv or JSON lines, also packed, Parquet, Arrow or a spreadsheet.

    A cell that is empty or says unknown is a modality or a label that the row does not have; how many there are is
    printed. Paths are relative to the table's folder. With ``data.loading.index`` the table is memory-mapped: it may
    have millions of rows.

    Args:
        folder: folder of the table below the root.
        file: name of the table, or of the folder of a Parquet data set. A ``*`` in it means all files that match,
            such as labels_*.csv: their rows lie below each other.
        join: further tables, whose columns are put beside those of the rows.
        modalities: name -> where it is found.
        tasks: name -> where its labels are found.
        id: column of the rows' names, each once; "" numbers the rows.
        subject: column of the join key: rows of different sources with the same subject become one sample.
        group: column of what must not cross a split, such as the patient; "" for none.
        split: column that says train, val or test, empty where it is open; "" for none.
        groups: columns that become group codes, such as site, for evaluation out of distribution.
        unknown: words that stand for an unknown value beside null, empty cells and words such as NA, nan and None; a
            word that is declared as a class is a class.
        reading: types of columns, words of the split, and how text is written.
        title: what the data are called in reports; "" takes the file's name.
        simulated: whether the rows come from a simulator.
    """

    example = {
        "modalities": {
            "xray": {"kind": "image", "column": "scan", "path": "images/{}.png"},
            "report": {"kind": "text"},
            "clinical": {"kind": "tabular", "columns": ["age", "smoker"]},
        },
        "tasks": {
            "diagnosis": {"kind": "classification"},
            "severity": {"kind": "regression", "modalities": ["xray"]},
        },
        "group": "patient",
    }
    sorts = False  # the order of the table is the order of the rows, so that nothing but the file is kept

    def __init__(
        self,
        *,
        folder: str = "mydata",
        file: str = "table.csv",
        join: Sequence[JoinedTable] = (),
        modalities: Mapping[str, TableModality] | None = None,
        tasks: Mapping[str, TableTask] | None = None,
        id: str = "",
        subject: str = "",
        group: str = "",
        split: str = "",
        groups: Sequence[str] = (),
        unknown: Sequence[str] = (),
        reading: TableReading = TableReading(),
        title: str = "",
        simulated: bool = False,
    ) -> None:
        super().__init__(folder=folder)
        self.file, self.unknown, self.reading = file, tuple(unknown), reading
        self.join = tuple(join)
        self.modalities, self.tasks = dict(modalities or {}), dict(tasks or {})
        self.columns = {"id": id, "subject": subject, "group": group, "split": split}
        self.groups, self.group_unit = tuple(groups), group or "group"
        self._rows: TypedTable | None = None
        self._names: dict[str, tuple[str, ...]] = {}
        self._found: dict[str, tuple[str, ...]] = {}  # classes, for which all rows may have to be read
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
            size="any: see data.loading.index for tables of millions of rows",
        )

    def _check(self) -> None:
        for name, modality in self.modalities.items():
            if MODALITIES.get(modality.kind).table and not modality.columns:
                raise SpecError(f"modality '{name}': a {modality.kind} modality lists its 'columns'")
        for name, task in self.tasks.items():
            TASKS.get(task.kind).table_check(name, task)
        wrong = sorted(set(self.reading.split_words) - {*SPLITS, OPEN})
        if wrong:
            raise SpecError(f"reading.split_words names {wrong}; it says which words mean train, val, test and open")

    def cell_options(self) -> dict[str, Any]:
        """How the cells of a row are read, with the types of columns as they were found."""
        self.ready()
        reader = self.rows.reader
        numbers = {c for n in self.tasks for c in self._numbers_of(n)}
        listed = [c for m in self.modalities.values() for c in m.columns]
        return {
            "modalities": {n: asdict(m) for n, m in self.modalities.items()},
            "tasks": {n: asdict(replace(t, classes=self.classes(n))) for n, t in self.tasks.items()},
            "unknown": list(self.unknown),
            "values": list(self.reading.values),
            "exceptions": self.reading.exceptions,
            "types": {c: asdict(reader(c, number=c in numbers).type) for c in dict.fromkeys([*listed, *numbers])},
            "id": self.columns["id"],
            "group": self.columns["group"],
        }

    # -- opening ---------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Map the table; nothing of it is read."""
        if self._rows is not None:
            return
        how = self.reading
        table = ArrowTable(
            self.path / self.file,
            self.index_folder,
            told=TextFormat(how.separator, how.encoding, how.sheet, how.part),
            unknown=Unknown(self.unknown, how.values),
            joined=self.join,
        )
        self._rows = rows = TypedTable(table, how)
        named = [*self.columns.values(), *self.groups, *(m.column for m in self.modalities.values())]
        table.require([c for c in named if c])
        self.tasks = {n: replace(t, columns=rows.columns(t.columns)) for n, t in self.tasks.items()}
        labels = [c for n, t in self.tasks.items() for c in (*t.labels(n), *t.beside())]
        spared = {*self.columns.values(), *labels}
        self.modalities = {n: replace(m, columns=rows.columns(m.columns, spared)) for n, m in self.modalities.items()}
        table.require([*labels, *(c for n in self.modalities for c in self._columns_of(n))])
        self.modalities = {n: self._completed(n, m) for n, m in self.modalities.items()}
        self._names = {g: tuple(table.distinct(g)) for g in self.groups}

    def _completed(self, name: str, told: TableModality) -> TableModality:
        """Ask the first file of a modality for what the user does not say of it."""
        if not told.path or told.columns:
            return told
        column, rows = told.column or name, self.rows
        first = next((v for k in range(len(rows.table)) if (v := rows.value(column, k)) is not None), None)
        if first is None:
            return told
        cell = TableCell({column: first}, self.path, told.path)
        raw = MODALITIES.get(told.kind).completed(_raw_modality(name, told), cell)
        return replace(told, unit=raw.unit, sampling_rate=raw.sampling_rate, channels=raw.features)

    @property
    def rows(self) -> TypedTable:
        """The table."""
        self.ready()
        assert self._rows is not None
        return self._rows

    def _columns_of(self, modality: str) -> tuple[str, ...]:
        told = self.modalities[modality]
        return told.columns or (told.column or modality,)

    def _numbers_of(self, task: str) -> tuple[str, ...]:
        """The columns of a task whose labels are numbers."""
        told = self.tasks[task]
        return TASKS.get(told.kind).table_numbers(task, told)

    def stamp(self, root: Path | str | None) -> str:
        """Size and time of change of the table, and of those that are joined."""
        return stamps(Path(root or ".") / self.folder / self.file, self.join)

    def _index(self) -> pd.DataFrame:
        if not self.modalities or not self.tasks:
            raise SpecError(
                "Table: describe at least one of 'modalities' and one of 'tasks'; see README, Your own data"
            )
        table = self.rows.table
        for name in self.tasks:
            self.rows.require_numbers(self._numbers_of(name), f"task '{name}'")
        self.card = replace(
            self.card,
            modalities=tuple(_raw_modality(n, m) for n, m in self.modalities.items()),
            tasks=tuple(replace(_raw_task(n, t), classes=self.classes(n)) for n, t in self.tasks.items()),
        )
        count = len(table)
        told = {c: table.texts(name) if name else np.full(count, "", object) for c, name in self.columns.items()}
        told["id"] = self._ids(told["id"])
        told["split"] = self._splits(told["split"])
        strata = [(TASKS.get(t.kind).table_stratum(n, t), t) for n, t in self.tasks.items()]
        first = next((table.texts(c, t.classes) for c, t in strata if c), np.full(count, "", object))
        self.remarks = [*table.remarks, *self.rows.remarks(self._roles(), told["id"]), *self._set_aside()]
        return pd.DataFrame({**told, "stratum": first})

    def _ids(self, told: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        column, path = self.columns["id"], self.rows.table.path
        if not column:
            width = len(str(len(told) - 1))  # so that the order of names is the order of rows
            return np.char.zfill(np.arange(len(told)).astype(str), width).astype(object)
        empty = np.flatnonzero(told == "")
        if len(empty):
            row = int(empty[0])
            said = text_of(self.rows.table.value(column, row))
            why = f", since {said!r} counts as unknown (see reading.values)" if said else ""
            raise DataError(f"the id column '{column}' is empty{why}", file=path, row=row)
        twice = pd.Series(told).duplicated().to_numpy()
        if twice.any():
            row = int(np.argmax(twice))
            raise DataError(f"the id '{told[row]}' occurs twice", file=path, row=row)
        return told

    def _splits(self, told: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        words = {"": ""} | {s: s for s in SPLITS}
        words |= {w: "" if s == OPEN else s for s, further in self.reading.split_words.items() for w in further}
        wrong = sorted(set(told) - set(words))
        if wrong:
            raise DataError(
                f"column '{self.columns['split']}' says {wrong[:5]}; use train, val, test, or say which words mean "
                f"them, as in reading: {{split_words: {{train: [{wrong[0]}]}}}}",
                file=self.rows.table.path,
            )
        return np.array([words[w] for w in told], dtype=object)

    def _roles(self) -> dict[str, tuple[str, ...]]:
        """Column -> the classes that are declared for it; every column of numbers or categories gets its reader."""
        roles: dict[str, tuple[str, ...]] = {c: () for c in (*self.columns.values(), *self.groups) if c}
        for name, modality in self.modalities.items():
            for column in self._columns_of(name):
                roles.setdefault(column, ())
                if modality.columns:
                    self.rows.reader(column)
        for name, task in self.tasks.items():
            for column in task.labels(name):
                roles[column] = (*roles.get(column, ()), *task.classes)
            for column in task.beside():
                roles.setdefault(column, ())
        return roles

    def _set_aside(self) -> list[str]:
        """What is said of labels that another column makes unknown."""
        lines = []
        for name in self.tasks:
            for column, words in self._unless(name).items():
                count = int(self.rows.table.says(column, words).sum())
                lines.append(f"task '{name}': unknown in {count} rows, where '{column}' says {' or '.join(words)}")
        return lines

    def classes(self, name: str) -> tuple[str, ...]:
        """The classes of a task; where its column has to be searched for them, this is done once."""
        if name not in self._found:
            task, table = self.tasks[name], self.rows.table
            try:
                self._found[name] = TASKS.get(task.kind).table_classes(name, task, table.distinct)
            except DataError as error:
                raise error if error.file is not None else DataError(str(error), file=table.path) from error
        return self._found[name]

    # -- reading ---------------------------------------------------------------------------------------------

    def overview(self) -> Overview:
        """Which cells are known, column by column."""
        rows = self.rows

        def modality(name: str) -> npt.NDArray[np.bool_]:
            known = rows.numbers_known if self.modalities[name].columns else rows.known
            mask: npt.NDArray[np.bool_] = np.logical_or.reduce([known(c) for c in self._columns_of(name)])
            return mask

        def task(name: str) -> npt.NDArray[np.bool_]:
            told, numbers = self.tasks[name], self._numbers_of(name)
            columns = [
                rows.numbers_known(c, number=True) if c in numbers else rows.known(c, told.classes)
                for c in told.labels(name)
            ]
            mask = TASKS.get(told.kind).table_known(columns)
            for column in (c for c in (told.mask, told.library) if c):
                mask = mask & (rows.numbers_known(column, number=True) if column in numbers else rows.known(column))
            for column, words in self._unless(name).items():
                mask = mask & ~rows.table.says(column, words)
            return mask

        return Overview({n: modality(n) for n in self.modalities}, {n: task(n) for n in self.tasks})

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """The values of each group column."""
        self.ready()
        return dict(self._names)

    def id(self, row: int) -> str:
        """Name of a row: its id, or its number."""
        table = self.rows.table
        if self.columns["id"]:
            return text_of(table.value(self.columns["id"], row))
        return str(row).zfill(len(str(len(table) - 1)))

    def __len__(self) -> int:
        return len(self.rows.table)

    def files_of(self, row: int) -> dict[str, Path]:
        """The files that the cells of a row name."""
        found = {}
        for name, modality in self.modalities.items():
            if modality.path:
                cells = self.cells(name, row)
                file = TableCell(cells, self.path, modality.path).file
                if file is not None and any(v is not None for v in cells.values()):
                    found[name] = file
        return found

    def peek(self, row: int) -> Sample:
        """Labels, groups, texts, sequences and table columns of a row; None for what lies in files."""
        return self._sample(row, decode=False)

    def peek_at(self, row: int, names: Collection[str]) -> Sample:
        """Like ``peek``, of some modalities and tasks: of a table of many columns the others are not looked at."""
        return self._sample(row, decode=False, names=names)

    def read(self, row: int) -> Sample:
        """Read a row.

        Raises:
            DataError: a file is missing or broken, or a cell is not what its kind needs.
        """
        return self._sample(row, decode=True)

    def _sample(self, row: int, *, decode: bool, names: Collection[str] | None = None) -> Sample:
        sample = Sample(self.id(row))
        for name, modality in self.modalities.items():
            if names is not None and name not in names:
                continue
            cells = self.cells(name, row)
            if any(v is not None for v in cells.values()):
                cheap = MODALITIES.get(modality.kind).cheap and not modality.path
                sample.inputs[name] = self.read_cells(name, cells, modality.path, row) if decode or cheap else None
        for name in self.tasks:
            label = self.label(name, row) if names is None or name in names else None
            if label is not None:
                sample.targets[name] = label
        for column in self.groups:
            value, names = text_of(self.rows.table.value(column, row)), self._names[column]
            sample.groups[column] = names.index(value) if value in names else -1
        return sample

    def cells(self, modality: str, row: int) -> dict[str, Any]:
        """Column -> what a row says of a modality, None where it is unknown.

        Raises:
            DataError: a cell of a column of numbers is none, and such exceptions are errors.
        """
        read = self.rows.typed if self.modalities[modality].columns else self.rows.value
        try:
            return {c: read(c, row) for c in self._columns_of(modality)}
        except DataError as error:
            raise self._located(error, f"modality '{modality}'", row) from error

    def label(self, task: str, row: int) -> Any:
        """The raw label of a row, None where it is unknown.

        Raises:
            DataError: a cell is not what the kind of the task needs.
        """
        told = self.tasks[task]
        if any(text_of(self.rows.table.value(c, row)) in words for c, words in self._unless(task).items()):
            return None
        try:
            return TASKS.get(told.kind).table_label(task, told, _Cells(self, task, row))
        except DataError as error:
            raise error if error.file is not None else self._located(error, f"task '{task}'", row) from error

    def _unless(self, task: str) -> dict[str, Sequence[str]]:
        """Column -> the words at which the labels of a task are unknown, of the columns that are there."""
        return {c: w for c, w in self.tasks[task].unless.items() if c in self.rows.table.names}

    def _located(self, error: DataError, what: str, row: int) -> DataError:
        return DataError(f"{what}: {error}", file=self.rows.table.path, row=self.id(row))

    def value(self, name: str, row: int) -> Any:
        """The raw value of a modality that a row has.

        Raises:
            DataError: its file is missing or broken, or a cell is not what the kind needs.
        """
        return self.read_cells(name, self.cells(name, row), self.modalities[name].path, row)

    def read_cells(self, name: str, cells: Mapping[str, Any], path: str, row: int) -> Any:
        """Read the value that cells hold or name.

        Args:
            name: of the modality.
            cells: column -> what stands there.
            path: of the file, with "{}" for the cell; "" where the cells hold the value itself.
            row: place of the row, for errors.

        Raises:
            DataError: the file is missing or broken, or a cell is not what the kind needs.
        """
        modality = self.modalities[name]
        try:
            form = _raw_modality(name, modality)
            cell = TableCell(cells, self.path, path, bool(modality.columns), partial(self.image, name), form)
            return MODALITIES.get(modality.kind).read(cell)
        except DataError as error:
            if error.file is not None:
                raise
            raise self._located(error, f"modality '{name}'", row) from error


class _Cells:
    """The cells of one row that hold the label of a task: the LabelCells that a kind of task asks."""

    def __init__(self, table: Table, task: str, row: int) -> None:
        self._table, self._task, self._row = table, task, row

    def text(self, column: str) -> str | None:
        value = self._table.rows.value(column, self._row, self._table.tasks[self._task].classes)
        return None if value is None else text_of(value)

    def number(self, column: str, allowed: Sequence[float] = ()) -> float | None:
        table, what = self._table, f"task '{self._task}'"
        try:
            number = table.rows.typed(column, self._row, number=True)
        except DataError as error:
            raise table._located(error, what, self._row) from error
        if isinstance(number, str) or (allowed and number is not None and number not in allowed):
            value = table.rows.value(column, self._row)
            words = " or ".join(f"{a:g}" for a in allowed) or "a number (finite)"
            raise DataError(
                f"{what}: column '{column}' holds {value!r}, not {words}; name it under 'unknown' if it means that",
                file=table.rows.table.path,
                row=table.id(self._row),
            )
        return number

    def array(self, column: str) -> npt.NDArray[np.float32] | None:
        value = self._table.rows.value(column, self._row)
        if value is None:
            return None
        path = self._table.tasks[self._task].path or "{}"
        array: npt.NDArray[np.float32] = TableCell({column: value}, self._table.path, path).array()
        return array

    def classes(self) -> tuple[str, ...]:
        return self._table.classes(self._task)


def _raw_modality(name: str, told: TableModality) -> RawModality:
    return RawModality(name, told.kind, told.unit, told.sampling_rate, tuple(told.columns or told.channels))


def _raw_task(name: str, told: TableTask) -> RawTask:
    classes = told.classes or told.columns
    return RawTask(name, told.kind, tuple(classes), tuple(told.modalities), told.reads, told.unit)
