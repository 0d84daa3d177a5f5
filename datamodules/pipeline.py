"""From sources to fitted samples: open, join, look over, select, split, fit. Every data module is built on it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor

from datamodules.dataset import JoinedDataset
from datamodules.join import join_sources, unique_names
from datamodules.processor import PROCESSORS, Processor
from datamodules.source import RawModality, RawTask, Source
from datamodules.splits import FRACTIONS, SPLITS, assign_splits
from datamodules.targets import TargetCodec, merge_tasks
from zoo.contract import ModalitySpec, Sample, TaskSpec, empty_target
from zoo.errors import DataError, SpecError, unknown_name

OnError = Literal["raise", "skip"]
_LONG = 2000
"""From this many rows on, setting up shows a progress bar."""


class Pipeline:
    """Everything that has to be known before the first batch.

    Building it opens the sources, joins them, looks every row over (labels and which modalities are there,
    images undecoded), drops what is not asked for, splits, and fits processors and codecs on the training
    rows alone.

    Args:
        sources: unopened sources.
        root, download: see Source.open.
        kind: keep only modalities of this kind; "" keeps every kind.
        modalities, tasks: names to keep; None keeps all.
        processors: modality name or kind -> processor; others are the registered ones of the kind.
        fractions, seed: of the split.
        max_answers: size of the answer vocabulary.
        on_error: "raise" at the first row that cannot be used, or "skip" it: every row is then read once
            when setting up, and what is dropped is counted in ``skipped`` and printed.
        augment, cache: see JoinedDataset.

    Raises:
        DataError, SpecError, UnknownNameError: with the file, the value and the fix.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        root: Path | str | None = None,
        download: bool = False,
        kind: str = "",
        modalities: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        processors: Mapping[str, Processor] | None = None,
        fractions: Sequence[float] = FRACTIONS,
        seed: int = 0,
        max_answers: int = 500,
        on_error: OnError = "raise",
        augment: bool = True,
        cache: bool = True,
    ) -> None:
        if not sources:
            raise SpecError("no source is given; list at least one under data.sources")
        self.sources = list(sources)
        self.source_names = tuple(unique_names(self.sources))
        self.source_simulated = tuple(s.card.simulated for s in self.sources)
        self.skipped: Counter[str] = Counter()
        for source in self.sources:
            source.open(root, download=download)
        self.raw_modalities = self._choose_modalities(modalities, kind)
        raw_tasks = self._choose_tasks(tasks)
        self.join = join_sources(self.sources)
        self.processors = self._make_processors(dict(processors or {}))
        codecs = {
            name: TargetCodec(
                task,
                simulated=all(s.card.simulated for s in self.sources if any(t.name == name for t in s.card.tasks)),
                max_answers=max_answers,
            )
            for name, task in raw_tasks.items()
        }
        self.dataset = JoinedDataset(
            self.sources, self.join, self.processors, codecs, augment=augment, cache=cache, seed=seed
        )
        self._peeked = self._look_over(raw_tasks, on_error)
        self._split(fractions, seed)
        self._fit(raw_tasks, codecs, on_error)
        if on_error == "skip":
            self._drop_unreadable()
        self.modality_specs = [self.processors[m].spec(raw) for m, raw in self.raw_modalities.items()]
        self.task_specs = [codecs[t].spec() for t in raw_tasks]

    # -- what is asked for ---------------------------------------------------------------------------------

    def _choose_modalities(self, wanted: Sequence[str] | None, kind: str) -> dict[str, RawModality]:
        known: dict[str, RawModality] = {}
        for source in self.sources:
            for modality in source.card.modalities:
                same = known.setdefault(modality.name, modality)
                if same.kind != modality.kind:
                    raise SpecError(
                        f"modality '{modality.name}' is '{modality.kind}' in {source.name} and '{same.kind}' "
                        "elsewhere"
                    )
        if kind:
            known = {n: m for n, m in known.items() if m.kind == kind}
            if not known:
                raise SpecError(
                    f"no source has a modality of kind '{kind}'; take the data module of another modality"
                )
        for name in wanted or []:
            if name not in known:
                raise unknown_name("modality", name, known)
        return {n: m for n, m in known.items() if wanted is None or n in wanted}

    def _choose_tasks(self, wanted: Sequence[str] | None) -> dict[str, RawTask]:
        said: dict[str, list[tuple[RawTask, Sequence[str]]]] = {}
        for source in self.sources:
            own = [m.name for m in source.card.modalities]
            for task in source.card.tasks:
                said.setdefault(task.name, []).append((task, own))
        for name in wanted or []:
            if name not in said:
                raise unknown_name("task (no source labels it)", name, said)
        merged = {n: merge_tasks(t) for n, t in said.items() if wanted is None or n in wanted}
        usable = {}
        for name, task in merged.items():
            informs = tuple(m for m in task.modalities if m in self.raw_modalities)
            if informs and (not task.reads or task.reads in self.raw_modalities):
                usable[name] = RawTask(task.name, task.kind, task.classes, informs, task.reads, task.unit)
            elif wanted is not None:
                raise SpecError(
                    f"task '{name}' needs one of the modalities {task.modalities}"
                    + (f" and always '{task.reads}'" if task.reads else "")
                    + f", but only {tuple(self.raw_modalities)} are kept"
                )
        if not usable:
            raise SpecError(f"no task can be learned from the modalities {tuple(self.raw_modalities)}")
        return usable

    def _make_processors(self, given: dict[str, Processor]) -> dict[str, Processor]:
        kinds = {m.kind for m in self.raw_modalities.values()}
        known = {m.name for s in self.sources for m in s.card.modalities}
        made = {}
        for key, processor in given.items():
            if key not in known and key not in PROCESSORS:
                raise unknown_name("modality or kind under data.processors", key, {*known, *kinds})
            if key in self.raw_modalities and processor.kind != self.raw_modalities[key].kind:
                raise SpecError(
                    f"processor '{type(processor).__name__}' takes '{processor.kind}', but modality '{key}' is of "
                    f"kind '{self.raw_modalities[key].kind}'"
                )
        for name, raw in self.raw_modalities.items():
            chosen = given.get(name) or given.get(raw.kind)
            made[name] = copy.deepcopy(chosen) if chosen is not None else PROCESSORS.get(raw.kind)()
        return made

    # -- looking over, splitting, fitting --------------------------------------------------------------------

    def _look_over(self, tasks: Mapping[str, RawTask], on_error: OnError) -> dict[int, Sample]:
        """Peek at every row; keep those with a wanted modality and a label that it may inform."""
        kept: dict[int, Sample] = {}
        rows: Any = range(len(self.join))
        if len(self.join) > _LONG:
            rows = track(rows, description="looking over the rows", transient=True)
        for row in rows:
            try:
                sample = self.dataset.raw(row, peek=True)
            except DataError as error:
                if on_error == "raise":
                    raise
                self.skipped[str(error)] += 1
                continue
            there = set(sample.inputs) & set(self.raw_modalities)
            labels = {
                t: v
                for t, v in sample.targets.items()
                if t in tasks and there & set(tasks[t].modalities) and (not tasks[t].reads or tasks[t].reads in there)
            }
            if there and labels:
                inputs = {m: v for m, v in sample.inputs.items() if m in there}
                kept[row] = Sample(sample.id, inputs, labels, sample.groups)
        if not kept:
            raise DataError("no row has both a wanted modality and a wanted label")
        return kept

    def _split(self, fractions: Sequence[float], seed: int) -> None:
        names = assign_splits(self.join.table, fractions=fractions, seed=seed)
        kept = np.array(sorted(self._peeked), dtype=np.int64)
        self.rows: dict[str, npt.NDArray[np.int64]] = {s: kept[names[kept] == s] for s in SPLITS}

    def _fit(self, tasks: Mapping[str, RawTask], codecs: Mapping[str, TargetCodec], on_error: OnError) -> None:
        for name, processor in self.processors.items():
            while not self._fit_processor(name, processor, on_error):
                pass  # rows were left out: fit on the others
            if processor.fits:
                others = [r for s in ("val", "test") for r in self.rows[s].tolist() if name in self._peeked[r].inputs]
                known = [self._peeked[r].inputs[name] for r in others]
                processor.admit([v for v in known if v is not None])
        train = self.rows["train"].tolist()
        for name, codec in codecs.items():
            labels = [self._peeked[r].targets[name] for r in train if name in self._peeked[r].targets]
            reads = tasks[name].reads
            length = self.processors[reads].spec(self.raw_modalities[reads]).shape[0] if reads else 0
            codec.fit(labels, length)

    def _fit_processor(self, name: str, processor: Processor, on_error: OnError) -> bool:
        """Fit on the training rows; False where some had to be left out first (on_error: skip)."""
        having = [r for r in self.rows["train"].tolist() if name in self._peeked[r].inputs]
        if not having:
            raise DataError(f"no training row has the modality '{name}'; drop it with data.modalities, or add data")
        rows = having if processor.fits else having[:1]
        failure = self._fit_failure(name, processor, rows)
        if failure is None:
            return True
        if on_error == "raise" and (failure.row is not None or failure.file is not None):
            raise failure
        blamed = self._blame(name, processor, rows)
        if not blamed or (on_error == "skip" and len(blamed) == len(having)):
            raise failure
        for row, cause in blamed.items():
            if cause.row is None and cause.file is None:
                cause = DataError(f"modality '{name}': {cause}", row=self._peeked[row].id)
            if on_error == "raise":
                raise cause from failure
            self.skipped[str(cause)] += 1
        self.rows["train"] = np.array([r for r in self.rows["train"].tolist() if r not in blamed], dtype=np.int64)
        return False

    def _fit_failure(self, name: str, processor: Processor, rows: Sequence[int]) -> DataError | None:
        try:
            processor.fit(self.raw_modalities[name], [self._value(r, name) for r in rows])
        except DataError as error:
            return error
        return None

    def _blame(self, name: str, processor: Processor, rows: Sequence[int]) -> dict[int, DataError]:
        """The rows that cannot be fitted on alone, nor together with all that can; {} where no row of many can."""
        trial = copy.deepcopy(processor)
        alone = {r: self._fit_failure(name, trial, [r]) for r in rows}
        good = [r for r in rows if alone[r] is None]
        if not good:
            return {r: e for r, e in alone.items() if e is not None} if len(rows) == 1 else {}
        found = {r: self._fit_failure(name, trial, [*good, r]) for r in rows if alone[r] is not None}
        return {r: e for r, e in found.items() if e is not None}

    def _value(self, row: int, modality: str) -> Any:
        value = self._peeked[row].inputs[modality]
        return value if value is not None else self.dataset.raw(row).inputs[modality]

    def _drop_unreadable(self) -> None:
        for split, rows in self.rows.items():
            good = []
            for row in track(rows.tolist(), description=f"reading {split}", transient=True):
                try:
                    self.dataset.processed(row)
                    good.append(row)
                except DataError as error:
                    self.skipped[str(error)] += 1
            self.rows[split] = np.array(good, dtype=np.int64)

    # -- what others ask -------------------------------------------------------------------------------------

    def rows_by_source(self, split: str) -> list[npt.NDArray[np.int64]]:
        """The rows of ``split``, one array a source."""
        source = self.join.table["source"].to_numpy()
        rows = self.rows[split]
        return [rows[source[rows] == s] for s in range(len(self.sources))]

    def labels(self, split: str, task: str) -> tuple[Tensor, Tensor]:
        """Encoded labels (n, ...) of a task in a split, and the source (n,) of each."""
        codec = self.dataset.codecs[task]
        source = self.join.table["source"].to_numpy()
        rows = [r for r in self.rows[split].tolist() if task in self._peeked[r].targets]
        encoded = [codec(self._peeked[r].targets[task], self._peeked[r].id) for r in rows]
        if not encoded:
            return empty_target(codec.spec()), torch.zeros(0, dtype=torch.long)
        return torch.stack(encoded), torch.tensor([int(source[r]) for r in rows])

    def summary(self) -> list[dict[str, Any]]:
        """One line a source: name, whether simulated, rows per split, modalities and tasks kept."""
        lines = []
        for s, source in enumerate(self.sources):
            lines.append(
                {
                    "source": self.source_names[s],
                    "simulated": source.card.simulated,
                    **{split: len(self.rows_by_source(split)[s]) for split in SPLITS},
                    "modalities": [m.name for m in source.card.modalities if m.name in self.raw_modalities],
                    "tasks": [t.name for t in source.card.tasks if t.name in self.dataset.codecs],
                }
            )
        return lines

    def specs(self) -> tuple[list[ModalitySpec], list[TaskSpec]]:
        """The specs that a model is built from."""
        return self.modality_specs, self.task_specs
