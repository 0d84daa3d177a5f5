"""Whether a column holds numbers or categories, decided by the whole column, and what its exceptions become."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from datamodules.io.unknown import text_of
from zoo.errors import DataError

ColumnKind = Literal["number", "category"]
Exceptions = Literal["error", "missing", "number"]
Mask = npt.NDArray[np.bool_]

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
COMMA = r"^[+-]?[0-9]+,[0-9]+$"
"""A number whose decimals follow a comma."""
CODE = r"^([+-]?0[0-9]|[+-]?[0-9]{16})"
"""Digits that a number would lose: leading zeros, and more than a float holds."""
ALMOST = re.compile(r"[<>≤≥~≈=]{0,2}\s*([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)")
"""A number with a sign of comparison before it, or with a decimal comma."""
_NUMBER = re.compile(NUMBER)
FEW = 0.1
"""Largest share of words in a column of numbers; one word is always few where most cells are numbers."""
NAMED = 5


EXACT = 2**53
"""Up to here a float holds every whole number."""


@dataclass(frozen=True)
class ColumnType:
    """How the cells of one column are read.

    Attributes:
        kind: number or category.
        comma: whether decimals follow a comma in all cells.
        stated: whether a user or a role says so; else it was inferred.
        clean: whether every known cell was found to be a number.
    """

    kind: ColumnKind
    comma: bool = False
    stated: bool = False
    clean: bool = False

    def number(self, value: Any) -> float | None:
        """A known cell as a finite number, None where it is none.

        >>> [ColumnType("number").number(v) for v in ("1.5", 2, True, "<5", "1,5", "inf", "1_0")]
        [1.5, 2.0, 1.0, None, None, None, None]
        >>> ColumnType("number", comma=True).number("1,5")
        1.5
        """
        if isinstance(value, str):
            text = value.strip()
            text = text.replace(",", ".") if self.comma and re.match(COMMA, text) else text
            if not _NUMBER.match(text):
                return {"true": 1.0, "false": 0.0}.get(text.lower())
            value = text
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None


def almost_number(value: Any) -> float | None:
    """The number in a cell such as "<5" or "1,5"; None where it is not clear, as in "1,234".

    >>> [almost_number(v) for v in ("<5", ">= 2.5", "1,5", "1,234", "0,123", "n.d.", "5 mg")]
    [5.0, 2.5, 1.5, None, 0.123, None, None]
    """
    found = ALMOST.fullmatch(text_of(value))
    if not found:
        return None
    whole, comma, decimals = found[1].partition(",")
    if comma and len(decimals) == 3 and whole.lstrip("+-") != "0":
        return None  # thousands, or decimals
    number = float(f"{whole}.{decimals}" if comma else whole)
    return number if math.isfinite(number) else None


def infer(column: Any, known: Mask) -> ColumnType:
    """Tell from all known cells whether a column holds numbers or categories.

    Numbers with few exceptions are numbers. Digits with leading zeros, or with more digits than a float holds, are
    codes and so categories.

    Args:
        column: a pyarrow array of a plain type.
        known: (N,) whether a cell is known.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    if types.is_integer(column.type) or types.is_floating(column.type) or types.is_decimal(column.type):
        return ColumnType("number", clean=not types.is_floating(column.type))
    if not types.is_large_string(column.type):
        return ColumnType("category")
    cells = pc.utf8_trim_whitespace(column.filter(pa.array(known)))
    if not len(cells):
        return ColumnType("category")

    def count(pattern: str) -> int:
        return int(pc.sum(pc.match_substring_regex(cells, pattern)).as_py() or 0)

    clean = _all_numbers(cells)
    numbers, commas = (len(cells), 0) if clean else (count(NUMBER), count(COMMA))
    if numbers + commas == 0:
        return ColumnType("category")
    codes = count(CODE)
    if codes and (codes > max(1, FEW * len(cells)) or _one_length(cells, numbers)):
        return ColumnType("category")
    if clean:
        return ColumnType("number", clean=True)
    points = count(r"^[+-]?[0-9]*\.[0-9]")
    comma = commas >= max(2, FEW * len(cells)) and not points
    good = numbers + (commas if comma else 0)
    rest = cells.filter(pc.invert(pc.match_substring_regex(cells, NUMBER))).value_counts().to_pylist()
    words = sum(e["counts"] for e in rest if almost_number(e["values"]) is None and not re.match(COMMA, e["values"]))
    is_number = 2 * good > len(cells) and words <= max(1, FEW * len(cells))
    return ColumnType("number", comma) if is_number else ColumnType("category")


def _all_numbers(cells: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return bool(pc.all(pc.is_finite(pc.cast(cells, pa.float64()))).as_py())
    except pa.ArrowInvalid:
        return False


def _one_length(cells: Any, numbers: int) -> bool:
    import pyarrow.compute as pc

    lengths = pc.utf8_length(cells)
    return numbers > 1 and pc.min(lengths).as_py() == pc.max(lengths).as_py()


@dataclass(frozen=True)
class Reader:
    """Reads the cells of one column by its type and the policy for exceptions.

    Attributes:
        name: of the column.
        type: of the column.
        policy: what becomes of a cell of a column of numbers that is none: "error" refuses it, "missing" leaves it
            out, "number" takes the number in cells such as "<5" and "1,5" and leaves the others out.
    """

    name: str
    type: ColumnType
    policy: Exceptions

    def __call__(self, value: Any) -> float | str | None:
        """A known cell as a number or as the words of a category; None where it is left out.

        Raises:
            DataError: the cell is no number and the policy is "error".
        """
        if self.type.kind == "category":
            return text_of(value)
        number = self.type.number(value)
        if number is None:
            if self.policy == "error":
                raise DataError(
                    f"column '{self.name}' holds {value!r} among numbers; mend it, name it under 'unknown', or set "
                    "'exceptions' to missing or number"
                )
            number = almost_number(value) if self.policy == "number" else None
        return number

    def exceptions(self, column: Any, known: Mask) -> Mask:
        """(N,) whether a known cell of a column of numbers is none.

        Args:
            column: a pyarrow array of a plain type.
            known: (N,) whether a cell is known.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.type.kind == "category" or self.type.clean:
            return np.zeros(len(column), dtype=bool)
        if pa.types.is_floating(column.type):
            finite = pc.fill_null(pc.is_finite(column), True)
            mask: Mask = known & ~finite.to_numpy(zero_copy_only=False)
            return mask
        if not pa.types.is_large_string(column.type):
            return self._one_by_one(column, known, lambda v: self.type.number(v) is None)
        good = pc.match_substring_regex(pc.utf8_trim_whitespace(column), NUMBER)
        odd = known & ~pc.fill_null(good, False).to_numpy(zero_copy_only=False)
        return self._one_by_one(column, odd, lambda v: self.type.number(v) is None)

    def numbers(self, column: Any, known: Mask) -> npt.NDArray[np.float64] | None:
        """(N,) the cells of a column as numbers, NaN where unknown; None where it is no plain column of numbers.

        Each number is the one that calling gives for the cell.

        Args:
            column: a pyarrow array of a plain type.
            known: (N,) whether a cell is known.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        types, text = pa.types, pa.types.is_large_string(column.type)
        plain = text or types.is_floating(column.type) or types.is_integer(column.type)
        if self.type.kind == "category" or self.type.comma or not plain or self.exceptions(column, known).any():
            return None
        cells = column.filter(pa.array(known))
        try:
            read = pc.cast(pc.utf8_trim_whitespace(cells) if text else cells, pa.float64(), safe=False)
        except pa.ArrowInvalid:  # a form that only Python reads as a number, or a truth value
            return None
        found = np.full(len(column), np.nan)
        found[known] = read.to_numpy(zero_copy_only=False)
        return found if np.isfinite(found[known]).all() else None

    def left_out(self, column: Any, known: Mask) -> Mask:
        """(N,) whether a known cell is left out, since it is no number.

        Args:
            column: a pyarrow array of a plain type.
            known: (N,) whether a cell is known.
        """
        odd = self.exceptions(column, known)
        if self.policy == "missing" or not odd.any():
            return odd if self.policy != "error" else np.zeros(len(column), dtype=bool)
        if self.policy == "error":
            return np.zeros(len(column), dtype=bool)
        return self._one_by_one(column, odd, lambda v: almost_number(v) is None)

    def too_long(self, column: Any, known: Mask) -> Mask:
        """(N,) whether a known cell of a column of numbers is whole and beyond 2^53, so that a float rounds it.

        Args:
            column: a pyarrow array of a plain type.
            known: (N,) whether a cell is known.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        none = np.zeros(len(column), dtype=bool)
        if self.type.kind == "category" or pa.types.is_boolean(column.type):
            return none
        if pa.types.is_integer(column.type):
            limits = pc.min_max(column)
            if all(v is None or abs(v) <= EXACT for v in (limits["min"].as_py(), limits["max"].as_py())):
                return none
            return self._one_by_one(column, known, lambda v: abs(v) > EXACT)
        if not pa.types.is_large_string(column.type):
            return none
        long = pc.match_substring_regex(pc.utf8_trim_whitespace(column), r"^[-+]?[0-9]{16,}$")
        among: Mask = known & pc.fill_null(long, False).to_numpy(zero_copy_only=False)
        return self._one_by_one(column, among, lambda v: abs(int(v)) > EXACT)

    def _one_by_one(self, column: Any, among: Mask, test: Callable[[Any], bool]) -> Mask:
        found = np.zeros(len(column), dtype=bool)
        for row in np.flatnonzero(among).tolist():
            found[row] = test(column[row].as_py())
        return found
