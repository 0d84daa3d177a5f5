"""What generated modalities and generated training rows share: what is read, and where results are kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from datamodules.core.dataset import JoinedDataset
from datamodules.synthesis.store import Store
from zoo.errors import DataError, SpecError
from zoo.generator import Condition, Generator

CHUNK = 32
"""Rows that a generator is given at once, and that are written to the cache together."""


@dataclass(frozen=True)
class GeneratorInputs:
    """What a generator reads of a row, and learns from.

    Attributes:
        image: name of the image modality that it reads, "" for none.
        metadata: name of the tabular modality that it reads, "" for none.
        record: name of a generated modality of records that it reads, "" for none (a round trip); it has to be
            listed before the one that reads it.
        label: task of classes whose labels it is told where it learns, "" for none.
        learns_from: image modality whose images it learns from where it does not read them later, as what draws
            images from metadata does; "" takes ``image``.
    """

    image: str = ""
    metadata: str = ""
    record: str = ""
    label: str = ""
    learns_from: str = ""


class FromGenerator:
    """Rows of a data set as a generator sees them.

    Args:
        generator: what makes the values (zoo.generation).
        inputs: what the generator reads of a row, and learns from.
        cache: folder in which finished rows are kept, so that a killed run goes on where it was and the next one
            makes nothing again; "" keeps them in memory alone.

    Raises:
        SpecError: nothing is read.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        inputs: GeneratorInputs,
        cache: str = "",
    ) -> None:
        if not (inputs.image or inputs.metadata or inputs.record):
            raise SpecError(f"{type(generator).__name__} reads nothing: name its image, metadata or record in inputs")
        if generator.leaky_replication and not inputs.label:
            raise SpecError(
                f"{type(generator).__name__}: leaky_replication reads the label; name the task under inputs.label"
            )
        self.generator = generator
        self.image, self.metadata, self.record, self.label = (
            inputs.image,
            inputs.metadata,
            inputs.record,
            inputs.label,
        )
        self.learns_from = inputs.learns_from
        self.cache = cache
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    @property
    def leaks(self) -> bool:
        """Whether the label of rows that are evaluated goes into what is made of them."""
        return self.generator.leaky_replication

    @property
    def reads(self) -> tuple[str, ...]:
        """Modalities that a row must have."""
        return tuple(n for n in (self.image, self.metadata, self.record) if n)

    def given(self, dataset: JoinedDataset, row: int, *, told: bool, learning: bool = False) -> Condition:
        """What the generator is told of a row: the label only where ``told``, what it learns from if ``learning``.

        Args:
            dataset: the joined rows.
            row: number of the row.
            told: whether the generator is told the label.
            learning: whether it learns from the row now.
        """
        sample = dataset.raw(row)
        image = sample.inputs.get(self.learns_from if learning and self.learns_from else self.image)
        if image is not None and (not isinstance(image, np.ndarray) or image.dtype != np.uint8):
            kind = getattr(image, "dtype", type(image).__name__)
            raise DataError(f"generators read images of type uint8, but '{self.image}' holds {kind}", row=sample.id)
        records = dataset.generated.get(self.record)
        label = sample.targets.get(self.label) if told and self.label else None
        return Condition(
            dataset.join.id(row),
            image,
            sample.inputs.get(self.metadata),
            records.made(row) if records is not None else None,
            "" if label is None else str(label),
        )

    def lessons(self, dataset: JoinedDataset, rows: Sequence[int]) -> LazyRows:
        """The rows of ``rows`` that the generator can learn from, with their labels, read when they are asked for."""
        if self.learns_from:
            rows = [r for r in rows if self.learns_from in dataset.raw(r, peek=True).inputs]
        if not rows:
            raise DataError(f"{type(self.generator).__name__} has no training row to learn from")
        return LazyRows(self, dataset, rows)

    def identity(self, seed: int, ids: Sequence[str], told: bool) -> dict[str, Any]:
        """What the values depend on: written at the head of a cache, and hashed into the name of its folder.

        Args:
            seed: of learning and making.
            ids: of the rows that it learned from.
            told: whether labels are told where values are made.
        """
        digest = hashlib.blake2b("\n".join(ids).encode(), digest_size=8).hexdigest()
        return {
            "generator": type(self.generator).__name__,
            "options": self.generator.options(),
            "reads": [self.image, self.metadata, self.record, self.learns_from],
            "label": self.label if told or self.generator.fits else "",
            "leaky": self.leaks,
            "simulated": self.generator.simulated,
            "seed": seed,
            "learned_from": digest,
        }

    def folder(self, name: str, identity: dict[str, Any]) -> Path | None:
        """Where the rows of ``identity`` are kept; None for memory alone."""
        if not self.cache:
            return None
        text = json.dumps(identity, sort_keys=True, default=str)
        return Path(self.cache) / f"{name}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    def fill(
        self,
        dataset: JoinedDataset,
        name: str,
        store: Store,
        learn: Sequence[int],
        wanted: Mapping[str, tuple[int, int]],
        *,
        seed: int,
        told: bool,
    ) -> list[str]:
        """Make what is not in the store yet, and count how each value turned out.

        Args:
            dataset: the joined rows.
            name: for the progress bar.
            store: where values are kept.
            learn: rows to learn from, where the generator learns and anything is left to make.
            wanted: id of a value -> row, and the seed to make it with.
            seed: of the learning.
            told: whether labels are told where values are made.

        Returns:
            The ids of the values that were not rejected, in the order of ``wanted``.
        """
        left = [(i, *wanted[i]) for i in wanted if i not in store.done]
        if left and self.generator.fits:
            self.generator.fit(self.lessons(dataset, learn), seed)
        steps: Any = range(0, len(left), CHUNK)
        if len(steps) > 1:
            steps = track(steps, description=f"{name}: {type(self.generator).__name__}", transient=True)
        for start in steps:
            part = left[start : start + CHUNK]
            for drawn in sorted({s for _, _, s in part}):
                mine = [(i, r) for i, r, s in part if s == drawn]
                made = self.generator.generate([self.given(dataset, r, told=told) for _, r in mine], drawn)
                store.add([i for i, _ in mine], made, {"learned_from": len(learn)})
        for i in wanted:
            status, reason = store.status(i)
            self.counts[status] += 1
            if status == "rejected":
                self.reasons[reason] += 1
        return [i for i in wanted if store.status(i)[0] != "rejected"]

    def describe(self) -> str:
        """One line for the summary of the data."""
        made = ", ".join(f"{n} {status}" for status, n in sorted(self.counts.items())) or "nothing made"
        words = [type(self.generator).__name__, made]
        if self.generator.simulated:
            words.append("simulated")
        if self.leaks:
            words.append(f"LEAKS: made with the label of '{self.label}'")
        return "; ".join(words)


class LazyRows(Sequence[Condition]):
    """Rows to learn from, read when they are asked for, so that they may be more than memory holds.

    Args:
        maker: who reads them.
        dataset: where.
        rows: their numbers.
    """

    def __init__(self, maker: FromGenerator, dataset: JoinedDataset, rows: Sequence[int]) -> None:
        self._maker, self._dataset, self._rows = maker, dataset, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return LazyRows(self._maker, self._dataset, self._rows[k])
        return self._maker.given(self._dataset, self._rows[k], told=True, learning=True)
