"""DNABERTEncoder: overlapping k-mers of a DNA sequence and a transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import NUCLEOTIDES, PAD, ModalitySpec, Tokens, masked_mean
from zoo.encoders.bag import KmerBag
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import BASES, Trunk, check_heads, kmer_ids, load_own, some_token
from zoo.errors import SpecError


@ENCODERS.register
class DNABERTEncoder(Encoder):
    """Map (N, L) nucleotide codes to (N, M, D), one token a k-mer: M = (L - k) // stride + 1.

    Overlapping k-mers are words of a transformer (DNABERT: Ji et al. 2021, section 2.1), here with an
    optional convolution over one-hot nucleotides, whose maximum over each k-mer is added to its embedding
    so that motifs are found at any offset. k-mers that hold padding are masked. The pooled vector is a
    linear map of the mean and the maximum of the real tokens.

    Args:
        spec: a modality of kind dna.
        dim: D, width of the tokens.
        depth: transformer blocks.
        heads: attention heads.
        dropout: dropout rate.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.
        k: letters in a k-mer; the table has 4**k + 2 rows.
        stride: letters between the starts of two k-mers: 1 as published, more is cheaper, and leaves
            up to stride - 1 letters at the end of a row to the convolution alone.
        conv: add the convolution.
        kernel: odd width of the convolution in letters.
        mlp_ratio: hidden width of the blocks' MLP over D.
        bag: k of the longest k-mer whose counts are mapped linearly to D and added to the pooled vector, beside
            the transformer (see ``KmerBag``); 0 for none. ``embed`` does not read them.
        bag_positions: let the bag also read the letter at each position, for sequences that are aligned.
        bag_dropout: dropout rate of the bag's features.

    Raises:
        SpecError: sequences shorter than k, an even kernel, or a bag of too long k-mers.
    """

    kinds = ("dna",)
    carried = {"pretrained": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        k: int = 6,
        stride: int = 3,
        conv: bool = True,
        kernel: int = 11,
        mlp_ratio: float = 2.0,
        bag: int = 0,
        bag_positions: bool = False,
        bag_dropout: float = 0.2,
    ) -> None:
        super().__init__(spec, dim)
        check_heads("DNABERTEncoder", dim, heads)
        length = spec.shape[0]
        if not 1 <= k <= min(length, 12) or not 1 <= stride <= k:
            raise SpecError(
                f"DNABERTEncoder: k={k}, stride={stride} do not fit '{spec.name}' of length {length}: take "
                f"1 <= stride <= k <= {min(length, 12)}"
            )
        if kernel < 1 or kernel % 2 == 0:
            raise SpecError(f"DNABERTEncoder: kernel={kernel} must be odd and positive, such as {kernel + 1}")
        if not 0 <= bag <= min(length, 8) or (bag_positions and not bag):
            raise SpecError(
                f"DNABERTEncoder: bag={bag}, bag_positions={bag_positions} do not fit '{spec.name}' of length "
                f"{length}: take 1 <= bag <= {min(length, 8)}, or bag=0 and bag_positions=False for no bag"
            )
        self.k, self.stride = k, stride
        self.words = nn.Embedding(BASES**k + 2, dim)
        nn.init.normal_(self.words.weight, std=0.1)
        self.positions = nn.Parameter(torch.randn((length - k) // stride + 1, dim) * 0.02)
        self.motifs = nn.Conv1d(BASES, dim, kernel, padding=kernel // 2) if conv else None
        self.trunk = Trunk(dim, depth, heads, mlp_ratio, dropout)
        self.pool = nn.Linear(2 * dim, dim)
        self.bag = KmerBag(length, bag, dim, bag_positions, bag_dropout) if bag else None
        load_own(self, pretrained)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) codes to k-mer embeddings with positions (N, M, D) and mask (N, M)."""
        ids = kmer_ids(x, self.k, self.stride)
        values = self.words(ids) + self.positions
        if self.motifs is not None:
            onehot = F.one_hot(x, len(NUCLEOTIDES) + 1)[..., 1 : BASES + 1].to(values.dtype)
            hits = F.relu(self.motifs(onehot.transpose(1, 2)))
            values = values + F.max_pool1d(hits, self.k, self.stride).transpose(1, 2)
        return values, some_token(ids != PAD)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, L) codes to Tokens of M k-mers a row."""
        values, mask = self.embed(x)
        values = self.trunk(values, mask)
        peak = values.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(1)
        pooled = self.pool(torch.cat([masked_mean(values, mask), peak], -1))
        return Tokens(values, mask, pooled if self.bag is None else pooled + self.bag(x))
