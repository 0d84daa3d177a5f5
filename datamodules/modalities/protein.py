"""Protein sequences become integer codes: A=1 ... Y=20, X=21 and 0 for padding at the end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datamodules.core.processor import PROCESSORS
from datamodules.modalities.sequence import SequenceKind, SequenceProcessor, codes_of
from zoo.contract import AMINO_ACIDS, MODALITIES

NON_STANDARD = "UOBZJX"
"""Letters that all become X: selenocysteine, pyrrolysine, the ambiguity codes B, Z and J, and unknown."""

_TABLE = np.zeros(256, dtype=np.int64)
for _letter in NON_STANDARD:
    _TABLE[ord(_letter)] = AMINO_ACIDS.index("X") + 1
for _code, _letter in enumerate(AMINO_ACIDS, start=1):
    _TABLE[ord(_letter)] = _code


def encode_protein(sequence: str) -> npt.NDArray[np.int64]:
    """Map a protein sequence of upper-case letters to its (L,) codes; U, O, B, Z, J and X become X.

    Raises:
        DataError: the sequence is empty, not a string, or holds other characters (gaps, stops, lower case).

    >>> encode_protein("ACY").tolist(), encode_protein("UX").tolist()
    ([1, 2, 20], [21, 21])
    """
    allowed = f"the upper-case letters {AMINO_ACIDS[:-1]} and {NON_STANDARD} (gaps and '*' must be removed)"
    return codes_of(sequence, _TABLE, "protein sequence", "amino acids", allowed)


@MODALITIES.register_as("protein")
class Protein(SequenceKind):
    """Amino acids as codes of shape (L,); raw: str of upper-case letters."""

    encoder = "ESMEncoder"
    processor = "ProteinProcessor"
    letters = AMINO_ACIDS
    ambiguous = NON_STANDARD

    @classmethod
    def encode(cls, sequence: str) -> npt.NDArray[np.int64]:
        """Map a protein to its (L,) codes: see ``encode_protein``."""
        return encode_protein(sequence)


@PROCESSORS.register
class ProteinProcessor(SequenceProcessor):
    """Turn a protein string into (L,) codes.

    Targets of structure tasks are brought to the same L by whoever collates them: padded at the end, and
    with ``truncate`` cut to the first L residues.

    Args:
        max_length: L; 0 takes the longest sequence (with ``truncate``: of the training split).
        truncate: keep the first L residues of longer sequences; off, they are refused.
    """

    kind = "protein"
    what = "a protein sequence"
