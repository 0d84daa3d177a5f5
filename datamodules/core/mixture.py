"""Which rows the next batch draws: a mixture over sources, deterministic, resumable and split over ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from zoo.contract import Batch, Sample
from zoo.errors import SpecError

Key = tuple[int, int]
"""(row, epoch): what a dataset is asked for; the randomness of a sample is a function of it."""


def _apportion(weights: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.int64]:
    """Divide ``total`` by ``weights`` with largest remainders; every positive weight gets at least one if it can.

    >>> _apportion(np.array([0.5, 0.3, 0.2]), 5).tolist()
    [3, 1, 1]
    """
    exact = weights / weights.sum() * total
    counts: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    for k in np.argsort(-(exact - counts), kind="stable")[: total - counts.sum()]:
        counts[k] += 1
    while total >= len(weights) and (counts == 0).any():
        counts[np.argmax(counts)] -= 1
        counts[np.argmin(counts)] += 1
    return counts


def source_passes(rows: Sequence[npt.NDArray[np.int64]], temperature: float) -> list[float]:
    """How often an epoch goes through the rows of each source at a temperature; 0 for a source without rows."""
    draws = iter(MixtureSampler(rows, batch_size=1, temperature=temperature).draws.tolist())
    return [next(draws) / len(r) if len(r) else 0.0 for r in rows]


def balance_classes(
    rows: Sequence[npt.NDArray[np.int64]],
    classes: Sequence[Sequence[str]],
    passes: Sequence[float],
    *,
    power: float = 1.0,
) -> tuple[list[npt.NDArray[np.int64]], list[float]]:
    """Divide the rows of sources by class, and say how often to go through each part so that classes even out.

    A class that would be drawn d times an epoch is drawn in proportion to d^(1 - power) instead. Draws of labelled
    rows stay as many as they were, so do those of rows without a label, and what a class draws is shared among its
    sources as before.

    Args:
        rows: for each source, its row numbers.
        classes: for each source, the class of each row; "" for none.
        passes: for each source, how often an epoch goes through its rows.
        power: 1 draws all classes alike, 0 leaves everything as it is.

    Returns:
        Parts and their passes, as MixtureSampler takes them.

    >>> parts, passes = balance_classes([np.arange(4)], [["a", "a", "a", "b"]], [1.0])
    >>> [part.tolist() for part in parts], [round(p, 3) for p in passes]
    ([[0, 1, 2], [3]], [0.667, 2.0])
    """
    draws: dict[str, float] = {}
    parts: list[tuple[str, float, npt.NDArray[np.int64]]] = []
    for own, named, often in zip(rows, classes, passes, strict=True):
        names = np.asarray(named, dtype=object)
        for name in sorted(set(named)):
            part = np.asarray(own, dtype=np.int64)[names == name]
            parts.append((name, often, part))
            draws[name] = draws.get(name, 0.0) + often * len(part)
    labelled = {n: d for n, d in draws.items() if n and d > 0}
    wanted = {n: d ** (1.0 - power) for n, d in labelled.items()}
    scale = sum(labelled.values()) / sum(wanted.values()) if wanted else 1.0
    factor = {n: scale * wanted[n] / d for n, d in labelled.items()}
    return [part for _, _, part in parts], [often * factor.get(name, 1.0) for name, often, _ in parts]


class MixtureSampler:
    """Plan the batches of an epoch.

    Source s is drawn with probability proportional to n_s^(1 / temperature): 1 visits each row once an
    epoch, larger values even the sources out. Every batch is full: the last is filled from the beginning
    of the next pass. All ranks make the same plan of global batches (batch_size x num_replicas rows) and
    take disjoint parts of it, so they run the same number of steps, and one process with the same global
    batch sees the same rows.

    Args:
        rows: for each source, its row numbers.
        batch_size: rows a rank.
        seed: of the plan; an epoch is a function of (seed, epoch).
        temperature: see above; > 0.
        homogeneous: draw each batch from one source.
        num_replicas, rank: of the process group.
        passes: for each source, how often an epoch goes through its rows, in the place of ``temperature``.
    """

    def __init__(
        self,
        rows: Sequence[npt.NDArray[np.int64]],
        *,
        batch_size: int,
        seed: int = 0,
        temperature: float = 1.0,
        homogeneous: bool = False,
        num_replicas: int = 1,
        rank: int = 0,
        passes: Sequence[float] | None = None,
    ) -> None:
        self.rows = [np.asarray(r, dtype=np.int64) for r in rows if len(r)]
        if not self.rows:
            raise SpecError("the training split has no row; check the fractions and the sources")
        if temperature <= 0:
            raise SpecError(f"temperature must be > 0, got {temperature}")
        if batch_size < 1:
            raise SpecError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        self.seed = seed
        self.homogeneous = homogeneous
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        sizes = np.array([len(r) for r in self.rows], dtype=float)
        shares = sizes ** (1.0 / temperature)
        self.draws = shares / shares.sum() * sizes.sum()
        if passes is not None:
            self.draws = sizes * np.array([p for p, r in zip(passes, rows, strict=True) if len(r)])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to plan; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(round(float(self.draws.sum()), 6) / (self.batch_size * self.num_replicas))

    def _stream(self, source: int, count: int) -> npt.NDArray[np.int64]:
        """``count`` rows of a source: permutations of it, one after another."""
        rows = self.rows[source]
        passes = [
            np.random.default_rng([self.seed, self.epoch, source, k]).permutation(rows)
            for k in range(-(-count // len(rows)))
        ]
        return np.concatenate(passes)[:count] if passes else rows[:0]

    def plan(self) -> npt.NDArray[np.int64]:
        """(steps, batch_size * num_replicas) rows of every global batch of the epoch."""
        wide = self.batch_size * self.num_replicas
        steps = len(self)
        generator = np.random.default_rng([self.seed, self.epoch, 2**31])
        units = steps if self.homogeneous else steps * wide
        order = generator.permutation(np.repeat(np.arange(len(self.rows)), _apportion(self.draws, units)))
        labels = np.repeat(order, wide) if self.homogeneous else order
        flat = np.empty(steps * wide, dtype=np.int64)
        for source in range(len(self.rows)):
            where = labels == source
            flat[where] = self._stream(source, int(where.sum()))
        return flat.reshape(steps, wide)

    def batches(self, start: int = 0) -> Iterator[list[Key]]:
        """Yield this rank's batches from number ``start`` on."""
        for batch in self.plan()[start:]:
            yield [(int(row), self.epoch) for row in batch[self.rank :: self.num_replicas]]


class SequentialSampler:
    """Go through rows once, in order, each on one rank; ranks run the same number of (maybe empty) batches."""

    def __init__(self, rows: npt.NDArray[np.int64], *, batch_size: int, num_replicas: int = 1, rank: int = 0) -> None:
        self.rows = np.asarray(rows, dtype=np.int64)
        self.batch_size = batch_size
        self.num_replicas = num_replicas
        self.rank = rank

    def __len__(self) -> int:
        return -(-len(self.rows) // (self.batch_size * self.num_replicas))

    def batches(self, start: int = 0) -> Iterator[list[Key]]:
        """Yield this rank's batches from number ``start`` on."""
        wide = self.batch_size * self.num_replicas
        for step in range(start, len(self)):
            part = self.rows[step * wide : (step + 1) * wide]
            yield [(int(row), -1) for row in part[self.rank :: self.num_replicas]]


class ResumableLoader:
    """Iterate over collated batches, and resume in the middle of an epoch.

    Lightning stores ``state_dict`` in every checkpoint. After ``load_state_dict`` the next iteration
    yields the batches that remained. Workers never influence what a batch holds, and making an iterator
    draws nothing from the global random state.
    """

    def __init__(
        self,
        dataset: Dataset[Sample],
        sampler: MixtureSampler | SequentialSampler,
        collate: Callable[[Sequence[Sample]], Batch],
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.dataset = dataset
        self.batch_sampler = _Batches(sampler)  # where Lightning looks for set_epoch
        self.collate = collate
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self._served = 0
        self._start = 0

    def __len__(self) -> int:
        return len(self.batch_sampler.sampler)

    def __iter__(self) -> Iterator[Batch]:
        start, self._start = self._start, 0
        self._served = start
        loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_sampler=_Batches(self.batch_sampler.sampler, start),
            collate_fn=self.collate,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            generator=torch.Generator().manual_seed(0),
        )
        for batch in loader:
            self._served += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Batches served in the current epoch; 0 between epochs."""
        return {"served": self._served % max(len(self), 1)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next iteration behind the batches that were served."""
        self._start = int(state["served"])


class _Batches:
    """The batches of a sampler from number ``start`` on, as a DataLoader takes them.

    The loader shows no ``sampler`` of its own: with ``overfit_batches`` Lightning would put another in its place.
    """

    def __init__(self, sampler: MixtureSampler | SequentialSampler, start: int = 0) -> None:
        self.sampler = sampler
        self._start = start

    def __iter__(self) -> Iterator[list[Key]]:
        return self.sampler.batches(self._start)
