"""Missingness at evaluation: modalities hidden from a trained model, entirely, at random, or for a reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import brentq
from scipy.special import expit
from torch import Tensor

from zoo.contract import Batch
from zoo.errors import SpecError
from zoo.evaluation.corruptions.base import row_generator
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated

Floats = npt.NDArray[np.float64]
SLOPE = 4.0
"""Log odds of missing from the least to the most affected label, see ``informative_chances``."""


def take_rows(batch: Batch, keep: Tensor) -> Batch:
    """The rows of a batch that ``keep`` (B,) marks, with all that they have."""
    keep = keep.to(torch.bool)
    picked = keep.nonzero().squeeze(1).tolist()
    return Batch(
        {m: x[keep[batch.present[m]]] for m, x in batch.inputs.items()},
        {m: p[keep] for m, p in batch.present.items()},
        {t: y[keep[batch.observed[t]]] for t, y in batch.targets.items()},
        {t: o[keep] for t, o in batch.observed.items()},
        {g: c[keep] for g, c in batch.groups.items()},
        tuple(batch.ids[k] for k in picked),
        tuple(batch.units[k] for k in picked) if batch.units else (),
    )


def hide(batch: Batch, missing: Mapping[str, Tensor]) -> Batch:
    """Take modalities from rows: their mask becomes False and their packed row is left out.

    Args:
        batch: packed rows.
        missing: modality -> (B,) bool, the rows that lose it (those that have it).
    """
    inputs, present = dict(batch.inputs), dict(batch.present)
    for m, lost in missing.items():
        if m in inputs:
            stays = present[m] & ~lost
            inputs[m] = inputs[m][stays[present[m]]]
            present[m] = stays
    return replace(batch, inputs=inputs, present=present)


def anything_left(batch: Batch) -> Batch:
    """The rows that have a modality at all."""
    if not batch.present:
        return take_rows(batch, torch.zeros(len(batch), dtype=torch.bool))
    return take_rows(batch, torch.stack(list(batch.present.values())).any(0))


def without(batch: Batch, modality: str) -> Batch:
    """Take one modality from all rows; rows that had nothing else are left out.

    Raises:
        SpecError: the batch does not know the modality.
    """
    if modality not in batch.present:
        raise SpecError(f"modality '{modality}' is not in the batch; it holds {tuple(batch.present)}")
    return anything_left(hide(batch, {modality: batch.present[modality]}))


def lose(batch: Batch, rate: float | Mapping[str, float], *, keep: Collection[str] = (), seed: int = 0) -> Batch:
    """Take each modality from each row with a probability, independently; rows with nothing left are left out.

    What a row loses follows from the seed, its id and the modality: at a higher rate it loses that and more.

    Args:
        batch: packed rows.
        rate: probability of a modality to be missing, in [0, 1], or one for each row by its id.
        keep: modalities that are never taken, such as what a task reads.
        seed: of the draws.

    Raises:
        SpecError: a rate outside [0, 1].
    """
    chances = [rate[i] if isinstance(rate, Mapping) else rate for i in batch.ids]
    wrong = [c for c in chances if not 0 <= c <= 1]
    if wrong:
        raise SpecError(f"a rate of missing modalities must lie in [0, 1], got {wrong[0]}")
    missing = {
        m: torch.tensor(
            [row_generator(seed, i, m, "missing").random() < c for i, c in zip(batch.ids, chances, strict=True)],
            dtype=torch.bool,
        )
        for m in batch.present
        if m not in keep
    }
    return anything_left(hide(batch, missing))


def informative_chances(scores: Floats, rate: float, slope: float = SLOPE) -> Floats:
    """Probability of each row's modalities to be missing (missing not at random, Rubin 1976) at a mean rate.

    p_i = sigmoid(a + slope * score_i), with a such that the mean of p is ``rate``.

    Args:
        scores: (N,) in [0, 1], from ``TaskKind.label_order``.
        rate: mean of the probabilities, in [0, 1].
        slope: of the log odds; 0 is missing at random.

    Raises:
        SpecError: a rate outside [0, 1].
    """
    if not 0 <= rate <= 1:
        raise SpecError(f"a rate of missing modalities must lie in [0, 1], got {rate}")
    if rate in (0, 1) or not len(scores):
        return np.full(len(scores), float(rate))
    reach = 50.0 + abs(slope)
    a = brentq(lambda x: float(expit(x + slope * scores).mean()) - rate, -reach, reach)
    return np.asarray(expit(a + slope * scores), dtype=np.float64)


def source_constants(kind: TaskKind, whole: Evaluated, train: tuple[Tensor, Tensor]) -> Tensor:
    """The best constant of each row's source, (N, ...), from training targets (n, ...) and their sources (n,).

    Args:
        kind: of the task.
        whole: predictions whose rows are taken.
        train: (n, ...) training targets and (n,) their sources.
    """
    target, source = train
    constant = torch.zeros_like(whole.prediction)
    for s in sorted(set(whole.source.tolist())):
        where = whole.source == s
        known = target[source == s] if bool((source == s).any()) else target
        constant[where] = kind.constant(known, int(where.sum())).to(constant.dtype)
    return constant


def filled(whole: Evaluated, kept: Evaluated | None, constant: Tensor) -> tuple[Evaluated, float]:
    """Predictions of all rows: those that could still be made, and a constant for the others.

    Args:
        whole: predictions of all rows, by a model that saw everything.
        kept: predictions of some of these rows; None for none.
        constant: (N, ...) predictions for the others, by row of ``whole``.

    Returns:
        Predictions in the order of ``whole``, and the share of rows that is no constant (coverage).
    """
    prediction = constant.clone()
    place = {name: k for k, name in enumerate(whole.ids)}
    if kept is not None and len(kept.ids):
        prediction[torch.tensor([place[i] for i in kept.ids])] = kept.prediction.to(prediction.dtype)
    share = (len(kept.ids) if kept is not None else 0) / max(len(whole.ids), 1)
    return replace(whole, prediction=prediction), share
