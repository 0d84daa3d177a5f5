"""Single cells: normalised counts, logarithm, principal components, linear model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.baselines.base import BASELINES, FeatureBaseline
from zoo.tasks.readout import Matrix

COUNTS = 1e4
"""Counts that every cell is scaled to."""
COMPONENTS = 100
"""Principal components kept at most."""
PER_COMPONENT = 3
"""Training rows a component at least: standardised, the last ones of few rows would be noise made loud."""


def log_normalise(counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale rows (N, G) of counts to COUNTS in all and take log(1 + x); an empty row stays zero.

    >>> log_normalise(np.array([[1.0, 3.0], [0.0, 0.0]], dtype=np.float32)).astype(float).round(3).tolist()
    [[7.824, 8.923], [0.0, 0.0]]
    """
    total = counts.sum(1, keepdims=True)
    scaled: npt.NDArray[np.float32] = np.log1p(counts * (COUNTS / np.maximum(total, 1e-12)))
    return scaled


@BASELINES.register
class CellPCABaseline(FeatureBaseline):
    """Counts scaled to COUNTS a cell, log(1 + x), PCA, components standardised, then a linear model.

    Values below zero in training mean that a transform was applied already; then all are taken as they are.
    """

    modality_kinds = ("expression",)
    citation = (
        "Wolf, Angerer and Theis, SCANPY, Genome Biology 19:15, 2018; Abdelaal et al., Genome Biology 20:194, 2019"
    )
    counts: bool = True
    _pipeline: Any = None

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N profiles to at most COMPONENTS standardised components, (N, F)."""
        from sklearn.decomposition import PCA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        table = np.stack(values).astype(np.float32)
        if target is not None:
            self.counts = bool((table >= 0).all())
        table = log_normalise(table) if self.counts else table
        if target is not None:
            most = min(COMPONENTS, table.shape[1], max(len(table) // PER_COMPONENT, 1))
            pca = PCA(most, svd_solver="randomized", random_state=self.seed)
            self._pipeline = make_pipeline(pca, StandardScaler()).fit(table)
        return self._pipeline.transform(table)
