"""RowReader: rows of a user's new table become samples, as the rows of training did, from what was learned then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from datamodules.core.processor import Processor
from datamodules.core.query import Pipeline
from datamodules.core.state import from_plain, to_plain
from datamodules.io.arrow_table import ArrowTable
from datamodules.io.fixed_table import NewTable
from datamodules.io.memory_table import MemoryTable
from datamodules.preprocessing.fields import CellReader, by_cards, from_json, reader_of
from datamodules.preprocessing.store import (
    Arrays,
    fitted_state,
    restored_codec,
    restored_processor,
)
from zoo.carried import Box
from zoo.contract import Sample
from zoo.data import PREPROCESSING, Column, ReadRow, Stored
from zoo.errors import DataError, SpecError, unknown_name
from zoo.modality import MODALITIES, ModalitySpec
from zoo.raw import RawModality, RawTask
from zoo.task import TargetCodec, TaskSpec
from zoo.values import Shown


@PREPROCESSING.register
class RowReader:
    """Turn new rows into samples.

    Args:
        readers: what reads the cells of each source's rows, without a file behind it.
        modalities: name -> its form before processing.
        tasks: name -> its form before encoding.
        processors: modality -> fitted processor.
        codecs: task -> fitted codec.
    """

    def __init__(
        self,
        readers: Sequence[CellReader],
        modalities: Mapping[str, RawModality],
        tasks: Mapping[str, RawTask],
        processors: Mapping[str, Processor],
        codecs: Mapping[str, TargetCodec],
    ) -> None:
        self.readers = list(readers)
        self.modalities, self.tasks = dict(modalities), dict(tasks)
        self.processors, self.codecs = dict(processors), dict(codecs)
        for reader in self.readers:
            asked = {n: self.processors[n].reading(self.modalities[n]) for n in reader.modalities}
            reader.readings = {n: how for n, how in asked.items() if how is not None}

    @classmethod
    def of(cls, pipeline: Pipeline) -> RowReader:
        """Take what a pipeline has learned from its training rows."""
        modalities, tasks, processors = pipeline.raw_modalities, pipeline.raw_tasks, pipeline.processors
        pipeline.ready()
        readers: list[CellReader] = []
        for source in pipeline.sources:
            readers.append(reader_of(source, modalities, tasks, processors, _columns(readers)))
        generated = [modalities[n] for n in pipeline.made_modalities if n in modalities]
        if generated:
            readers.append(by_cards(generated, processors, taken=_columns(readers)))
        return cls(readers, modalities, tasks, processors, pipeline.dataset.codecs)

    @property
    def modality_specs(self) -> list[ModalitySpec]:
        """The modalities as encoders see them."""
        return [self.processors[m].spec(raw) for m, raw in self.modalities.items()]

    @property
    def task_specs(self) -> list[TaskSpec]:
        """The tasks as heads see them."""
        return [self.codecs[t].spec() for t in self.tasks]

    @property
    def columns(self) -> list[Column]:
        """The columns of a table of new rows, labels last."""
        found: dict[str, Column] = {}
        for reader in self.readers:
            for name, told in reader.modalities.items():
                for column in told.columns or (told.column or name,):
                    found.setdefault(column, Column(column, name, _says(self.modalities[name], told.path)))
        for reader in self.readers:
            for task in reader.tasks:
                for column in reader.label_columns(task):
                    found.setdefault(column, Column(column, task, "label, which only evaluation needs"))
        return list(found.values())

    # -- as data ---------------------------------------------------------------------------------------------

    def state(self, box: Box) -> Stored:
        """All of it as data.

        Args:
            box: takes the files that processors need.

        Raises:
            SpecError: a file is no longer there.
        """
        arrays: Arrays = {}
        told = {
            "readers": [r.as_json() for r in self.readers],
            "modalities": to_plain(self.modalities),
            "tasks": to_plain(self.tasks),
            "processors": {n: fitted_state(p, f"processors.{n}", arrays, box) for n, p in self.processors.items()},
            "codecs": {n: fitted_state(c, f"codecs.{n}", arrays, box) for n, c in self.codecs.items()},
        }
        return told, arrays

    @classmethod
    def restore(cls, stored: Stored, box: Box) -> RowReader:
        """Invert ``state``.

        Args:
            stored: what it returned.
            box: that has the files.

        Raises:
            DataError: it lacks something, or names a class that this version of the zoo does not have.
        """
        told: Any = stored[0]
        try:
            modalities, tasks = from_plain(told["modalities"]), from_plain(told["tasks"])
            return cls(
                [from_json(r) for r in told["readers"]],
                modalities,
                tasks,
                {n: restored_processor(told["processors"][n], stored[1], box) for n in modalities},
                {n: restored_codec(told["codecs"][n], t, stored[1], box) for n, t in tasks.items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"the preprocessing of the bundle is incomplete ({type(error).__name__}: {error})"
            ) from error

    # -- rows ------------------------------------------------------------------------------------------------

    def decode(self, modality: str, value: Tensor) -> object:
        """Map a tensor of a modality back to a raw value, as far as its processor keeps what it was.

        Args:
            modality: its name.
            value: of the shape of its spec.
        """
        return self.processors[modality].decode(value)

    def show(self, modality: str, value: object, side: int) -> Shown:
        """Show a raw value of a modality to a person.

        Args:
            modality: its name.
            value: raw.
            side: longest side of a picture, in pixels.
        """
        raw = self.modalities[modality]
        return MODALITIES.get(raw.kind).show(raw, value, side)

    def rows(self, table: object, folder: Path | None) -> TableRows:
        """Take new rows.

        Args:
            table: path of a table file, a DataFrame, or mappings of column -> cell.
            folder: what paths in cells are relative to; None for the folder of the table file, or the current one.

        Raises:
            DataError: the table cannot be read, or has no column of any modality.
        """
        taken, home = _taken(table)
        known = {c.name for c in self.columns if c.part in self.modalities}
        if not known & set(taken.names):
            near = unknown_name("column", taken.names[0] if taken.names else "", known)
            raise DataError(f"no column of the table is one that the model reads: {near}", file=taken.path)
        return TableRows(self, taken, folder or home)

    def read_row(self, row: int, *, labels: bool) -> ReadRow:
        """Read and process a row of the table that the readers were given.

        Args:
            row: its place.
            labels: whether labels are read too.
        """
        sample, problems = Sample(""), list[str]()
        for reader in self.readers:
            sample.id = sample.id or reader.name_of(row)
            sample.unit = sample.unit or reader.unit_of(row)
            for name in reader.modalities:
                if name not in sample.inputs:
                    self._read_input(reader, name, row, sample, problems)
            for task in reader.tasks if labels else ():
                if task not in sample.targets:
                    self._read_label(reader, task, row, sample, problems)
        return ReadRow(sample, tuple(dict.fromkeys(problems)))

    def _read_input(self, reader: CellReader, name: str, row: int, sample: Sample, problems: list[str]) -> None:
        processor, reader.fixed.said = self.processors[name], []
        try:
            if all(v is None for v in reader.cells(name, row).values()):
                problems += reader.fixed.said
                return
            problems += reader.fixed.said
            value, said = processor.tolerate(reader.value(name, row))
            sample.inputs[name] = processor(value)
            problems += said
        except (DataError, SpecError) as error:
            problems.append(f"{name}: {error}")
        except Exception as error:  # a broken file may raise anything in the library that reads it
            problems.append(f"{name}: it cannot be read ({type(error).__name__}: {error})")

    def _read_label(self, reader: CellReader, task: str, row: int, sample: Sample, problems: list[str]) -> None:
        try:
            label = reader.label(task, row)
            if label is not None:
                sample.targets[task] = self.codecs[task](label, str(row))
        except (DataError, SpecError) as error:
            problems.append(f"label of {task}: {error}")


class TableRows:
    """The rows of a new table.

    Args:
        reader: what reads and processes them.
        table: the table.
        folder: what paths in cells are relative to.
    """

    def __init__(self, reader: RowReader, table: NewTable, folder: Path) -> None:
        self._reader, self._table, self._folder = reader, table, folder

    def __len__(self) -> int:
        return len(self._table)

    def read(self, start: int, stop: int, *, labels: bool = False) -> list[ReadRow]:
        """Read and process rows by their place.

        Args:
            start: the first.
            stop: one behind the last.
            labels: whether labels are read too.
        """
        for reader in self._reader.readers:
            reader.take(self._table, self._folder)
        found = []
        for row in range(start, min(stop, len(self))):
            read = self._reader.read_row(row, labels=labels)
            read.sample.id = read.sample.id or str(row)
            found.append(read)
        return found


def _columns(readers: Sequence[CellReader]) -> dict[str, str]:
    """Column -> the modality that it is of."""
    return {c: n for r in readers for n, m in r.modalities.items() for c in m.columns or (m.column or n,)}


def _says(raw: RawModality, path: str) -> str:
    """What stands in a column of a modality, in words."""
    kind = MODALITIES.get(raw.kind)
    unit = f", in {raw.unit}" if raw.unit else ""
    if kind.table:
        return f"a number or a word of the {raw.kind} '{raw.name}'"
    if path:
        return f"a file of kind {raw.kind}, by the path '{path}' with the cell for {{}}{unit}"
    if kind.cheap:
        return f"the {raw.kind} itself"
    return f"the path of a file of kind {raw.kind}, or numbers as a list{unit}"


def _taken(table: object) -> tuple[NewTable, Path]:
    """The rows of whatever was given, and the folder that paths in its cells are relative to."""
    if isinstance(table, str | Path):
        path = Path(table)
        return ArrowTable(path), path.parent
    if isinstance(table, pd.DataFrame):
        names = [str(c) for c in table.columns]
        if len(set(names)) != len(names):
            raise DataError(f"a column name is repeated: {names}")
        records = [dict(zip(names, cells, strict=True)) for cells in table.itertuples(index=False, name=None)]
        return MemoryTable(records, Path("the DataFrame"), names), Path(".")
    if isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table):
        return MemoryTable([{str(c): v for c, v in row.items()} for row in table], Path("the rows")), Path(".")
    raise SpecError(
        f"rows are given as the path of a table file, a pandas DataFrame or a list of dictionaries, got a "
        f"{type(table).__name__}"
    )
