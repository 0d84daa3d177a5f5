"""InfoNCE between the vectors of two modalities, in both directions, over the rows of all processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from zoo.training.loss_table import world_size


def info_nce(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """Mean of both directions of InfoNCE, where row i of one belongs to row i of the other and to no other row.

        L = (CE(s a b^T) + CE(s b a^T)) / 2

    van den Oord et al. 2018; Radford et al. (CLIP, ICML 2021); XGeM, Eq. 1. Under DDP the rows of all processes are
    taken together, so that two processes compute what one does; each then returns the loss of all rows, whose
    gradients DDP averages.

    Args:
        first: (N, D) vectors of length 1.
        second: (N, D) vectors of length 1.
        scale: () what similarities are multiplied by, the inverse of the temperature.

    >>> a = torch.eye(2)
    >>> round(float(info_nce(a, a, torch.tensor(1.0))), 4)  # log(1 + exp(-1))
    0.3133
    """
    first, second = gathered(first), gathered(second)
    if len(first) < 2:  # nothing to tell a row from
        return (first.sum() + second.sum() + scale) * 0.0
    logits = scale * first @ second.T
    own = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def gathered(rows: Tensor) -> Tensor:
    """The rows (N, D) of all processes, those of the first process first; gradients flow back to each."""
    world = world_size()
    if world == 1:
        return rows
    counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(world)]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    sizes = [int(c) for c in counts]
    padded = F.pad(rows, (0, 0, 0, max(sizes) - len(rows)))
    from torch.distributed.nn import functional

    parts = functional.all_gather(padded)  # type: ignore[no-untyped-call]
    return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])
