"""Fusion by concatenation of one vector a modality, then an MLP (intermediate fusion; MultiMed, Eq. 3)."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.contract import Tokens
from zoo.fusion.base import FUSIONS, Fusion, Streams
from zoo.fusion.late import ModalityVectors, with_auxiliary


@FUSIONS.register
class ConcatFusion(Fusion):
    """Concatenate the projected vectors of all modalities and map them through an MLP.

    z = MLP([z_1, ..., z_M]), where z_m is the projected pooled vector of modality m, or a learned token where
    a row lacks it.

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of every stream; 0 takes the largest of ``dims``.
        auxiliary: also expose every modality's projected vector as a stream.
        hidden: width of the hidden layer; 0 takes 2 D.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(
        self, dims: dict[str, int], *, dim: int = 0, auxiliary: bool = False, hidden: int = 0, dropout: float = 0.1
    ) -> None:
        super().__init__(dims, dim, auxiliary)
        hidden = hidden or 2 * self.dim
        self.vectors = ModalityVectors(dims, self.dim, missing=True)
        self.mlp = nn.Sequential(
            nn.Linear(len(dims) * self.dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, self.dim)
        )

    def forward(self, tokens: dict[str, Tokens], present: dict[str, Tensor]) -> Streams:
        """Map packed Tokens and masks (B,) to the fused stream (B, D), and the modalities' if auxiliary."""
        vectors, mask = self.vectors(tokens, present)
        fused = self.mlp(self.vectors.fill(vectors, mask).flatten(1))
        return with_auxiliary(fused, mask, self.vectors.streams(vectors, mask) if self.auxiliary else None)
