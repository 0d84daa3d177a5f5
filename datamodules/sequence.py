"""What DNA and protein processors share: letters to codes, brought to one length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.processor import Processor
from datamodules.source import RawModality
from zoo.contract import PAD, ModalitySpec
from zoo.errors import DataError, SpecError


def pad_codes(codes: npt.NDArray[np.int64], length: int, truncate: bool, what: str) -> Tensor:
    """Bring (L,) codes to (length,): padding at the end, or the first ``length`` codes where asked.

    Raises:
        DataError: there are more codes than ``length`` and ``truncate`` is off.
    """
    if len(codes) > length and not truncate:
        raise DataError(
            f"{what} of length {len(codes)} exceeds the length {length} of this processor; set max_length to at "
            f"least {len(codes)}, or truncate=true to keep the first {length} letters"
        )
    out = torch.full((length,), PAD, dtype=torch.long)
    kept = np.ascontiguousarray(codes[:length])
    out[: len(kept)] = torch.from_numpy(kept)
    return out


class SequenceProcessor(Processor):
    """Turn a string of letters into (L,) codes; a subclass says how letters are coded.

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

    @abstractmethod
    def encode(self, sequence: str) -> npt.NDArray[np.int64]:
        """Map a string to its (L,) codes, or raise DataError."""

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
        return ModalitySpec(raw.name, self.kind, (self._fitted(),))

    def __call__(self, value: Any) -> Tensor:
        """Map a string to (L,) codes, torch.long, with 0 at the end."""
        return pad_codes(self.encode(value), self._fitted(), self.truncate, self.what)

    def _fitted(self) -> int:
        if not self.length:
            raise SpecError(
                f"{type(self).__name__} is not fitted: call fit with training sequences, or set max_length"
            )
        return self.length
