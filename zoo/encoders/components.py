"""PrincipalComponents: a fixed projection of many features on the few directions in which training rows differ.

Of a few hundred proteins or molecules a linear map of thousands of counts learns which rare count belongs to which
row. Their principal components are few, and rows that were never seen lie among those that were.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOST = 2000
"""Rows that components are learned from at most, evenly spaced."""


class PrincipalComponents(nn.Module):
    """Map (N, F) features to (N, K) components of the training rows.

    They are centred, the first explains most. A component is divided by the square root of its deviation, half way
    between the components as they are and whitened ones, and all of them have a mean square of 1 together. Before
    ``learn`` the projection is a random one.

    Args:
        width: F.
        number: K.
    """

    mean: Tensor
    map: Tensor

    def __init__(self, width: int, number: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("map", torch.randn(width, number, generator=torch.Generator().manual_seed(0)))

    @torch.no_grad()
    def learn(self, features: Tensor) -> None:
        """Take the components of (M, F) features; where there are fewer than K, the others are 0."""
        if len(features) > MOST:
            features = features[torch.linspace(0, len(features) - 1, MOST).round().long().to(features.device)]
        mean = features.double().mean(0)
        centred = features.double() - mean
        values, vectors = torch.linalg.eigh(centred @ centred.T)  # ascending; there are far more features than rows
        number = min(self.map.shape[1], len(features))
        values, vectors = values.flip(0)[:number], vectors.flip(1)[:, :number]
        real = values > 1e-9 * values.sum()
        size = values.clamp_min(1e-30).sqrt()  # deviation times the root of M
        # Turn the sign so that the result does not depend on the library: the largest entry is positive.
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        axes = centred.T @ (vectors * largest.sign() / size) * size.rsqrt() * real
        spread = (centred @ axes).square().mean().sqrt().clamp_min(1e-30)
        self.mean.copy_(mean)
        self.map.zero_()
        self.map[:, :number] = (axes / spread).to(self.map.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, F) to (N, K)."""
        return (x - self.mean) @ self.map
