"""SCBERTEncoder: latent queries that read genes, at a cost linear in their number."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import Trunk, check_heads, load_own
from zoo.errors import SpecError

TARGET_COUNTS = 1e4
"""Counts a cell is scaled to before log1p (CP10k)."""


def log_cp10k(counts: Tensor) -> Tensor:
    """Scale each row of (N, G) counts to 10,000 in sum and take log(1 + x); an empty row stays zero.

    >>> log_cp10k(torch.tensor([[1.0, 3.0]])).exp().round().tolist()
    [[2501.0, 7501.0]]
    """
    total = counts.sum(1, keepdim=True)
    return torch.log1p(counts * (TARGET_COUNTS / torch.where(total > 0, total, 1.0)))


def expression_bins(values: Tensor, bins: int) -> Tensor:
    """Bin log-normalised expression by its integer part: 0 for zero and below, then 1 + floor(value).

    The last bin takes everything above (scBERT: Yang et al. 2022, Methods, 'Expression embedding').

    >>> expression_bins(torch.tensor([0.0, 0.3, 1.2, 9.0]), 4).tolist()
    [0, 1, 2, 3]
    """
    return torch.where(values > 0, values.floor() + 1, 0.0).clamp(max=bins - 1).long()


class GeneReader(nn.Module):
    """Cross-attention of M latents to G gene tokens, without ever building the (N, G, D) tokens.

    Gene g of a row is the token ``gene[g] + level[bin] + slope * value`` (scBERT's gene and expression
    embeddings, plus the value itself), and latent m attends to all genes of its row. Keys and values are
    linear in the token, so the part of the gene is shared by the batch and the part of the expression is a
    small table: the result equals ordinary attention (Set Transformer, Lee et al. 2019, Eq. 9, the
    inducing half), costs O(N M G) and needs O(N M heads G) memory.

    Args:
        genes: G.
        dim: D.
        heads: attention heads.
        latents: M.
        bins: expression bins.
    """

    def __init__(self, genes: int, dim: int, heads: int, latents: int, bins: int) -> None:
        super().__init__()
        self.heads, self.bins = heads, bins
        self.gene = nn.Parameter(torch.randn(genes, dim))
        self.level = nn.Parameter(torch.randn(bins, dim))
        self.slope = nn.Parameter(torch.randn(1, dim))
        self.query = nn.Parameter(torch.randn(latents, dim))
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def split(self, x: Tensor) -> Tensor:
        """Split the width of (K, D) into heads: (H, K, D / H)."""
        return x.view(len(x), self.heads, -1).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, G) log-normalised expression to (N, M, D)."""
        level = torch.cat([self.level, self.slope])
        query = self.split(self.query) * (self.query.shape[1] // self.heads) ** -0.5  # (H, M, d)
        shared = (query @ self.split(self.key(self.gene)).mT).flatten(0, 1)  # (H*M, G)
        table = (query @ self.split(self.key(level)).mT).flatten(0, 1)  # (H*M, bins + 1)
        ids = torch.arange(self.bins, device=x.device).view(1, -1, 1)
        onehot = (expression_bins(x, self.bins).unsqueeze(1) == ids).to(x.dtype)
        state = torch.cat([onehot, x.unsqueeze(1)], 1)  # (N, bins + 1, G)
        weight = (table @ state + shared).softmax(-1).unflatten(1, (self.heads, -1))  # (N, H, M, G)
        seen = weight.flatten(1, 2) @ state.mT  # (N, H*M, bins + 1)
        read = weight @ self.split(self.value(self.gene))  # (N, H, M, d)
        read = read + seen.unflatten(1, (self.heads, -1)) @ self.split(self.value(level))
        return self.out(read.transpose(1, 2).flatten(2)) + self.query  # type: ignore[no-any-return]


@ENCODERS.register
class SCBERTEncoder(Encoder):
    """Map (N, G) gene expression to (N, M, D), M latent tokens that have read all genes.

    Genes and binned expression are embedded as in scBERT (Yang et al. 2022); latents read them (see
    GeneReader) and a transformer joins the latents, so that cost is linear in G. With unit "counts" the
    rows are first scaled to 10,000 counts and log1p-transformed; other units are taken as they are, and
    values at or below zero share the lowest bin. ``embed`` returns the latents after that single read,
    not G gene tokens, which early fusion could not afford.

    Args:
        spec: a modality of kind expression.
        dim: D, width of the tokens.
        depth: transformer blocks over the latents.
        heads: attention heads.
        dropout: dropout rate.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.
        bins: expression bins, zero included.
        latents: M, number of tokens.
        linear: add a linear map of the log expression to every latent, which learns sooner.
        mlp_ratio: hidden width of the blocks' MLP over D.

    Raises:
        SpecError: fewer than 2 bins or no latents.
    """

    kinds = ("expression",)
    carried = {"pretrained": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        bins: int = 7,
        latents: int = 8,
        linear: bool = True,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__(spec, dim)
        if bins < 2 or latents < 1:
            raise SpecError(f"SCBERTEncoder: bins={bins} and latents={latents} must be at least 2 and 1")
        check_heads("SCBERTEncoder", dim, heads)
        self.counts = spec.unit == "counts"
        self.reader = GeneReader(spec.shape[0], dim, heads, latents, bins)
        self.linear = nn.Linear(spec.shape[0], dim) if linear else None
        self.trunk = Trunk(dim, depth, heads, mlp_ratio, dropout)
        load_own(self, pretrained)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, G) to latents (N, M, D) that have read the genes once, and a mask (N, M) of True."""
        logged = log_cp10k(x) if self.counts else x
        values = self.reader(logged)
        if self.linear is not None:
            values = values + self.linear(logged).unsqueeze(1)
        return values, torch.ones(values.shape[:2], dtype=torch.bool, device=x.device)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, G) to Tokens of M latents a row."""
        values, mask = self.embed(x)
        values = self.trunk(values)
        return Tokens(values, mask, values.mean(1))
