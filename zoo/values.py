"""Raw values, before a processor makes tensors of them: where one is read from, and how it is shown to a person."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""A picture (H, W, 3) of red, green and blue."""


@dataclass(frozen=True)
class Shown:
    """A value as it is shown to a person, in reports and in the audit of data.

    Attributes:
        words: the value in a few words; "" where a picture says everything.
        picture: (H, W, 3) uint8; None where there is nothing to draw.
    """

    words: str = ""
    picture: Picture | None = None


class Form(Protocol):
    """What is known of the values of a modality before they are read: of RawModality, what files can say too."""

    @property
    def unit(self) -> str:
        """Physical unit; "" where it is not known."""

    @property
    def sampling_rate(self) -> float:
        """In Hz; 0 where it is not known."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of channels; () where they are not known."""


class Cell(Protocol):
    """The cell of a user's table that a value is read from, or the cells where several columns make one value."""

    @property
    def value(self) -> Any:
        """What stands in the first cell."""

    @property
    def file(self) -> Path | None:
        """The file that the first cell names; None where the cell holds the value itself."""

    @property
    def form(self) -> Form | None:
        """What is known of the modality; None for a label."""

    def row(self) -> Mapping[str, float | str | None]:
        """Column -> number, word or None where unknown."""

    def text(self) -> str:
        """The words of the cell, or of the UTF-8 file that it names."""

    def image(self) -> npt.NDArray[Any]:
        """The image in the file that the cell names, or in the bytes that stand in the cell."""

    def numbers(self) -> npt.NDArray[Any]:
        """A list of numbers in the cell, one number of each column, or the .npy file that the cell names."""


def shorten(text: str, most: int) -> str:
    """Cut a text after ``most`` characters; long words are cut as well.

    >>> shorten("ACGTACGT", 5)
    'AC...'
    """
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def digest(*parts: bytes) -> bytes:
    """Return 16 bytes that equal parts share, and others almost surely do not."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(part)
    return made.digest()
