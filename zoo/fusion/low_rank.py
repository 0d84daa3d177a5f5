"""Low-rank multimodal fusion (Liu et al., ACL 2018): the tensor product of all modalities, factorised."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.contract import Tokens
from zoo.errors import SpecError
from zoo.fusion.base import FUSIONS, Fusion, Streams
from zoo.fusion.late import ModalityVectors, with_auxiliary


@FUSIONS.register
class LowRankFusion(Fusion):
    """Multiply one linear map a modality, sum over ranks: z = sum_r prod_m W_m^(r) [z_m; 1].

    A row's absent modalities enter as learned tokens. A product of many factors overflows or vanishes unless
    they stay near one, so: z_m is layer-normalised, W_m starts as a bias of one plus weights of variance
    1 / (M D) (the product then has a variance of (1 + 1/M)^M - 1 < e - 1 for any M), products are in float32,
    and the sum is layer-normalised.

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of every stream; 0 takes the largest of ``dims``.
        auxiliary: also expose every modality's projected vector as a stream.
        rank: number of summed products.
    """

    def __init__(self, dims: dict[str, int], *, dim: int = 0, auxiliary: bool = False, rank: int = 4) -> None:
        super().__init__(dims, dim, auxiliary)
        if rank < 1:
            raise SpecError(f"LowRankFusion: rank must be at least 1, got {rank}")
        if self.dim < 2:
            raise SpecError(f"LowRankFusion: dim must be at least 2, as it is layer-normalised; got {self.dim}")
        count = len(dims)
        self.vectors = ModalityVectors(dims, self.dim, missing=True)
        self.norm_in = nn.LayerNorm(self.dim)
        self.weight = nn.Parameter(torch.randn(count, self.dim, rank * self.dim) * (count * self.dim) ** -0.5)
        self.bias = nn.Parameter(torch.ones(count, rank * self.dim))
        self.norm_out = nn.LayerNorm(self.dim)
        self.rank = rank

    def product(self, vectors: Tensor) -> Tensor:
        """Map (B, M, D) to sum_r prod_m W_m^(r) [z_m; 1], (B, D), in float32; modalities in sorted order."""
        factors = torch.einsum("bmd,mdk->mbk", vectors, self.weight.to(vectors.dtype)).float()
        factors = factors + self.bias.unsqueeze(1)
        result = factors[0]
        for factor in factors[1:]:  # torch.prod would look for zeros on the host in backward
            result = result * factor
        return result.view(len(result), self.rank, self.dim).sum(1)

    def forward(self, tokens: dict[str, Tokens], present: dict[str, Tensor]) -> Streams:
        """Map packed Tokens and masks (B,) to the fused stream (B, D), and the modalities' if auxiliary."""
        vectors, mask = self.vectors(tokens, present)
        fused = self.norm_out(self.product(self.norm_in(self.vectors.fill(vectors, mask))))
        return with_auxiliary(fused, mask, self.vectors.streams(vectors, mask) if self.auxiliary else None)
