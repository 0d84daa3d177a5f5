"""Figures that kinds of task show of their test rows: confusion matrices, and chains laid over each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.contract import TaskSpec
from zoo.results import Figure
from zoo.tasks.chains import superpose

OTHER = "(other)"
"""Name of the classes that are put together, and of what is none of the classes."""


def confusion(
    spec: TaskSpec, choice: Tensor, target: Tensor, *, data: str, most: int, ordered: bool = False, unit: str = "rows"
) -> list[Figure]:
    """The confusion matrix of a task, each row divided by its sum; none without rows.

    Args:
        spec: of the task.
        choice: (n,) codes of the predicted classes.
        target: (n,) codes of the true classes; -1 for what is none of them.
        data: "real", "simulated" or "mixed".
        most: classes that are shown; rarer ones are put together.
        ordered: whether classes without rows are shown too, since their order means something.
        unit: what is counted, in words.
    """
    if not len(target):
        return []
    names, order = [*spec.classes, OTHER], spec.num_outputs
    counts = torch.zeros(order + 1, order + 1)
    counts.index_put_((torch.where(target < 0, order, target), choice), torch.ones(len(target)), accumulate=True)
    kept = _shown(counts, most, ordered)
    merged = _merge(counts, kept)
    labels = [names[k] for k in kept]
    labels += [OTHER] if len(merged) > len(kept) else []
    total = merged.sum(1)
    shares = [[float(v) / float(n) if n else None for v in row] for row, n in zip(merged, total, strict=True)]
    note = f"Each row is divided by its sum; n = {int(total.sum())} {unit}."
    if OTHER in labels:
        note += f" {OTHER}: what is rarer, or outside the vocabulary."
    return [
        Figure(
            f"confusion_{spec.name}",
            f"Confusion of {spec.name}",
            "heatmap",
            "predicted",
            "true (n)",
            rows=[f"{name} ({int(n)})" for name, n in zip(labels, total, strict=True)],
            columns=labels,
            values=shares,
            group="confusion",
            panel=spec.name,
            note=note,
            data=data,
        )
    ]


def _shown(counts: Tensor, most: int, ordered: bool) -> list[int]:
    """Codes of the classes to show: those that occur, in their order; the most frequent where there are more."""
    seen = counts.sum(0) + counts.sum(1)
    codes = [k for k in range(len(counts) - 1) if ordered or seen[k] > 0]
    if len(codes) > most:
        codes = sorted(sorted(codes, key=lambda k: -float(seen[k]))[:most])
    return codes


def _merge(counts: Tensor, kept: Sequence[int]) -> Tensor:
    """Counts of ``kept``, and of all others together where they hold any."""
    left = [k for k in range(len(counts)) if k not in kept]
    groups = [[k] for k in kept] + [left]
    merged = torch.stack([torch.stack([counts[a][:, b].sum() for b in groups]) for a in groups])
    return merged if float(merged[-1].sum() + merged[:, -1].sum()) > 0 else merged[:-1, :-1]


def overlaid_chains(
    name: str, prediction: Tensor, target: Tensor, scores: Tensor, ids: Sequence[str], data: str
) -> list[Figure]:
    """The chains with the best, the median and the worst score, each superposed onto the truth (Kabsch 1976).

    Args:
        name: of the task.
        prediction: (N, L, 3) in angstrom.
        target: (N, L, 4) in angstrom, and 1 where resolved.
        scores: (N,) TM-scores; NaN for chains that have none.
        ids: N names of rows.
        data: "real", "simulated" or "mixed".
    """
    finite = torch.isfinite(prediction).flatten(1).all(1) & torch.isfinite(scores)
    ranked = sorted(finite.nonzero().flatten().tolist(), key=lambda k: -float(scores[k]))
    if not ranked:
        return []
    picks: dict[int, str] = {}
    for panel, row in (("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1])):
        picks.setdefault(row, panel)
    figures = []
    for row, panel in picks.items():
        seen = target[row, :, 3] > 0
        truth = target[row, seen, :3].double()
        truth = truth - truth.mean(0)
        predicted = prediction[row, seen].double()
        moved = superpose(predicted[None], truth[None], torch.ones(1, len(truth), dtype=truth.dtype))[0]
        figures.append(
            Figure(
                f"structure_{name}_{panel}",
                f"{name}: {ids[row]}, TM-score {float(scores[row]):.2f}",
                "chains",
                chains={"true": _rounded(truth), "predicted": _rounded(moved)},
                group="structures",
                panel=f"{name}, {panel} of {len(ranked)}",
                note="C-alpha atoms, the prediction superposed onto the truth by least squares.",
                data=data,
            )
        )
    return figures


def _rounded(points: Tensor) -> list[list[float]]:
    return [[round(v, 2) for v in point] for point in points.tolist()]
