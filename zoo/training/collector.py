"""Predictions of a whole split, gathered over batches and ranks, and the metrics of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

from zoo.contract import Batch, Output, TaskSpec
from zoo.errors import SpecError
from zoo.tasks.base import TaskKind, task_kind
from zoo.training.loss_table import world_size


@dataclass
class Evaluated:
    """Predictions of one task, on the CPU.

    Attributes:
        prediction: (N, ...) after TaskKind.predict.
        target: (N, ...) encoded targets.
        source: (N,) number of the source of each row; -1 where unknown.
        ids: N sample ids.
        units: N names of the units of independence, such as "patient:17"; [] where each row is its own.
    """

    prediction: Tensor
    target: Tensor
    source: Tensor
    ids: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)

    @property
    def drawn(self) -> list[str]:
        """The name of the unit that each row is drawn with by intervals, such as "patient:17" or "row:ID"."""
        if self.units:
            return self.units
        return [f"row:{name}" for name in (self.ids or range(len(self.target)))]

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Evaluated:
        """The predictions of some rows: those of their numbers, in the order given, or those that a mask marks."""
        marks = isinstance(rows, np.ndarray) and rows.dtype == np.bool_
        picked = [int(k) for k in (np.flatnonzero(rows) if marks else rows)]
        index = torch.tensor(picked, dtype=torch.long)
        ids, units = ([names[k] for k in picked] if names else [] for names in (self.ids, self.units))
        return Evaluated(self.prediction[index], self.target[index], self.source[index], ids, units)


@dataclass
class Predicted:
    """What a model makes of some rows, on the CPU.

    Attributes:
        results: task -> predictions of the rows that carry its label, sorted by id.
        vectors: (N, D), one vector of each of all N rows, sorted by id (see Output.vectors); D is 0 where the model
            makes none.
        ids: N sample ids, sorted.
        groups: group column -> (N,) codes, -1 where unknown.
        present: modality -> (N,) bool.
        logits: task -> logits of the rows of its result, in their order, averaged over streams; only where they were
            asked for and the model gives them.
        inputs: (N, F) plain numbers of the inputs of all N rows, sorted by id; None where they were not asked for.
    """

    results: dict[str, Evaluated]
    vectors: Tensor
    ids: list[str]
    groups: dict[str, Tensor] = field(default_factory=dict)
    present: dict[str, Tensor] = field(default_factory=dict)
    logits: dict[str, Tensor] = field(default_factory=dict)
    inputs: Tensor | None = None

    def vectors_for(self, what: str) -> Tensor:
        """The vectors, where the model makes any.

        Args:
            what: what needs them, to begin the error with, such as "detection".

        Raises:
            SpecError: the model makes none.
        """
        if len(self.ids) and not self.vectors.shape[1]:
            raise SpecError(f"{what} needs a vector of each row; this model makes none: its Output has no streams")
        return self.vectors


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
                [batch.units[i] or f"row:{batch.ids[i]}" for i in rows.tolist()] if batch.units else [],
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


def joined(parts: Sequence[Evaluated]) -> Evaluated:
    """The rows of several predictions of one task, one after another."""
    units = [u for p in parts for u in p.drawn] if any(p.units for p in parts) else []
    return Evaluated(
        torch.cat([p.prediction for p in parts]),
        torch.cat([p.target for p in parts]),
        torch.cat([p.source for p in parts]),
        [i for p in parts for i in p.ids],
        units,
    )


def _concatenate(parts: list[Evaluated]) -> Evaluated:
    whole = joined(parts)
    return whole.take(sorted(range(len(whole.ids)), key=lambda k: whole.ids[k]))


def score(kinds: Mapping[str, TaskKind], results: Mapping[str, Evaluated]) -> dict[str, dict[str, float]]:
    """Every metric of every task that has rows."""
    return {t: kinds[t].metrics(r.prediction, r.target) for t, r in results.items()}


def skill(kind: TaskKind, value: float) -> float:
    """The primary metric on a scale on which 0 is chance and 1 is perfect."""
    return (value - kind.floor) / (1.0 - kind.floor)


class Evaluation:
    """Gather the predictions of a split, and log every metric of them: what the evaluation hooks of a model call.

    Args:
        tasks: name -> spec of every task that the model predicts.

    Attributes:
        kinds: task -> TaskKind.
        results: "val" or "test" -> task -> predictions of the split's last evaluation.
        listeners: functions that are given each evaluated batch and what the model made of it.
    """

    def __init__(self, tasks: Mapping[str, TaskSpec]) -> None:
        self.kinds: dict[str, TaskKind] = {name: task_kind(spec) for name, spec in tasks.items()}
        self.results: dict[str, dict[str, Evaluated]] = {}
        self.listeners: list[Callable[[Batch, Output], None]] = []
        self._collector = Collector()

    def add(self, output: Output, batch: Batch) -> None:
        """Keep what a model predicts of a batch: what ``validation_step`` and ``test_step`` do."""
        if len(batch):
            self._collector.add(output, batch)
            for listener in self.listeners:
                listener(batch, output)

    def end(self, module: L.LightningModule, stage: str) -> dict[str, float]:
        """Log every metric as stage/task/metric, and the mean skill: what the hooks at the end of an epoch do.

        Args:
            module: the model that logs; call it on every rank.
            stage: "val" or "test".

        Returns:
            task -> skill, of the tasks that have rows.
        """
        results = self._collector.gather()
        self.results[stage] = results
        skills = {}
        for task, values in score(self.kinds, results).items():
            module.log_dict({f"{stage}/{task}/{k}": v for k, v in values.items()}, rank_zero_only=False)
            primary = values[self.kinds[task].primary]
            if math.isfinite(primary):
                skills[task] = skill(self.kinds[task], primary)
        mean = sum(skills.values()) / len(skills) if skills else float("nan")
        module.log(f"{stage}/skill", mean, prog_bar=stage == "val")
        return skills
