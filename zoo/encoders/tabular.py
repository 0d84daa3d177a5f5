"""TabularEncoder: feature tokens and a transformer for rows of numbers and categories."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import Trunk, check_heads, load_own


@ENCODERS.register
class TabularEncoder(Encoder):
    """Map (N, F) standardised numbers and category codes to (N, F, D), one token a feature.

    A number x of feature f becomes ``weight[f] * x + bias[f]``, a category the row of a table plus
    ``bias[f]`` (FT-Transformer: Gorishniy et al. 2021, section 3.3). The pooled vector is the mean token.

    A code outside 0 .. cardinality - 1 raises IndexError from torch.nn.Embedding on CPU and a device
    assertion on CUDA: it is not checked on the host, which would stall the device at every step, and it
    never reads the rows of another feature.

    Args:
        spec: a modality of kind tabular.
        dim: D, width of the tokens.
        depth: transformer blocks.
        heads: attention heads.
        dropout: dropout rate.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.
        mlp_ratio: hidden width of the blocks' MLP over D.
    """

    kinds = ("tabular",)
    carried = {"pretrained": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__(spec, dim)
        check_heads("TabularEncoder", dim, heads)
        sizes = spec.cardinalities
        columns = [f for f, size in enumerate(sizes) if size]
        numbers = [f for f, size in enumerate(sizes) if not size]
        self.total = sum(sizes)
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.long), persistent=False)
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        order = torch.tensor(numbers + columns, dtype=torch.long)
        self.register_buffer("order", order.argsort(), persistent=False)
        kept = torch.tensor([sizes[f] for f in columns], dtype=torch.long)
        self.register_buffer("sizes", kept, persistent=False)
        self.register_buffer("starts", kept.cumsum(0) - kept, persistent=False)
        self.bias = nn.Parameter(torch.randn(len(sizes), dim) * 0.5)
        if numbers:
            self.weight = nn.Parameter(torch.randn(len(numbers), dim))
        if columns:
            self.table = nn.Embedding(self.total, dim)
        self.trunk = Trunk(dim, depth, heads, mlp_ratio, dropout)
        load_own(self, pretrained)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, F) to feature tokens (N, F, D) and a mask (N, F) of True."""
        parts = []
        if len(self.get_buffer("numbers")):
            parts.append(x[:, self.get_buffer("numbers")].unsqueeze(-1) * self.weight)
        if len(self.get_buffer("columns")):
            codes = x[:, self.get_buffer("columns")].long()
            valid = (codes >= 0) & (codes < self.get_buffer("sizes"))
            parts.append(self.table(torch.where(valid, codes + self.get_buffer("starts"), self.total)))
        values = torch.cat(parts, 1)[:, self.get_buffer("order")] + self.bias
        return values, torch.ones(values.shape[:2], dtype=torch.bool, device=x.device)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, F) to Tokens of F tokens a row."""
        values, mask = self.embed(x)
        values = self.trunk(values)
        return Tokens(values, mask, values.mean(1))
