"""The linear models, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, RidgeCV

from zoo.tasks.readout import ALPHAS, fit_classes, fit_labels, fit_values

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))


def test_classes_are_those_of_scikit_learn() -> None:
    codes = (X[:, 0] > 0).astype(np.int64) * 2
    ours = fit_classes(X, codes, 4, seed=0, strengths=(0.5,))(X)
    theirs = LogisticRegression(C=0.5, max_iter=500).fit(X, codes).predict_proba(X)
    np.testing.assert_allclose(ours[:, [0, 2]], theirs, atol=1e-6)
    assert (ours[:, [1, 3]] == 0).all()


def test_one_class_is_certain() -> None:
    out = fit_classes(X, np.full(60, 2), 3, seed=0, strengths=(1.0,))(X[:5])
    assert out.tolist() == [[0, 0, 1]] * 5


def test_the_strength_is_chosen_by_validation() -> None:
    noise = RNG.normal(size=(40, 200))
    codes = RNG.integers(0, 2, 40)
    chosen = fit_classes(noise, codes, 2, seed=0, strengths=(1e-4, 1e4))(RNG.normal(size=(50, 200)))
    assert abs(chosen - 0.5).max() < 0.2  # nothing to learn: the strongest shrinkage is best


def test_labels_are_learned_from_the_rows_that_know_them() -> None:
    value = torch.from_numpy((X[:, :3] > 0).astype(np.float32))
    seen = torch.ones(60, 3)
    seen[::2, 0], value[::2, 0] = 0, float("nan")
    seen[:, 2] = 0
    value[:, 1] = 1
    out = fit_labels(X, torch.stack([value, seen], 1), seed=0, strengths=(1.0,))(X)
    assert (out[:, 1] == 1).all()
    assert (out[:, 2] == 0.5).all()
    theirs = LogisticRegression(max_iter=500).fit(X[1::2], X[1::2, 0] > 0).predict_proba(X)[:, 1]
    np.testing.assert_allclose(out[:, 0], theirs, atol=1e-6)


def test_values_are_those_of_ridge_where_they_are_known() -> None:
    value = torch.from_numpy(np.stack([X @ [1, 2, 0, 0], X @ [0, 0, 1, 0], X[:, 0], X[:, 0]], 1)).float()
    seen = torch.ones(60, 4)
    seen[:30, 1], value[:30, 1] = 0, float("nan")
    seen[:, 2] = 0
    seen[1:, 3] = 0
    for features in (X, csr_matrix(X)):
        out = fit_values(features, torch.stack([value, seen], 1))(features)
        first = RidgeCV(alphas=ALPHAS).fit(X, value[:, 0].numpy()).predict(X)
        np.testing.assert_allclose(out[:, 0], first, atol=1e-4)
        second = RidgeCV(alphas=ALPHAS).fit(X[30:], value[30:, 1].numpy()).predict(X)
        np.testing.assert_allclose(out[:, 1], second, atol=1e-4)
        assert (out[:, 2] == 0).all()
        np.testing.assert_allclose(out[:, 3], float(value[0, 3]))
