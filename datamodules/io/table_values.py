"""The cells of a user's table that one value is read from: the value itself, or the file that a cell names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.files import require_file
from datamodules.io.frames import ImageArray
from datamodules.io.images import read_file
from datamodules.io.unknown import text_of
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality


@dataclass(frozen=True)
class TableCell:
    """What one row of a table says of one modality or label.

    Attributes:
        values: column -> what stands there, None where unknown; more than one where columns were listed.
        folder: what relative paths are relative to.
        path: "" where the cell holds the value itself, else the path of its file, with "{}" for the cell.
        listed: whether the columns were listed one by one; then each holds one number or word of the value.
        load: reads an image, from its file or from its bytes, as its processor asks for.
        form: what is known of the modality; None for a label.
    """

    values: Mapping[str, Any]
    folder: Path
    path: str = ""
    listed: bool = False
    load: Callable[[Path | bytes], ImageArray] = read_file
    form: RawModality | None = None

    @property
    def value(self) -> Any:
        """What stands in the first cell."""
        return next(iter(self.values.values()))

    @property
    def file(self) -> Path | None:
        """The file that the first cell names; None where the cell holds the value itself."""
        return self.folder / self.path.replace("{}", text_of(self.value)) if self.path else None

    def row(self) -> dict[str, float | str | None]:
        """Column -> number, or words as they are, None where unknown: a word is no number, whatever it says.

        Raises:
            DataError: a number is not finite.
        """
        return {column: _scalar(value) for column, value in self.values.items()}

    def text(self) -> str:
        """The words of the cell, or of the UTF-8 file that it names, without blanks around them.

        Raises:
            DataError: the file is missing or is not UTF-8.
        """
        file = self.file
        if file is None:
            return text_of(self.value)
        try:
            return require_file(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"the text cannot be read ({error}); expected UTF-8", file=file) from error

    def image(self) -> npt.NDArray[Any]:
        """The image in the file that the cell names, or in the bytes that stand in the cell.

        Raises:
            DataError: it cannot be read, or the cell is neither.
        """
        if self.file is not None:
            return self.load(self.file)
        content = self.value.get("bytes") if isinstance(self.value, Mapping) else self.value
        if not isinstance(content, bytes):
            raise DataError(
                f"an image is given as bytes or as a path, got {str(self.value)[:60]!r}; set 'path', such as '{{}}'"
            )
        return self.load(content)

    def array(self) -> npt.NDArray[Any]:
        """The list of numbers in the cell, or the array of the .npy file that it names; values may be NaN.

        Raises:
            DataError: neither, or the file cannot be read.
            SpecError: the file is not called .npy.
        """
        file = self.file
        if file is not None:
            return _array(file)
        if not isinstance(self.value, list):
            raise DataError(
                f"the value is given as a list of numbers or as a path, got {str(self.value)[:60]!r}; set 'path'"
            )
        return _numbers(self.value)

    def numbers(self) -> npt.NDArray[Any]:
        """One number of each listed column, else ``array``; all are finite.

        Raises:
            DataError: a column is empty, a value is not finite, or see ``array``.
        """
        if not self.listed:
            return finite(self.array(), self.file)
        missing = [c for c, v in self.values.items() if v is None]
        if missing:
            raise DataError(
                f"{len(missing)} columns are empty, the first is '{missing[0]}'; fill them in, or drop them"
            )
        return finite(_numbers(list(self.values.values())))


def _scalar(value: Any) -> float | str | None:
    """A number as one, anything else as words."""
    if value.__class__ is float and math.isfinite(value):  # most cells of wide tables
        return float(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, Real | Decimal | np.number):
        return text_of(value)
    if not np.isfinite(float(value)):
        raise DataError(
            f"a cell holds {value!r}, which is no finite number; name it under 'unknown' if it means that"
        )
    return float(value)


def _array(file: Path) -> npt.NDArray[Any]:
    if file.suffix.lower() != ".npy":
        raise SpecError(f"an array is read from a .npy file, got '{file.name}'")
    try:
        array = np.load(require_file(file), allow_pickle=False, mmap_mode="r")
        return np.array(array, dtype=array.dtype if array.dtype == np.uint8 else np.float32)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"the array cannot be read ({type(error).__name__}: {error})", file=file) from error


def finite(array: npt.NDArray[Any], file: Path | None = None) -> npt.NDArray[Any]:
    """Return the array if all of it is finite.

    Args:
        array: of any shape.
        file: that it was read from, for errors.

    Raises:
        DataError: a value is not; counts all that are not.
    """
    if not np.isfinite(array).all():
        raise DataError(
            f"{int((~np.isfinite(array)).sum())} of the {array.size} values are not finite; mend them, or leave the "
            "row out",
            file=file,
        )
    return array


def _numbers(values: Any) -> npt.NDArray[np.float32]:
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"not numbers: {str(values)[:60]} ({error})") from error
