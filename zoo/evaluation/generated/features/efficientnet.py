"""Features of EfficientNet-Lite0, whose weights come as an installed package."""

from __future__ import annotations

from zoo.encoders.frozen import BACKBONE, EFFICIENTNET
from zoo.encoders.frozen_network import frozen_image_network
from zoo.errors import SpecError
from zoo.evaluation.generated.features.base import FEATURE_NETWORKS, FeatureNetwork, Matrix, Pictures, chunks, run


@FEATURE_NETWORKS.register
class EfficientNetLite0(FeatureNetwork):
    """Pooled features (N, 1280) of EfficientNet-Lite0 (Tan and Le 2019), trained on photographs (ImageNet).

    Its distances are no FID: that name is of InceptionV3 with the weights of 2015. Vectors are rounded to float16.

    Args:
        side: edge in pixels that images are brought to.
        weights: ``package:NAME`` of the weights, or a file of weights in timm's names.

    Raises:
        SpecError: ``side`` is below 32, or the weights do not fit.
        MissingExtraError: the package of the weights is not installed.
    """

    def __init__(self, *, side: int = 160, weights: str = EFFICIENTNET) -> None:
        if side < 32:
            raise SpecError(f"EfficientNetLite0: side must be 32 pixels at least, got {side}")
        self.side = side
        self._network = frozen_image_network(BACKBONE, weights, side)

    def __call__(self, images: Pictures) -> Matrix:
        """Map N images (H, W) or (H, W, 3), bytes, to (N, 1280)."""
        return run(lambda x: self._network(2 * x - 1), chunks(images, self.side, 3))
