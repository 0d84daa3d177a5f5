"""A classifier of findings that is trained on real images, and components of pixels that distances are taken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.commands.routes.rows import Matrix, Whole
from zoo.evaluation.generated.agreement import UNKNOWN

COMPONENTS = 64
"""Principal components of the pixels."""
FEWEST = 10
"""Training images with, and without, a finding that its classifier needs."""


@dataclass
class ImageProbe:
    """Logistic regressions on principal components of the pixels of real training images.

    It is simple on purpose: it is at hand without any weights, and the images that it scores were made by networks of
    another kind.

    Attributes:
        components: maps pixels to components of mean 0 and deviation 1.
        models: column of the labels -> classifier.
    """

    components: Any
    models: dict[int, Any]

    @classmethod
    def fit(cls, pixels: Matrix, labels: Whole, seed: int = 0) -> ImageProbe:
        """Learn from real training images.

        Args:
            pixels: (N, F).
            labels: (N, K) of 0, 1 and UNKNOWN; a column with too few of either is left out.
            seed: of the principal components.
        """
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        number = min(COMPONENTS, *pixels.shape)
        components = make_pipeline(PCA(number, random_state=seed), StandardScaler()).fit(pixels)
        x = components.transform(pixels)
        models = {}
        for k in range(labels.shape[1]):
            known = labels[:, k] != UNKNOWN
            if min((labels[known, k] == v).sum() for v in (0, 1)) >= FEWEST:
                classifier = LogisticRegression(C=0.05, max_iter=2000, class_weight="balanced")
                models[k] = classifier.fit(x[known], labels[known, k])
        return cls(components, models)

    def scores(self, pixels: Matrix) -> Matrix:
        """(N, K) probabilities of the findings that it knows, in the order of their columns."""
        x = self.components.transform(pixels)
        return np.column_stack([m.predict_proba(x)[:, 1] for m in self.models.values()]) if self.models else x[:, :0]

    def features(self, pixels: Matrix) -> Matrix:
        """(N, F) components, for distances."""
        found: Matrix = np.asarray(self.components.transform(pixels), dtype=np.float64)
        return found
