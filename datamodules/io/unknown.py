"""The one rule for what is unknown in a table: what its format calls missing, and words that stand for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

UNKNOWN_WORDS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "NaT", "None", "n/a", "nan", "null",
)  # fmt: skip
"""Words that a cell of text may hold where nothing is known: those that pandas takes for missing, and NaT."""


@dataclass(frozen=True)
class Unknown:
    """Which values of a table are unknown: null, NaN and NaT of any type, blank text, and some words.

    A word that is declared as a class is a class, whatever else it means.

    Attributes:
        words: further words that stand for an unknown value, such as "-9"; UNKNOWN_WORDS always do.
        values: words that are values in this table, although they are among UNKNOWN_WORDS.
    """

    words: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    def set_of(self, classes: Iterable[str] = ()) -> frozenset[str]:
        """The words that stand for an unknown value where ``classes`` are declared."""
        return _set_of(self.words, self.values, tuple(classes))

    def __call__(self, value: Any, classes: Iterable[str] = ()) -> bool:
        """Whether a value is unknown.

        >>> unknown = Unknown(words=("-9",))
        >>> [unknown(v) for v in (None, float("nan"), " ", "nan", "-9", -9, 0, "no")]
        [True, True, True, True, True, True, False, False]
        >>> unknown("None"), unknown("None", classes=("None", "mild"))
        (True, False)
        """
        if value is None or isinstance(value, list | dict | bytes):
            return value is None
        if value != value:
            return True
        return text_of(value) in self.set_of(classes)

    def blank(self, values: Sequence[Any], column: str, classes: Iterable[str] = ()) -> tuple[list[str], list[str]]:
        """The cells of a column as text, "" where they are unknown, and what is to be said of those.

        Args:
            values: the cells, of which texts stay as they are. Floats lose their ".0" where all of the column are
                whole, as pandas stores whole numbers of which some are unknown.
            column: name of the column, for the remark.
            classes: words that are classes, whatever else they mean.

        >>> Unknown().blank(["a", " nan", None, ""], "dx")
        (['a', '', '', ''], ["column 'dx': 3 of 4 cells are unknown (2 empty, 1 'nan')"])
        >>> Unknown().blank([1.0, 2.0], "donor")[0], Unknown().blank([1.0, 0.5], "share")[0]
        (['1', '2'], ['1.0', '0.5'])
        """
        words = self.set_of(classes)
        whole = all(_is_whole(v) for v in values if _is_measured(v) and v == v)
        gone: Counter[str] = Counter()
        cells = []
        for value in values:
            word = text_of(value)
            cells.append("" if word in words else word if whole and _is_measured(value) else str(value))
            if word in words:
                gone[word] += 1
        return cells, count_unknown(column, gone, len(cells))


@lru_cache(maxsize=256)
def _set_of(told: tuple[str, ...], values: tuple[str, ...], classes: tuple[str, ...]) -> frozenset[str]:
    words = {w.strip() for w in told}
    whole = {f"{w}.0" for w in words if w.lstrip("+-").isdigit()}  # as pandas writes -9 in a column with gaps
    return frozenset({*UNKNOWN_WORDS, *words, *whole} - {*values, *classes} | {""})


MOST = 12
"""Words that a remark names."""


def count_unknown(column: str, counts: dict[str, int], of: int) -> list[str]:
    """What is said of the unknown cells of a column: [] where there is none.

    Args:
        column: its name.
        counts: word -> cells that hold it; "" is an empty cell or null.
        of: number of all cells.
    """
    if not counts:
        return []
    words = ", ".join(f"{n} {repr(w) if w else 'empty'}" for w, n in sorted(counts.items())[:MOST])
    return [f"column '{column}': {sum(counts.values())} of {of} cells are unknown ({words})"]


RULE = Unknown()
"""The rule where neither a user nor a card names further words."""


def text_of(value: Any) -> str:
    """A value as text without blanks around it, "" for null and NaN; whole floats lose their ".0".

    >>> text_of(3.0), text_of(None), text_of(" a "), text_of(True), text_of(1e300) == text_of(10**300)
    ('3', '', 'a', 'True', False)
    """
    if value.__class__ is str:  # most cells of text: the tests below cost a microsecond
        return str(value.strip())
    if value is None or value != value:
        return ""
    return str(int(value)) if _is_measured(value) and _is_whole(value) else str(value).strip()


def _is_measured(value: Any) -> bool:
    """Whether a value is a float, one of numpy among them."""
    return value.__class__ is float or (isinstance(value, Real) and not isinstance(value, Integral))


def _is_whole(value: Any) -> bool:
    """Whether a float is a whole number that it holds exactly enough to be a name."""
    return bool(abs(value) < 2**63 and value == int(value))
