"""Read, process and cache the samples of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from datamodules.join import Join, merge_samples
from datamodules.mixture import Key
from datamodules.processor import Processor
from datamodules.source import Source
from datamodules.targets import TargetCodec
from zoo.contract import Sample
from zoo.errors import DataError, SpecError


class JoinedDataset(Dataset[Sample]):
    """Map (row, epoch) to a processed sample; epoch -1 means no augmentation.

    A sample is a function of (seed, epoch, row), never of the worker that makes it.

    Args:
        sources: opened sources.
        join: which rows make which sample.
        processors: modality -> fitted processor; inputs of other modalities are left out.
        codecs: task -> fitted codec; other labels are left out.
        source_of: (N,) number of each sample's source, stored as the group ``source``.
        augment: whether training samples are augmented.
        cache: keep processed samples in memory (before augmentation).
        seed: of the augmentation.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        join: Join,
        processors: Mapping[str, Processor],
        codecs: Mapping[str, TargetCodec],
        *,
        augment: bool = True,
        cache: bool = True,
        seed: int = 0,
    ) -> None:
        self.sources = sources
        self.join = join
        self.processors = processors
        self.codecs = codecs
        self.augment = augment
        self.seed = seed
        self._ids = join.table["id"].tolist()
        self._source = join.table["source"].to_numpy()
        self._cache: dict[int, Sample] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.join)

    def raw(self, row: int, *, peek: bool = False) -> Sample:
        """The raw sample of ``row``, joined over its sources; see Source.read and Source.peek."""
        parts = []
        for s, r in self.join.members[row]:
            source = self.sources[s]
            try:
                parts.append(source.peek(r) if peek else source.read(r))
            except (DataError, SpecError):
                raise
            except Exception as error:
                raise DataError(
                    f"{source.name} cannot read its row '{source.index['id'][r]}': {type(error).__name__}: {error}",
                    file=source.path,
                    row=source.index["id"][r],
                ) from error
        return merge_samples(self._ids[row], parts)

    def processed(self, row: int) -> Sample:
        """The sample as tensors, without augmentation."""
        if self._cache is not None and row in self._cache:
            return self._cache[row]
        raw = self.raw(row)
        sample = Sample(raw.id, groups={**raw.groups, "source": int(self._source[row])})
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
        if self._cache is not None:
            self._cache[row] = sample
        return sample

    def __getitem__(self, key: Key) -> Sample:
        row, epoch = key
        sample = self.processed(row)
        if epoch < 0 or not self.augment:
            return sample
        generator = np.random.default_rng([self.seed, epoch, row])
        inputs = {m: self.processors[m].augment(v, generator) for m, v in sample.inputs.items()}
        return Sample(sample.id, inputs, sample.targets, sample.groups)
