"""Damage to single-cell expression: fewer molecules read, and genes that read zero."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.contract import ModalitySpec
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, Noise

LOG_UNIT = "log1p CP10k"
"""Unit of log(1 + 10000 count / counts of the cell), which the processor of expression makes of counts."""
TOLERANCE = 0.02
"""A recovered count may differ by so much from a whole number, and by 1e-5 of itself: float32 was in between."""
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def recover_counts(values: Tensor, unit: str) -> tuple[Floats, Floats, Flags]:
    """Find the counts behind expression values.

    Counts of unit "counts" are themselves. Of log1p CP10k values v the smallest positive expm1(v) of a cell is taken
    for one molecule; that makes the others whole numbers, and 10000 / it the counts of the cell over all genes, also
    those that a panel dropped.

    Args:
        values: (N, G).
        unit: of the modality's spec.

    Returns:
        counts (N, G); counts over all genes (N,); whether the row's counts were recovered (N,). Rows that were not
        hold zeros.
    """
    x = values.double().numpy()
    if unit == "counts":
        found: Flags = np.asarray((x >= 0).all(1) & (np.abs(x - x.round()) < TOLERANCE).all(1))
        counts = np.where(found[:, None], x.round(), 0.0)
        return counts, counts.sum(1), found
    if unit != LOG_UNIT:
        return np.zeros_like(x), np.zeros(len(x)), np.zeros(len(x), dtype=bool)
    share = np.expm1(x)
    one = np.where(share > 0, share, np.inf).min(1, initial=np.inf)
    counts = share / one[:, None]
    whole = (x >= 0).all(1) & (np.abs(counts - counts.round()) < TOLERANCE + 1e-5 * counts).all(1)
    total = np.where(np.isfinite(one), 1e4 / one, 0.0)
    found = np.asarray(whole & np.isfinite(one) & (np.abs(total - total.round()) < TOLERANCE + 1e-5 * total))
    found &= total.round() >= counts.sum(1).round() - 0.5
    return np.where(found[:, None], counts.round(), 0.0), np.where(found, total.round(), 0.0), found


@CORRUPTIONS.register
class CountThinning(Corruption):
    """Shallower sequencing: each molecule is lost with a probability, counts ~ Binomial(count, 1 - loss).

    log1p CP10k values are taken back to counts, thinned (also in the genes that a panel dropped) and normalised.
    Rows whose counts cannot be recovered (``recover_counts``) get zero-inflation instead: each gene reads zero with
    the same probability.
    """

    kinds = ("expression",)
    unit = "share of molecules lost"
    levels = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
    standard = True

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Uniform numbers: one for each gene, and one for the molecules of all genes that are not here."""
        return generator.random(spec.shape[0] + 1, dtype=np.float32)

    def note(self, rows: Iterable[Tensor], spec: ModalitySpec) -> str:
        """In how many rows counts are recovered."""
        flags = [recover_counts(values.cpu(), spec.unit)[2] for values in rows if len(values)]
        found = np.concatenate(flags) if flags else np.zeros(0, dtype=bool)
        return (
            f"{self.name} on '{spec.name}' ({spec.unit or 'no unit'}): counts recovered in {int(found.sum())} of "
            f"{len(found)} rows; the others get zero-inflation at the same rate."
        )

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Thin by the binomial quantile of each uniform number."""
        counts, total, found = recover_counts(values, spec.unit)
        draws = noise.double().numpy()
        kept = thin(counts, draws[:, :-1], 1.0 - level)
        if spec.unit == LOG_UNIT:
            rest = thin(total - counts.sum(1), draws[:, -1], 1.0 - level)
            left = np.maximum(kept.sum(1) + rest, 1.0)
            kept = np.log1p(1e4 * kept / left[:, None])
        inflated = values * (noise[:, :-1] >= level)
        return torch.where(torch.from_numpy(found)[:, None], torch.from_numpy(kept).to(values.dtype), inflated)


def thin(counts: Floats, uniform: Floats, keep: float) -> Floats:
    """Binomial(count, keep) of each count, as its quantile at a uniform number of the same shape.

    Args:
        counts: molecules, whole numbers.
        uniform: numbers in [0, 1) of the same shape.
        keep: share of molecules that are read.
    """
    from scipy.stats import binom

    kept = np.zeros_like(counts)
    there = counts > 0
    kept[there] = np.maximum(binom.ppf(uniform[there], counts[there], keep), 0.0)  # ppf(0) is -1
    return kept


@CORRUPTIONS.register
class GeneDropout(Corruption):
    """Zero-inflation: each gene of a cell reads zero with a probability, and the others stay."""

    kinds = ("expression",)
    unit = "probability of a gene"
    levels = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Zero the genes whose number is below the level."""
        return values * (noise >= level)
