"""Run a trained module over batches and keep what it predicts, and the vectors that it predicts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.contract import Batch
from zoo.evaluation import Collector, Evaluated
from zoo.fusion.base import FUSED
from zoo.module import MultitaskModule


@dataclass
class Predicted:
    """What a module makes of some rows, on the CPU.

    Attributes:
        results: task -> predictions of the rows that carry its label, sorted by id.
        vectors: (N, D) of the stream ``fused`` of all N rows, or the mean of the available streams under late
            fusion; sorted by id.
        ids: N sample ids, sorted.
        groups: group column -> (N,) codes, -1 where unknown.
        present: modality -> (N,) bool.
    """

    results: dict[str, Evaluated]
    vectors: Tensor
    ids: list[str]
    groups: dict[str, Tensor] = field(default_factory=dict)
    present: dict[str, Tensor] = field(default_factory=dict)


@torch.no_grad()
def predict(
    module: MultitaskModule, batches: Iterable[Batch], change: Callable[[Batch], Batch] | None = None
) -> Predicted:
    """Predict every batch in evaluation mode; the module is left in the mode it was in.

    Args:
        module: the trained module.
        batches: such as a data module's ``test_dataloader()``.
        change: applied to each batch first, such as ``lambda b: b.select(["ct"])`` or a corruption.
    """
    before = module.training
    module.eval()
    collector = Collector()
    vectors: list[Tensor] = []
    ids: list[str] = []
    groups: list[dict[str, Tensor]] = []
    present: list[dict[str, Tensor]] = []
    try:
        for batch in batches:
            if not len(batch):
                continue
            batch = change(batch) if change is not None else batch
            batch = batch.to(module.device)
            output = module(batch)
            collector.add(output, batch)
            vectors.append(fused_vectors(output.streams, output.available).float().cpu())
            ids += batch.ids
            groups.append({k: v.cpu() for k, v in batch.groups.items()})
            present.append({k: v.cpu() for k, v in batch.present.items()})
    finally:
        module.train(before)
    order = sorted(range(len(ids)), key=lambda k: ids[k])
    width = module.fusion.dim
    return Predicted(
        collector.gather(),
        torch.cat(vectors)[order] if vectors else torch.zeros((0, width)),
        [ids[k] for k in order],
        {c: _column(groups, c, vectors, -1)[order] for c in sorted({c for g in groups for c in g})},
        {m: _column(present, m, vectors, 0).bool()[order] for m in sorted({m for p in present for m in p})},
    )


def fused_vectors(streams: dict[str, Tensor], available: dict[str, Tensor]) -> Tensor:
    """(B, D) of the stream ``fused``, or the mean of the streams that a row has where there is none."""
    if FUSED in streams:
        return streams[FUSED]
    weight = torch.stack([available[s] for s in streams]).float().unsqueeze(-1)
    return (torch.stack(list(streams.values())) * weight).sum(0) / weight.sum(0).clamp_min(1.0)


def _column(parts: list[dict[str, Tensor]], name: str, like: list[Tensor], missing: int) -> Tensor:
    """Join a column over batches; a batch that lacks it counts as ``missing``."""
    columns = [p[name] if name in p else torch.full((len(v),), missing) for p, v in zip(parts, like, strict=True)]
    return torch.cat([c.long() for c in columns])
