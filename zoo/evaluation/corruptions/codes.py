"""Damage to sequences of codes (L,): DNA, proteins and texts. Padding is never touched."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.contract import AMINO_ACIDS, NUCLEOTIDES, PAD, ModalitySpec
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, Noise

UNKNOWN_PIECE = 1
"""Code of [UNK] in the vocabularies that are trained here. Of a BERT tokenizer it is a piece that no text has."""
SPECIAL_PIECES = 5
"""Codes below are special tokens in the vocabularies that are trained here."""


class _CodeCorruption(Corruption):
    """Damage that meets each position with a probability."""

    unit = "probability of a position"

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Two uniform numbers a position, (2, L): whether it is met, and what it becomes."""
        return generator.random((2, *spec.shape), dtype=np.float32)


def _another(code: Tensor, uniform: Tensor, first: int, number: int) -> Tensor:
    """Another code of first ... first + number - 1, each equally likely; ``code`` is one of them."""
    step = 1 + (uniform * (number - 1)).long().clamp_max(number - 2)
    return (code - first + step) % number + first


@CORRUPTIONS.register
class BaseSubstitution(_CodeCorruption):
    """Point mutations or reading errors: a base becomes one of the three others; N stays."""

    kinds = ("dna",)
    levels = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4)
    standard = True

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Substitute."""
        met = (values != PAD) & (values <= len(NUCLEOTIDES) - 1) & (noise[:, 0] < level)
        return torch.where(met, _another(values, noise[:, 1], 1, len(NUCLEOTIDES) - 1), values)


@CORRUPTIONS.register
class BaseMasking(_CodeCorruption):
    """Bases that could not be called: they become N."""

    kinds = ("dna",)
    levels = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Mask."""
        met = (values != PAD) & (noise[:, 0] < level)
        return torch.where(met, torch.full_like(values, NUCLEOTIDES.index("N") + 1), values)


@CORRUPTIONS.register
class ResidueSubstitution(_CodeCorruption):
    """Random mutations: a residue becomes one of the 19 others; X stays."""

    kinds = ("protein",)
    levels = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
    standard = True

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Substitute."""
        met = (values != PAD) & (values <= len(AMINO_ACIDS) - 1) & (noise[:, 0] < level)
        return torch.where(met, _another(values, noise[:, 1], 1, len(AMINO_ACIDS) - 1), values)


class _PieceCorruption(_CodeCorruption):
    """Damage to the pieces of a text; the first and the last token, [CLS] and [SEP], stay."""

    kinds = ("text",)
    unit = "probability of a piece"
    levels = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6)

    def suits(self, spec: ModalitySpec) -> bool:
        """Texts whose vocabulary holds two pieces and more."""
        return spec.vocab_size > SPECIAL_PIECES + 1

    @staticmethod
    def met(values: Tensor, noise: Tensor, level: float) -> Tensor:
        """(N, L) the pieces that are met."""
        real = values != PAD
        place = torch.arange(values.shape[1])
        inner = real & (place > 0) & (place < real.sum(1, keepdim=True) - 1)
        return inner & (noise[:, 0] < level)


@CORRUPTIONS.register
class PieceSubstitution(_PieceCorruption):
    """Wrong words, as of speech recognition or bad typing: a piece becomes any other of the vocabulary."""

    standard = True

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Substitute."""
        number = spec.vocab_size - SPECIAL_PIECES
        base = values.clamp_min(SPECIAL_PIECES)
        return torch.where(
            self.met(values, noise, level), _another(base, noise[:, 1], SPECIAL_PIECES, number), values
        )


@CORRUPTIONS.register
class PieceDeletion(_PieceCorruption):
    """Lost words: pieces vanish, what follows moves up, and padding grows."""

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Delete."""
        gone = self.met(values, noise, level)
        order = gone.long().argsort(dim=1, stable=True)
        return values.masked_fill(gone, PAD).gather(1, order)


@CORRUPTIONS.register
class PieceMasking(_PieceCorruption):
    """Typos that leave a word unknown: a piece becomes [UNK]."""

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Mask."""
        return torch.where(self.met(values, noise, level), torch.full_like(values, UNKNOWN_PIECE), values)
