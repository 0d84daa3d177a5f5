"""Linear models from features to what kinds of task predict, for the baselines.

Classes: logistic regression; labels: one a label; values: ridge. From scikit-learn throughout.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

Matrix = Any
"""(N, F) floats: a NumPy array or a SciPy sparse matrix."""
Floats = npt.NDArray[np.float64]
Readout = Callable[[Matrix], Floats]
"""Map features (N, F) to predictions (N, K)."""

CHEAP = 2e7
"""C is chosen by cross-validation where stored values x classes x candidates stay below this (seconds)."""
ALPHAS = tuple(10.0**k for k in range(-2, 6))
"""Strengths of ridge regression to choose from, for features of unit scale."""
EXACT = 4000
"""Ridge chooses its strength by leave-one-out up to this many rows or features, whichever are fewer."""


def stored(features: Matrix) -> int:
    """Values that a matrix holds: the stored ones of a sparse matrix."""
    return int(getattr(features, "nnz", np.size(features)))


def fit_classes(
    features: Matrix,
    codes: npt.NDArray[np.int64],
    classes: int,
    *,
    seed: int,
    strengths: Sequence[float],
    budget: float = CHEAP,
) -> Readout:
    """Logistic regression on codes (N,); a class that is not among them gets probability 0.

    C is the best of ``strengths`` by 3-fold cross-validated log-loss where that costs seconds (``budget``) and every
    class has three rows, else the middle one. One class alone is predicted with probability 1.

    Args:
        features: (N, F) training rows.
        codes: (N,) their classes.
        classes: K, the number of classes.
        seed: of the solver and of the folds.
        strengths: values of C to choose from.
        budget: most stored values times classes times strengths for which C is chosen.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    seen, counts = np.unique(codes, return_counts=True)
    if len(seen) == 1:
        return lambda x: np.eye(classes)[np.full(x.shape[0], seen[0])]
    model = LogisticRegression(C=sorted(strengths)[len(strengths) // 2], max_iter=500, random_state=seed)
    if len(strengths) > 1 and counts.min() >= 3 and stored(features) * len(seen) * len(strengths) <= budget:
        folds = StratifiedKFold(3, shuffle=True, random_state=seed)
        model = GridSearchCV(model, {"C": sorted(strengths)}, scoring="neg_log_loss", cv=folds)
    model.fit(features, codes)

    def predict(x: Matrix) -> Floats:
        out = np.zeros((x.shape[0], classes))
        out[:, seen] = model.predict_proba(x)
        return out

    return predict


def fit_labels(features: Matrix, target: Tensor, *, seed: int, strengths: Sequence[float]) -> Readout:
    """One logistic regression a label over the rows (N, 2, K) where it is known.

    A label with one value in training is predicted with that value, one that was never known with one half.

    Args:
        features: (N, F) training rows.
        target: (N, 2, K) values, and 1 where known.
        seed: of the folds.
        strengths: values of C to choose from.
    """
    value, seen = target[:, 0].numpy() > 0.5, target[:, 1].numpy() > 0
    budget = CHEAP / value.shape[1]
    models: list[Readout | None] = []
    for k in range(value.shape[1]):
        rows = np.flatnonzero(seen[:, k])
        codes = value[rows, k].astype(np.int64)
        part = features[rows]
        models.append(
            fit_classes(part, codes, 2, seed=seed, strengths=strengths, budget=budget) if len(rows) else None
        )

    def predict(x: Matrix) -> Floats:
        return np.stack([m(x)[:, 1] if m is not None else np.full(x.shape[0], 0.5) for m in models], 1)

    return predict


def _ridge(features: Matrix, values: Floats) -> Any:
    from sklearn.linear_model import Ridge, RidgeCV

    if min(features.shape) > EXACT:
        return Ridge(alpha=1.0, solver="lsqr").fit(features, values)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Singular matrix")
        return RidgeCV(alphas=ALPHAS).fit(features, values)


def fit_values(features: Matrix, target: Tensor) -> Readout:
    """Ridge regression of targets (N, 2, K) over the rows where each is known; 0 for one that never was.

    Its strength is the best of ALPHAS by leave-one-out, computed in closed form, where the smaller of N and F is
    at most EXACT; else 1.0 by an iterative solver. Targets known in the same rows share one strength.
    """
    value, seen = target[:, 0].double().numpy(), target[:, 1].numpy() > 0
    outputs = value.shape[1]
    groups: dict[bytes, list[int]] = {}
    for k in range(outputs):
        groups.setdefault(seen[:, k].tobytes(), []).append(k)
    models = []
    for columns in groups.values():
        rows = np.flatnonzero(seen[:, columns[0]])
        if len(rows) > 1:
            models.append((columns, _ridge(features[rows], value[rows][:, columns])))
        elif len(rows):
            models.append((columns, value[rows[0], columns]))

    def predict(x: Matrix) -> Floats:
        out = np.zeros((x.shape[0], outputs))
        for columns, model in models:
            found = model.predict(x) if hasattr(model, "predict") else np.tile(model, (x.shape[0], 1))
            out[:, columns] = found.reshape(x.shape[0], len(columns))
        return out

    return predict
