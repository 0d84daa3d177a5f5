"""DNA sequences become integer codes: A=1, C=2, G=3, T=4, N=5 and 0 for padding at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from datamodules.core.processor import PROCESSORS
from datamodules.modalities.sequence import SequenceKind, SequenceProcessor, codes_of, normal_sequence, pad_codes
from zoo.contract import MODALITIES, NUCLEOTIDES, PAD
from zoo.errors import SpecError
from zoo.values import digest

if TYPE_CHECKING:
    from torch import Tensor

AMBIGUITY = "RYSWKMBDHVN"
"""IUPAC codes for more than one nucleotide (NC-IUB, Nucleic Acids Research 13:3021, 1985); all become N."""

_TABLE = np.zeros(256, dtype=np.int64)
for _letter in AMBIGUITY + AMBIGUITY.lower():
    _TABLE[ord(_letter)] = NUCLEOTIDES.index("N") + 1
for _code, _letter in enumerate(NUCLEOTIDES, start=1):
    _TABLE[[ord(_letter), ord(_letter.lower())]] = _code
_LETTERS = str.maketrans("ACGTRYKMBDHVU", "TGCAYRMKVHDBA")
_TO_DNA = str.maketrans("Uu", "Tt")
_COMPLEMENT = np.array([PAD, 4, 3, 2, 1, 5], dtype=np.int64)


def encode_dna(sequence: str) -> npt.NDArray[np.int64]:
    """Map a DNA sequence to its (L,) codes.

    Lower-case letters (soft-masked repeats) count as their upper-case ones, IUPAC ambiguity codes as N.

    Raises:
        DataError: the sequence is empty, not a string, or holds other characters (U of RNA is one of them).

    >>> encode_dna("ACGTN").tolist(), encode_dna("aRg").tolist()
    ([1, 2, 3, 4, 5], [1, 5, 3])
    """
    allowed = f"ACGT, the IUPAC ambiguity codes {AMBIGUITY} and their lower-case letters"
    advice = "(U of RNA is read as T with 'rna: true' of DNAProcessor)"
    return codes_of(sequence, _TABLE, "DNA sequence", "nucleotides", f"{allowed} {advice}")


def reverse_complement(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the (L,) codes of the other strand, read 5' to 3'. Padding must have been left out.

    >>> DNA.decode(reverse_complement(encode_dna("AACGN")))
    'NCGTT'
    """
    return _COMPLEMENT[codes[::-1]]


def other_strand(sequence: str) -> str:
    """Return the other strand of a DNA sequence of IUPAC letters, read in its own direction.

    >>> other_strand("AACGN")
    'NCGTT'
    """
    return normal_sequence(sequence).translate(_LETTERS)[::-1]


@MODALITIES.register_as("dna")
class DNA(SequenceKind):
    """DNA as codes of shape (L,); raw: str of upper-case letters."""

    encoder = "DNABERTEncoder"
    processor = "DNAProcessor"
    letters = NUCLEOTIDES
    ambiguous = AMBIGUITY
    on_request = "U"
    twins = "reverse complement"
    stretch = 20

    @classmethod
    def encode(cls, sequence: str) -> npt.NDArray[np.int64]:
        """Map DNA to its (L,) codes: see ``encode_dna``."""
        return encode_dna(sequence)

    @classmethod
    def twin(cls, value: Any) -> bytes:
        """The fingerprint of the other strand."""
        return digest(other_strand(value).encode())

    @classmethod
    def pieces(cls, value: Any) -> set[str]:
        """All stretches of 20 letters, of both strands."""
        return super().pieces(value) | super().pieces(other_strand(value))


@PROCESSORS.register
class DNAProcessor(SequenceProcessor):
    """Turn a DNA string into (L,) codes.

    Args:
        max_length: L; 0 takes the longest sequence (with ``truncate``: of the training split).
        truncate: keep the first L letters of longer sequences; off, they are refused.
        reverse_complement: in training, read the other strand half of the time. Off by default, since the
            strand carries meaning for promoters and splice sites.
        substitute: probability that a known letter is replaced, in training, by one of the other three.
        rna: read U as T; off, a sequence with U is refused.
    """

    kind = "dna"
    what = "a DNA sequence"

    def __init__(
        self,
        *,
        max_length: int = 0,
        truncate: bool = False,
        reverse_complement: bool = False,
        substitute: float = 0.0,
        rna: bool = False,
    ) -> None:
        super().__init__(max_length=max_length, truncate=truncate)
        if not 0.0 <= substitute <= 1.0:
            raise SpecError(f"DNAProcessor: substitute is a probability in [0, 1], got {substitute}")
        self.reverse_complement = reverse_complement
        self.substitute = substitute
        self.rna = rna

    def encode(self, sequence: str) -> npt.NDArray[np.int64]:
        """Map a string to its (L,) codes, U as T where asked, or raise DataError."""
        return super().encode(sequence.translate(_TO_DNA) if self.rna and isinstance(sequence, str) else sequence)

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Return (L,) codes of the other strand, or with substitutions, where those are asked for."""
        if not self.reverse_complement and self.substitute == 0.0:
            return value
        codes: npt.NDArray[np.int64] = value.numpy()[: int((value != PAD).sum())]
        if self.reverse_complement and generator.random() < 0.5:
            codes = reverse_complement(codes)
        if self.substitute > 0.0:
            known = codes < NUCLEOTIDES.index("N") + 1
            change = known & (generator.random(len(codes)) < self.substitute)
            other = (codes - 1 + generator.integers(1, 4, len(codes))) % 4 + 1
            codes = np.where(change, other, codes)
        return pad_codes(codes, len(value), False, "a DNA sequence")
