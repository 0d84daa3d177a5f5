"""Prepared data, and what can be asked about them: rows, labels, groups and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.core.availability import Availability
from datamodules.core.dataset import JoinedDataset
from datamodules.core.join import Samples, unique_names
from datamodules.core.processor import Processor
from datamodules.core.source import Source
from datamodules.core.splits import SPLITS
from datamodules.synthesis.modality import GeneratedModality
from datamodules.synthesis.rows import GeneratedRows
from zoo.contract import TASKS, ModalitySpec, TaskSpec, empty_target
from zoo.errors import SpecError, unknown_name
from zoo.raw import RawModality, RawTask

CLASSES = "task:"
"""``task:NAME`` is a group column too: the label of a task of classes, "" where a row has none."""


@dataclass
class Pipeline:
    """Sources that were opened, joined, split and fitted, and what can be asked about their N samples.

    It is made by ``datamodules.core.prepare.prepare``, and keeps the protocol zoo.data.Pipeline.

    Attributes:
        sources: opened, or opening themselves when they are first read.
        raw_modalities: modality -> its form before processing.
        raw_tasks: task -> its form before encoding.
        processors: modality -> fitted processor.
        dataset: reads and processes single samples.
        availability: which samples have which modalities and labels.
        generated: name -> a modality, or further training rows, that a generator makes.
        rows: split -> numbers of its samples.
        skipped: reason -> samples that were left out.
        fitted_on: what was learned from a part of the training rows -> (rows used, rows there are).
        notices: what the data lack, in sentences; see datamodules.core.notices.
        grouped: what was put into one group since it is alike, in words; "" where nothing was looked for.
    """

    sources: list[Source]
    raw_modalities: dict[str, RawModality]
    raw_tasks: dict[str, RawTask]
    processors: dict[str, Processor]
    dataset: JoinedDataset
    availability: Availability
    generated: dict[str, GeneratedModality | GeneratedRows] = field(default_factory=dict)
    rows: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    fitted_on: dict[str, tuple[int, int]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    grouped: str = ""

    @property
    def join(self) -> Samples:
        """Names of the samples, and the rows of sources that make them."""
        return self.dataset.join

    @cached_property
    def source_names(self) -> tuple[str, ...]:
        """Names of the sources; a class that is used twice is numbered."""
        return tuple(unique_names(self.sources))

    @cached_property
    def source_simulated(self) -> tuple[bool, ...]:
        """Of each source, whether its rows are simulated."""
        return self.simulated_with(list(self.raw_modalities))

    @cached_property
    def modality_specs(self) -> list[ModalitySpec]:
        """The modalities as encoders see them; known once processors are fitted."""
        return [self.processors[m].spec(raw) for m, raw in self.raw_modalities.items()]

    @cached_property
    def task_specs(self) -> list[TaskSpec]:
        """The tasks as heads see them; known once codecs are fitted."""
        return [self.dataset.codecs[t].spec() for t in self.raw_tasks]

    @property
    def made_modalities(self) -> dict[str, GeneratedModality]:
        """Modalities that a generator makes."""
        return {n: g for n, g in self.generated.items() if isinstance(g, GeneratedModality)}

    def simulated_with(self, modalities: Sequence[str]) -> tuple[bool, ...]:
        """Of each source, whether its rows are simulated, or hold one of ``modalities`` that was drawn by rules."""
        invented = {
            read
            for n, g in self.made_modalities.items()
            if n in modalities and g.generator.simulated
            for read in g.reads
        }
        return tuple(s.card.simulated or any(m.name in invented for m in s.card.modalities) for s in self.sources)

    def ready(self) -> None:
        """Open the sources that an index left closed, before worker processes copy this one."""
        for source in self.sources:
            source.ready()

    def rows_by_source(self, split: str) -> list[npt.NDArray[np.int64]]:
        """The rows of ``split``, one array a source."""
        return self.by_source(self.rows[split])

    def by_source(self, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """``rows``, one array a source."""
        source = self.join.source[rows]
        return [rows[source == s] for s in range(len(self.sources))]

    def labels(self, split: str, task: str) -> tuple[Tensor, Tensor]:
        """Encoded labels (n, ...) of a task in a split, and the source (n,) of each."""
        return self.encoded(task, self.labelled(split, task))

    def encoded(self, task: str, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Encoded labels (n, ...) of rows that carry one, and the source (n,) of each."""
        codec = self.dataset.codecs[task]
        if not len(rows):
            return empty_target(codec.spec()), torch.zeros(0, dtype=torch.long)
        raw = zip(rows.tolist(), self.raw_labels(rows, task), strict=True)
        encoded = torch.stack([codec(label, self.join.id(row)) for row, label in raw])
        return encoded, torch.from_numpy(self.join.source[rows].astype(np.int64))

    def group_columns(self) -> list[str]:
        """Names of the group columns that any source has, such as "subject" and "organ".

        Beside them ``groups`` and ``data.split.held_out`` take ``task:NAME`` for the classes of a task.
        """
        return sorted({c for s in self.sources for c in s.group_names()})

    def groups(self, column: str, rows: npt.NDArray[np.int64]) -> list[str]:
        """The name of the group that each row belongs to in ``column``; "" where it is unknown.

        Args:
            column: one of ``group_columns``, or "task:NAME" for the class that a row is labelled with.
            rows: row numbers.

        Raises:
            UnknownNameError, SpecError: no source has this column, or the task has no classes.
        """
        if column.startswith(CLASSES):
            return self._classes(column.removeprefix(CLASSES), rows)
        names = [s.group_names().get(column, ()) for s in self.sources]
        if not any(names):
            raise unknown_name("group", column, self.group_columns())
        found = []
        for row in rows.tolist():
            code, held = self.dataset.peek_at(row, ()).groups.get(column, -1), ""
            for source, _ in self.join.members[row]:
                if 0 <= code < len(names[source]):
                    held = names[source][code]
                    break
            found.append(held)
        return found

    def having(self, split: str, modality: str) -> npt.NDArray[np.int64]:
        """The rows of a split that have a modality."""
        rows = self.rows[split]
        return rows[self.availability.present[modality][rows]]

    def labelled(self, split: str, task: str) -> npt.NDArray[np.int64]:
        """The rows of a split that carry a label of a task."""
        rows = self.rows[split]
        return rows[self.availability.labelled[task][rows]]

    def raw_labels(self, rows: npt.NDArray[np.int64], task: str) -> list[Any]:
        """The labels of rows as their sources give them."""
        return [self.dataset.peek_at(r, (task,)).targets[task] for r in rows.tolist()]

    def _classes(self, task: str, rows: npt.NDArray[np.int64]) -> list[str]:
        """The class that each row is labelled with; "" for none."""
        if task not in self.raw_tasks:
            raise unknown_name(f"task behind '{CLASSES}'", task, self.raw_tasks)
        kind = self.raw_tasks[task].kind
        if not TASKS.get(kind).class_codes:
            raise SpecError(f"'{CLASSES}{task}': a row of kind '{kind}' has no single class; name another task")
        labelled = self.availability.labelled[task]
        return [str(self.raw_labels(rows[[k]], task)[0]) if labelled[r] else "" for k, r in enumerate(rows.tolist())]

    def summary(self) -> list[dict[str, Any]]:
        """One line a source: name, whether simulated, rows per split, modalities and tasks kept.

        A row that is joined to one of another source counts for both.
        """
        members = self.join.members
        sample = np.repeat(np.arange(len(members)), np.diff(members.start))
        counts = {}
        for split, rows in self.rows.items():
            used = np.zeros(len(members), dtype=bool)
            used[rows] = True
            counts[split] = np.bincount(members.source[used[sample]], minlength=len(self.sources))
        return [
            {
                "source": self.source_names[s],
                "simulated": source.card.simulated,
                **{split: int(counts[split][s]) for split in SPLITS},
                "modalities": [m.name for m in source.card.modalities if m.name in self.raw_modalities],
                "tasks": [t.name for t in source.card.tasks if t.name in self.dataset.codecs],
            }
            for s, source in enumerate(self.sources)
        ]
