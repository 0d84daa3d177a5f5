"""Read, process and cache the samples of a split."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset

from datamodules.core.join import Member, Samples, merge_samples
from datamodules.core.mixture import Key
from datamodules.core.processor import Processor
from datamodules.core.source import Source
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.task import TargetCodec


class ValueMaker(Protocol):
    """What makes a modality of rows (datamodules.synthesis.GeneratedModality)."""

    def value(self, row: int) -> Any:
        """The raw value of the modality in a row; None where there is none."""

    def made(self, row: int) -> Any:
        """What the generator made of a row, before it becomes an input; None where there is none."""


class ValueReplacer(Protocol):
    """What stands in for a modality in a share of the visits of training rows (synthesis.GeneratedRows)."""

    @property
    def modality(self) -> str:
        """Name of the modality."""

    def draw(self, row: int, generator: np.random.Generator) -> Any:
        """A raw value in the place of the row's own; None where this visit shows the row as it is.

        Args:
            row: number of the row.
            generator: random numbers of this visit.
        """


class JoinedDataset(Dataset[Sample]):
    """Map (row, epoch) to a processed sample; epoch -1 means no augmentation.

    A sample is a function of (seed, epoch, row), never of the worker that makes it.

    Args:
        sources: opened sources, or sources that open themselves when they are read.
        join: which rows make which sample.
        processors: modality -> fitted processor; inputs of other modalities are left out.
        codecs: task -> fitted codec; other labels are left out.
        augment: whether training samples are augmented.
        cache_mib: processed samples are kept in memory (before augmentation) up to this size in MiB, in each
            process; 0 keeps none.
        seed: of the augmentation.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        join: Samples,
        processors: Mapping[str, Processor],
        codecs: Mapping[str, TargetCodec],
        *,
        augment: bool = True,
        cache_mib: int = 1024,
        seed: int = 0,
    ) -> None:
        self.sources = sources
        self.join = join
        self.processors = processors
        self.codecs = codecs
        self.augment = augment
        self.seed = seed
        self.generated: dict[str, ValueMaker] = {}
        """Modality -> what makes it of each row."""
        self.further: list[ValueReplacer] = []
        """What stands in for a modality in a share of the visits of training rows."""
        self._cache: dict[int, Sample] = {}
        self._room = cache_mib * 2**20

    def __len__(self) -> int:
        return len(self.join)

    def raw(self, row: int, *, peek: bool = False) -> Sample:
        """The raw sample of ``row``, joined over its sources; see Source.read and Source.peek."""
        part = _peek if peek else _read
        parts = [self._part(member, part) for member in self.join.members[row]]
        self._check(row, parts[0])
        return self._merged(row, parts)

    def peek_at(self, row: int, names: Collection[str]) -> Sample:
        """Like ``raw`` with ``peek``, but only of some modalities and tasks; see Source.peek_at.

        Args:
            row: number of the sample.
            names: of modalities and tasks; others may be left out.
        """
        parts = [self._part(member, lambda s, r: s.peek_at(r, names)) for member in self.join.members[row]]
        self._check(row, parts[0])
        return self._merged(row, parts, names)

    def _merged(self, row: int, parts: Sequence[Sample], names: Collection[str] | None = None) -> Sample:
        """The parts of a row as one sample, with what was generated for it.

        Args:
            row: number of the sample.
            parts: of each of its sources.
            names: modalities that are wanted; None for all.
        """
        sample = merge_samples(self.join.id(row), parts)
        for name, made in self.generated.items():
            value = made.value(row) if names is None or name in names else None
            if value is not None:
                sample.inputs[name] = value
        return sample

    def _part(self, member: Member, part: Callable[[Source, int], Sample]) -> Sample:
        """What a source says of one of its rows; whatever it raises names the row."""
        source, row = self.sources[member[0]], member[1]
        source.ready()
        try:
            return part(source, row)
        except (DataError, SpecError):
            raise
        except Exception as error:
            name = source.id(row)
            raise DataError(
                f"{source.name} cannot read its row '{name}': {type(error).__name__}: {error}",
                file=source.path,
                row=name,
            ) from error

    def _check(self, row: int, first: Sample) -> None:
        """Refuse a row that is not the one that was indexed."""
        expected = self.join.id(row)
        if not expected.endswith(f"/{first.id}"):
            raise DataError(
                f"the files changed since the index was made: its row '{expected}' now reads '{first.id}'; delete "
                "the folder of data.loading.index",
                row=expected,
            )

    def processed(self, row: int) -> Sample:
        """The sample as tensors, without augmentation."""
        if row in self._cache:
            return self._cache[row]
        return self._process(row, self.raw(row))

    def _process(self, row: int, raw: Sample) -> Sample:
        groups = {**raw.groups, "source": int(self.join.source[row])}
        sample = Sample(raw.id, groups=groups, unit=self.join.unit(row))
        for name, value in raw.inputs.items():
            if name in self.processors:
                try:
                    sample.inputs[name] = self.processors[name](value)
                except DataError as error:
                    if error.row is not None:
                        raise
                    raise DataError(f"modality '{name}': {error}", row=raw.id) from error
        for name, label in raw.targets.items():
            if name in self.codecs:
                sample.targets[name] = self.codecs[name](label, raw.id)
        size = sum(t.nbytes for t in (*sample.inputs.values(), *sample.targets.values()))
        if size <= self._room:
            self._cache[row] = sample
            self._room -= size
        return sample

    def __getitem__(self, key: Key) -> Sample:
        row, epoch = key
        return self._augmented(self.processed(row), row, epoch)

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        """The samples of a batch; a source is asked at once for all rows that are not in memory."""
        wanted = dict.fromkeys(row for row, _ in keys if row not in self._cache)
        members = {row: self.join.members[row] for row in wanted}
        read: dict[Member, Sample] = {}
        for number, source in enumerate(self.sources):
            mine = [m for joined in members.values() for m in joined if m[0] == number]
            if len(mine) < 2:
                continue
            source.ready()
            try:
                parts = source.read_many([m[1] for m in mine])
            except Exception:  # the row at fault is found, and named, by reading singly
                continue
            read.update(zip(mine, parts, strict=True))
        fresh = {}
        for row, joined in members.items():
            parts = [read[m] if m in read else self._part(m, _read) for m in joined]
            self._check(row, parts[0])
            fresh[row] = self._process(row, self._merged(row, parts))
        return [self._augmented(fresh.get(row) or self._cache[row], row, epoch) for row, epoch in keys]

    def _augmented(self, sample: Sample, row: int, epoch: int) -> Sample:
        if epoch < 0:
            return sample
        sample = self._replaced(sample, row, epoch)
        if not self.augment:
            return sample
        generator = np.random.default_rng([self.seed, epoch, row])
        inputs = {m: self.processors[m].augment(v, generator) for m, v in sample.inputs.items()}
        return replace(sample, inputs=inputs)

    def _replaced(self, sample: Sample, row: int, epoch: int) -> Sample:
        """The sample with generated values in the place of its own, where this visit draws one."""
        inputs = dict(sample.inputs)
        for number, rows in enumerate(self.further):
            if rows.modality in inputs:
                value = rows.draw(row, np.random.default_rng([self.seed, epoch, row, number + 1]))
                if value is not None:
                    inputs[rows.modality] = self.processors[rows.modality](value)
        return replace(sample, inputs=inputs)


def _read(source: Source, row: int) -> Sample:
    return source.read(row)


def _peek(source: Source, row: int) -> Sample:
    return source.peek(row)
