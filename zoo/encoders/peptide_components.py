"""PeptideComponentsEncoder: a protein as the principal components of its short words of amino acids."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.components import PrincipalComponents
from zoo.encoders.parts import distinct_rows, load_own
from zoo.encoders.peptide import number_of_words, one_token, word_counts


@ENCODERS.register
class PeptideComponentsEncoder(Encoder):
    """Map (N, L) amino acid codes to one token a protein, (N, 1, D): an MLP on components of its words.

    Words of 1 to k letters are counted, weighed by (1 + log count) * (log((1 + n) / (1 + proteins with it)) + 1), and
    scaled to norm 1 (TF-IDF). Of these thousands of numbers the network sees the principal components of the n
    distinct training proteins, which are learned before the first step and then stay. A few hundred proteins are too
    few for a map of all words, as PeptideBagEncoder learns it. ``embed`` is the whole encoder.

    Args:
        spec: a modality of kind protein.
        dim: D, width of the token.
        k: letters of the longest words; there are 20 + 400 + ... + 20**k counts.
        components: number of principal components.
        hidden: width of the hidden layer.
        dropout: probability that a component is left out in training.
        distinct: encode equal rows of a batch once; they then share their dropout. Looking for them waits for a
            device.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.

    Raises:
        SpecError: ``k`` outside 1..4 or longer than the protein, or a width below 1.
    """

    kinds = ("protein",)
    carried = {"pretrained": forget}
    learns = True
    rarity: Tensor

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        k: int = 3,
        components: int = 64,
        hidden: int = 128,
        dropout: float = 0.2,
        distinct: bool = False,
        pretrained: str = "",
    ) -> None:
        super().__init__(spec, dim)
        width = number_of_words(self, k, dim=dim, components=components, hidden=hidden)
        self.k, self.dropout, self.distinct = k, dropout, distinct
        self.register_buffer("rarity", torch.ones(width))
        self.components = PrincipalComponents(width, components)
        self.layers = nn.Sequential(
            nn.Linear(components, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, dim)
        )
        load_own(self, pretrained)

    def counts(self, x: Tensor) -> Tensor:
        """Map (N, L) codes to the counts of words (N, 20 + ... + 20**k)."""
        return torch.cat(word_counts(x, self.k), 1)

    def features(self, x: Tensor) -> Tensor:
        """Map (N, L) codes to the TF-IDF (N, 20 + ... + 20**k) of words; zeros where there is none."""
        counts = self.counts(x)
        return F.normalize(torch.where(counts > 0, 1 + counts.clamp_min(1.0).log(), 0.0) * self.rarity, dim=1)

    @torch.no_grad()
    def learn(self, rows: Tensor) -> None:
        """Count in how many of the distinct proteins (M, L) each word is, and take their principal components."""
        rows, _ = distinct_rows(rows)
        parts = torch.split(rows, 256)
        found = torch.stack([(self.counts(part) > 0).sum(0) for part in parts]).sum(0)
        self.rarity.copy_(((1.0 + len(rows)) / (1.0 + found)).log() + 1.0)
        self.components.learn(torch.cat([self.features(part) for part in parts]))

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) to a token a protein, (N, 1, D), and a mask (N, 1) of True."""
        return one_token(x, self.distinct, self._encode)

    def _encode(self, rows: Tensor) -> Tensor:
        components = self.components(self.features(rows))
        vector: Tensor = self.layers(F.dropout(components, self.dropout, self.training))
        return vector

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, L) to Tokens of one token a protein."""
        values, mask = self.embed(x)
        return Tokens(values, mask, values[:, 0])
