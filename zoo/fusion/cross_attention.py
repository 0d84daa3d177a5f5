"""Cross-attention fusion: a few learned queries read the tokens of all modalities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.contract import Tokens
from zoo.errors import SpecError
from zoo.fusion.base import FUSIONS, Fusion, Streams
from zoo.fusion.early import Block, TokenPacker, check_heads
from zoo.fusion.late import TOKEN_SCALE, ModalityVectors, with_auxiliary


@FUSIONS.register
class CrossAttentionFusion(Fusion):
    """Let learned queries attend to the deep tokens of all modalities that a row has, and to each other.

    Each layer is one attention of the queries over themselves and the row's tokens, then an MLP (a Perceiver,
    Jaegle et al. 2021, whose self-attention is joined to its cross-attention). The final queries are
    concatenated and projected. The cost is linear in the number of tokens. Absent modalities are seen through
    the first token (see TokenPacker).

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of every stream; 0 takes the largest of ``dims``.
        auxiliary: also expose every modality's projected pooled vector as a stream.
        queries: number of learned queries.
        depth: number of layers.
        heads: number of attention heads; divides D.
        dropout: dropout of the layers.
        max_tokens: most tokens a modality brings; longer lists are averaged over adjacent tokens.
    """

    def __init__(
        self,
        dims: dict[str, int],
        *,
        dim: int = 0,
        auxiliary: bool = False,
        queries: int = 4,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        max_tokens: int = 64,
    ) -> None:
        super().__init__(dims, dim, auxiliary)
        check_heads(self, heads, depth, max_tokens)
        if queries < 1:
            raise SpecError(f"CrossAttentionFusion: queries must be at least 1, got {queries}")
        self.packer = TokenPacker(dims, self.dim, max_tokens)
        self.queries = nn.Parameter(torch.randn(queries, self.dim) * TOKEN_SCALE)
        self.layers = nn.ModuleList(Block(self.dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(self.dim)
        self.out = nn.Linear(queries * self.dim, self.dim)
        self.vectors = ModalityVectors(dims, self.dim, missing=False) if auxiliary else None

    def forward(self, tokens: dict[str, Tokens], present: dict[str, Tensor]) -> Streams:
        """Map packed Tokens and masks (B,) to the fused stream (B, D), and the modalities' if auxiliary."""
        vector, mask = self.packer.fused(tokens, present, self._read)
        auxiliary = None if self.vectors is None else self.vectors.streams(*self.vectors(tokens, present))
        return with_auxiliary(vector, mask, auxiliary)

    def _read(self, memory: Tensor, hidden: Tensor) -> Tensor:
        hidden = torch.cat([hidden.new_zeros((len(memory), len(self.queries))), hidden], 1)
        x = self.queries.to(memory.dtype).expand(len(memory), -1, -1)
        for layer in self.layers:
            x = layer(x, torch.cat([x, memory], 1), hidden)
        vector: Tensor = self.out(self.norm(x).flatten(1))
        return vector
