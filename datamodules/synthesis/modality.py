"""A modality that a generator makes of every row, without telling it what must not be known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from datamodules.core.dataset import JoinedDataset
from datamodules.core.processor import PROCESSORS, Processor
from datamodules.synthesis.base import FromGenerator, GeneratorInputs
from datamodules.synthesis.store import Store, alone, make_store
from zoo.errors import DataError, SpecError
from zoo.generator import Generator
from zoo.raw import RawModality

Rows = npt.NDArray[np.int64]


class GeneratedModality(FromGenerator):
    """Add a modality that a generator makes of what each row has.

    A generator that learns does so from training rows alone. Training rows then get values of generators that
    learned without them (cross-fitting: ``folds`` parts of whole groups, such as lesions or patients), as rows of
    other splits do; without it a training row would be described by a generator that has seen its label, and the
    model would trust a description that is worse at test.

    Args:
        generator: what makes the values (zoo.generation).
        inputs: what the generator reads of a row, and learns from.
        cache: folder in which finished rows are kept; "" keeps them in memory alone.
        folds: of the cross-fitting; 0 lets training rows be made by a generator that learned from them.
        rejected: rows whose value was rejected go without the modality ("absent"), or get a record in which
            everything is unknown ("unknown"); they are counted and printed either way.

    Raises:
        SpecError: ``folds`` is 1 or negative, or the generator is conditioned on the label, which rows that are
            evaluated do not have.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        inputs: GeneratorInputs,
        cache: str = "",
        folds: int = 5,
        rejected: Literal["absent", "unknown"] = "absent",
    ) -> None:
        super().__init__(generator, inputs=inputs, cache=cache)
        if folds < 0 or folds == 1:
            raise SpecError(f"folds must be 0 (no cross-fitting) or at least 2, got {folds}")
        if getattr(generator, "condition_on_label", False):
            raise SpecError(
                f"{type(generator).__name__}: condition_on_label needs the label of every row, but a modality is "
                "made of rows that are evaluated too; use GeneratedRows for further training rows"
            )
        if rejected == "unknown" and generator.unknown() is None:
            raise SpecError(f"{type(generator).__name__} has no unknown value; leave rejected at 'absent'")
        self.folds, self.rejected = folds, rejected
        self._asked: set[int] = set()
        self._kept: dict[int, tuple[Store, str]] = {}

    def raw(self, name: str) -> RawModality:
        """The modality as a source would describe it."""
        return RawModality(name, self.generator.makes)

    def processor(self) -> Processor | None:
        """The processor that the generator asks for; None takes that of the kind that it makes."""
        return PROCESSORS.get(self.generator.processor)() if self.generator.processor else None

    def prepare(
        self,
        dataset: JoinedDataset,
        name: str,
        rows: Mapping[str, Rows],
        groups: Sequence[str],
        present: npt.NDArray[np.bool_],
        seed: int,
    ) -> npt.NDArray[np.bool_]:
        """Make the modality of every row, or read what an earlier run made.

        Args:
            dataset: the joined rows.
            name: of the modality.
            rows: split -> row numbers.
            groups: of each row of the data set; whole groups share a fold.
            present: (N,) rows that have all that is read.
            seed: of split and generator.

        Returns:
            (N,) rows that have the modality now: not those that were rejected.
        """
        told = self.generator.leaky_replication
        for learn, make in self._parts(rows, groups, present, seed):
            ids = [dataset.join.id(r) for r in learn.tolist()]
            identity = self.identity(seed, ids, told)
            folder = self.folder(name, identity)
            with alone(folder):
                store = make_store(folder, identity)
                wanted = {dataset.join.id(r): (r, seed) for r in make.tolist()}
                kept = self.fill(dataset, name, store, learn.tolist(), wanted, seed=seed, told=told)
            self._asked.update(make.tolist())
            self._kept.update((wanted[i][0], (store, i)) for i in kept)
        has = np.zeros(len(dataset), dtype=bool)
        has[list(self._asked if self.rejected == "unknown" else self._kept)] = True
        if not has[rows["train"]].any():
            said = "; ".join(f"{n} x {why}" for why, n in self.reasons.most_common(3)) or "no row has what is read"
            raise DataError(
                f"no training row has the generated modality '{name}': {said}. Take another generator, or rejected: "
                "unknown to go on without its words"
            )
        return has

    def _parts(
        self, rows: Mapping[str, Rows], groups: Sequence[str], present: npt.NDArray[np.bool_], seed: int
    ) -> Iterator[tuple[Rows, Rows]]:
        """(rows to learn from, rows to make): training rows by the others' generator, all others by that of all."""
        train = rows["train"][present[rows["train"]]]
        rest = [r[present[r]] for s, r in rows.items() if s != "train"]
        others = np.concatenate(rest) if rest else train[:0]
        if not self.generator.fits:
            yield train[:0], np.concatenate([train, others])
            return
        if self.folds:
            fold = self._fold_of([groups[r] for r in train.tolist()], seed)
            for k in range(self.folds):
                yield train[fold != k], train[fold == k]
            yield train, others
        else:
            yield train, np.concatenate([train, others])

    def _fold_of(self, groups: Sequence[str], seed: int) -> npt.NDArray[np.int64]:
        names = sorted(set(groups))
        if len(names) < self.folds:
            raise SpecError(f"{len(names)} groups of training rows cannot make {self.folds} folds; give fewer")
        order = np.random.default_rng([seed, len(names)]).permutation(len(names))
        place = {name: int(order[k]) % self.folds for k, name in enumerate(names)}
        return np.array([place[g] for g in groups], dtype=np.int64)

    def made(self, row: int) -> Any:
        """What the generator made of a row: a record or an image; None where there is none."""
        store, name = self._kept.get(row, (None, ""))
        return None if store is None else store.value(name)

    def value(self, row: int) -> Any:
        """The raw value of the modality in a row; None where there is none."""
        if row not in self._asked:
            return None
        made = self.made(row)
        if made is None and self.rejected == "unknown":
            made = self.generator.unknown()
        return None if made is None else self.generator.as_input(made)
