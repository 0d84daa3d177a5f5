"""PeptideBagEncoder: a protein as the bag of its short words of amino acids, mapped to one token."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import AMINO_ACIDS, PAD, ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import distinct_rows, load_own
from zoo.errors import SpecError

LETTERS = len(AMINO_ACIDS) - 1
"""The standard amino acids; words with X are not counted."""


def word_ids(codes: Tensor, k: int) -> list[Tensor]:
    """Number the words of 1 to k letters of (N, L) amino acid codes.

    Returns:
        For each length n of words (N, L - n + 1): numbers from 0 to 20**n - 1, and 20**n where X or padding is met.

    >>> [ids.tolist() for ids in word_ids(torch.tensor([[1, 2, 20, 21, 0]]), 2)]
    [[[0, 1, 19, 20, 20]], [[1, 39, 400, 400]]]
    """
    letters = torch.where((codes != PAD) & (codes <= LETTERS), codes - 1, LETTERS).int()
    found = [letters]
    for n in range(2, k + 1):
        number = found[-1][:, :-1] * LETTERS + letters[:, n - 1 :]
        unknown = (found[-1][:, :-1] == LETTERS ** (n - 1)) | (letters[:, n - 1 :] == LETTERS)
        found.append(number.masked_fill_(unknown, LETTERS**n))
    return found


def word_counts(codes: Tensor, k: int) -> list[Tensor]:
    """Count the words of 1 to k letters of (N, L) amino acid codes: (N, 20**n) for each length n of words.

    >>> [int(counts.sum()) for counts in word_counts(torch.tensor([[1, 2, 20, 21, 0]]), 2)]
    [3, 2]
    """
    found = []
    for n, ids in enumerate(word_ids(codes, k), start=1):
        counts = torch.zeros((len(codes), LETTERS**n + 1), device=codes.device)
        counts = counts.scatter_add_(1, ids.long(), torch.ones_like(ids, dtype=torch.float))
        found.append(counts[:, :-1])
    return found


def number_of_words(encoder: Encoder, k: int, **widths: int) -> int:
    """How many words of 1 to k letters there are.

    Args:
        encoder: that counts them.
        k: letters of the longest words.
        widths: option of the encoder -> width, which must be 1 or more.

    Raises:
        SpecError: ``k`` outside 1..4 or longer than the protein, or a width below 1.
    """
    spec, name = encoder.spec, type(encoder).__name__
    if not 1 <= k <= min(4, spec.shape[0]) or min(widths.values()) < 1:
        told = ", ".join(f"{option}={width}" for option, width in widths.items())
        raise SpecError(
            f"{name}: k={k} must lie in 1..{min(4, spec.shape[0])} for '{spec.name}', and {told} must be 1 or more"
        )
    return sum(LETTERS**n for n in range(1, k + 1))


def one_token(x: Tensor, distinct: bool, encode: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Map (N, L) codes to a token a row, (N, 1, D), and a mask (N, 1) of True.

    Args:
        x: (N, L) codes.
        distinct: encode equal rows once.
        encode: maps (M, L) codes to (M, D).
    """
    rows, which = distinct_rows(x) if distinct else (x, None)
    token = encode(rows).unsqueeze(1)
    token = token if which is None else token[which]
    return token, torch.ones(token.shape[:2], dtype=torch.bool, device=x.device)


@ENCODERS.register
class PeptideBagEncoder(Encoder):
    """Map (N, L) amino acid codes to one token a protein, (N, 1, D): a linear map of its words, and an MLP behind it.

    Words of 1 to k letters are counted (the spectrum kernel: Leslie et al., PSB 2002); the counts of each length
    enter as their square roots, scaled to norm 1, so that long and short proteins are alike (the Hellinger kernel).
    A protein of thousands of residues costs as little as one of a hundred; where in the chain a word stands is lost.
    There is no deeper part to leave out, so that ``embed`` is the whole encoder.

    Args:
        spec: a modality of kind protein.
        dim: D, width of the token.
        k: letters of the longest words; there are 20 + 400 + ... + 20**k counts.
        hidden: width of the hidden layer; the linear map of the counts has this width.
        dropout: probability that a word is left out in training.
        distinct: encode equal rows of a batch once; they then share their dropout. Looking for them waits for a
            device.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.

    Raises:
        SpecError: ``k`` outside 1..4 or longer than the protein, or a width below 1.
    """

    kinds = ("protein",)
    carried = {"pretrained": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        k: int = 3,
        hidden: int = 128,
        dropout: float = 0.2,
        distinct: bool = False,
        pretrained: str = "",
    ) -> None:
        super().__init__(spec, dim)
        self.words = nn.Linear(number_of_words(self, k, dim=dim, hidden=hidden), hidden)
        self.k, self.dropout, self.distinct = k, dropout, distinct
        nn.init.normal_(self.words.weight, std=0.5)  # the features have norm 1 whatever their number
        self.layers = nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, dim))
        load_own(self, pretrained)

    def features(self, x: Tensor) -> Tensor:
        """Map (N, L) codes to (N, 20 + ... + 20**k) square roots of frequencies, of norm 1 a length of words."""
        counted = word_counts(x, self.k)
        return torch.cat([(c / c.sum(1, keepdim=True).clamp_min(1.0)).sqrt() for c in counted], 1)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) to a token a protein, (N, 1, D), and a mask (N, 1) of True."""
        return one_token(x, self.distinct, self._encode)

    def _encode(self, rows: Tensor) -> Tensor:
        vector: Tensor = self.layers(self.words(F.dropout(self.features(rows), self.dropout, self.training)))
        return vector

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, L) to Tokens of one token a protein."""
        values, mask = self.embed(x)
        return Tokens(values, mask, values[:, 0])
