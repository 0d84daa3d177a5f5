"""Ensembles: the average of what several runs predict of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated


def average(
    results: Sequence[Evaluated], *, weights: Sequence[float] | None = None, kind: TaskKind | None = None
) -> Evaluated:
    """Average predictions of one task over runs, aligned by id.

    Args:
        results: predictions of the same rows, in any order.
        weights: of the runs, >= 0, scaled to sum to 1; None weighs all alike.
        kind: combines by ``TaskKind.combine`` instead of the mean; needed for structures, which have no mean.

    Returns:
        Predictions (N, ...) in the order of the first run, with its targets.

    Raises:
        SpecError: no run, weights that do not fit, ids that repeat, or runs that differ in rows, targets or shape.
    """
    if not results:
        raise SpecError("an ensemble needs at least one run, got none")
    share = _shares(len(results), weights)
    first = results[0]
    stacked = torch.stack([_aligned(number, result, first) for number, result in enumerate(results)])
    if kind is not None:
        prediction = kind.combine(stacked, share.to(stacked.dtype).unsqueeze(1).expand(-1, stacked.shape[1]))
    else:
        prediction = torch.tensordot(share, stacked.double(), 1).to(stacked.dtype)
    return replace(first, prediction=prediction)


def _shares(runs: int, weights: Sequence[float] | None) -> Tensor:
    """(R,) float64 weights that sum to 1."""
    share = torch.tensor(list(weights) if weights is not None else [1.0] * runs, dtype=torch.float64)
    if len(share) != runs or not bool(torch.isfinite(share).all()) or bool((share < 0).any()) or not share.sum() > 0:
        raise SpecError(
            f"an ensemble of {runs} runs takes {runs} weights that are >= 0, one of them above 0; got {weights}"
        )
    return share / share.sum()


def _aligned(number: int, result: Evaluated, first: Evaluated) -> Tensor:
    """The predictions of a run in the order of the first."""
    place = {i: k for k, i in enumerate(result.ids)}
    if len(place) != len(result.ids) or len(result.ids) != len(result.prediction):
        raise SpecError(
            f"run {number} of the ensemble: {len(result.prediction)} predictions with {len(place)} different ids; "
            "each row needs an id of its own"
        )
    differing = sorted(place.keys() ^ set(first.ids))
    if differing:
        raise SpecError(
            f"run {number} of the ensemble predicts other rows than the first: {len(differing)} ids are in one of "
            f"them only, such as '{differing[0]}'; take runs of the same split"
        )
    order = torch.tensor([place[i] for i in first.ids], dtype=torch.long)
    if result.prediction.shape[1:] != first.prediction.shape[1:]:
        raise SpecError(
            f"run {number} of the ensemble predicts shape {tuple(result.prediction.shape[1:])} a row, the first "
            f"{tuple(first.prediction.shape[1:])}"
        )
    if not torch.equal(result.target[order], first.target):
        raise SpecError(
            f"run {number} of the ensemble has other targets than the first; were classes or scales refitted?"
        )
    return result.prediction[order]
