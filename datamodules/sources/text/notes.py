"""Clinical notes of one's own: a csv or a JSON-lines file with a text and its labels in columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import read_csv, require_file
from datamodules.io.unknown import RULE
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

SPLIT_NAMES = {
    "": "", "train": "train", "training": "train", "val": "val", "valid": "val", "validate": "val",
    "validation": "val", "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
"""Names of splits in a split column, in lower case -> the zoo's."""


def iter_json_lines(path: Path, keys: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file of one JSON object a line, with at least ``keys``; empty lines are no rows.

    Yields:
        The number of the line, from 1, and its object.

    Raises:
        DataError: the file is missing, a line is no JSON object in UTF-8, or it lacks a key.
    """
    require_file(path)
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                lacking = [k for k in keys if not isinstance(row, dict) or k not in row]
                if lacking:
                    raise DataError(
                        f"the line lacks the keys {lacking}; each must have {list(keys)}", file=path, row=number
                    )
                yield number, row
    except DataError:
        raise
    except (ValueError, RecursionError, OSError) as error:
        raise DataError(
            f"not a JSON object a line ({type(error).__name__}: {error}); copy the file again",
            file=path,
            row=number or 1,
        ) from error


@dataclass(frozen=True)
class NoteColumns(Settings):
    """Which columns of a file of notes hold what.

    Attributes:
        text: column of the text.
        label: column of the label, or list of them, a task each.
        id: column of unique names; "" names a row by its text.
        group: column of the patient, whose notes never cross a split; "" for none.
        split: column of the split (train, val or validation, test, or empty); "" for none.
    """

    text: str = "text"
    label: str | tuple[str, ...] = "label"
    id: str = "id"
    group: str = "patient"
    split: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of labels."""
        return (self.label,) if isinstance(self.label, str) else tuple(self.label)


@SOURCES.register
class ClinicalNotes(Source):
    """Read notes and their labels from one file, whose columns are named by arguments.

    A label column with no ``delimiter`` is a classification, one with a delimiter is multilabel: its cell holds the
    labels that apply. An empty cell, or null, is an unknown label of a classification, and no label that applies of a
    multilabel. In JSON lines, a multilabel may be a list of strings.

    Args:
        folder: folder of the file below the root.
        file: name of the file, ending in .csv or .jsonl.
        columns: columns of the file.
        task_name: name of the task where there is one label column; several are named as their columns.
        delimiter: what parts the labels of a cell, such as ";"; "" for one label a cell.
        classes: labels that can occur, where there is one label column; () takes those of the file, sorted.
        skip_empty: leave notes without a word out, which is an error otherwise.

    Attributes:
        skipped: reason -> number of notes that were left out.
    """

    def __init__(
        self,
        *,
        folder: str = "notes",
        file: str = "notes.csv",
        columns: NoteColumns = NoteColumns(),
        task_name: str = "disease",
        delimiter: str = "",
        classes: Sequence[str] = (),
        skip_empty: bool = False,
    ) -> None:
        super().__init__(folder=folder)
        if not file.lower().endswith((".csv", ".jsonl")):
            raise SpecError(f"ClinicalNotes: file must end in .csv or .jsonl, got {file!r}")
        labels = columns.labels
        if not labels or len(set(labels)) < len(labels):
            raise SpecError(f"ClinicalNotes: columns.label must be a name or different names, got {labels!r}")
        if classes and len(labels) > 1:
            raise SpecError("ClinicalNotes: classes fit one label column; leave them out to take those of the file")
        self.file, self.text_column, self.delimiter = file, columns.text, delimiter
        self.label_columns, self.classes = labels, tuple(classes)
        self.id_column, self.group_column, self.split_column = columns.id, columns.group, columns.split
        self.group_unit = columns.group or "group"
        self.skip_empty = skip_empty
        self.task_names = (task_name,) if len(self.label_columns) == 1 else self.label_columns
        self.card = self._card([self.classes] * len(self.task_names))

    def _card(self, classes: Sequence[tuple[str, ...]]) -> SourceCard:
        kind = "multilabel" if self.delimiter else "classification"
        columns = [self.text_column, *self.label_columns, self.id_column, self.group_column, self.split_column]
        return SourceCard(
            title=f"Clinical notes of one's own ({self.file})",
            modalities=(RawModality("text", "text"),),
            tasks=tuple(RawTask(n, kind, c, ("text",)) for n, c in zip(self.task_names, classes, strict=True)),
            licence="the user's own",
            access="credentialed",
            citation="none: a file of the user's own",
            where="write the file yourself: a line a note, in UTF-8",
            layout=f"{self.file} with the columns {', '.join(c for c in columns if c)}",
            caution="Notes of one patient share wording: name the group column. Text copied from one note into the "
            "next, and labels that the text spells out, make a task look easier than it is.",
            size="that of the table",
        )

    def _rows(self) -> list[dict[str, Any]]:
        """Read the file: column -> value, and the number of the line under ''."""
        path = self.path / self.file
        named = (self.text_column, *self.label_columns, self.id_column, self.group_column, self.split_column)
        columns = [c for c in named if c]
        if self.file.lower().endswith(".jsonl"):
            return [{c: row[c] for c in columns} | {"": number} for number, row in iter_json_lines(path, columns)]
        table = read_csv(path, columns)
        cells = [table[c].tolist() for c in columns]
        return [dict(zip(columns, line, strict=True)) | {"": n} for n, line in enumerate(zip(*cells, strict=True), 2)]

    def _known(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with null in the place of what is unknown, which is counted in ``remarks``."""
        self.remarks = []
        for column in [c for c in (rows[0] if rows else ()) if c]:
            classes = self.classes if column in self.label_columns else ()
            scalar = [k for k, row in enumerate(rows) if row[column] is None or isinstance(row[column], str | float)]
            cells, told = RULE.blank([rows[k][column] for k in scalar], column, classes)
            for k, cell in zip(scalar, cells, strict=True):
                rows[k][column] = rows[k][column] if cell else None
            self.remarks += told
        return rows

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        lines: list[dict[str, Any]] = []
        empty = 0
        for row in self._known(self._rows()):
            number = row[""]
            text = _string(row[self.text_column], self.text_column, path, number)
            if not text and self.skip_empty:
                empty += 1
                continue
            if not text:
                raise DataError(
                    f"the column '{self.text_column}' has no word; fill it, or give skip_empty=True",
                    file=path,
                    row=number,
                )
            split = _string(row[self.split_column], self.split_column, path, number) if self.split_column else ""
            if split.lower() not in SPLIT_NAMES:
                known = sorted(SPLIT_NAMES.keys() - {""})
                raise DataError(f"the split {split!r} is unknown; allowed: {known}, or empty", file=path, row=number)
            labels = {
                t: self._labels(row[c], c, number) for t, c in zip(self.task_names, self.label_columns, strict=True)
            }
            first = labels[self.task_names[0]]
            lines.append(
                {
                    "id": self._name(row, text, number),
                    "group": self._group(row, number),
                    "stratum": first[0] if first else "",
                    "split": SPLIT_NAMES[split.lower()],
                    "text": text,
                    "labels": labels,
                    "line": number,
                }
            )
        self.skipped = {"the note has no word (skip_empty)": empty}
        found = [tuple(sorted({n for line in lines for n in line["labels"][t] or ()})) for t in self.task_names]
        if self.classes:
            self._check_classes(lines)
            found = [self.classes]
        self.card = self._card(found)
        columns = ["id", "group", "stratum", "split", "text", "labels", "line"]
        return pd.DataFrame(lines, columns=columns).assign(subject="")

    def _name(self, row: dict[str, Any], text: str, number: int) -> str:
        if not self.id_column:
            return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        name = _string(row[self.id_column], self.id_column, self.path / self.file, number)
        if not name:
            raise DataError(f"the column '{self.id_column}' is empty", file=self.path / self.file, row=number)
        return name

    def _group(self, row: dict[str, Any], number: int) -> str:
        if not self.group_column:
            return ""
        return _string(row[self.group_column], self.group_column, self.path / self.file, number)

    def _labels(self, cell: Any, column: str, number: int) -> tuple[str, ...] | None:
        """The labels of a cell; None where the label is unknown."""
        path = self.path / self.file
        if self.delimiter and isinstance(cell, list):
            parts = [_string(c, column, path, number) for c in cell]
        else:
            text = _string(cell, column, path, number)
            parts = [p.strip() for p in text.split(self.delimiter)] if self.delimiter else [text]
        found = tuple(p for p in parts if p)
        return found if found or self.delimiter else None

    def _check_classes(self, lines: Sequence[dict[str, Any]]) -> None:
        for line in lines:
            for name in line["labels"][self.task_names[0]] or ():
                if name not in self.classes:
                    raise DataError(
                        f"the label {name!r} is none of the classes {self.classes}; correct it, or add it to classes",
                        file=self.path / self.file,
                        row=line["line"],
                    )

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        return {c: self.index[c].tolist() for c in ("id", "text", "labels")}

    def read(self, row: int) -> Sample:
        """Read the text and the labels that are known."""
        sample = Sample(self._columns["id"][row], {"text": self._columns["text"][row]})
        for task in self.card.tasks:
            found = self._columns["labels"][row][task.name]
            if self.delimiter:
                sample.targets[task.name] = {name: int(name in found) for name in task.classes}
            elif found:
                sample.targets[task.name] = found[0]
        return sample


def _string(value: Any, column: str, path: Path, number: int) -> str:
    """Turn a cell into a stripped string; null is ""."""
    if value is None:
        return ""
    if not isinstance(value, (str, int, float)):
        raise DataError(
            f"the column '{column}' must hold text or a number, got {type(value).__name__}", file=path, row=number
        )
    return str(value).strip()
