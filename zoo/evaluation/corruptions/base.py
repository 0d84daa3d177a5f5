"""What a corruption is: damage of one sort to the packed rows of a modality, in six severities."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.contract import Batch, ModalitySpec
from zoo.errors import SpecError
from zoo.registry import Registry

SEVERITIES = (0, 1, 2, 3, 4, 5)
"""Severities of every corruption; 0 changes nothing."""
Noise = npt.NDArray[np.float32]


def row_generator(seed: int, row: str, modality: str, salt: str) -> np.random.Generator:
    """A generator of random numbers that depends on what it is for, and on nothing else.

    Args:
        seed: of the whole corruption.
        row: id of the row.
        modality: name of the modality.
        salt: what tells several draws for one row apart, such as the name of the corruption.
    """
    text = "\0".join((str(seed), row, modality, salt))
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


class Corruption(ABC):
    """Damage that rows of some modality kinds meet in practice.

    A row is damaged by random numbers that follow from the seed, its id, the modality and the corruption, so that
    neither batch nor order matters. All severities share them: a worse severity is more of the same damage.

    Attributes:
        kinds: modality kinds that it fits.
        unit: of the physical levels.
        levels: physical level of each of SEVERITIES; the first stands for no damage.
        standard: whether it stands for its kinds where all modalities are damaged together; one is for each kind.
        random: whether it needs random numbers.
    """

    kinds: tuple[str, ...] = ()
    unit: str = ""
    levels: tuple[float, ...] = ()
    standard: bool = False
    random: bool = True

    @property
    def name(self) -> str:
        """The name in the registry."""
        return type(self).__name__

    def fits(self, spec: ModalitySpec) -> bool:
        """Whether it can damage rows of ``spec``: their kind is one of ``kinds``, and they have what it needs."""
        return spec.kind in self.kinds and self.suits(spec)

    def suits(self, spec: ModalitySpec) -> bool:
        """Whether rows of ``spec``, which are of a kind that it takes, have what it needs. Here: all have."""
        return True

    def note(self, rows: Iterable[Tensor], spec: ModalitySpec) -> str:
        """What to say beside results of how it meets packed rows (N, *shape) of ``spec``; "" for nothing."""
        return ""

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """The random numbers of one row, before its values are looked at. Here: uniform, one a value.

        Args:
            spec: of the modality.
            generator: of the row.
        """
        return generator.random(spec.shape if self.random else 0, dtype=np.float32)

    @abstractmethod
    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Damage rows.

        Args:
            values: (N, *shape) on the CPU; not changed in place.
            noise: (N, ...) what ``draw`` gave for each row.
            level: physical level, in ``unit``.
            spec: of the modality.
        """

    def __call__(
        self, values: Tensor, *, severity: int, spec: ModalitySpec, ids: Sequence[str], seed: int = 0
    ) -> Tensor:
        """Damage (N, *shape) rows with the names ``ids``.

        Raises:
            SpecError: an unknown severity, a modality that it does not fit, or another number of names than rows.
        """
        if severity not in SEVERITIES:
            raise SpecError(f"corruption '{self.name}': level {severity} is unknown; levels: {SEVERITIES}")
        if not self.fits(spec):
            raise SpecError(
                f"corruption '{self.name}' does not fit modality '{spec.name}' ({spec.kind}, shape {spec.shape}); it "
                f"takes the kinds {self.kinds}"
            )
        if len(ids) != len(values):
            raise SpecError(f"corruption '{self.name}': {len(values)} rows, but {len(ids)} ids")
        if severity == 0 or not len(values):
            return values
        noise = [self.draw(spec, row_generator(seed, row, spec.name, self.name)) for row in ids]
        damaged = self.apply(values.cpu(), torch.from_numpy(np.stack(noise)), self.levels[severity], spec)
        return damaged.to(device=values.device, dtype=values.dtype)


CORRUPTIONS: Registry[Corruption] = Registry("corruption", "evaluation.corruptions")
"""Corruptions by class name."""


def corruptions_for(spec: ModalitySpec, names: Iterable[str] | None = None) -> list[Corruption]:
    """The corruptions that fit a modality, the standard one first.

    Args:
        spec: the modality.
        names: those to choose from; None for all.

    Raises:
        UnknownNameError: a name that is not registered.
    """
    made = [CORRUPTIONS.get(name)() for name in (CORRUPTIONS if names is None else dict.fromkeys(names))]
    return sorted((c for c in made if c.fits(spec)), key=lambda c: not c.standard)


def corrupt(
    batch: Batch, specs: Iterable[ModalitySpec], plan: Mapping[str, tuple[Corruption, int]], seed: int = 0
) -> Batch:
    """Return the batch with some modalities damaged; it shares with ``batch`` what is not.

    Args:
        batch: packed rows.
        specs: of the modalities; those without a plan stay.
        plan: modality -> the corruption and its severity.
        seed: of the damage.
    """
    inputs = dict(batch.inputs)
    for spec in specs:
        if spec.name not in plan or spec.name not in inputs:
            continue
        corruption, severity = plan[spec.name]
        ids = [batch.ids[k] for k in batch.present[spec.name].nonzero().squeeze(1).tolist()]
        inputs[spec.name] = corruption(inputs[spec.name], severity=severity, spec=spec, ids=ids, seed=seed)
    return replace(batch, inputs=inputs)
