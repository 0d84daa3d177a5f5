"""Early fusion: shallow embeddings of all modalities in one sequence through one trunk (MultiMed, Eq. 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from zoo.contract import Tokens
from zoo.errors import SpecError
from zoo.fusion.base import FUSIONS, Fusion, Streams
from zoo.fusion.late import TOKEN_SCALE, ModalityVectors, presence, with_auxiliary


def pool_tokens(values: Tensor, mask: Tensor, max_tokens: int) -> tuple[Tensor, Tensor]:
    """Average adjacent real tokens of (N, L, D), mask (N, L), until no row has more than ``max_tokens``.

    A row of n > max_tokens real tokens puts its r-th one into bin floor(r * max_tokens / n), so the result
    depends on the row alone, not on how far it was padded. With L <= max_tokens nothing changes.

    Args:
        values: (N, L, D) tokens.
        mask: (N, L) True where a token is real.
        max_tokens: most tokens that a row may keep.

    >>> x = torch.tensor([[[1.0], [3.0], [5.0], [9.0]]])
    >>> values, mask = pool_tokens(x, torch.tensor([[True, True, True, False]]), 2)
    >>> values.squeeze().tolist(), mask.tolist()
    ([2.0, 5.0], [[True, True]])
    """
    if values.shape[1] <= max_tokens:
        return values, mask
    count = mask.sum(1, keepdim=True)
    rank = (mask.long().cumsum(1) - 1).clamp_min(0)
    bins = torch.where(count > max_tokens, rank * max_tokens // count.clamp_min(1), rank)
    bins = bins.clamp_max(max_tokens - 1)
    weight = mask.to(values.dtype)
    width = (len(values), max_tokens)
    total = values.new_zeros((*width, values.shape[2]))
    clean = values.masked_fill(~mask.unsqueeze(-1), 0.0)
    total = total.scatter_add(1, bins.unsqueeze(-1).expand_as(values), clean)
    number = values.new_zeros(width).scatter_add(1, bins, weight)
    return total / number.clamp_min(1.0).unsqueeze(-1), number > 0


def length_groups(lengths: Tensor) -> list[tuple[Tensor, int]]:
    """Split rows by length (B,) into groups (rows, longest), so that short rows do not pay for long ones.

    Lengths in a group are within a factor of two.

    >>> [(rows.tolist(), width) for rows, width in length_groups(torch.tensor([3, 40, 4, 33]))]
    [([0, 2], 4), ([1, 3], 40)]
    """
    groups: dict[int, list[int]] = {}
    sizes = lengths.tolist()
    for row, size in enumerate(sizes):
        groups.setdefault((size - 1).bit_length(), []).append(row)
    return [
        (torch.tensor(rows, device=lengths.device), max(sizes[r] for r in rows)) for _, rows in sorted(groups.items())
    ]


def check_heads(fusion: Fusion, heads: int, depth: int, max_tokens: int) -> None:
    """Raise SpecError where sizes of a transformer cannot be used.

    Args:
        fusion: whose width is checked.
        heads: number of attention heads; the width must be a multiple of it.
        depth: number of layers, at least 1.
        max_tokens: most tokens of a modality, at least 1.
    """
    name = type(fusion).__name__
    if heads < 1 or fusion.dim % heads:
        raise SpecError(f"{name}: dim {fusion.dim} is not a multiple of heads {heads}; change dim or heads")
    if depth < 1 or max_tokens < 1:
        raise SpecError(f"{name}: depth and max_tokens must be at least 1, got {depth} and {max_tokens}")


class TokenPacker(nn.Module):
    """Make one sequence a row of the tokens of whatever modalities the row has.

    The first token of every sequence is a learned start token plus the mean of the learned missing tokens of
    the modalities that the row lacks: an absence is seen, but costs nothing, so the length follows what is
    there. Modalities are held in sorted order, so that nothing depends on the order of ``dims``.

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of the result.
        max_tokens: most tokens a modality brings; longer lists are pooled (see pool_tokens).
    """

    def __init__(self, dims: Mapping[str, int], dim: int, max_tokens: int) -> None:
        super().__init__()
        self.order = tuple(sorted(dims))
        self.max_tokens = max_tokens
        self.project = nn.ModuleDict({m: nn.Linear(dims[m], dim) for m in self.order})
        self.modality = nn.Parameter(torch.randn(len(self.order), dim) * TOKEN_SCALE)
        self.missing = nn.Parameter(torch.randn(len(self.order), dim) * TOKEN_SCALE)
        self.start = nn.Parameter(torch.randn(dim) * TOKEN_SCALE)

    def _first(self, mask: Tensor) -> Tensor:
        absent = (~mask).to(self.missing.dtype)
        return self.start + absent @ self.missing / absent.sum(1, keepdim=True).clamp_min(1.0)

    def _flat(self, name: str, i: int, tokens: Mapping[str, Tokens], mask: Tensor) -> tuple[Tensor, Tensor]:
        layer = cast(nn.Linear, self.project[name])
        if name not in tokens:  # runs on no tokens, so that its parameters join the graph (DDP)
            return layer(layer.weight.new_zeros((0, layer.in_features))) + self.modality[i], mask.new_zeros(0).long()
        values, real = pool_tokens(tokens[name].values, tokens[name].mask, self.max_tokens)
        rows = mask[:, i].nonzero().squeeze(1)
        # index_select and index_copy throughout: the backward of plain indexing is several times slower.
        place = real.flatten().nonzero().squeeze(1)
        chosen = values.flatten(0, 1).index_select(0, place)
        return layer(chosen) + self.modality[i], rows[place // max(real.shape[1], 1)]

    def forward(self, tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Map packed Tokens and masks (B,) to sequences (B, L, D), lengths (B,) and presence (B, M).

        L is the longest sequence of the batch; a row's real tokens come first.
        """
        mask = presence(self.order, tokens, present)
        parts = [(self._first(mask), torch.arange(len(mask), device=mask.device))]
        parts += [self._flat(m, i, tokens, mask) for i, m in enumerate(self.order)]
        rows = torch.cat([r for _, r in parts])
        rows, order = rows.sort(stable=True)
        values = torch.cat([v.to(parts[-1][0].dtype) for v, _ in parts]).index_select(0, order)
        lengths = torch.zeros_like(parts[0][1]).index_add(0, rows, torch.ones_like(rows))
        place = torch.arange(len(rows), device=rows.device) - (lengths.cumsum(0) - lengths)[rows]
        longest = int(lengths.max()) if len(lengths) else 1
        packed = values.new_zeros((len(mask) * longest, values.shape[1])).index_copy(
            0, rows * longest + place, values
        )
        return packed.view(len(mask), longest, values.shape[1]), lengths, mask

    def fused(
        self,
        tokens: Mapping[str, Tokens],
        present: Mapping[str, Tensor],
        read: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Map packed Tokens and masks (B,) to vectors (B, D) and presence (B, M).

        Args:
            tokens: modality -> its packed tokens.
            present: modality -> (B,) mask.
            read: maps n sequences (n, L, D) of about one length, and a mask (n, L) of padding, to vectors (n, D).
        """
        packed, lengths, mask = self(tokens, present)
        groups = length_groups(lengths)
        if not groups:
            return packed.new_zeros((0, packed.shape[-1])), mask
        parts = [read(packed.index_select(0, r)[:, :width], padding(lengths[r], width)) for r, width in groups]
        return torch.cat(parts).index_select(0, torch.cat([rows for rows, _ in groups]).argsort()), mask


def padding(lengths: Tensor, width: int) -> Tensor:
    """(B, width) bool, True past each row's length, as torch's attention layers expect."""
    return torch.arange(width, device=lengths.device) >= lengths.unsqueeze(1)


class Block(nn.Module):
    """Pre-norm transformer layer whose queries may be fewer than the tokens they read.

    Dropout acts on the two residual branches only: on attention weights it would cost more than the attention.

    Args:
        dim: D.
        heads: number of attention heads; divides D.
        dropout: probability of dropping an output of a branch.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor, hidden: Tensor) -> Tensor:
        """Let x (B, Q, D) read the context (B, L, D) where ``hidden`` (B, L) is False; gives (B, Q, D).

        Args:
            x: (B, Q, D) queries.
            context: (B, L, D) tokens that they read.
            hidden: (B, L) True where a token must not be read.
        """
        q = self.query(self.norm_attention(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        kv = self.key_value(self.norm_attention(context)).unflatten(-1, (2, self.heads, -1))
        k, v = kv.permute(2, 0, 3, 1, 4)
        read = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=~hidden[:, None, None])
        x = x + self.dropout(self.out(read.transpose(1, 2).flatten(2)))
        result: Tensor = x + self.dropout(self.mlp(self.norm_mlp(x)))
        return result


@FUSIONS.register
class EarlyFusion(Fusion):
    """Read the shallow embeddings of all modalities as one sequence through one shared transformer.

    Tokens are ``Encoder.embed`` values; each gets its modality's projection and learned embedding. The fused
    vector is the first token's (see TokenPacker) after the trunk, a pre-norm transformer encoder.

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of every stream; 0 takes the largest of ``dims``.
        auxiliary: also expose every modality's projected pooled vector as a stream.
        depth: number of transformer layers.
        heads: number of attention heads; divides D.
        dropout: dropout of the transformer.
        max_tokens: most tokens a modality brings; longer lists are averaged over adjacent tokens.
    """

    reads_embeddings = True

    def __init__(
        self,
        dims: dict[str, int],
        *,
        dim: int = 0,
        auxiliary: bool = False,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        max_tokens: int = 64,
    ) -> None:
        super().__init__(dims, dim, auxiliary)
        check_heads(self, heads, depth, max_tokens)
        self.packer = TokenPacker(dims, self.dim, max_tokens)
        self.layers = nn.ModuleList(Block(self.dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(self.dim)
        self.vectors = ModalityVectors(dims, self.dim, missing=False) if auxiliary else None

    def forward(self, tokens: dict[str, Tokens], present: dict[str, Tensor]) -> Streams:
        """Map packed Tokens and masks (B,) to the fused stream (B, D), and the modalities' if auxiliary."""
        vector, mask = self.packer.fused(tokens, present, self._read)
        auxiliary = None if self.vectors is None else self.vectors.streams(*self.vectors(tokens, present))
        return with_auxiliary(vector, mask, auxiliary)

    def _read(self, x: Tensor, hidden: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x, x, hidden)
        x = self.layers[-1](x[:, :1], x, hidden)  # only the first token is read
        vector: Tensor = self.norm(x[:, 0])
        return vector
