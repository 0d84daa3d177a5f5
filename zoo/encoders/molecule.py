"""MoleculeEncoder: a transformer over the tokens of a SMILES beside an MLP on the molecule's fingerprint."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import MODALITIES, PAD, ModalitySpec, Tokens, masked_mean
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import Trunk, check_heads, distinct_rows, load_own, sinusoid, some_token
from zoo.errors import SpecError


class FingerprintMLP(nn.Module):
    """Map (N, F) counts to (N, D): log(1 + count), a hidden layer, D.

    Args:
        width: F.
        dim: D.
        hidden: width of the hidden layer.
        dropout: probability that a count is left out in training.
    """

    def __init__(self, width: int, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Linear(hidden, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, F) to (N, D)."""
        return self.layers(x.float().log1p())  # type: ignore[no-any-return]


@ENCODERS.register
class MoleculeEncoder(Encoder):
    """Map (N, F + L) counts and codes to (N, 1 + L, D): one token for the fingerprint, one a token of the SMILES.

    The tokens, with sine positions, go through a transformer (as in ChemBERTa: Chithrananda et al., arXiv
    2010.09885). The pooled vector is the mean over them plus the fingerprint's, past the transformer: wide and deep
    (Cheng et al. 2016). Of few molecules the fingerprint is what generalises. A spec without descriptors has no
    fingerprint, and no token for it.

    Args:
        spec: a modality of kind molecule.
        dim: D, width of the tokens.
        depth: blocks of the transformer; 0 leaves embeddings and a norm.
        heads: attention heads; D must be a multiple.
        dropout: rate in the transformer and on the counts of the fingerprint.
        hidden: width of the hidden layer on the fingerprint.
        distinct: encode equal rows of a batch once, which saves most of the time where few molecules stand in many
            rows; they then share their dropout. Looking for them waits for a device.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.

    Raises:
        SpecError: a width that does not split into heads, or below 1.
    """

    kinds = ("molecule",)
    carried = {"pretrained": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        hidden: int = 128,
        distinct: bool = False,
        pretrained: str = "",
    ) -> None:
        super().__init__(spec, dim)
        check_heads("MoleculeEncoder", dim, heads)
        if hidden < 1:
            raise SpecError(f"MoleculeEncoder: hidden must be 1 or more, got {hidden}")
        self.distinct = distinct
        self.codes = nn.Embedding(MODALITIES.get(spec.kind).number_of_codes(spec), dim, padding_idx=PAD)
        self.register_buffer("positions", sinusoid(spec.shape[0] - spec.descriptors, dim), persistent=False)
        self.fingerprint = FingerprintMLP(spec.descriptors, dim, hidden, dropout) if spec.descriptors else None
        self.trunk = Trunk(dim, depth, heads, dropout=dropout)
        load_own(self, pretrained)

    def _tokens(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Map (N, F + L) to tokens (N, 1 + L, D), their mask, and the fingerprint's vector (N, D), if any."""
        counts, codes = x[:, : self.spec.descriptors], x[:, self.spec.descriptors :]
        values, mask = self.codes(codes) + self.get_buffer("positions"), codes != PAD
        if self.fingerprint is None:
            return values, some_token(mask), None
        whole = self.fingerprint(counts)
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask], 1)
        return torch.cat([whole.unsqueeze(1), values], 1), mask, whole

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, F + L) to the vectors of fingerprint and tokens, with sine positions (N, 1 + L, D), and a mask."""
        values, mask, _ = self._tokens(x)
        return values, mask

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, F + L) to Tokens of 1 + L a row."""
        if not self.distinct:
            return self._encode(x)
        rows, which = distinct_rows(x)
        made = self._encode(rows)
        return Tokens(made.values[which], made.mask[which], made.pooled[which])

    def _encode(self, x: Tensor) -> Tokens:
        values, mask, whole = self._tokens(x)
        values = self.trunk(values, mask)
        pooled = masked_mean(values, mask)
        return Tokens(values, mask, pooled if whole is None else pooled + whole)
