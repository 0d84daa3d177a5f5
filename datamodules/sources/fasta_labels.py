"""Sequences in a FASTA file with a table of labels."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from datamodules.files import one_of
from datamodules.formats.sequences import FastaFile, check_ids, class_order, read_delimited, sequence_key, split_name
from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from datamodules.splits import connect
from zoo.contract import Sample
from zoo.errors import DataError, SpecError


@SOURCES.register
class FASTALabels(Source):
    """Read the records of a FASTA file, each with one class from a table.

    The id of a record is the first word of its header. Equal sequences share a group, and so do rows of one value of
    ``group_column``. The file is indexed by byte offset and its records are read one by one, in upper case; a gzip
    file is unpacked into memory.

    Args:
        folder: folder of both files, below the root.
        fasta: name of the FASTA file, plain or gzip.
        table: name of the table of labels, csv or tsv, plain or gzip.
        delimiter: of the table; "" takes the comma for .csv and the tab for all others.
        id_column, label_column: columns of the table.
        split_column: column of train, val, test or nothing; "" leaves the split open.
        group_column: column whose rows of one value never cross a split; "" for none.
        classes: the classes, in order; () takes the labels that occur, sorted.
        unmatched: "raise" where a record has no label or a label no record; "skip" leaves those out, counted.
        modality: name of the modality.
        kind: "dna" or "protein".
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "fasta_labels",
        fasta: str = "sequences.fasta",
        table: str = "labels.csv",
        delimiter: str = "",
        id_column: str = "id",
        label_column: str = "label",
        split_column: str = "",
        group_column: str = "",
        classes: tuple[str, ...] = (),
        unmatched: Literal["raise", "skip"] = "raise",
        modality: str = "genomics",
        kind: Literal["dna", "protein"] = "dna",
        task_name: str = "sequence_class",
    ) -> None:
        super().__init__(folder=folder)
        for name, value, allowed in (("unmatched", unmatched, ("raise", "skip")), ("kind", kind, ("dna", "protein"))):
            if value not in allowed:
                raise SpecError(f"FASTALabels: {name} is {value!r}; allowed: {allowed}")
        self.fasta, self.table, self.delimiter = fasta, table, delimiter
        self.id_column, self.label_column = id_column, label_column
        self.split_column, self.group_column = split_column, group_column
        self.classes, self.unmatched, self.modality, self.kind = tuple(classes), unmatched, modality, kind
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
            layout=f"{fasta} and {table} with the columns {id_column}, {label_column}",
            caution="Equal sequences share a group; homologous ones do not: cluster them and give group_column",
            size="that of the files",
        )

    def _index(self) -> pd.DataFrame:
        columns = [self.id_column, self.label_column, *filter(None, (self.split_column, self.group_column))]
        path = self.path / self.table
        table, lines = read_delimited(path, columns, delimiter=self.delimiter)
        fasta = self._file = FastaFile(self.path / self.fasta, use_fai=False)
        check_ids(self._file, table[self.id_column].tolist(), lines, path, self.unmatched, self.table)
        labels = table[self.label_column].tolist()
        classes = self.classes or class_order(labels)
        if len(classes) < 2:
            raise DataError(f"the column '{self.label_column}' has the classes {classes}; 2 are needed", file=path)
        splits = table[self.split_column].tolist() if self.split_column else [""] * len(table)
        kept, keys, groups = [], [], table[self.group_column].tolist() if self.group_column else [""] * len(table)
        orphans = 0
        for row, name in enumerate(table[self.id_column]):
            if name not in fasta:
                orphans += 1
                continue
            one_of(labels[row], classes, "the label", file=path, row=lines[row])
            splits[row] = split_name(splits[row], file=path, row=lines[row])
            keys.append((sequence_key(fasta.read(name, kind=self.kind)), groups[row] and f"group {groups[row]}"))
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
        sequence = self._file.read(ids[row], kind=self.kind)
        return Sample(ids[row], {self.modality: sequence}, {self.task_name: labels[row]})
