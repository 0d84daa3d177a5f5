"""From sources to prepared data: open, choose, join, scan, split, generate, fit."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from datamodules.audit.quick import quick_notices
from datamodules.core.availability import Availability
from datamodules.core.choice import choose_modalities, choose_processors, choose_tasks, tell_readings
from datamodules.core.dataset import JoinedDataset
from datamodules.core.index import SampleIndex
from datamodules.core.join import Join, join_sources
from datamodules.core.notices import notices
from datamodules.core.options import LoadingOptions, ProcessingOptions, SplitOptions
from datamodules.core.processor import Processor
from datamodules.core.query import Pipeline
from datamodules.core.scan import scan
from datamodules.core.similarity import group_rows, grouping_of
from datamodules.core.source import Source
from datamodules.core.splits import SPLITS, assign_splits
from datamodules.core.targets import choose_codecs
from datamodules.core.values import RawValues
from datamodules.synthesis.modality import GeneratedModality
from datamodules.synthesis.rows import GeneratedRows
from zoo.data import OOD
from zoo.errors import DataError, SpecError, unknown_name
from zoo.thinning import thinned

FIT_ROWS = 20_000
"""Processors and codecs learn from at most this many training rows, evenly spaced; the summary says where it does."""


def prepare(
    sources: Sequence[Source],
    *,
    root: Path | str | None = None,
    kind: str = "",
    modalities: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    split: SplitOptions = SplitOptions(),
    loading: LoadingOptions = LoadingOptions(),
    processing: ProcessingOptions = ProcessingOptions(),
) -> Pipeline:
    """Find out everything that has to be known before the first batch.

    Sources are opened and joined, every row is scanned (labels and which modalities are there, images undecoded),
    what is not asked for is dropped, rows are split, and processors and codecs are fitted on the training rows alone.
    With ``loading.index`` all of that is written to a folder, and the next time only read from it.

    Args:
        sources: unopened sources.
        root: folder below which the sources' folders lie; see Source.open.
        kind: keep only modalities of this kind; "" keeps every kind.
        modalities: names of the modalities to keep; None keeps all.
        tasks: names of the tasks to keep; None keeps all.
        split: which rows are trained, validated and tested on.
        loading: index, memory and what to do with rows that cannot be used. With on_error "skip" every row is read
            once, and what is dropped is counted in ``Pipeline.skipped``.
        processing: processors, codecs, generators and augmentation.

    Raises:
        DataError, SpecError, UnknownNameError: with the file, the value and the fix.
    """
    if not sources:
        raise SpecError("no source is given; list at least one under data.sources")
    asked = Preparation(sources, root=root, split=split, loading=loading, processing=processing)
    if not loading.index:
        return asked.run(kind, modalities, tasks)
    for name, given in (("processing.generated", processing.generated), ("split.held_out", split.held_out)):
        if given:
            raise SpecError(f"data.{name} cannot be used with data.loading.index; leave one of them out")
    index = SampleIndex(asked.sources, root=root, split=split, loading=loading, processing=processing)
    index.find(kind, modalities, tasks)
    stored = index.reopen()
    if stored is not None:
        return stored
    made = asked.run(kind, modalities, tasks)
    index.store(made)
    return made


class Preparation:
    """The steps from sources to a Pipeline.

    Args:
        sources: unopened sources.
        root: folder below which the sources' folders lie.
        split: see ``prepare``.
        loading: see ``prepare``.
        processing: see ``prepare``.
    """

    data: Pipeline

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        root: Path | str | None,
        split: SplitOptions,
        loading: LoadingOptions,
        processing: ProcessingOptions,
    ) -> None:
        self.sources, self.root = list(sources), root
        self.split, self.loading, self.processing = split, loading, processing
        # Copies: what was made belongs to this split.
        self.generated = {n: copy.deepcopy(g) for n, g in (processing.generated or {}).items()}
        self.made = {n: g for n, g in self.generated.items() if isinstance(g, GeneratedModality)}

    def run(self, kind: str, modalities: Sequence[str] | None, tasks: Sequence[str] | None) -> Pipeline:
        """Go through all steps; see ``prepare`` for the arguments.

        Args:
            kind: keep only modalities of this kind; "" keeps every kind.
            modalities: names to keep; None for all.
            tasks: names to keep; None for all.
        """
        join = self._open(kind, modalities, tasks)
        join = self._split(join)
        if self.split.held_out:
            self._hold_out(self.split.held_out)
        if self.made:
            self._generate(join)
        self._fit()
        for name, made in self.generated.items():
            if isinstance(made, GeneratedRows):
                made.prepare(self.data.dataset, name, self.data.rows, self.split.seed)
                self.data.dataset.further.append(made)
        if self.loading.on_error == "skip":
            self._drop_unreadable()
        _ = self.data.modality_specs, self.data.task_specs  # a task without a label is refused now
        self.data.notices += notices(self.data, self.split.fractions)
        if self.loading.audit:
            self.data.notices += quick_notices(self.data)
        return self.data

    def _open(self, kind: str, modalities: Sequence[str] | None, tasks: Sequence[str] | None) -> Join:
        """Open, choose, join and scan."""
        for source in self.sources:
            source.open(self.root, download=self.loading.download)
        raw_modalities = choose_modalities(self.sources, self.made, modalities, kind)
        raw_tasks = choose_tasks(self.sources, self.made, raw_modalities, tasks)
        join = join_sources(self.sources)
        processors = choose_processors(
            self.sources, self.made, raw_modalities, dict(self.processing.processors or {})
        )
        tell_readings(self.sources, processors, self.generated)
        dataset = JoinedDataset(
            self.sources,
            join,
            processors,
            choose_codecs(self.sources, raw_tasks, dict(self.processing.codecs or {})),
            augment=self.processing.augment,
            cache_mib=self.loading.cache_mib,
            seed=self.split.seed,
        )
        reading = {n: replace(t, modalities=self._read_by(t.modalities)) for n, t in raw_tasks.items()}
        found = scan(
            dataset,
            self._read_by([*raw_modalities, *self.made]),
            reading,
            skip=self.loading.on_error == "skip",
        )
        if not found.kept.any():
            raise DataError("no row has both a wanted modality and a wanted label")
        self.data = Pipeline(self.sources, raw_modalities, raw_tasks, processors, dataset, found, self.generated)
        self.data.skipped += found.skipped
        return join

    def _read_by(self, names: Sequence[str]) -> tuple[str, ...]:
        """``names`` with every generated modality replaced by what it is made of."""
        made, found, left = self.made, list[str](), list(names)
        while left:
            name = left.pop(0)
            if name in made:
                left = [*made[name].reads, *left]
            elif name not in found:
                found.append(name)
        return tuple(found)

    def _split(self, join: Join) -> Join:
        """Divide the rows that have a modality and a label; the samples, with rows that are alike in one group."""
        options = self.split
        rule = grouping_of(options.group_by, options.group_duplicates)
        if rule:
            join, self.data.grouped = group_rows(join, self.sources, rule)
            self.data.dataset.join = join
        names = assign_splits(
            join.table, fractions=options.fractions, seed=options.seed, folds=options.cross_validation
        )
        kept = self.data.availability.kept
        self.data.rows = {s: np.flatnonzero(kept & (names == s)) for s in SPLITS}
        return join

    def _hold_out(self, groups: Mapping[str, Sequence[str]]) -> None:
        """Move the rows of the named groups out of every split, into "ood"."""
        rows = np.sort(np.concatenate(list(self.data.rows.values())))
        out = np.zeros(len(rows), dtype=bool)
        for column, names in groups.items():
            held = self.data.groups(column, rows)
            for name in names:
                if name not in held:
                    raise unknown_name(f"value under data.split.held_out['{column}']", name, {*held} - {""})
            out |= np.isin(np.asarray(held, dtype=object), list(names))
        gone = rows[out]
        self.data.rows = {s: r[~np.isin(r, gone)] for s, r in self.data.rows.items()} | {OOD: gone}

    def _generate(self, join: Join) -> None:
        """Make the generated modalities, and leave out rows that have nothing of what is asked for then."""
        data = self.data
        present = dict(data.availability.present)
        groups = join.table["group"].astype(str).tolist()
        for name, made in self.made.items():
            can = np.logical_and.reduce([present[m] for m in made.reads])
            data.dataset.generated[name] = made
            present[name] = made.prepare(data.dataset, name, data.rows, groups, can, self.split.seed)
        present = {m: present[m] for m in data.raw_modalities}
        labelled = {
            t: mask & np.logical_or.reduce([present[m] for m in data.raw_tasks[t].modalities])
            for t, mask in data.availability.labelled.items()
        }
        data.availability = Availability(present, labelled, data.availability.skipped)
        kept = data.availability.kept
        data.rows = {s: r[kept[r]] for s, r in data.rows.items()}

    def _fit(self) -> None:
        """Fit processors and codecs on training rows."""
        for name, processor in self.data.processors.items():
            while not self._fit_processor(name, processor):
                pass  # rows were left out: fit on the others
            if processor.fits:
                others = [r for s in self.data.rows if s != "train" for r in self.data.having(s, name).tolist()]
                processor.admit(RawValues(self.data.dataset, others, name))
        for name, codec in self.data.dataset.codecs.items():
            rows = self._thinned(self.data.labelled("train", name), f"labels of {name}")
            labels = self.data.raw_labels(rows, name) if codec.fits else []
            reads = self.data.raw_tasks[name].reads
            length = self.data.processors[reads].spec(self.data.raw_modalities[reads]).shape[0] if reads else 0
            codec.fit(labels, length)

    def _thinned(self, rows: npt.NDArray[np.int64], what: str) -> npt.NDArray[np.int64]:
        """At most FIT_ROWS of ``rows``, evenly spaced; notes where it leaves some out."""
        if len(rows) > FIT_ROWS:
            self.data.fitted_on[what] = (FIT_ROWS, len(rows))
        return thinned(rows, FIT_ROWS)

    def _fit_processor(self, name: str, processor: Processor) -> bool:
        """Fit on the training rows; False where some had to be left out first (on_error: skip)."""
        having, on_error = self.data.having("train", name), self.loading.on_error
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
                cause = DataError(f"modality '{name}': {cause}", row=self.data.join.id(row))
            if on_error == "raise":
                raise cause from failure
            self.data.skipped[str(cause)] += 1
        self.data.rows["train"] = np.array(
            [r for r in self.data.rows["train"].tolist() if r not in blamed], dtype=np.int64
        )
        return False

    def _fit_failure(self, name: str, processor: Processor, rows: Sequence[int]) -> DataError | None:
        try:
            processor.fit(self.data.raw_modalities[name], RawValues(self.data.dataset, rows, name))
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
        for split, rows in self.data.rows.items():
            good = []
            for row in track(rows.tolist(), description=f"reading {split}", transient=True):
                try:
                    self.data.dataset.processed(row)
                    good.append(row)
                except DataError as error:
                    self.data.skipped[str(error)] += 1
            self.data.rows[split] = np.array(good, dtype=np.int64)
