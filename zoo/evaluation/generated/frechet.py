"""Frechet distance of two sets of features, as if each were Gaussian."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, unknown_name
from zoo.evaluation.generated.features.base import Matrix, checked
from zoo.generation.painters.image_statistics import gaussian_frechet

Covariance = Literal["empirical", "ledoit_wolf"]
COVARIANCES = ("empirical", "ledoit_wolf")


def frechet(real: npt.ArrayLike, made: npt.ArrayLike, *, covariance: Covariance = "empirical") -> float:
    """Squared Frechet distance of two Gaussians with the means and covariances of two sets of features, in float64.

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Dowson and Landau 1982; Heusel et al., NeurIPS 2017, equation
    6). With centred features A and B, each over (rows - 1)^(1/2), the trace of the root is the sum of the singular
    values of A B^T. Taken so, nothing is squared that a root is taken of later, and covariances of fewer rows than
    features are no special case.

    With few rows it is too high, by an amount that depends on their number (Binkowski et al., ICLR 2018, appendix
    D): see ``zoo.evaluation.generated.distance``, which names the distance of real rows from real rows beside it.

    Args:
        real: (N, F) features of real rows.
        made: (M, F) features of made rows.
        covariance: "empirical" divides by rows - 1; "ledoit_wolf" shrinks each covariance toward a multiple of the
            identity (Ledoit and Wolf 2004), which makes another distance that compares only with its own kind.

    Raises:
        UnknownNameError: an unknown covariance.
        DataError: the sets differ in F, have fewer than two rows, or hold a NaN or an infinity.

    >>> round(frechet([[-1.0], [1.0]], [[1.0], [5.0]]), 9)
    11.0
    """
    if covariance not in COVARIANCES:
        raise unknown_name("covariance", covariance, COVARIANCES)
    a, b = checked_pair(real, made)
    if covariance == "ledoit_wolf":
        from sklearn.covariance import ledoit_wolf

        return gaussian_frechet(a.mean(0), ledoit_wolf(a)[0], b.mean(0), ledoit_wolf(b)[0])
    shift = a.mean(0) - b.mean(0)
    first, second = _scaled(a), _scaled(b)
    root = np.linalg.svd(_smaller(first) @ _smaller(second).T, compute_uv=False).sum()
    return max(float(shift @ shift + (first**2).sum() + (second**2).sum() - 2 * root), 0.0)


def checked_pair(real: npt.ArrayLike, made: npt.ArrayLike) -> tuple[Matrix, Matrix]:
    """Return two sets of features as float64.

    Raises:
        DataError: the sets differ in F, have fewer than two rows, or hold a NaN or an infinity.
    """
    a, b = checked("real rows", real), checked("made rows", made)
    if a.shape[1] != b.shape[1]:
        raise DataError(f"features of real rows are {a.shape[1]} wide, of made rows {b.shape[1]}; use one network")
    if min(len(a), len(b)) < 2:
        raise DataError(f"a distance of sets needs 2 rows in each at least, got {len(a)} real and {len(b)} made")
    return a, b


def _scaled(features: Matrix) -> Matrix:
    """Centred rows over (rows - 1)^(1/2): A^T A is the covariance."""
    centred: Matrix = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return centred


def _smaller(rows: Matrix) -> Matrix:
    """At most F rows with the same A^T A, so that the singular values of A B^T stay what they are."""
    if len(rows) <= rows.shape[1]:
        return rows
    smaller: Matrix = np.asarray(np.linalg.qr(rows, mode="r"))
    return smaller
