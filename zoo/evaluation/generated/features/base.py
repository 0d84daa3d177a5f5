"""What a network of features is: it turns images into one vector each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.baselines.images import squares
from zoo.errors import DataError
from zoo.registry import Registry

Pictures = Sequence[npt.NDArray[np.uint8]]
"""N images, each (H, W) or (H, W, 3) bytes."""
Matrix = npt.NDArray[np.float64]
Features = Callable[[Pictures], npt.ArrayLike]
"""Maps N images to (N, F) numbers: any callable will do, such as the last layer of a classifier that was trained."""
CHUNK = 32
"""Images that go through a network at once."""


class FeatureNetwork(ABC):
    """Map images to features by a published network. A registered one can be asked for by its name."""

    @abstractmethod
    def __call__(self, images: Pictures) -> Matrix:
        """Map N images (H, W) or (H, W, 3), bytes, to (N, F)."""


FEATURE_NETWORKS: Registry[FeatureNetwork] = Registry("feature network", "evaluation.generated.features")


def feature_network(features: str | Features, **options: Any) -> Features:
    """Return a network of features by its name, or the callable that was given.

    Args:
        features: name of a registered network, or any callable that maps images to (N, F).
        options: of the constructor of a named network, such as ``weights``.

    Raises:
        UnknownNameError: no network has that name.

    >>> feature_network(len) is len
    True
    """
    return FEATURE_NETWORKS.get(features)(**options) if isinstance(features, str) else features


def features_of(features: Features, images: Pictures, name: str = "images") -> Matrix:
    """Map images to features, and refuse what is no (N, F) table of finite numbers.

    Args:
        features: maps N images to (N, F).
        images: to be mapped.
        name: of the images, for errors.

    Raises:
        DataError: an image is not of bytes, or what comes back is not one finite vector an image.

    >>> features_of(lambda images: [[i.mean()] for i in images], [np.full((2, 2), 7, np.uint8)])
    array([[7.]])
    """
    for row, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise DataError(
                f"{name} must be (H, W) or (H, W, 3) bytes (uint8), got {image.dtype} of shape {image.shape}; scale "
                "them to 0..255 first",
                row=row,
            )
    return checked(name, features(images), rows=len(images))


def checked(name: str, features: npt.ArrayLike, *, rows: int = 0) -> Matrix:
    """Return features as (N, F) float64.

    Args:
        name: of the rows, for errors.
        features: (N, F).
        rows: N that is expected; 0 for any.

    Raises:
        DataError: the shape is another one, or a number is not finite.
    """
    found = np.asarray(features, dtype=np.float64)
    if found.ndim != 2 or (rows and len(found) != rows) or not found.shape[1]:
        expected = f"({rows}, F)" if rows else "(N, F)"
        raise DataError(f"features of {name} must be {expected} with F of 1 or more, got shape {found.shape}")
    broken = np.flatnonzero(~np.isfinite(found).all(1))
    if len(broken):
        raise DataError(
            f"{len(broken)} of {len(found)} rows of the features of {name} hold a NaN or an infinity; leave them out "
            "or mend the network",
            row=int(broken[0]),
        )
    return found


def chunks(images: Pictures, side: int, channels: int) -> Iterator[Tensor]:
    """Batches (B, channels, side, side) in [0, 1] of images, squeezed to a square by averaging.

    Args:
        images: bytes of any size, grey or coloured.
        side: in pixels.
        channels: 1 or 3.
    """
    for start in range(0, len(images), CHUNK):
        yield squares(images[start : start + CHUNK], side, channels).float() / 255


def run(network: Callable[[Tensor], Tensor], batches: Iterator[Tensor]) -> Matrix:
    """(N, F) of what a network makes of batches, without gradients."""
    with torch.inference_mode():
        rows = [network(x).flatten(1).double().cpu().numpy() for x in batches]
    return np.concatenate(rows) if rows else np.zeros((0, 1))
