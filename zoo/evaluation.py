"""Predictions of a whole split, gathered over batches and ranks, and the metrics of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from zoo.contract import Batch, Output
from zoo.loss_table import world_size
from zoo.tasks.base import TaskKind


@dataclass
class Evaluated:
    """Predictions of one task, on the CPU.

    Attributes:
        prediction: (N, ...) after TaskKind.predict.
        target: (N, ...) encoded targets.
        source: (N,) number of the source of each row; -1 where unknown.
        ids: N sample ids.
    """

    prediction: Tensor
    target: Tensor
    source: Tensor
    ids: list[str] = field(default_factory=list)


class Collector:
    """Gather what a split predicts, batch by batch."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Evaluated]] = {}

    @torch.no_grad()
    def add(self, output: Output, batch: Batch) -> None:
        """Keep the predictions of labelled rows."""
        source = batch.groups.get("source")
        for task, rows in output.predicted.items():
            observed = batch.observed[task][rows]
            if not bool(observed.any()):
                continue
            rows = rows[observed]
            position = batch.observed[task].cumsum(0) - 1
            part = Evaluated(
                output.predictions[task][observed].float().cpu(),
                batch.targets[task][position[rows]].cpu(),
                source[rows].cpu() if source is not None else torch.full((len(rows),), -1),
                [batch.ids[i] for i in rows.tolist()],
            )
            self._parts.setdefault(task, []).append(part)

    def gather(self) -> dict[str, Evaluated]:
        """Return what all ranks collected, sorted by id, and forget it."""
        parts = self._parts
        self._parts = {}
        if world_size() > 1:
            everyone: list[dict[str, list[Evaluated]]] = [{} for _ in range(world_size())]
            dist.all_gather_object(everyone, parts)
            parts = {}
            for theirs in everyone:
                for task, more in theirs.items():
                    parts.setdefault(task, []).extend(more)
        return {task: _concatenate(parts[task]) for task in sorted(parts)}


def _concatenate(parts: list[Evaluated]) -> Evaluated:
    ids = [i for p in parts for i in p.ids]
    order = sorted(range(len(ids)), key=lambda k: ids[k])
    return Evaluated(
        torch.cat([p.prediction for p in parts])[order],
        torch.cat([p.target for p in parts])[order],
        torch.cat([p.source for p in parts])[order],
        [ids[k] for k in order],
    )


def score(kinds: Mapping[str, TaskKind], results: Mapping[str, Evaluated]) -> dict[str, dict[str, float]]:
    """Every metric of every task that has rows."""
    return {t: kinds[t].metrics(r.prediction, r.target) for t, r in results.items()}


def skill(kind: TaskKind, value: float) -> float:
    """The primary metric on a scale on which 0 is chance and 1 is perfect."""
    return (value - kind.floor) / (1.0 - kind.floor)
