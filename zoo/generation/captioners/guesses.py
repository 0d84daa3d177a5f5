"""Guesses at what the metadata leave open, from the features of the picture alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.generation.captioners.features import Floats, is_known
from zoo.generation.records.schema import UNKNOWN
from zoo.tasks.readout import fit_classes

LEAST_ROWS = 10
"""Training rows with a known value below which nothing is guessed."""
LEAST_R2 = 0.1
"""Share of the variance that a guess at a number has to explain, by leave-one-out over training rows."""
LEAST_PROBABILITY = 0.5
"""Probability that a guess at a word has to have."""
OLDEST = 130.0
"""Years that an age cannot exceed."""


class AgeGuess:
    """Guess an age in years by ridge regression, or say None where the picture tells too little.

    Args:
        rows: features of the training rows (N, F).
        values: age of each, None where unknown; words are unknown.

    Attributes:
        r2: share of the variance explained by leave-one-out, NaN where there are too few rows.
    """

    def __init__(self, *, rows: Floats, values: Sequence[float | str | None]) -> None:
        from sklearn.linear_model import RidgeCV

        known = [k for k, v in enumerate(values) if is_known(v) and not isinstance(v, str)]
        target = np.array([float(v) for v in (values[k] for k in known) if v is not None])
        self.r2 = float("nan")
        self._model = None
        if len(known) >= LEAST_ROWS and np.ptp(target) > 0:
            model = RidgeCV(alphas=[10.0**k for k in range(1, 7)]).fit(rows[known], target)
            self.r2 = 1.0 + float(model.best_score_) / float(target.var())
            self._model = model if self.r2 >= LEAST_R2 else None

    def __call__(self, row: Floats) -> float | None:
        """Map features (1, F) to an age, or None."""
        return None if self._model is None else float(np.clip(self._model.predict(row)[0], 0.0, OLDEST))


class WordGuess:
    """Guess a word by logistic regression, or say "unknown" where none is probable enough.

    Args:
        rows: features of the training rows (N, F).
        values: word of each, in any case, None where unknown.
        seed: of the solver.
    """

    def __init__(self, *, rows: Floats, values: Sequence[float | str | None], seed: int) -> None:
        known = [k for k, v in enumerate(values) if is_known(v)]
        said = [str(values[k]).lower() for k in known]
        self.words = tuple(sorted(set(said)))
        self._readout = None
        if len(known) >= LEAST_ROWS and len(self.words) > 1:
            codes = np.array([self.words.index(w) for w in said])
            self._readout = fit_classes(rows[known], codes, len(self.words), seed=seed, strengths=(1e-3,))

    def __call__(self, row: Floats) -> str:
        """Map features (1, F) to a word."""
        if self._readout is None:
            return UNKNOWN
        probabilities = self._readout(row)[0]
        best = int(probabilities.argmax())
        return self.words[best] if probabilities[best] >= LEAST_PROBABILITY else UNKNOWN
