"""Sequences in a FASTA file with a table of labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from datamodules.core.settings import Settings, TableColumns
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.core.splits import connect
from datamodules.io.files import one_of
from datamodules.io.formats.sequences import (
    FastaFile,
    check_ids,
    class_order,
    read_delimited,
    sequence_key,
    split_name,
)
from datamodules.io.unknown import RULE
from datamodules.modalities.sequence import sequence_kind
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask


@dataclass(frozen=True)
class FASTAClasses(Settings):
    """What is made of the labels of a table.

    Attributes:
        classes: the classes, in order; () takes the labels that occur, sorted.
        unmatched: "raise" where a record has no label or a label no record; "skip" leaves those out, counted.
    """

    classes: tuple[str, ...] = ()
    unmatched: Literal["raise", "skip"] = "raise"


@SOURCES.register
class FASTALabels(Source):
    """Read the records of a FASTA file, each with one class from a table.

    The id of a record is the first word of its header. Equal sequences share a group, and so do rows of one value of
    the column of groups. The file is indexed by byte offset and its records are read one by one, in upper case; a
    gzip file is unpacked into memory.

    Args:
        folder: folder of both files, below the root.
        fasta: name of the FASTA file, plain or gzip.
        table: name of the table of labels, csv or tsv, plain or gzip.
        columns: columns of the table.
        labels: the classes, and what to do with records that have none.
        modality: name of the modality.
        kind: kind of the sequences, such as "dna" or "protein".
        task_name: name of the task.
    """

    group_unit = "sequence"

    def __init__(
        self,
        *,
        folder: str = "fasta_labels",
        fasta: str = "sequences.fasta",
        table: str = "labels.csv",
        columns: TableColumns = TableColumns(),
        labels: FASTAClasses = FASTAClasses(),
        modality: str = "genomics",
        kind: str = "dna",
        task_name: str = "sequence_class",
    ) -> None:
        super().__init__(folder=folder)
        if len(columns.labels) != 1:
            raise SpecError(f"FASTALabels: columns.label names one column, got {columns.labels}")
        letters = sequence_kind(kind)
        self._letters = letters.letters + letters.ambiguous + letters.on_request
        self.fasta, self.table, self.delimiter = fasta, table, columns.delimiter
        self.id_column, self.label_column = columns.id, columns.labels[0]
        self.split_column, self.group_column = columns.split, columns.group
        self.classes, self.unmatched, self.modality, self.kind = (
            tuple(labels.classes),
            labels.unmatched,
            modality,
            kind,
        )
        self.task_name = task_name
        self._file: FastaFile | None = None
        self.card = SourceCard(
            title=f"FASTA with labels, {fasta}",
            modalities=(RawModality(modality, kind),),
            tasks=(RawTask(task_name, "classification", self.classes, (modality,)),),
            licence="not stated",
            access="open",
            citation="not stated; your own files",
            where="any FASTA file of your own, with a table of labels",
            layout=f"{fasta} and {table} with the columns {self.id_column}, {self.label_column}",
            caution="Equal sequences share a group; homologous ones do not: cluster them and give columns.group",
            size="that of the files",
        )

    def _index(self) -> pd.DataFrame:
        columns = [self.id_column, self.label_column, *filter(None, (self.split_column, self.group_column))]
        path = self.path / self.table
        table, lines = read_delimited(path, columns, delimiter=self.delimiter)
        fasta = self._file = FastaFile(self.path / self.fasta, use_fai=False)
        check_ids(self._file, table[self.id_column].tolist(), lines, path, self.unmatched, self.table)
        labels, self.remarks = RULE.blank(table[self.label_column].tolist(), self.label_column, self.classes)
        classes = self.classes or class_order(labels)
        if len(classes) < 2:
            raise DataError(f"the column '{self.label_column}' has the classes {classes}; 2 are needed", file=path)
        splits = table[self.split_column].tolist() if self.split_column else [""] * len(table)
        kept, keys, groups = [], [], [""] * len(table)
        if self.group_column:
            groups, told = RULE.blank(table[self.group_column].tolist(), self.group_column)
            self.remarks += told
        orphans = 0
        for row, name in enumerate(table[self.id_column]):
            if name not in fasta:
                orphans += 1
                continue
            if not labels[row] and self.unmatched == "skip":
                continue
            one_of(labels[row], classes, "the label", file=path, row=lines[row])
            splits[row] = split_name(splits[row], file=path, row=lines[row])
            keys.append(
                (sequence_key(fasta.read(name, letters=self._letters)), groups[row] and f"group {groups[row]}")
            )
            kept.append(row)
        self.skipped = {
            "label without a record (unmatched)": orphans,
            "record without a label (unmatched)": len(fasta) - len(kept),
        }
        self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=tuple(classes)),))
        return pd.DataFrame(
            {
                "id": table[self.id_column].to_numpy()[kept],
                "subject": "",
                "group": np.char.add("group ", connect(keys).astype(str)) if kept else [],
                "stratum": [labels[row] for row in kept],
                "split": [splits[row] for row in kept],
            }
        )

    @cached_property
    def _cells(self) -> tuple[list[str], list[str]]:
        return self.index["id"].tolist(), self.index["stratum"].tolist()

    def read(self, row: int) -> Sample:
        """Read the sequence, in upper case, and its class.

        Raises:
            DataError: the file has changed, or the record holds other characters than letters of its kind.
        """
        ids, labels = self._cells
        assert self._file is not None
        sequence = self._file.read(ids[row], letters=self._letters)
        return Sample(ids[row], {self.modality: sequence}, {self.task_name: labels[row]})
