"""What predictions say of a row, in forms that calibration, conformal sets and information measures work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Form = Literal["class", "labels", "values", "other"]
"""What a task predicts of a row: one class, labels each on its own, values, or none of these, such as a chain."""
TINY = 1e-12
"""Smallest sum that probabilities are divided by."""


@dataclass
class Probabilities:
    """Class probabilities of items: rows, or labels of multilabel, or positions of token_classification.

    Attributes:
        values: (n, K), summing to 1. A label of multilabel is of two classes, absent and present.
        labels: (n,) class codes.
        rows: (n,) row that an item belongs to.
        left_out: rows whose answer is outside the vocabulary (vqa), to which no probability was given.
        units: (n,) name of the unit of independence of the row of each item, which intervals draw; [] where it is the
            row itself.
    """

    values: Floats
    labels: Codes
    rows: Codes
    left_out: int = 0
    units: list[str] = field(default_factory=list)

    @property
    def drawn(self) -> list[str]:
        """The name of the unit that each item is drawn with by intervals."""
        return self.units or [f"row:{k}" for k in self.rows.tolist()]


def probabilities_of(p: Tensor, labels: Tensor, rows: Tensor, left_out: int = 0) -> Probabilities:
    """Make Probabilities of tensors.

    Args:
        p: (n, K) probabilities of any positive sum.
        labels: (n,) class codes.
        rows: (n,) row that an item belongs to.
        left_out: see Probabilities.
    """
    total = p.sum(-1, keepdim=True).clamp_min(TINY)
    codes, places = labels.numpy().astype(np.int64), rows.numpy().astype(np.int64)
    return Probabilities((p / total).double().numpy(), codes, places, left_out)


@dataclass(frozen=True)
class Variable:
    """One class, label or value that a task predicts, over all rows.

    Attributes:
        prediction: (N, K) class probabilities, or (N,) values.
        target: (N,) class codes, below 0 for what is none of the classes, or values.
        seen: (N,) bool, the rows that are labelled.
        scale: of a value, the ``TaskSpec.unit`` in one unit of it.
    """

    prediction: Floats
    target: Floats
    seen: npt.NDArray[np.bool_]
    scale: float = 1.0


def label_variables(prediction: Tensor, target: Tensor) -> list[Variable]:
    """One Variable of two classes, absent and present, for each label of predictions (N, K), targets (N, 2, K)."""
    p, y = prediction.double().numpy(), target.numpy()
    return [
        Variable(np.stack([1 - p[:, k], p[:, k]], 1), (y[:, 0, k] > 0.5).astype(float), y[:, 1, k] > 0)
        for k in range(p.shape[1])
    ]


def value_variables(prediction: Tensor, target: Tensor, scale: tuple[float, ...]) -> list[Variable]:
    """One Variable for each target of predictions (N, K) and targets (N, 2, K).

    Args:
        prediction: (N, K).
        target: (N, 2, K), values, and 1 where known.
        scale: see TaskSpec.
    """
    p, y = prediction.double().numpy(), target.numpy()
    sizes = scale or (1.0,) * p.shape[1]
    return [Variable(p[:, k], y[:, 0, k].astype(float), y[:, 1, k] > 0, sizes[k]) for k in range(p.shape[1])]


def label_probabilities(prediction: Tensor, target: Tensor) -> Probabilities:
    """Probabilities of the known labels of predictions (N, K), targets (N, 2, K), each of two classes."""
    seen = target[:, 1] > 0
    rows = torch.arange(len(prediction))[:, None].expand(seen.shape)[seen]
    p = prediction.double()[seen]
    return probabilities_of(torch.stack([1 - p, p], -1), (target[:, 0][seen] > 0.5).long(), rows)
