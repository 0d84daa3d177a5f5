"""What is kept of a source while its rows are read: fingerprints, labels, tables and groups, not the samples."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.audit.leaks import Own, names_class
from datamodules.core.fingerprints import Prints
from datamodules.core.source import Source
from datamodules.io.traits import file_traits
from zoo.contract import MODALITIES, TASKS, Sample
from zoo.specs import RawTask

MOST = 2_000
"""Rows of which the pieces are kept."""


class Reading:
    """The rows of one source, read one after the other.

    Args:
        source: open, as published.
        own: where the rows end in the zoo's own reading.

    Attributes:
        ids, parts: of every row: its name, and its part of the publisher's split ("" where there is none). Rows that
            a publisher leaves open beside a fixed part are "train", or "open" where there is a fixed "train".
        modalities: name -> modality, of the source's card.
        prints: modality -> fingerprints.
        labels: task -> (row, label) of the rows that have one.
        tables: tabular modality -> (row numbers, column -> values).
        groups: group column -> code -> rows.
        complete: whether every row was to be read, not only some.
        named: task and modality -> rows whose text holds the name of their class.
        pieces: modality -> row -> its pieces, of the first MOST rows; see ModalityKind.pieces.
        traits: modality and name of a trait of its image files -> row -> value; see datamodules.io.traits.
    """

    def __init__(self, source: Source, own: Own) -> None:
        self.source, self.own = source, own
        self.complete = True
        self.modalities = {m.name: m for m in source.card.modalities}
        self.tasks: dict[str, RawTask] = {t.name: t for t in source.card.tasks}
        index = source.index
        self.ids: list[str] = index["id"].astype(str).tolist()
        fixed = set(index["split"].unique()) - {""}
        rest = "" if not fixed else "open" if "train" in fixed else "train"
        self.parts: list[str] = [str(s) or rest for s in index["split"].tolist()]
        self.prints: dict[str, Prints] = {}
        self.labels: dict[str, list[tuple[int, Any]]] = {t: [] for t in self.tasks}
        self.tables: dict[str, tuple[list[int], dict[str, list[Any]]]] = {}
        self.groups: dict[str, Counter[int]] = {}
        self.named: Counter[tuple[str, str]] = Counter()
        self.pieces: dict[str, dict[int, set[str]]] = {}
        self.traits: dict[tuple[str, str], dict[int, str]] = {}
        self._seen: dict[tuple[str, str], str] = {}
        source.watcher = self._watch

    def part(self, row: int) -> str:
        """The publisher's part of a row, or the zoo's own split where there is none."""
        return self.parts[row] or self.own.split.get(self.ids[row], "")

    def places(self, row: int) -> list[str]:
        """What a row counts for: "all", its published part, and its split in the zoo's own reading."""
        own = self.own.split.get(self.ids[row])
        part = self.parts[row]
        return ["all"] + ([f"published {part}"] if part else []) + ([own] if own else [])

    def _watch(self, modality: str, file: Path | bytes) -> None:
        self._seen |= {(modality, trait): value for trait, value in file_traits(file).items()}

    def leave_out(self) -> None:
        """Forget what was seen of a row that could not be read."""
        self._seen = {}

    def add(self, row: int, sample: Sample) -> None:
        """Note one row, the one that was read last."""
        for key, value in self._seen.items():
            self.traits.setdefault(key, {})[row] = value
        self._seen = {}
        for name, value in sample.inputs.items():
            if value is None or name not in self.modalities:
                continue
            kind = self.modalities[name].kind
            self.prints.setdefault(name, Prints(kind)).add(row, value)
            held = MODALITIES.get(kind).pieces(value) if len(self.pieces.get(name, {})) < MOST else set()
            if held:
                self.pieces.setdefault(name, {})[row] = held
            if MODALITIES.get(kind).table:
                self._add_table(name, row, value)
        for name, label in sample.targets.items():
            if name in self.tasks:
                self.labels[name].append((row, _kept(label)))
                self._look_for_name(name, label, sample)
        for column, code in sample.groups.items():
            if int(code) >= 0:
                self.groups.setdefault(column, Counter())[int(code)] += 1

    def _add_table(self, name: str, row: int, value: dict[str, Any]) -> None:
        rows, columns = self.tables.setdefault(name, ([], {}))
        for column, cell in value.items():
            columns.setdefault(column, [None] * len(rows)).append(cell)
        rows.append(row)
        for cells in columns.values():
            cells.extend([None] * (len(rows) - len(cells)))

    def _look_for_name(self, task: str, label: Any, sample: Sample) -> None:
        wanted = label if isinstance(label, str) and TASKS.get(self.tasks[task].kind).fixed_classes() else ""
        if not wanted:
            return
        for name, value in sample.inputs.items():
            worded = name in self.modalities and MODALITIES.get(self.modalities[name].kind).language
            if worded and value and self.informs(task, name):
                self.named[(task, name)] += names_class(str(value), wanted)

    def informs(self, task: str, modality: str) -> bool:
        """Whether a modality may inform a task."""
        said = self.tasks[task].modalities
        return not said or modality in said


def _kept(label: Any) -> Any:
    """What is kept of a label: nothing of arrays, such as structures, which are large."""
    if isinstance(label, np.ndarray):
        return ""
    if isinstance(label, list | tuple):
        return list(label)
    return dict(label) if isinstance(label, dict) else str(label)
