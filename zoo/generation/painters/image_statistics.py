"""How near made images are to real ones: Frechet distance of features, and a feature set that needs no weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError

Floats = npt.NDArray[np.float64]
Images = Sequence[npt.NDArray[np.uint8]]
Features = Callable[[Images], npt.ArrayLike]
"""What turns N images (H, W, 3) uint8 into (N, F) numbers."""
COVARIANCES = ("ledoit_wolf", "empirical")


def gaussian_frechet(
    mean_a: npt.ArrayLike, cov_a: npt.ArrayLike, mean_b: npt.ArrayLike, cov_b: npt.ArrayLike
) -> float:
    """Squared Frechet distance of two Gaussians (Dowson and Landau 1982; FID, Heusel et al. 2017, equation 6).

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)). The root's trace is taken from the eigenvalues of the symmetric
    C_a^(1/2) C_b C_a^(1/2), which are real and not negative whatever the rank, so that it is never NaN or complex.

    Args:
        mean_a: (F,) mean of the first Gaussian.
        cov_a: (F, F) covariance of the first.
        mean_b: (F,) mean of the second.
        cov_b: (F, F) covariance of the second.

    >>> gaussian_frechet([0.0], [[1.0]], [3.0], [[4.0]])
    10.0
    """
    a, b = np.asarray(cov_a, dtype=np.float64), np.asarray(cov_b, dtype=np.float64)
    shift = np.asarray(mean_a, dtype=np.float64) - np.asarray(mean_b, dtype=np.float64)
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(min=0)).sum()
    return max(float(shift @ shift + np.trace(a) + np.trace(b) - 2 * mixed), 0.0)


def frechet_distance(real: npt.ArrayLike, made: npt.ArrayLike, covariance: str = "ledoit_wolf") -> float:
    """Squared Frechet distance between two sets of features, (N, F) and (M, F), as if they were Gaussian.

    With few rows it is too high by an amount that depends on N, M and F: compare only distances of equal numbers, and
    name that of two halves of the real set beside it.

    Args:
        real: features of real images.
        made: features of made images.
        covariance: "ledoit_wolf" shrinks each covariance toward a multiple of the identity by the amount that
            Ledoit and Wolf 2004 estimate from the rows, which keeps it of full rank with fewer rows than features;
            "empirical" is the maximum-likelihood estimate.

    Raises:
        SpecError: an unknown covariance.
        DataError: the sets differ in F, have fewer than two rows, or hold a NaN or an infinity.
    """
    if covariance not in COVARIANCES:
        raise SpecError(f"covariance {covariance!r} is unknown; known: {COVARIANCES}")
    sets = {"real": _checked("real", real), "made": _checked("made", made)}
    if sets["real"].shape[1] != sets["made"].shape[1]:
        raise DataError(f"features of real images are {sets['real'].shape[1]} wide, of made {sets['made'].shape[1]}")
    from sklearn.covariance import empirical_covariance, ledoit_wolf

    spread = (lambda x: ledoit_wolf(x)[0]) if covariance == "ledoit_wolf" else empirical_covariance
    (mean_a, cov_a), (mean_b, cov_b) = ((x.mean(0), spread(x)) for x in sets.values())
    return gaussian_frechet(mean_a, cov_a, mean_b, cov_b)


def image_frechet(real: Images, made: Images, features: Features, covariance: str = "ledoit_wolf") -> float:
    """Squared Frechet distance between two sets of images under ``features`` (see frechet_distance).

    Args:
        real: real images, uint8.
        made: generated images, uint8.
        features: maps images to (N, F) features.
        covariance: how covariances are estimated, see frechet_distance.
    """
    return frechet_distance(features(real), features(made), covariance)


def _checked(name: str, features: npt.ArrayLike) -> Floats:
    array = np.asarray(features, dtype=np.float64)
    if array.ndim != 2 or len(array) < 2:
        raise DataError(f"features of {name} images must be (N, F) with 2 rows at least, got shape {array.shape}")
    broken = np.flatnonzero(~np.isfinite(array).all(1))
    if len(broken):
        raise DataError(
            f"{len(broken)} of {len(array)} rows of the {name} features hold a NaN or infinity", row=broken[0]
        )
    return array


class ColourFeatures:
    """Map images to mean and spread of each colour and to principal components of their thumbnails, all standardised.

    Fitted on real training images once and frozen; needs no pretrained network.

    Args:
        images: real training images, (H, W) or (H, W, 3) uint8.
        components: principal components, at most the number of images.
        size: edge of the thumbnails in pixels.
        seed: of the decomposition.
    """

    def __init__(self, images: Images, *, components: int = 16, size: int = 16, seed: int = 0) -> None:
        from sklearn.decomposition import PCA

        if len(images) < 2:
            raise DataError(f"ColourFeatures needs 2 images at least, got {len(images)}")
        self.size = size
        flat = self._thumbnails(images)
        self.pca: Any = PCA(min(components, *flat.shape), random_state=seed, svd_solver="full").fit(flat)
        raw = self._raw(flat)
        self.mean, self.scale = raw.mean(0), np.where(raw.std(0) > 0, raw.std(0), 1.0)

    def __call__(self, images: Images) -> Floats:
        """Return (N, 6 + components) features."""
        standard: Floats = (self._raw(self._thumbnails(images)) - self.mean) / self.scale
        return standard

    def _thumbnails(self, images: Images) -> Floats:
        from zoo.generation.painters.pixels import resized

        return np.stack([resized(i, self.size).reshape(-1) for i in images]).astype(np.float64) / 255

    def _raw(self, flat: Floats) -> Floats:
        colours = flat.reshape(len(flat), -1, 3)
        return np.concatenate([colours.mean(1), colours.std(1), self.pca.transform(flat)], axis=1)
