"""The latents and prompt vectors of the training rows, computed once: autoencoders and prompt encoders are frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.contract import Batch
from zoo.generation.diffusion.autoencoder import Posterior


@dataclass
class LatentBatch:
    """B rows, each with the latents of some modalities, packed as in a Batch.

    Attributes:
        latents: modality -> Posterior of the N_m rows that have it, in batch order.
        prompts: modality -> (N_m, D) vectors of length 1.
        present: modality -> (B,) bool, N_m True.
        ids: B names.
    """

    latents: dict[str, Posterior]
    prompts: dict[str, Tensor]
    present: dict[str, Tensor]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> LatentBatch:
        """Return the batch on ``device``."""
        return LatentBatch(
            {
                m: Posterior(
                    p.mean.to(device, non_blocking=non_blocking), p.sigma.to(device, non_blocking=non_blocking)
                )
                for m, p in self.latents.items()
            },
            {m: v.to(device, non_blocking=non_blocking) for m, v in self.prompts.items()},
            {m: v.to(device, non_blocking=non_blocking) for m, v in self.present.items()},
            self.ids,
        )

    def take(self, rows: Sequence[int]) -> LatentBatch:
        """Some rows, by their place, in that order."""
        places = torch.as_tensor(list(rows), dtype=torch.long)
        latents, prompts, present = {}, {}, {}
        for m, mask in self.present.items():
            position = mask.cumsum(0) - 1
            present[m] = mask[places]
            where = position[places][present[m]]
            latents[m] = Posterior(self.latents[m].mean[where], self.latents[m].sigma[where])
            prompts[m] = self.prompts[m][where]
        return LatentBatch(latents, prompts, present, tuple(self.ids[k] for k in places.tolist()))

    def tensors(self) -> dict[str, Tensor]:
        """All of it but the names, for a file."""
        found = {}
        for m, mask in self.present.items():
            found[f"{m}/present"], found[f"{m}/prompts"] = mask, self.prompts[m]
            found[f"{m}/mean"], found[f"{m}/sigma"] = self.latents[m].mean, self.latents[m].sigma
        return {k: v.contiguous() for k, v in found.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], ids: Sequence[str]) -> LatentBatch:
        """Invert ``tensors``."""
        names = sorted({k.rpartition("/")[0] for k in tensors})
        return cls(
            {m: Posterior(tensors[f"{m}/mean"], tensors[f"{m}/sigma"]) for m in names},
            {m: tensors[f"{m}/prompts"] for m in names},
            {m: tensors[f"{m}/present"] for m in names},
            tuple(ids),
        )


def joined(parts: Sequence[LatentBatch]) -> LatentBatch:
    """All rows of several batches."""
    names = list(parts[0].present)
    return LatentBatch(
        {
            m: Posterior(
                torch.cat([p.latents[m].mean for p in parts]), torch.cat([p.latents[m].sigma for p in parts])
            )
            for m in names
        },
        {m: torch.cat([p.prompts[m] for p in parts]) for m in names},
        {m: torch.cat([p.present[m] for p in parts]) for m in names},
        tuple(i for p in parts for i in p.ids),
    )


@torch.no_grad()
def encoded(
    batches: Iterable[Batch], encode: Callable[[Batch], LatentBatch], device: torch.device | str
) -> LatentBatch:
    """The latents of all rows of a loader, sorted by name, on the CPU.

    Args:
        batches: of the rows.
        encode: maps a batch on ``device`` to its latents.
        device: where they are computed.
    """
    parts = [encode(batch.to(device)).to("cpu") for batch in batches if len(batch)]
    whole = joined(parts)
    return whole.take(sorted(range(len(whole)), key=lambda k: whole.ids[k]))


class LatentLoader:
    """Batches of rows of which the latents are at hand, without end in an order that seed and epoch decide.

    All processes together take ``world`` * ``batch_size`` rows a step, each every ``world``-th of them, so that two
    processes see in a step what one with twice the batch size does. What an epoch leaves over is left out of it. It
    can be stopped and gone on with: it stores how many batches were served.

    Args:
        rows: all of them.
        batch_size: rows a process.
        seed: of the order.
        world: number of processes.
        rank: number of this one.
        shuffle: whether the order is random; else each row is served once, in order.
    """

    def __init__(
        self,
        rows: LatentBatch,
        *,
        batch_size: int,
        seed: int = 0,
        world: int = 1,
        rank: int = 0,
        shuffle: bool = True,
    ) -> None:
        self.rows = rows
        self.shuffle = shuffle
        self.seed, self.world, self.rank = seed, world, rank
        self.batch_size = min(batch_size, max(1, len(rows) // world))
        self._epoch = 0
        self._served = 0
        self._start = 0

    def __len__(self) -> int:
        step = self.batch_size * self.world
        return len(self.rows) // step if self.shuffle else -(-len(self.rows) // step)

    def __iter__(self) -> Iterator[LatentBatch]:
        order = np.arange(len(self.rows))
        if self.shuffle:
            np.random.default_rng((self.seed, self._epoch)).shuffle(order)
        start, self._start = self._start, 0
        self._served = start
        step = self.batch_size * self.world
        for k in range(start, len(self)):
            self._served = k + 1
            yield self.rows.take(order[k * step : (k + 1) * step][self.rank :: self.world].tolist())
        self._epoch += 1

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches were served."""
        return {"epoch": self._epoch, "served": self._served}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on behind the batches that were served."""
        self._epoch = int(state["epoch"])
        self._start = int(state["served"])
        if self._start >= len(self):
            self._epoch, self._start = self._epoch + 1, 0
