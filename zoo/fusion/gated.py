"""Gated fusion: a weighted average of the modalities whose weights look at all of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.contract import Tokens
from zoo.fusion.base import FUSIONS, Fusion, Streams
from zoo.fusion.late import ModalityVectors, with_auxiliary


@FUSIONS.register
class GatedFusion(Fusion):
    """Average the modalities with gates computed from all of them, then add a small MLP of the average.

    g = softmax_m(MLP([z_1, ..., z_M])), z = sum_m g_m z_m, out = z + MLP(z). For two modalities this is the
    gate of cross-modal generative augmentation, g = sigmoid(MLP[z_v, z_t]), z = g z_v + (1 - g) z_t, as a
    softmax over two logits is the sigmoid of their difference. The softmax runs over the modalities that a
    row has; the others enter the gate's MLP as learned tokens.

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of every stream; 0 takes the largest of ``dims``.
        auxiliary: also expose every modality's projected vector as a stream.
        per_dimension: one gate a modality and dimension instead of one a modality.
        hidden: width of the hidden layers; 0 takes D.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(
        self,
        dims: dict[str, int],
        *,
        dim: int = 0,
        auxiliary: bool = False,
        per_dimension: bool = False,
        hidden: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(dims, dim, auxiliary)
        hidden = hidden or self.dim
        self.width = self.dim if per_dimension else 1
        self.vectors = ModalityVectors(dims, self.dim, missing=True)
        last = nn.Linear(hidden, len(dims) * self.width)
        # Gates start nearly equal: a gate that closes early hides a modality and with it all interactions.
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.gate = nn.Sequential(nn.Linear(len(dims) * self.dim, hidden), nn.GELU(), last)
        self.mlp = nn.Sequential(
            nn.Linear(self.dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, self.dim)
        )

    def gates(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Map vectors (B, M, D) and presence (B, M) to gates (B, M, D or 1) that sum to 1 over present modalities.

        Modalities are in sorted order. A row without any has gates of zero.
        """
        logits: Tensor = self.gate(self.vectors.fill(vectors, mask).flatten(1)).float()
        logits = logits.view(len(mask), mask.shape[1], self.width)
        shown = mask.unsqueeze(-1)
        # A finite floor, not -inf: a row without modalities then has a uniform softmax instead of NaN.
        gates = logits.masked_fill(~shown, torch.finfo(logits.dtype).min).softmax(1)
        return gates * shown

    def forward(self, tokens: dict[str, Tokens], present: dict[str, Tensor]) -> Streams:
        """Map packed Tokens and masks (B,) to the fused stream (B, D), and the modalities' if auxiliary."""
        vectors, mask = self.vectors(tokens, present)
        z = (self.gates(vectors, mask).to(vectors.dtype) * vectors).sum(1)
        fused = z + self.mlp(z)
        return with_auxiliary(fused, mask, self.vectors.streams(vectors, mask) if self.auxiliary else None)
