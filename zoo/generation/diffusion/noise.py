"""Random numbers of a row: they follow from a seed and the name of the row, never from the rows beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.errors import SpecError


class RowNoise:
    """Random numbers for each of some rows, the same in whatever batch, process or order the rows come.

    Args:
        seed: of the run.
        what: what the numbers are for, such as "denoiser/12" for step 12 of a stage.
        rows: names of the rows.

    >>> alone, among = RowNoise(0, "a", ["x"]), RowNoise(0, "a", ["y", "x"])
    >>> bool((alone.normal((3,))[0] == among.normal((3,))[1]).all())
    True
    """

    def __init__(self, seed: int, what: str, rows: Sequence[str]) -> None:
        self._generators = [torch.Generator().manual_seed(_mixed(seed, what, row)) for row in rows]

    def __len__(self) -> int:
        return len(self._generators)

    def take(self, places: Sequence[int]) -> RowNoise:
        """The same streams of numbers for some of the rows, by their place."""
        part = RowNoise(0, "", ())
        part._generators = [self._generators[k] for k in places]
        return part

    def normal(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
        """Standard normal numbers (N, *shape)."""
        if not self._generators:
            return torch.zeros((0, *shape), device=device)
        return torch.stack([torch.randn(shape, generator=g) for g in self._generators]).to(device)

    def uniform(self, device: torch.device | str = "cpu") -> Tensor:
        """Numbers (N,) between 0 and 1."""
        return torch.tensor([float(torch.rand((), generator=g)) for g in self._generators], device=device)

    def integers(self, end: int, device: torch.device | str = "cpu") -> Tensor:
        """Whole numbers (N,) from 0 to ``end`` - 1."""
        drawn = [int(torch.randint(end, (), generator=g)) for g in self._generators]
        return torch.tensor(drawn, dtype=torch.long, device=device)

    @property
    def generators(self) -> list[torch.Generator]:
        """The generator of each row, for libraries that take them."""
        if not self._generators:
            raise SpecError("there is no row to draw random numbers for")
        return self._generators


def _mixed(seed: int, what: str, row: str) -> int:
    """A seed for a row."""
    name = f"{seed}/{what}/{row}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "big")  # the generator takes 32 bits
