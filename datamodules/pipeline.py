"""From sources to fitted samples: open, join, look over, select, split, fit. Every data module is built on it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor

from datamodules.choice import choose_modalities, choose_processors, choose_tasks
from datamodules.dataset import JoinedDataset
from datamodules.generated import GeneratedModality, GeneratedRows
from datamodules.holdings import Holdings
from datamodules.index import StoredSamples, fingerprint, read_state, rows_of_split, write_index
from datamodules.join import Join, join_sources, unique_names
from datamodules.overview import look_over
from datamodules.processor import Processor
from datamodules.source import Source
from datamodules.splits import FRACTIONS, SPLITS, assign_splits
from datamodules.state import from_plain, get_state, set_state, to_plain
from datamodules.targets import TargetCodec
from datamodules.values import RawValues
from zoo.contract import TaskSpec, empty_target
from zoo.errors import DataError, SpecError, unknown_name

OnError = Literal["raise", "skip"]
OOD = "ood"
"""Name of the split of the groups that were held out."""
CLASSES = "task:"
"""``task:NAME`` is a group column too: the label of a task of classes, "" where a row has none."""
FIT_ROWS = 20_000
"""Processors and codecs learn from at most this many training rows, evenly spaced; the summary says where it does."""


class Pipeline:
    """Everything that has to be known before the first batch.

    Building it opens the sources, joins them, looks every row over (labels and which modalities are there,
    images undecoded), drops what is not asked for, splits, and fits processors and codecs on the training
    rows alone. With ``index`` all of that is written to a folder, and the next time only read from it.

    Args:
        sources: unopened sources.
        root, download: see Source.open.
        kind: keep only modalities of this kind; "" keeps every kind.
        modalities, tasks: names to keep; None keeps all.
        processors: modality name or kind -> processor; others are the registered ones of the kind.
        fractions, seed, folds: of the split.
        max_answers: size of the answer vocabulary.
        on_error: "raise" at the first row that cannot be used, or "skip" it: every row is then read once
            when setting up, and what is dropped is counted in ``skipped`` and printed.
        augment, cache_mib: see JoinedDataset.
        index: folder for the index of samples; "" for none (see datamodules.index).
        holdout: group column, or "task:NAME" for the classes of a task -> names whose rows are neither trained nor
            validated on: they make the split "ood".
        generated: name -> a modality, or further training rows, that a generator makes of rows (see
            datamodules.generated); learned from training rows alone.

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
        folds: int = 0,
        max_answers: int = 500,
        on_error: OnError = "raise",
        augment: bool = True,
        cache_mib: int = 1024,
        index: str = "",
        holdout: Mapping[str, Sequence[str]] | None = None,
        generated: Mapping[str, GeneratedModality | GeneratedRows] | None = None,
    ) -> None:
        if not sources:
            raise SpecError("no source is given; list at least one under data.sources")
        if generated and index:
            raise SpecError("data.generated cannot be used with data.index; leave one of them out")
        if holdout and index:
            raise SpecError("data.holdout cannot be used with data.index; leave one of them out")
        self.sources = list(sources)
        self.source_names = tuple(unique_names(self.sources))
        self.source_simulated = tuple(s.card.simulated for s in self.sources)
        self.skipped: Counter[str] = Counter()
        self.fitted_on: dict[str, tuple[int, int]] = {}
        self.rows: dict[str, npt.NDArray[np.int64]] = {}
        self._root = root
        # Copies: what was made belongs to this split.
        self.generated = {n: copy.deepcopy(g) for n, g in (generated or {}).items()}
        self._dataset_options: dict[str, Any] = {"augment": augment, "cache_mib": cache_mib, "seed": seed}
        folder, stored = None, None
        if index:
            asked: dict[str, Any] = {
                "kind": kind,
                "modalities": modalities,
                "tasks": tasks,
                "fractions": list(fractions),
            }
            asked |= {
                "seed": seed,
                "folds": folds,
                "max_answers": max_answers,
                "on_error": on_error,
                "root": str(root),
            }
            folder = Path(index) / self._fingerprint(asked, dict(processors or {}))
            stored = read_state(folder)
            for number, source in enumerate(self.sources):
                source.index_folder = Path(index) / "tables" / f"{number}-{source.name}"
        if folder is not None and stored is not None:
            self._reopen(folder, stored, dict(processors or {}))
            return
        for source in self.sources:
            source.open(root, download=download)
        self.raw_modalities = choose_modalities(self.sources, self.made_modalities, modalities, kind)
        self.source_simulated = self.simulated_with(list(self.raw_modalities))
        self.raw_tasks = choose_tasks(self.sources, self.made_modalities, self.raw_modalities, tasks)
        self.join: Join | StoredSamples = join_sources(self.sources)
        self.processors = choose_processors(
            self.sources, self.made_modalities, self.raw_modalities, dict(processors or {})
        )
        self._tell_image_sizes()
        self._make_dataset(max_answers)
        self.holdings = self._look_over(skip=on_error == "skip")
        self.skipped += self.holdings.skipped
        if not self.holdings.kept.any():
            raise DataError("no row has both a wanted modality and a wanted label")
        self._split(self.join, fractions, seed, folds)
        if holdout:
            self._hold_out(holdout)
        if self.made_modalities:
            self._generate(seed)
        self._fit(on_error)
        for name, made in self.generated.items():
            if isinstance(made, GeneratedRows):
                made.prepare(self.dataset, name, self.rows, seed)
                self.dataset.further.append(made)
        if on_error == "skip":
            self._drop_unreadable()
        self._make_specs()
        if folder is not None:
            self._store(folder, self.join)

    # -- keeping it ----------------------------------------------------------------------------------------

    def _fingerprint(self, asked: Mapping[str, Any], processors: Mapping[str, Processor]) -> str:
        parts: dict[str, Any] = dict(asked)
        for number, source in enumerate(self.sources):
            told = {k: v for k, v in vars(source).items() if k not in ("path", "skipped", "index_folder")}
            parts[f"source {number}"] = [type(source).__qualname__, repr(told), source.stamp(self._root)]
        for name, processor in processors.items():
            parts[f"processor {name}"] = [type(processor).__qualname__, repr(vars(processor))]
        for what, value in parts.items():
            if " at 0x" in repr(value):
                raise SpecError(f"{what} cannot be indexed, since a value in it has no stable form: {value}")
        return fingerprint(parts)

    def _store(self, folder: Path, join: Join | StoredSamples) -> None:
        assert isinstance(join, Join)
        split = np.full(len(join), -1, dtype=np.int8)
        for k, name in enumerate(SPLITS):
            split[self.rows[name]] = k
        state = {
            "modalities": to_plain(self.raw_modalities),
            "tasks": to_plain(self.raw_tasks),
            "processors": {n: get_state(p) for n, p in self.processors.items()},
            "codecs": {n: get_state(c) for n, c in self.dataset.codecs.items()},
            "skipped": dict(self.skipped),
            "left_out": [s.skipped for s in self.sources],
            "fitted_on": to_plain(self.fitted_on),
        }
        write_index(folder, join, split, self.holdings, state)
        self._use_stored(StoredSamples(folder / "samples.arrow"))

    def _reopen(self, folder: Path, state: Mapping[str, Any], given: dict[str, Processor]) -> None:
        """Take everything from an index; sources open when they are first read."""
        for source, left_out in zip(self.sources, state["left_out"], strict=True):
            source.open_later(self._root)
            source.skipped = dict(left_out)
        self.raw_modalities = from_plain(state["modalities"])
        self.raw_tasks = from_plain(state["tasks"])
        self.processors = choose_processors(self.sources, self.made_modalities, self.raw_modalities, given)
        for name, processor in self.processors.items():
            set_state(processor, state["processors"][name])
        self._tell_image_sizes()
        self.join = StoredSamples(folder / "samples.arrow")
        self._make_dataset(0)
        for name, codec in self.dataset.codecs.items():
            set_state(codec, state["codecs"][name])
        self.skipped.update(state["skipped"])
        self.fitted_on = from_plain(state["fitted_on"])
        self._use_stored(self.join)
        self._make_specs()

    def _use_stored(self, samples: StoredSamples) -> None:
        """Let go of what was built in memory, and read it from the file."""
        self.join = self.dataset.join = samples
        self.rows = rows_of_split(samples.split)
        self.holdings = samples.holdings(list(self.raw_modalities), list(self.raw_tasks))

    def _make_dataset(self, max_answers: int) -> None:
        codecs = {
            name: TargetCodec(
                task,
                simulated=all(s.card.simulated for s in self.sources if any(t.name == name for t in s.card.tasks)),
                max_answers=max_answers,
            )
            for name, task in self.raw_tasks.items()
        }
        self.dataset = JoinedDataset(self.sources, self.join, self.processors, codecs, **self._dataset_options)

    def _make_specs(self) -> None:
        self.modality_specs = [self.processors[m].spec(raw) for m, raw in self.raw_modalities.items()]
        self.task_specs: list[TaskSpec] = [self.dataset.codecs[t].spec() for t in self.raw_tasks]

    def _tell_image_sizes(self) -> None:
        """Let sources decode images at a smaller scale where all their modalities of images end small.

        Not those that a generator reads: what it makes must not depend on the size that a network is given.
        """
        read = {name for made in self.generated.values() for name in (*made.reads, made.learns_from)}
        for source in self.sources:
            names = [m.name for m in source.card.modalities if m.kind == "image" and m.name in self.processors]
            sizes = [int(getattr(self.processors[n], "size", 0)) for n in names]
            whole = any(m.name in read for m in source.card.modalities if m.kind == "image")
            source.image_size = max(sizes) if sizes and all(sizes) and not whole else 0

    # -- what is generated ---------------------------------------------------------------------------------

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

    def _read_by(self, names: Sequence[str]) -> tuple[str, ...]:
        """``names`` with every generated modality replaced by what it is made of."""
        made, found, left = self.made_modalities, list[str](), list(names)
        while left:
            name = left.pop(0)
            if name in made:
                left = [*made[name].reads, *left]
            elif name not in found:
                found.append(name)
        return tuple(found)

    def _look_over(self, *, skip: bool) -> Holdings:
        """What every row holds before anything is generated."""
        tasks = {n: replace(t, modalities=self._read_by(t.modalities)) for n, t in self.raw_tasks.items()}
        return look_over(self.dataset, self._read_by([*self.raw_modalities, *self.made_modalities]), tasks, skip=skip)

    def _generate(self, seed: int) -> None:
        """Make the generated modalities, and leave out rows that have nothing of what is asked for then."""
        assert isinstance(self.join, Join)
        present = dict(self.holdings.present)
        groups = self.join.table["group"].astype(str).tolist()
        for name, made in self.made_modalities.items():
            can = np.logical_and.reduce([present[m] for m in made.reads])
            self.dataset.generated[name] = made
            present[name] = made.prepare(self.dataset, name, self.rows, groups, can, seed)
        present = {m: present[m] for m in self.raw_modalities}
        labelled = {
            t: mask & np.logical_or.reduce([present[m] for m in self.raw_tasks[t].modalities])
            for t, mask in self.holdings.labelled.items()
        }
        self.holdings = Holdings(present, labelled, self.holdings.skipped)
        kept = self.holdings.kept
        self.rows = {s: r[kept[r]] for s, r in self.rows.items()}

    # -- splitting, fitting ----------------------------------------------------------------------------------

    def _split(self, join: Join | StoredSamples, fractions: Sequence[float], seed: int, folds: int) -> None:
        assert isinstance(join, Join)
        names = assign_splits(join.table, fractions=fractions, seed=seed, folds=folds)
        kept = self.holdings.kept
        self.rows = {s: np.flatnonzero(kept & (names == s)) for s in SPLITS}

    def _hold_out(self, holdout: Mapping[str, Sequence[str]]) -> None:
        """Move the rows of the named groups out of every split, into "ood"."""
        rows = np.sort(np.concatenate(list(self.rows.values())))
        out = np.zeros(len(rows), dtype=bool)
        for column, names in holdout.items():
            held = self.groups(column, rows)
            for name in names:
                if name not in held:
                    raise unknown_name(f"value under data.holdout['{column}']", name, {*held} - {""})
            out |= np.isin(np.asarray(held, dtype=object), list(names))
        gone = rows[out]
        self.rows = {s: r[~np.isin(r, gone)] for s, r in self.rows.items()} | {OOD: gone}

    def _fit(self, on_error: OnError) -> None:
        for name, processor in self.processors.items():
            while not self._fit_processor(name, processor, on_error):
                pass  # rows were left out: fit on the others
            if processor.fits:
                others = [r for s in self.rows if s != "train" for r in self._having(s, name).tolist()]
                processor.admit(RawValues(self.dataset, others, name))
        for name, codec in self.dataset.codecs.items():
            rows = self._thinned(self._labelled("train", name), f"labels of {name}")
            labels = self._raw_labels(rows, name) if codec.fits else []
            reads = self.raw_tasks[name].reads
            length = self.processors[reads].spec(self.raw_modalities[reads]).shape[0] if reads else 0
            codec.fit(labels, length)

    def _having(self, split: str, modality: str) -> npt.NDArray[np.int64]:
        rows = self.rows[split]
        return rows[self.holdings.present[modality][rows]]

    def _labelled(self, split: str, task: str) -> npt.NDArray[np.int64]:
        rows = self.rows[split]
        return rows[self.holdings.labelled[task][rows]]

    def _thinned(self, rows: npt.NDArray[np.int64], what: str) -> npt.NDArray[np.int64]:
        """At most FIT_ROWS of ``rows``, evenly spaced; notes where it leaves some out."""
        if len(rows) <= FIT_ROWS:
            return rows
        self.fitted_on[what] = (FIT_ROWS, len(rows))
        return rows[np.linspace(0, len(rows) - 1, FIT_ROWS).round().astype(np.int64)]

    def _raw_labels(self, rows: npt.NDArray[np.int64], task: str) -> list[Any]:
        return [self.dataset.raw(r, peek=True).targets[task] for r in rows.tolist()]

    def _fit_processor(self, name: str, processor: Processor, on_error: OnError) -> bool:
        """Fit on the training rows; False where some had to be left out first (on_error: skip)."""
        having = self._having("train", name)
        if not len(having):
            raise DataError(f"no training row has the modality '{name}'; drop it with data.modalities, or add data")
        rows = (self._thinned(having, name) if processor.fits else having[:1]).tolist()
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
                cause = DataError(f"modality '{name}': {cause}", row=self.join.id(row))
            if on_error == "raise":
                raise cause from failure
            self.skipped[str(cause)] += 1
        self.rows["train"] = np.array([r for r in self.rows["train"].tolist() if r not in blamed], dtype=np.int64)
        return False

    def _fit_failure(self, name: str, processor: Processor, rows: Sequence[int]) -> DataError | None:
        try:
            processor.fit(self.raw_modalities[name], RawValues(self.dataset, rows, name))
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
        return self.encoded(task, self._labelled(split, task))

    def encoded(self, task: str, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Encoded labels (n, ...) of rows that carry one, and the source (n,) of each."""
        codec = self.dataset.codecs[task]
        if not len(rows):
            return empty_target(codec.spec()), torch.zeros(0, dtype=torch.long)
        raw = zip(rows.tolist(), self._raw_labels(rows, task), strict=True)
        encoded = torch.stack([codec(label, self.join.id(row)) for row, label in raw])
        return encoded, torch.from_numpy(self.join.source[rows].astype(np.int64))

    def group_columns(self) -> list[str]:
        """Names of the group columns that any source has, such as "subject" and "organ".

        Beside them ``groups`` and ``holdout`` take ``task:NAME`` for the classes of a task.
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
            code, held = self.dataset.raw(row, peek=True).groups.get(column, -1), ""
            for source, _ in self.join.members[row]:
                if 0 <= code < len(names[source]):
                    held = names[source][code]
                    break
            found.append(held)
        return found

    def _classes(self, task: str, rows: npt.NDArray[np.int64]) -> list[str]:
        """The class that each row is labelled with; "" for none."""
        if task not in self.raw_tasks:
            raise unknown_name(f"task behind '{CLASSES}'", task, self.raw_tasks)
        kind = self.raw_tasks[task].kind
        if kind not in ("classification", "ordinal", "vqa"):
            raise SpecError(f"'{CLASSES}{task}': a row of kind '{kind}' has no single class; name another task")
        labelled = self.holdings.labelled[task]
        return [str(self._raw_labels(rows[[k]], task)[0]) if labelled[r] else "" for k, r in enumerate(rows.tolist())]

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
