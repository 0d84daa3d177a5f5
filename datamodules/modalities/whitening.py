"""Whitening of the trials of one recording, so that subjects and days become alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RANK = 1e-10
"""Directions with less than this share of the largest variance are left out."""


def euclidean_alignment(trials: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Compute the matrix that makes the mean covariance over trials the identity (Euclidean alignment).

    He and Wu, Transfer learning for brain-computer interfaces: a Euclidean space data alignment approach, IEEE Trans.
    Biomed. Eng. 67:399, 2020: R^(-1/2), where R is the mean of X X' / T over trials X. No label is used.

    Args:
        trials: (N, C, T) of one recording.

    Returns:
        (C, C), to multiply each trial by from the left. What has no variance, such as the mean over channels after a
        common average reference, becomes 0.

    >>> x = np.array([[[2.0, -2.0], [0.0, 0.0]], [[0.0, 0.0], [-4.0, 4.0]]])
    >>> euclidean_alignment(x).round(3).tolist()
    [[0.707, 0.0], [0.0, 0.354]]
    """
    x = np.asarray(trials, dtype=np.float64)
    mean = np.einsum("nct,ndt->cd", x, x) / (len(x) * x.shape[-1])
    variances, directions = np.linalg.eigh(mean)
    kept = variances > RANK * max(float(variances.max(initial=0.0)), np.finfo(np.float64).tiny)
    inverse = np.where(kept, 1 / np.sqrt(np.where(kept, variances, 1.0)), 0.0)
    return np.asarray((directions * inverse) @ directions.T)
