"""Run a trained model over batches and keep what it predicts, and the vectors that it predicts from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.contract import Batch, Output
from zoo.models.base import TaskModel
from zoo.training.collector import Collector, Predicted


@dataclass
class _Kept:
    """What is kept of all rows, batch by batch."""

    ids: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    vectors: list[Tensor] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    groups: list[dict[str, Tensor]] = field(default_factory=list)
    present: list[dict[str, Tensor]] = field(default_factory=list)
    logits: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def add(self, batch: Batch, output: Output) -> None:
        """Keep the ids, groups, masks and vectors of a batch."""
        self.ids += batch.ids
        self.sizes.append(len(batch))
        self.groups.append({k: v.cpu() for k, v in batch.groups.items()})
        self.present.append({k: v.cpu() for k, v in batch.present.items()})
        vectors = output.vectors
        if vectors is not None:
            self.vectors.append(vectors.float().cpu())

    def add_logits(self, task: str, batch: Batch, output: Output) -> None:
        """Keep the logits of each row that a task is predicted for by its id."""
        logits = mean_logits(output, task, len(batch))
        if logits is not None and task in output.predicted:
            known = self.logits.setdefault(task, {})
            known.update((batch.ids[i], logits[i].cpu()) for i in output.predicted[task].tolist())

    def column(self, parts: list[dict[str, Tensor]], name: str, missing: int) -> Tensor:
        """Join a column over batches; a batch that lacks it counts as ``missing``."""
        filled = [p[name] if name in p else torch.full((n,), missing) for p, n in zip(parts, self.sizes, strict=True)]
        return torch.cat([c.long() for c in filled])


@torch.no_grad()
def predict(
    model: TaskModel,
    batches: Iterable[Batch],
    change: Callable[[Batch], Batch] | None = None,
    *,
    logits: Collection[str] = (),
    inputs: Callable[[Batch], Tensor] | None = None,
) -> Predicted:
    """Predict every batch in evaluation mode; the model is left in the mode it was in.

    Args:
        model: the trained model.
        batches: such as a data module's ``test_dataloader()``.
        change: applied to each batch first, such as ``lambda b: b.select(["ct"])`` or a corruption.
        logits: tasks whose logits are kept too, where the model gives them.
        inputs: maps each batch to plain numbers (B, F) of its inputs, which are kept too; None keeps none.
    """
    before = model.training
    model.eval()
    collector, kept = Collector(), _Kept()
    try:
        for batch in batches:
            if not len(batch):
                continue
            batch = change(batch) if change is not None else batch
            batch = batch.to(model.device)
            output = model.predict(batch)
            collector.add(output, batch)
            kept.add(batch, output)
            for task in logits:
                kept.add_logits(task, batch, output)
            if inputs is not None:
                kept.inputs.append(inputs(batch).float().cpu())
    finally:
        model.train(before)
    order = sorted(range(len(kept.ids)), key=lambda k: kept.ids[k])
    results = collector.gather()
    return Predicted(
        results,
        torch.cat(kept.vectors)[order] if kept.vectors else torch.zeros((len(order), 0)),
        [kept.ids[k] for k in order],
        {c: kept.column(kept.groups, c, -1)[order] for c in sorted({c for g in kept.groups for c in g})},
        {m: kept.column(kept.present, m, 0).bool()[order] for m in sorted({m for p in kept.present for m in p})},
        {t: torch.stack([kept.logits[t][i] for i in r.ids]) for t, r in results.items() if t in kept.logits},
        torch.cat(kept.inputs)[order] if kept.inputs else None,
    )


def mean_logits(output: Output, task: str, size: int) -> Tensor | None:
    """Logits (B, ...) of a task, averaged over the streams that a row has; zeros for a row without any.

    None where the model gives no logits of the task.

    Args:
        output: of the model.
        task: name of the task.
        size: B, the rows of the batch.
    """
    total: Tensor | None = None
    count: Tensor | None = None
    for (t, stream), logits in output.logits.items():
        if t != task:
            continue
        rows = output.rows[(t, stream)]
        full = logits.float().new_zeros((size, *logits.shape[1:])).index_copy(0, rows, logits.float())
        seen = full.new_zeros(size).index_fill(0, rows, 1.0)
        total = full if total is None else total + full
        count = seen if count is None else count + seen
    if total is None or count is None:
        return None
    return total / count.clamp_min(1.0).view(-1, *[1] * (total.dim() - 1))
