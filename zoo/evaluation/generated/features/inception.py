"""Features of InceptionV3, from weights that the user has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.errors import DataError
from zoo.evaluation.generated.features.base import FEATURE_NETWORKS, FeatureNetwork, Matrix, Pictures, chunks, run
from zoo.evaluation.generated.features.weights import read_state

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of each channel of ImageNet, which torchvision's weights were trained with."""


@FEATURE_NETWORKS.register
class InceptionV3(FeatureNetwork):
    """Pooled features (N, 2048) of InceptionV3 (Szegedy et al. 2016) with torchvision's weights.

    Published FIDs (Heusel et al. 2017) use other weights of the same network, ported from TensorFlow, so that values
    of this one compare with each other only.

    Args:
        weights: file of the state of ``torchvision.models.inception_v3``, such as
            ``inception_v3_google-0cc3c7bd.pth``. Nothing is downloaded.

    Raises:
        DataError: the file is not there, or is not of this network.
    """

    side = 299

    def __init__(self, *, weights: str | Path) -> None:
        from torchvision.models import inception_v3

        network: Any = inception_v3(weights=None, aux_logits=True, init_weights=False, transform_input=False)
        state = read_state(weights, "torchvision.models.inception_v3")
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise DataError(
                "these are not the weights of torchvision.models.inception_v3; save its state_dict()", file=weights
            ) from error
        network.fc = nn.Identity()
        self._network = network.requires_grad_(False).eval()
        self._mean = torch.tensor(MEAN).view(-1, 1, 1)
        self._deviation = torch.tensor(DEVIATION).view(-1, 1, 1)

    def __call__(self, images: Pictures) -> Matrix:
        """Map N images (H, W) or (H, W, 3), bytes, to (N, 2048)."""
        return run(lambda x: self._network((x - self._mean) / self._deviation), chunks(images, self.side, 3))
