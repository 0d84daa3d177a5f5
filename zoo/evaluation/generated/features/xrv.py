"""Features of a classifier of chest X-rays of TorchXRayVision, from weights that the user has."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import DataError, MissingExtraError
from zoo.evaluation.generated.features.base import FEATURE_NETWORKS, FeatureNetwork, Matrix, Pictures, chunks, run
from zoo.evaluation.generated.features.weights import read_state

RANGE = 1024.0
"""TorchXRayVision's networks see grey values from -1024 to 1024."""


@FEATURE_NETWORKS.register
class XRayDenseNet(FeatureNetwork):
    """Pooled features (N, 1024) of the DenseNet-121 of TorchXRayVision (Cohen et al., MIDL 2022), of chest X-rays.

    The paper of XGeM names the distance in these features FID (XRV). Needs the extra ``xrays``. Nothing is
    downloaded: save the weights once, where there is a network, by
    ``torch.save(torchxrayvision.models.DenseNet(weights="densenet121-res224-all").state_dict(), "xrv.pt")``.

    Args:
        weights: file of the state of that network.

    Raises:
        MissingExtraError: the library is not installed.
        DataError: the file is not there, or is not of this network.
    """

    side = 224

    def __init__(self, *, weights: str | Path) -> None:
        state = read_state(weights, "torchxrayvision.models.DenseNet")
        try:
            from torchxrayvision.models import DenseNet
        except ImportError as error:
            raise MissingExtraError("torchxrayvision", "xrays") from error
        state.pop("op_threshs", None)
        if "classifier.weight" not in state:
            raise DataError("these are not the weights of torchxrayvision.models.DenseNet", file=weights)
        network = DenseNet(num_classes=len(state["classifier.weight"]))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise DataError("these are not the weights of torchxrayvision.models.DenseNet", file=weights) from error
        self._network = network.requires_grad_(False).eval()

    def __call__(self, images: Pictures) -> Matrix:
        """Map N images (H, W) or (H, W, 3), bytes, to (N, 1024); colours are averaged."""
        grey = (x.mean(1, keepdim=True) for x in chunks(images, self.side, 3))
        return run(lambda x: self._network.features2((2 * x - 1) * RANGE), grey)
