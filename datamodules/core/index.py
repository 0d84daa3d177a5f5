"""The index of samples: prepared data kept in a folder, which the next run of a configuration opens at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.core.choice import choose_processors, tell_readings
from datamodules.core.dataset import JoinedDataset
from datamodules.core.join import Join
from datamodules.core.options import LoadingOptions, ProcessingOptions, SplitOptions
from datamodules.core.query import Pipeline
from datamodules.core.source import Source
from datamodules.core.splits import SPLITS
from datamodules.core.state import from_plain, get_state, set_state, to_plain
from datamodules.core.stored import StoredSamples, fingerprint, read_state, rows_of_split, write_index
from datamodules.core.targets import choose_codecs
from zoo.errors import SpecError


class SampleIndex:
    """Store a Pipeline, and open it again.

    Args:
        sources: unopened sources.
        root: folder below which the sources' folders lie.
        split: which rows are trained, validated and tested on; a part of the index's name.
        loading: folder of the index; what to do with rows that cannot be used is a part of its name.
        processing: processors and codecs; a part of the index's name.
    """

    folder: Path

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

    def find(self, kind: str, modalities: Sequence[str] | None, tasks: Sequence[str] | None) -> None:
        """Choose the sub-folder that belongs to the configuration, by a hash of all that the index depends on.

        Args:
            kind: the only kind of modality that is kept; "" for any.
            modalities: names of the modalities to keep; None for all.
            tasks: names of the tasks to keep; None for all.

        Raises:
            SpecError: a source, processor or codec holds a value without a stable form.
        """
        parts: dict[str, Any] = {
            "kind": kind,
            "modalities": modalities,
            "tasks": tasks,
            "fractions": list(self.split.fractions),
            "seed": self.split.seed,
            "cross_validation": self.split.cross_validation,
            "grouped": [self.split.group_duplicates, self.split.group_by],
            "on_error": self.loading.on_error,
            "audit": self.loading.audit,
            "root": str(self.root),
        }
        for number, source in enumerate(self.sources):
            told = {k: v for k, v in vars(source).items() if k not in ("path", "skipped", "remarks", "index_folder")}
            parts[f"source {number}"] = [type(source).__qualname__, repr(told), source.stamp(self.root)]
        for what, given in (("processor", self.processing.processors), ("codec", self.processing.codecs)):
            for name, value in (given or {}).items():
                parts[f"{what} {name}"] = [type(value).__qualname__, repr(vars(value))]
        for what, value in parts.items():
            if " at 0x" in repr(value):
                raise SpecError(f"{what} cannot be indexed, since a value in it has no stable form: {value}")
        self.folder = Path(self.loading.index) / fingerprint(parts)
        for number, source in enumerate(self.sources):
            source.index_folder = Path(self.loading.index) / "tables" / f"{number}-{source.name}"

    def store(self, data: Pipeline) -> None:
        """Write what was prepared; ``data`` lets go of it in memory, and reads it from the file."""
        assert isinstance(data.join, Join)
        split = np.full(len(data.join), -1, dtype=np.int8)
        for k, name in enumerate(SPLITS):
            split[data.rows[name]] = k
        state = {
            "modalities": to_plain(data.raw_modalities),
            "tasks": to_plain(data.raw_tasks),
            "processors": {n: get_state(p) for n, p in data.processors.items()},
            "codecs": {n: get_state(c) for n, c in data.dataset.codecs.items()},
            "skipped": dict(data.skipped),
            "left_out": [s.skipped for s in self.sources],
            "remarks": [s.remarks for s in self.sources],
            "fitted_on": to_plain(data.fitted_on),
            "notices": data.notices,
            "grouped": data.grouped,
        }
        write_index(self.folder, data.join, split, data.availability, state)
        samples = self._samples()
        data.dataset.join = samples
        data.rows = rows_of_split(samples.split)
        data.availability = samples.availability(list(data.raw_modalities), list(data.raw_tasks))

    def reopen(self) -> Pipeline | None:
        """Take everything from the index, None where there is none; sources open when they are first read."""
        state = read_state(self.folder)
        if state is None:
            return None
        for source, left_out, remarks in zip(self.sources, state["left_out"], state["remarks"], strict=True):
            source.open_later(self.root)
            source.skipped, source.remarks = dict(left_out), list(remarks)
        modalities, tasks = from_plain(state["modalities"]), from_plain(state["tasks"])
        processors = choose_processors(self.sources, {}, modalities, dict(self.processing.processors or {}))
        codecs = choose_codecs(self.sources, tasks, dict(self.processing.codecs or {}))
        for what, fitted in (("processors", processors), ("codecs", codecs)):
            for name, one in fitted.items():
                set_state(one, state[what][name])
        tell_readings(self.sources, processors, {})
        samples = self._samples()
        dataset = JoinedDataset(
            self.sources,
            samples,
            processors,
            codecs,
            augment=self.processing.augment,
            cache_mib=self.loading.cache_mib,
            seed=self.split.seed,
        )
        return Pipeline(
            self.sources,
            modalities,
            tasks,
            processors,
            dataset,
            samples.availability(list(modalities), list(tasks)),
            rows=rows_of_split(samples.split),
            skipped=Counter(state["skipped"]),
            fitted_on=from_plain(state["fitted_on"]),
            notices=list(state["notices"]),
            grouped=str(state["grouped"]),
        )

    def _samples(self) -> StoredSamples:
        return StoredSamples(self.folder / "samples.arrow")
