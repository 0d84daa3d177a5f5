"""Further training rows: what a row looks like with one of its modalities generated anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from datamodules.core.dataset import JoinedDataset
from datamodules.synthesis.base import FromGenerator, GeneratorInputs
from datamodules.synthesis.modality import Rows
from datamodules.synthesis.store import Store, alone, make_store
from zoo.errors import SpecError, unknown_name
from zoo.generator import Generator

VARIANT = 100_003
"""Added to the seed for each further variant of a row."""


class GeneratedRows(FromGenerator):
    """Show a training row, in a share of its visits, with a generated value in the place of a modality.

    The rest of the row, its label among it, stays. A share of one half is as many generated rows as real ones, one
    is generated rows alone (synthetic supervision); rows of other splits are never touched. As the label of a
    training row is known, the generator may be conditioned on it (``condition_on_label``).

    Args:
        generator: what makes the values (zoo.generation).
        modality: whose values are replaced.
        inputs: what the generator reads of a row, and learns from; ``learns_from`` "" takes ``modality``.
        cache: folder in which finished rows are kept; "" keeps them in memory alone.
        share: of the visits of a training row, 0 to 1; 0 makes nothing.
        variants: generated values a row.

    Raises:
        SpecError: ``share`` or ``variants`` out of range.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        modality: str,
        inputs: GeneratorInputs,
        cache: str = "",
        share: float = 0.5,
        variants: int = 1,
    ) -> None:
        inputs = inputs if inputs.learns_from else replace(inputs, learns_from=modality)
        super().__init__(generator, inputs=inputs, cache=cache)
        if not 0 <= share <= 1 or variants < 1:
            raise SpecError(f"share must lie in 0 to 1, variants at least 1; got {share} and {variants}")
        self.modality, self.share, self.variants = modality, share, variants
        self._store: Store | None = None
        self._names: dict[int, list[str]] = {}

    @property
    def leaks(self) -> bool:
        """Never: training rows alone are made, whose labels are known."""
        return False

    def prepare(self, dataset: JoinedDataset, name: str, rows: Mapping[str, Rows], seed: int) -> None:
        """Learn from the training rows and make the variants of each, or read what an earlier run made."""
        if not self.share:
            return
        if self.modality not in dataset.processors:
            raise unknown_name(f"modality of data.processing.generated['{name}']", self.modality, dataset.processors)
        train = [r for r in rows["train"].tolist() if all(m in dataset.raw(r, peek=True).inputs for m in self.reads)]
        told = bool(self.label)
        identity = self.identity(seed, [dataset.join.id(r) for r in train], told)
        folder = self.folder(name, identity)
        with alone(folder):
            self._store = make_store(folder, identity)
            wanted = {
                f"{dataset.join.id(r)}#{v}": (r, seed + VARIANT * v) for r in train for v in range(self.variants)
            }
            kept = self.fill(dataset, name, self._store, train, wanted, seed=seed, told=told)
        for made_name in kept:
            self._names.setdefault(wanted[made_name][0], []).append(made_name)

    def draw(self, row: int, generator: np.random.Generator) -> Any:
        """A generated value in the place of the row's own, or None where this visit shows the row as it is."""
        names = self._names.get(row)
        if generator.random() >= self.share or not names or self._store is None:
            return None
        return self.generator.as_input(self._store.value(names[int(generator.integers(len(names)))]))
