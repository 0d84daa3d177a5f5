"""MLPEncoder: embeddings of categories, numbers as they are, and a small MLP; one token a row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import load_own
from zoo.errors import SpecError


@ENCODERS.register
class MLPEncoder(Encoder):
    """Map (N, F) standardised numbers and category codes to one token a row, (N, 1, D).

    It takes tables and, laid out flat, the measurements of every other kind. It is the default of kinds that name no
    encoder of their own.

    Each category has a learned vector per field (Guo and Berkhahn, 2016); they are joined with the numbers as they
    are, and go through hidden layers with ReLU and dropout to D. The pooled vector is the token. 512 and 256 units
    and dropout .2 are those of the metadata encoder of cross-modal generative augmentation (section 5.1).

    There is no deeper part to leave out, so that ``embed`` is the whole encoder, under EarlyFusion too. A code
    outside 0 .. cardinality - 1 raises IndexError on CPU and a device assertion on CUDA, as in TabularEncoder.

    Args:
        spec: a modality of measurements; without cardinalities all values are numbers.
        dim: D, width of the token.
        hidden: widths of the hidden layers.
        embedding: width of a category's vector.
        dropout: dropout rate behind each hidden layer.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.

    Raises:
        SpecError: a width below 1.
    """

    kinds = ("tabular",)
    carried = {"pretrained": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        hidden: Sequence[int] = (512, 256),
        embedding: int = 16,
        dropout: float = 0.2,
        pretrained: str = "",
    ) -> None:
        super().__init__(spec, dim)
        if min([dim, embedding, *hidden]) < 1:
            raise SpecError(f"MLPEncoder: dim={dim}, embedding={embedding}, hidden={tuple(hidden)} must be 1 or more")
        cardinalities = spec.cardinalities or (0,) * math.prod(spec.shape)
        columns = [f for f, size in enumerate(cardinalities) if size]
        numbers = [f for f, size in enumerate(cardinalities) if not size]
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.long), persistent=False)
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        self.tables = nn.ModuleList(nn.Embedding(cardinalities[f], embedding) for f in columns)
        layers: list[nn.Module] = []
        width = len(numbers) + embedding * len(columns)
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, dim))
        load_own(self, pretrained)

    @classmethod
    def takes(cls, spec: ModalitySpec) -> bool:
        """Measurements of any kind, not codes."""
        return not spec.is_integer

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, *shape) to a token a row, (N, 1, D), and a mask (N, 1) of True."""
        x = x.flatten(1)
        codes = x[:, self.get_buffer("columns")].long()
        parts = [x[:, self.get_buffer("numbers")]]
        parts += [table(codes[:, f]) for f, table in enumerate(self.tables)]
        token = self.layers(torch.cat(parts, 1)).unsqueeze(1)
        return token, torch.ones(token.shape[:2], dtype=torch.bool, device=x.device)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, *shape) to Tokens of one token a row."""
        values, mask = self.embed(x)
        return Tokens(values, mask, values[:, 0])
