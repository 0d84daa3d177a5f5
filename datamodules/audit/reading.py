"""What is kept of a source while its rows are read: fingerprints, labels, tables and groups, not the samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.audit.leaks import Own
from datamodules.audit.letters import has_letters
from datamodules.audit.words import Named
from datamodules.core.fingerprints import Prints
from datamodules.core.source import Source
from datamodules.io.traits import WORDED, file_traits
from zoo.contract import MODALITIES, TASKS, Sample
from zoo.raw import RawTask

MOST = 2_000
"""Rows of which the pieces are kept."""
LETTERS = "letters at the border"
"""Name of the trait of pictures that has_letters tells."""


class Reading:
    """The rows of one source, read one after the other.

    Args:
        source: open, as published.
        own: where the rows end in the zoo's own reading.
        named: rows whose file names are compared, of a quick look that leaves out pieces of sequences; None for all.

    Attributes:
        ids, parts: of every row: its name, and its part of the publisher's split ("" where there is none). Rows that
            a publisher leaves open beside a fixed part are "train", or "open" where there is a fixed "train".
        modalities: name -> modality, of the source's card.
        prints: modality -> fingerprints.
        labels: task -> (row, label) of the rows that have one.
        tables: tabular modality -> (row numbers, column -> values).
        groups: group column -> code -> rows.
        complete: whether every row was to be read, not only some.
        units: of every row: its group, or its id; what shares one is not independent.
        file_names: of every row: the path of its first file below the source's folder, or its id; ""
            where it is not compared.
        named: task and text -> rows whose text holds the name of a class; see datamodules.audit.words.
        frames: modality -> row -> number of frames of its file and a word for them, where there are several; chosen:
            modalities of which a configuration says which frame is taken.
        pieces: modality -> row -> its pieces, of the first MOST rows; see ModalityKind.pieces.
        traits: modality and name of a trait of its images -> row -> value; see datamodules.io.traits, and "letters at
            the border" of datamodules.audit.letters.
    """

    def __init__(self, source: Source, own: Own, named: Sequence[int] | npt.NDArray[np.int64] | None = None) -> None:
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
        groups = index["group"].astype(str)
        self.units: list[str] = groups.where(groups != "", index["id"].astype(str)).tolist()
        self.file_names = [""] * len(index)
        for row in range(len(index)) if named is None else named:
            self.file_names[int(row)] = source.file_name(int(row))
        self.named: dict[tuple[str, str], Named] = {}
        self.frames: dict[str, dict[int, tuple[int, str]]] = {}
        self.chosen: set[str] = set()
        self.most_pieces = MOST if named is None else 0
        self.pieces: dict[str, dict[int, set[str]]] = {}
        self.traits: dict[tuple[str, str], dict[int, str]] = {}
        self._seen: dict[tuple[str, str], str] = {}
        self._last, self._frames = "", dict[str, tuple[int, str]]()
        source.watcher = self._watch

    def keep_tasks(self, tasks: dict[str, RawTask]) -> None:
        """Look at these tasks alone, as a data module describes them."""
        self.tasks, self.labels = tasks, {t: [] for t in tasks}

    def part(self, row: int) -> str:
        """The publisher's part of a row, or the zoo's own split where there is none."""
        return self.parts[row] or self.own.split.get(self.ids[row], "")

    def places(self, row: int) -> list[str]:
        """What a row counts for: "all", its published part, and its split in the zoo's own reading."""
        own = self.own.split.get(self.ids[row])
        part = self.parts[row]
        return ["all"] + ([f"published {part}"] if part else []) + ([own] if own else [])

    def _watch(self, modality: str, file: Path | bytes) -> None:
        self._last = modality
        self.see(modality, file)

    def see(self, modality: str, file: Path | bytes) -> None:
        """Look at the header of a file of the row that is added next."""
        self._seen |= {(modality, trait): value for trait, value in file_traits(file).items()}

    def hear(self, frames: int, what: str) -> None:
        """Note that the file which was looked at last holds several frames."""
        self._frames[self._last] = (frames, what)

    def leave_out(self) -> None:
        """Forget what was seen of a row that could not be read."""
        self._seen, self._frames = {}, {}

    def add(self, row: int, sample: Sample) -> None:
        """Note one row, the one that was read last."""
        for key, words in self._seen.items():
            self.traits.setdefault(key, {})[row] = words
        texts = {f"{m}: {trait}": (m, words) for (m, trait), words in self._seen.items() if trait in WORDED}
        for modality, told in self._frames.items():
            self.frames.setdefault(modality, {})[row] = told
        self.leave_out()
        for name, value in sample.inputs.items():
            if value is None or name not in self.modalities:
                continue
            kind = self.modalities[name].kind
            self.prints.setdefault(name, Prints(kind)).add(row, value)
            held = MODALITIES.get(kind).pieces(value) if len(self.pieces.get(name, {})) < self.most_pieces else set()
            if held:
                self.pieces.setdefault(name, {})[row] = held
            if MODALITIES.get(kind).table:
                self._add_table(name, row, value)
            if MODALITIES.get(kind).language:
                texts[name] = (name, str(value))
            self._look_for_letters(name, row, value)
        for name, label in sample.targets.items():
            if name in self.tasks:
                self.labels[name].append((row, _kept(label)))
                self._look_for_names(name, row, texts)
        for column, code in sample.groups.items():
            if int(code) >= 0:
                self.groups.setdefault(column, Counter())[int(code)] += 1

    def _add_table(self, name: str, row: int, value: dict[str, Any]) -> None:
        rows, columns = self.tables.setdefault(name, ([], {}))
        for column, cell in value.items():
            if column not in columns:  # a list of all rows before is made once a column, not once a cell
                columns[column] = [None] * len(rows)
            columns[column].append(cell)
        rows.append(row)
        for cells in columns.values():
            cells.extend([None] * (len(rows) - len(cells)))

    def _look_for_letters(self, name: str, row: int, value: Any) -> None:
        kind = MODALITIES.get(self.modalities[name].kind)
        grey = kind.grey(value) if kind.pixels else None
        if grey is not None:
            self.traits.setdefault((name, LETTERS), {})[row] = "yes" if has_letters(grey) else "no"

    def _look_for_names(self, task: str, row: int, texts: Mapping[str, tuple[str, str]]) -> None:
        told = self.tasks[task]
        if TASKS.get(told.kind).open_classes:
            return
        for where, (modality, text) in texts.items():
            if text and self.informs(task, modality):
                if (task, where) not in self.named:
                    self.named[task, where] = Named.of(told.classes)
                self.named[task, where].add(row, text)

    def small_pictures(self) -> dict[int, npt.NDArray[np.float32]]:
        """Row -> its small picture, flat, with mean 0 and length 1, of the first modality that has pictures."""
        prints = next((p for p in self.prints.values() if p.pictured), None)
        if prints is None:
            return {}
        thumbs = prints.thumbs.astype(np.float32)
        thumbs -= thumbs.mean(axis=1, keepdims=True)
        thumbs /= np.maximum(np.linalg.norm(thumbs, axis=1, keepdims=True), 1e-6)
        return {row: thumbs[content] for row, content in zip(prints.rows, prints.contents, strict=True)}

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
