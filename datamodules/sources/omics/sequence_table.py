"""Sequences with labels in a delimited table: classes, or measured values such as expression."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from datamodules.core.settings import Settings, TableColumns
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.core.splits import connect
from datamodules.io.files import one_of
from datamodules.io.formats.sequences import class_order, read_delimited, sequence_key, split_name
from datamodules.io.unknown import Unknown
from datamodules.modalities.sequence import sequence_kind
from zoo.contract import TASKS, Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

LOGS: dict[str, Callable[[float], float]] = {
    "none": float,
    "log": math.log,
    "log1p": math.log1p,
    "log2": math.log2,
    "log10": math.log10,
}
"""Transforms of regression targets, by name."""
_UNKNOWN = Unknown(words=("na", ".", "NAN", "N/a"))


@dataclass(frozen=True)
class _Line:
    """One row of a table: its place, its sequence, its raw targets, and what it is grouped and split by."""

    name: str
    sequence: str
    label: Any
    group: str
    split: str
    file: str
    line: int


@dataclass(frozen=True)
class SequenceColumns(TableColumns):
    """Which columns of a table of sequences hold what.

    Attributes:
        label: column of the class, or columns of the values.
        id: column of unique names; "" makes names of the sequence.
        sequence: column of the sequence.
        header: names of the columns of files without a header; () takes the first line as header.
    """

    id: str = ""
    sequence: str = "sequence"
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class SequenceLabels(Settings):
    """What is made of the labels of sequences.

    Attributes:
        task_kind: "classification" or "regression".
        classes: the classes, in order; () takes the labels that occur, sorted.
        log: transform of regression targets: "none", "log" (natural), "log1p", "log2" or "log10".
        floor: values below it are raised to it before the transform; None leaves them.
        unit: unit of the values, after the transform.
        unlabelled: "raise" where a row has no known label; "skip" leaves such rows out, counted.
    """

    task_kind: Literal["classification", "regression"] = "classification"
    classes: tuple[str, ...] = ()
    log: Literal["none", "log", "log1p", "log2", "log10"] = "none"
    floor: float | None = None
    unit: str = ""
    unlabelled: Literal["raise", "skip"] = "raise"


@SOURCES.register
class SequenceTable(Source):
    """Read sequences with one class, or with one or more measured values, from csv or tsv files, plain or gzip.

    Blanks around cells are stripped and sequences are given in upper case. Equal sequences share a group, over all
    files, and so do rows of one value of the column of groups. An empty cell, NA, NaN and "." are an unknown value.

    Args:
        folder: folder of the files, below the root.
        file: name of the table; its rows have no fixed split, or "train" where ``parts`` has one for "val".
        parts: "val" and "test" -> table of the publisher's validation and test part; {} for none.
        columns: columns of the tables.
        labels: what is made of the labels.
        modality: name of the modality.
        kind: kind of the sequences, such as "dna" or "protein".
        task_name: name of the task; "" is "sequence_class", or "expression" for regression.
    """

    group_unit = "sequence"
    default_card = SourceCard(
        title="Sequences with labels, sequences.csv",
        modalities=(RawModality("genomics", "dna"),),
        tasks=(RawTask("sequence_class", "classification", modalities=("genomics",)),),
        licence="not stated",
        access="open",
        citation="not stated; your own files",
        where="any csv or tsv file of your own with a sequence column",
        layout="sequences.csv with the columns sequence, label",
        caution="Equal sequences share a group; similar and reverse-complementary ones do not: give group_column",
        size="that of the table",
    )

    def __init__(
        self,
        *,
        folder: str = "sequence_table",
        file: str = "sequences.csv",
        parts: Mapping[str, str] | None = None,
        columns: SequenceColumns = SequenceColumns(),
        labels: SequenceLabels = SequenceLabels(),
        modality: str = "genomics",
        kind: str = "dna",
        task_name: str = "",
    ) -> None:
        super().__init__(folder=folder)
        if wrong := set(parts or {}) - {"val", "test"}:
            raise SpecError(f"SequenceTable: parts names the tables of 'val' and 'test', got {sorted(wrong)}")
        self.regression = not TASKS.get(labels.task_kind).class_codes
        self.label_columns = columns.labels
        if not self.label_columns or (not self.regression and len(self.label_columns) != 1):
            raise SpecError(
                f"SequenceTable: columns.label is {self.label_columns}; classification takes one column, regression "
                "one or more"
            )
        self.files = {"": file, "val": "", "test": ""} | dict(parts or {})
        self.delimiter, self.header, self.sequence_column = columns.delimiter, tuple(columns.header), columns.sequence
        self.id_column, self.split_column, self.group_column = columns.id, columns.split, columns.group
        self.log, self.floor, self.unlabelled = labels.log, labels.floor, labels.unlabelled
        self.classes = self.label_columns if self.regression else tuple(labels.classes)
        sequence_kind(kind)
        self.modality, self.kind = modality, kind
        self.task_name = task_name or ("expression" if self.regression else "sequence_class")
        self.card = replace(
            self.default_card,
            title=f"Sequences with labels, {file}",
            modalities=(RawModality(modality, kind),),
            tasks=(RawTask(self.task_name, labels.task_kind, self.classes, (modality,), unit=labels.unit),),
            layout=f"{', '.join(filter(None, self.files.values()))} with the columns "
            f"{', '.join((self.sequence_column, *self.label_columns))}",
        )

    def _index(self) -> pd.DataFrame:
        rows = [row for split, name in self.files.items() if name for row in self._file(split, name)]
        if not self.regression:
            classes = self.classes or class_order([row.label for row in rows])
            if len(classes) < 2:
                raise DataError(
                    f"the column '{self.label_columns[0]}' has the classes {classes}; at least 2 are needed",
                    file=self.path / self.files[""],
                )
            for row in rows:
                one_of(row.label, classes, "the label", file=self.path / row.file, row=row.line)
            self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=tuple(classes)),))
        seen: Counter[str] = Counter()
        names = []
        keys = [(sequence_key(row.sequence), row.group and f"group {row.group}") for row in rows]
        for row, (key, _) in zip(rows, keys, strict=True):
            seen[key] += 1
            names.append(row.name or key + (f"-{seen[key]}" if seen[key] > 1 else ""))
        return pd.DataFrame(
            {
                "id": names,
                "subject": "",
                "group": np.char.add("group ", connect(keys).astype(str)) if rows else [],
                "stratum": ["" if self.regression else row.label for row in rows],
                "split": [row.split for row in rows],
                "row": pd.Series(rows, dtype=object),
            }
        )

    def _file(self, split: str, name: str) -> list[_Line]:
        """Read and check the rows of one table."""
        path = self.path / name
        optional = [c for c in (self.id_column, self.split_column, self.group_column) if c]
        wanted = [self.sequence_column, *self.label_columns, *optional]
        table, lines = read_delimited(path, wanted, delimiter=self.delimiter, names=self.header)
        cells = {column: table[column].tolist() for column in wanted}
        for column in (*self.label_columns, *filter(None, (self.id_column, self.group_column))):
            classes = () if self.regression or column not in self.label_columns else self.classes
            cells[column], told = _UNKNOWN.blank(cells[column], column, classes)
            self.remarks += [f"{name}: {remark}" for remark in told]
        fixed = split or ("train" if self.files["val"] else "")
        rows = []
        for i, line in enumerate(lines):
            sequence = self._sequence(cells[self.sequence_column][i], path, line)
            label = self._label([cells[c][i] for c in self.label_columns], path, line)
            if label is None:
                self.skipped["no label (unlabelled)"] = self.skipped.get("no label (unlabelled)", 0) + 1
                continue
            own = split_name(cells[self.split_column][i], file=path, row=line) if self.split_column else fixed
            if self.id_column and not cells[self.id_column][i]:
                raise DataError(f"the id in column '{self.id_column}' is empty; fill it in", file=path, row=line)
            rows.append(
                _Line(
                    cells[self.id_column][i] if self.id_column else "",
                    sequence,
                    label,
                    cells[self.group_column][i] if self.group_column else "",
                    own,
                    name,
                    line,
                )
            )
        return rows

    def _sequence(self, text: str, path: Path, line: int) -> str:
        try:
            sequence_kind(self.kind).check_letters(text)
        except DataError as error:
            raise DataError(str(error), file=path, row=line) from error
        return text.upper()

    def _label(self, texts: Sequence[str], path: Path, line: int) -> Any:
        """The raw target of a row, transformed; None where nothing is known and such rows may be left out."""
        if self.regression:
            known = [(c, t) for c, t in zip(self.label_columns, texts, strict=True) if t]
            label: Any = {c: self._value(c, t, path, line) for c, t in known}
        else:
            label = texts[0]
        if label:
            return label
        if self.unlabelled == "raise":
            raise DataError(
                f"the row has no label in {list(self.label_columns)}; fill it in, or give unlabelled='skip'",
                file=path,
                row=line,
            )
        return None

    def _value(self, column: str, text: str, path: Path, line: int) -> float:
        try:
            value = float(text)
            value = value if self.floor is None else max(value, self.floor)
            value = float(LOGS[self.log](value)) if math.isfinite(value) else math.nan
        except (ValueError, OverflowError):
            value = math.nan
        if not math.isfinite(value):
            raise DataError(
                f"'{column}' is {text!r}, of which '{self.log}' is no finite number; mend it, or give a 'floor'",
                file=path,
                row=line,
            )
        return value

    @cached_property
    def _rows(self) -> tuple[list[str], list[_Line]]:
        return self.index["id"].tolist(), self.index["row"].tolist()

    def read(self, row: int) -> Sample:
        """Read the sequence, in upper case, and its class or values."""
        names, rows = self._rows
        label = dict(rows[row].label) if self.regression else rows[row].label
        return Sample(names[row], {self.modality: rows[row].sequence}, {self.task_name: label})
