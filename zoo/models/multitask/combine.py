"""Combine what the streams predict into one prediction a row (MultiMed, Eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.contract import Output
from zoo.fusion.base import Fusion
from zoo.tasks.base import TaskKind


def combine_streams(
    task: str, kind: TaskKind, fusion: Fusion, output: Output, size: int, *, detach: bool = False
) -> tuple[Tensor, Tensor] | None:
    """Return the rows (N,) that ``task`` is predicted for and the combined predictions (N, ...), or None.

    A row's weights are those of the streams that it has, renormalised to sum to 1.

    Args:
        task: name of the task.
        kind: its TaskKind.
        fusion: gives the weights of the streams.
        output: logits per (task, stream).
        size: B, rows of the batch.
        detach: leave the logits out of the graph, so that only the weights learn.
    """
    weights = fusion.stream_weights(task)
    used = (weights > 0).tolist()
    names = [s for k, s in enumerate(fusion.stream_names) if (task, s) in output.rows and used[k]]
    if not names:
        return None
    if len(names) == 1 and not fusion.voting:
        logits = output.logits[(task, names[0])]
        return output.rows[(task, names[0])], kind.predict(logits.detach() if detach else logits)
    predictions, has = [], []
    for s in names:
        logits, rows = output.logits[(task, s)], output.rows[(task, s)]
        prediction = kind.predict(logits.detach() if detach else logits)
        full = prediction.new_zeros((size, *prediction.shape[1:]))
        predictions.append(full.index_copy(0, rows, prediction))
        has.append(torch.zeros(size, dtype=torch.bool, device=rows.device).index_fill(0, rows, True))
    there = torch.stack(has)
    rows = there.any(0).nonzero().squeeze(1)
    index = [fusion.stream_names.index(s) for s in names]
    weight = there[:, rows] * weights[index].to(rows.device).unsqueeze(1)
    weight = weight / weight.sum(0, keepdim=True)
    stacked = torch.stack(predictions)[:, rows]
    return rows, kind.combine(stacked, weight, voting=fusion.voting)
