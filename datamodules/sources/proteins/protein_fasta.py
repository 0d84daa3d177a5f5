"""Proteins in a FASTA file with labels of any kind, from a table or from the headers, and clusters as groups."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from datamodules.core.settings import Settings, TableColumns
from datamodules.core.source import SOURCES, Overview, Source, SourceCard
from datamodules.core.splits import connect
from datamodules.io.files import one_of
from datamodules.io.formats.sequences import (
    FastaFile,
    check_ids,
    class_order,
    read_delimited,
    sequence_key,
    split_name,
    text_lines,
)
from datamodules.io.unknown import RULE
from datamodules.modalities.protein import NON_STANDARD
from zoo.contract import AMINO_ACIDS, TASKS, Sample
from zoo.errors import DataError, SpecError, unknown_name
from zoo.raw import RawModality, RawTask

LETTERS = AMINO_ACIDS + NON_STANDARD
"""Letters of the sequences."""
UNKNOWN = "-"
"""Letter of a residue without a label."""


@dataclass(frozen=True)
class ProteinLabels(Settings):
    r"""What is made of the labels of proteins.

    Attributes:
        kind: "classification", "regression" or "token_classification" (one letter a residue, "-" for unknown).
        pattern: regular expression that is searched for in the header (without ">"): its group is the label, or its
            named groups are the columns of labels and, if wanted, ``split`` and ``group``, such as
            ``TARGET=(?P<label>\S+) SET=(?P<split>\w+)``; "" takes the table.
        classes: the classes, in order; () takes those that occur, sorted.
        unit: of the targets of regression.
        unmatched: "raise" where a record has no label or a label no record; "skip" leaves those out, counted.
    """

    kind: Literal["classification", "regression", "token_classification"] = "classification"
    pattern: str = ""
    classes: tuple[str, ...] = ()
    unit: str = ""
    unmatched: Literal["raise", "skip"] = "raise"


@SOURCES.register
class ProteinFASTA(Source):
    r"""Read the records of a FASTA file, each with a class, with numbers, or with a class a residue.

    The id of a record is the first word of its header. Labels stand in a table, or in the headers. An empty label
    is an unknown one. Equal sequences share a group, and so do rows of one cluster and of one value of
    the column of groups. The file is indexed by byte offset and read record by record, in upper case; a gzip file is
    unpacked into memory.

    Args:
        folder: folder of the files, below the root.
        fasta: name of the FASTA file, plain or gzip.
        table: name of the table of labels, csv or tsv, plain or gzip; "" where ``labels.pattern`` is given.
        columns: columns of the table.
        clusters: name of a file of clusters as MMseqs2 writes it (representative, tab, member); "" for none.
        labels: what is made of the labels.
        task_name: name of the task.
    """

    default_card = SourceCard(
        title="Proteins with labels, sequences.fasta",
        modalities=(RawModality("protein", "protein"),),
        tasks=(RawTask("protein_label", "classification", modalities=("protein",)),),
        licence="not stated",
        access="open",
        citation="not stated; your own files",
        where="any FASTA file of your own, with labels in a table or in its headers",
        layout="sequences.fasta, labels.csv with the column id",
        caution="Equal sequences share a group; homologous ones only with a file of clusters: make one, such as "
        "with mmseqs easy-cluster --min-seq-id 0.3",
        size="that of the files",
    )

    def __init__(
        self,
        *,
        folder: str = "protein_fasta",
        fasta: str = "sequences.fasta",
        table: str = "labels.csv",
        columns: TableColumns = TableColumns(),
        clusters: str = "",
        labels: ProteinLabels = ProteinLabels(),
        task_name: str = "protein_label",
    ) -> None:
        super().__init__(folder=folder)
        asked = TASKS.get(labels.kind)
        self.regression, self.positions = asked.float_targets, asked.labels_positions
        if not columns.labels or (not self.regression and len(columns.labels) > 1):
            raise SpecError(
                f"ProteinFASTA: {labels.kind} takes one label column (regression one or more): {columns.labels}"
            )
        if self.regression and labels.classes:
            raise SpecError("ProteinFASTA: regression has no classes; its targets are the columns of labels")
        if not table and not labels.pattern:
            raise SpecError("ProteinFASTA: give the table of labels, or labels.pattern")
        self.fasta, self.kind, self.table, self.delimiter = fasta, labels.kind, table, columns.delimiter
        self.id_column, self.label_columns = columns.id, columns.labels
        self.split_column, self.group_column = columns.split, columns.group
        self.group_unit = columns.group or ("cluster" if clusters else "sequence")
        self.label_pattern, self.clusters, self.classes = labels.pattern, clusters, tuple(labels.classes)
        self.unmatched, self.task_name = labels.unmatched, task_name
        self._pattern = self._compile(labels.pattern)
        self._file: FastaFile | None = None
        known = self.label_columns if self.regression else self.classes
        reads = "protein" if self.positions else ""
        told = f"{table} with the column {columns.id}"
        told = f"headers that match {labels.pattern}" if labels.pattern else told
        self.card = replace(
            self.default_card,
            title=f"Proteins with labels, {fasta}",
            tasks=(RawTask(task_name, labels.kind, known, ("protein",), reads, labels.unit),),
            layout=f"{fasta}, {told}{f', {clusters}' if clusters else ''}",
        )

    def _compile(self, text: str) -> re.Pattern[str]:
        try:
            pattern = re.compile(text)
        except re.error as error:
            raise SpecError(f"ProteinFASTA: labels.pattern {text!r} is no regular expression ({error})") from error
        named = set(pattern.groupindex)
        plain = not named and pattern.groups == 1 and len(self.label_columns) == 1
        if text and not plain and not set(self.label_columns) <= named:
            raise SpecError(
                f"ProteinFASTA: labels.pattern {text!r} must have one group, or groups named {self.label_columns}"
            )
        return pattern

    # -- labels --------------------------------------------------------------------------------------------

    def _from_headers(self) -> tuple[pd.DataFrame, list[int], Path]:
        """Labels of the headers, as a table of the columns id, label columns, split and group."""
        path = self.path / self.fasta
        rows, lines = [], []
        for number, line in enumerate(text_lines(path), start=1):
            if not line.startswith(">"):
                continue
            found = self._pattern.search(line[1:].strip())
            if found is None:
                if self.unmatched == "raise":
                    raise DataError(
                        f"the header {line.strip()[:80]!r} does not match labels.pattern {self.label_pattern!r}; "
                        "mend one of them, or give unmatched='skip'",
                        file=path,
                        row=number,
                    )
                continue
            named = found.groupdict(default="") or {self.label_columns[0]: found[1] or ""}
            labels = [named[c] for c in self.label_columns]
            rows.append((line[1:].split()[0], *labels, named.get("split", ""), named.get("group", "")))
            lines.append(number)
        if not rows:
            raise DataError(f"no header matches labels.pattern {self.label_pattern!r}", file=path)
        return (
            pd.DataFrame(rows, columns=["\0id", *self.label_columns, "\0split", "\0group"], dtype=object),
            lines,
            path,
        )

    def _from_table(self) -> tuple[pd.DataFrame, list[int], Path]:
        """Labels of the table, with the columns of ``_from_headers``."""
        path = self.path / self.table
        own = {"\0id": self.id_column, "\0split": self.split_column, "\0group": self.group_column}
        table, lines = read_delimited(
            path, [c for c in (*own.values(), *self.label_columns) if c], delimiter=self.delimiter
        )
        for name, column in own.items():
            table[name] = table[column] if column else ""
        return table, lines, path

    def _index(self) -> pd.DataFrame:
        fasta = self._file = FastaFile(self.path / self.fasta, use_fai=False)
        table, lines, path = self._from_headers() if self.label_pattern else self._from_table()
        self.remarks = []
        for column in ("\0group", *(() if self.positions else self.label_columns)):
            shown, classes = column.replace("\0", ""), () if self.regression else self.classes
            table[column], told = RULE.blank(table[column].tolist(), shown, classes if shown == column else ())
            self.remarks += told if any(table[column]) else []
        ids = table["\0id"].tolist()
        check_ids(self._file, ids, lines, path, self.unmatched, path.name)
        kept = [row for row, name in enumerate(ids) if name in fasta]
        self.skipped = {
            "label without a record (unmatched)": len(ids) - len(kept),
            "record without a label (unmatched)": len(fasta) - len(kept),
        }
        chosen = table.iloc[kept]
        names, where = chosen["\0id"].tolist(), [lines[row] for row in kept]
        labels = {c: chosen[c].tolist() for c in self.label_columns}
        sequences = [fasta.read(name, letters=LETTERS) for name in names]
        self._check_labels(labels, sequences, where, path)
        keys = [
            (sequence_key(s), c and f"cluster {c}", g and f"group {g}")
            for s, c, g in zip(sequences, self._read_clusters(names), chosen["\0group"], strict=True)
        ]
        splits = [split_name(s, file=path, row=n) for s, n in zip(chosen["\0split"], where, strict=True)]
        first = labels[self.label_columns[0]]
        columns = {
            "id": names,
            "subject": "",
            "group": [f"group {k}" for k in connect(keys)],
            "stratum": first if TASKS.get(self.kind).fixed_classes() else "",
            "split": splits,
        }
        return pd.DataFrame(columns | {f"label {c}": v for c, v in labels.items()}, dtype=object)

    def _check_labels(self, labels: dict[str, list[str]], sequences: list[str], lines: list[int], path: Path) -> None:
        """Check every label, and fix the classes."""
        if self.regression:
            for column, cells in labels.items():
                for cell, line in zip(cells, lines, strict=True):
                    _number(cell, column, path, line)
            return
        cells = labels[self.label_columns[0]]
        if self.positions:
            classes = self.classes or tuple(sorted(set().union(*cells) - {UNKNOWN}))
            known = {*classes, UNKNOWN}
            for cell, sequence, line in zip(cells, sequences, lines, strict=True):
                if cell and (len(cell) != len(sequence) or not known.issuperset(cell)):
                    raise DataError(
                        f"the label has {len(cell)} letters and the sequence {len(sequence)}; letters that are no "
                        f"class: {sorted(set(cell) - known)}; classes: {classes}, '{UNKNOWN}' for unknown",
                        file=path,
                        row=line,
                    )
        else:
            classes = self.classes or class_order(cells)
            allowed = {*classes, ""}
            for cell, line in zip(cells, lines, strict=True):
                if cell not in allowed:
                    one_of(cell, classes, "the label", file=path, row=line)
        if len(classes) < 2:
            raise DataError(f"the labels have the classes {classes}; 2 are needed", file=path)
        self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=tuple(classes)),))

    def _read_clusters(self, names: list[str]) -> list[str]:
        """The representative of the cluster of each record; "" for each where there is no file of clusters."""
        if not self.clusters:
            return [""] * len(names)
        path = self.path / self.clusters
        cluster: dict[str, str] = {}
        for number, line in enumerate(text_lines(path), start=1):
            cells = line.split()
            if len(cells) != 2 or cluster.setdefault(cells[1], cells[0]) != cells[0]:
                raise DataError(
                    f"expected a representative and a member, each member in one cluster, got {line.strip()[:80]!r}; "
                    "give the .tsv file of mmseqs easy-cluster",
                    file=path,
                    row=number,
                )
        lacking = [name for name in names if name not in cluster]
        if lacking:
            hint = unknown_name("member", lacking[0], list(cluster)[:1000])
            raise DataError(f"{len(lacking)} records are in no cluster; {hint}", file=path)
        return [cluster[name] for name in names]

    # -- reading -------------------------------------------------------------------------------------------

    @cached_property
    def _cells(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Ids and targets of the rows."""
        columns = [self.index[f"label {c}"].tolist() for c in self.label_columns]
        targets: list[dict[str, Any]] = []
        for cells in zip(*columns, strict=True):
            label: Any = cells[0]
            if self.regression:
                label = {c: float(v) for c, v in zip(self.label_columns, cells, strict=True) if v}
            elif self.positions and not label.strip(UNKNOWN):
                label = ""
            targets.append({self.task_name: label} if label else {})
        return self.index["id"].tolist(), targets

    def read(self, row: int) -> Sample:
        """Read the sequence, in upper case, and its label.

        Raises:
            DataError: the file has changed, or the record holds other characters than letters of amino acids.
        """
        ids, targets = self._cells
        assert self._file is not None
        sequence = self._file.read(ids[row], letters=LETTERS)
        return Sample(ids[row], {"protein": sequence}, dict(targets[row]))

    def overview(self) -> Overview:
        """Every row has a sequence; labels are where they are not empty."""
        labelled = np.array([bool(t) for t in self._cells[1]], dtype=np.bool_)
        return Overview({"protein": np.ones(len(self), dtype=np.bool_)}, {self.task_name: labelled})


def _number(cell: str, column: str, path: Path, line: int) -> None:
    """Refuse what is neither empty nor a finite number."""
    try:
        finite = not cell or math.isfinite(float(cell))
    except ValueError:
        finite = False
    if not finite:
        raise DataError(
            f"the target '{column}' is {cell!r}; expected a finite number, or nothing", file=path, row=line
        )
