"""PixelComponentsEncoder: the directions in which training images differ, and a small network on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.contract import ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.components import PrincipalComponents
from zoo.errors import SpecError


@ENCODERS.register
class PixelComponentsEncoder(Encoder):
    """Map (N, C, H, W) images to one token (N, 1, D): principal components of the pixels, and a network on them.

    Of images that were taken in one pose, such as frontal X-rays of the chest, a linear map of a few dozen components
    tells as much as a network that is trained on two thousand of them ("eigenfaces": Turk and Pentland 1991), and
    costs next to nothing. The components are those of the training images and stay fixed.

    Args:
        spec: a modality of kind image.
        dim: D.
        components: number of components.
        hidden: width of a hidden layer; 0 for a linear map.
        dropout: rate on components and hidden layer.

    Raises:
        SpecError: a size is out of range.
    """

    kinds = ("image",)
    learns = True

    def __init__(
        self, spec: ModalitySpec, dim: int = 64, components: int = 80, hidden: int = 0, dropout: float = 0.1
    ) -> None:
        super().__init__(spec, dim)
        if dim < 1 or components < 1 or hidden < 0 or not 0 <= dropout < 1:
            raise SpecError(
                f"PixelComponentsEncoder: dim and components are positive, hidden is 0 or more and dropout lies in "
                f"[0, 1); got {dim}, {components}, {hidden}, {dropout}"
            )
        self.components = PrincipalComponents(spec.shape[0] * spec.shape[1] * spec.shape[2], components)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden:
            layers += [nn.Linear(components, hidden), nn.GELU(), nn.Dropout(dropout)]
        self.net = nn.Sequential(*layers, nn.Linear(hidden or components, dim))

    def learn(self, rows: Tensor) -> None:
        """Take the components of (M, C, H, W) training images."""
        self.components.learn(rows.flatten(1))

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to one token (N, 1, D) and a mask (N, 1) of True."""
        values = self.net(self.components(x.flatten(1))).unsqueeze(1)
        return values, torch.ones(values.shape[:2], dtype=torch.bool, device=x.device)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, C, H, W) to Tokens of one token a row."""
        values, mask = self.embed(x)
        return Tokens(values, mask, values[:, 0])
