"""What DNA and protein processors share: letters to codes, brought to one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from datamodules.core.processor import Processor
from zoo.codes import shares_of_codes
from zoo.contract import MODALITIES, PAD, ModalityKind, ModalitySpec
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality
from zoo.values import Cell, digest

if TYPE_CHECKING:
    from torch import Tensor


def pad_codes(codes: npt.NDArray[np.int64], length: int, truncate: bool, what: str) -> Tensor:
    """Bring (L,) codes to (length,): padding at the end, or the first ``length`` codes where asked.

    Args:
        codes: (L,) codes.
        length: of the result.
        truncate: whether longer ones are cut, instead of refused.
        what: what the codes are of, for errors.

    Raises:
        DataError: there are more codes than ``length`` and ``truncate`` is off.
    """
    if len(codes) > length and not truncate:
        raise DataError(
            f"{what} of length {len(codes)} exceeds the length {length} of this processor; set max_length to at "
            f"least {len(codes)}, or truncate=true to keep the first {length} letters"
        )
    import torch

    out = torch.full((length,), PAD, dtype=torch.long)
    kept = np.ascontiguousarray(codes[:length])
    out[: len(kept)] = torch.from_numpy(kept)
    return out


def codes_of(
    sequence: str, table: npt.NDArray[np.int64], what: str, letters: str, allowed: str
) -> npt.NDArray[np.int64]:
    """Map a sequence to its (L,) codes.

    Args:
        sequence: of letters.
        table: (256,) code of each byte; 0 for one that is not allowed.
        what: the sequence is, for errors.
        letters: what it is made of, for errors.
        allowed: letters in words, for errors.

    Raises:
        DataError: the sequence is empty, not a string, or holds other characters.
    """
    if not isinstance(sequence, str) or not sequence:
        raise DataError(f"a {what} must be a non-empty string, got {sequence!r}; drop the row or fill it in")
    codes: npt.NDArray[np.int64] = table[np.frombuffer(sequence.encode("ascii", errors="replace"), dtype=np.uint8)]
    if not codes.all():
        where = np.flatnonzero(codes == 0)
        bad = sorted({sequence[i] for i in where})
        raise DataError(
            f"a {what} holds {bad}, the first at position {where[0]}, which are not {letters}; allowed are {allowed}"
        )
    return codes


class SequenceKind(ModalityKind):
    """Sequences of letters as codes of shape (L,), 0 at the end; raw: str of upper-case letters.

    In a table, a cell holds the letters, or names a file of them: plain text, or FASTA of one record.

    Attributes:
        letters: in the order of their codes, which begin with 1.
        ambiguous: further letters that files may hold; a kind that has some says in ``encode`` what becomes of them.
        on_request: letters that files may hold, and that a processor reads only where told to, such as U of RNA.
        stretch: letters of a stretch that two sequences do not share by chance.
    """

    codes = True
    cheap = True
    letters: str = ""
    ambiguous: str = ""
    on_request: str = ""
    stretch: int = 12

    @classmethod
    def encode(cls, sequence: str) -> npt.NDArray[np.int64]:
        """Map a string to its (L,) codes.

        Raises:
            DataError: it is empty or no string, or holds other letters.
        """
        if not isinstance(sequence, str) or not sequence:
            raise DataError(f"a sequence must be a non-empty string, got {sequence!r}; drop the row or fill it in")
        strange = sorted(set(sequence) - set(cls.letters))
        if strange:
            raise DataError(f"a sequence holds {strange}; allowed are the letters {cls.letters}")
        return np.array([cls.letters.index(letter) + 1 for letter in sequence], dtype=np.int64)

    @classmethod
    def check_letters(cls, sequence: str) -> None:
        """Refuse a string that no processor reads, whatever it is told to read.

        Raises:
            DataError: see ``encode``; letters ``on_request`` are allowed here.
        """
        cls.encode("".join(cls.letters[0] if c.upper() in cls.on_request else c for c in sequence))

    @classmethod
    def decode(cls, codes: Tensor | npt.NDArray[np.int64]) -> str:
        """Map (L,) codes back to letters, without the padding.

        Raises:
            DataError: a code has no letter.
        """
        values = [int(c) for c in codes]
        if any(c < 0 or c > len(cls.letters) for c in values):
            raise DataError(
                f"codes of the letters {cls.letters} lie in 0..{len(cls.letters)}, got {sorted(set(values))}"
            )
        return "".join(cls.letters[c - 1] for c in values if c != PAD)

    @classmethod
    def number_of_codes(cls, spec: ModalitySpec) -> int:
        """Letters and padding."""
        return len(cls.letters) + 1

    @classmethod
    def read(cls, cell: Cell) -> str:
        """The letters of a cell, or of the file that it names, in upper case."""
        text = cell.text()
        if cell.file is None:
            return text.upper()
        lines = text.splitlines()
        if sum(line.startswith(">") for line in lines) > 1:
            raise DataError("the FASTA file holds several records; a cell names a file of one", file=cell.file)
        return "".join(line.strip() for line in lines if not line.startswith(">")).upper()

    @classmethod
    def fingerprint(cls, value: Any) -> bytes:
        """Sequences are equal in whatever case, and with blanks or without."""
        return digest(normal_sequence(value).encode())

    @classmethod
    def pieces(cls, value: Any) -> set[str]:
        """All stretches of ``stretch`` letters, without those of few different letters."""
        return stretches(normal_sequence(value), cls.stretch)

    @classmethod
    def features(cls, spec: ModalitySpec, rows: Tensor) -> Tensor:
        """The share of each pair of neighbouring letters."""
        import torch

        size = cls.number_of_codes(spec)
        both = (rows[:, :-1] != PAD) & (rows[:, 1:] != PAD)
        return shares_of_codes(torch.where(both, rows[:, :-1] * size + rows[:, 1:], PAD), size * size)


def stretches(letters: str, length: int) -> set[str]:
    """All stretches of a length, without those that repeat a few letters, such as a tail of A.

    Args:
        letters: the sequence.
        length: of a stretch, in letters.

    >>> sorted(stretches("ABCDEFGHIJ", 9)), stretches("A" * 30, 9)
    (['ABCDEFGHI', 'BCDEFGHIJ'], set())
    """
    found = {letters[k : k + length] for k in range(len(letters) - length + 1)}
    return {piece for piece in found if len({piece[k : k + 3] for k in range(length - 2)}) > length // 3}


def normal_sequence(sequence: str) -> str:
    """Return a sequence in upper case, without blanks.

    >>> normal_sequence("acg t")
    'ACGT'
    """
    return "".join(sequence.split()).upper()


def sequence_kind(kind: str) -> type[SequenceKind]:
    """Return the class of a kind of sequences.

    Raises:
        UnknownNameError: there is no kind of that name.
        SpecError: it is no kind of sequences.
    """
    found = MODALITIES.get(kind)
    if not issubclass(found, SequenceKind):
        known = sorted(k for k in MODALITIES if issubclass(MODALITIES.get(k), SequenceKind))
        raise SpecError(f"kind '{kind}' is no kind of sequences of letters; those are {known}")
    return found


class SequenceProcessor(Processor):
    """Turn a string of letters into (L,) codes, as its kind codes them.

    Args:
        max_length: L; 0 takes the longest sequence (with ``truncate``: of the training split).
        truncate: keep the first L letters of longer sequences; off, they are refused.
    """

    fits = True
    what = "a sequence"

    def __init__(self, *, max_length: int = 0, truncate: bool = False) -> None:
        if max_length < 0:
            raise SpecError(
                f"{type(self).__name__}: max_length must be 0 (longest training sequence) or more, got {max_length}"
            )
        self.max_length = max_length
        self.truncate = truncate
        self.fits = max_length == 0
        self.length = max_length

    def encode(self, sequence: str) -> npt.NDArray[np.int64]:
        """Map a string to its (L,) codes, or raise DataError."""
        return sequence_kind(self.kind).encode(sequence)

    def decode(self, value: Tensor) -> str:
        """Map (L,) codes back to letters, without the padding; ambiguous letters come back as the unknown one."""
        return sequence_kind(self.kind).decode(value)

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Take the length of the longest training sequence where ``max_length`` is 0."""
        if self.max_length:
            return
        if not len(values):
            raise DataError(f"modality '{raw.name}': no training sequence to take the length from; set max_length")
        self.length = max(len(self.encode(v)) for v in values)

    def admit(self, values: Sequence[Any]) -> None:
        """Lengthen L to the longest of ``values`` where neither ``max_length`` nor ``truncate`` says otherwise."""
        if not self.max_length and not self.truncate:
            self.length = max([self.length, *(len(v) for v in values)])

    def spec(self, raw: RawModality) -> ModalitySpec:
        """The spec: shape (L,)."""
        return ModalitySpec(raw.name, raw.kind, (self._fitted(),))

    def __call__(self, value: Any) -> Tensor:
        """Map a string to (L,) codes, torch.long, with 0 at the end."""
        return pad_codes(self.encode(value), self._fitted(), self.truncate, self.what)

    def _fitted(self) -> int:
        if not self.length:
            raise SpecError(
                f"{type(self).__name__} is not fitted: call fit with training sequences, or set max_length"
            )
        return self.length
