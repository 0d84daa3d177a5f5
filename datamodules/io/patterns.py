"""Columns by their names and by patterns."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence

from zoo.errors import UnknownNameError, unknown_name

MOST = 12
"""Columns that a message names; further ones are counted."""


def expand(patterns: Sequence[str], names: Sequence[str], spared: Collection[str] = ()) -> tuple[str, ...]:
    """The columns that some names and patterns mean, each once; those of one pattern are in the order of the table.

    Args:
        patterns: names of columns, and patterns with *, ? or [].
        names: of all columns, in order.
        spared: columns that a pattern never means, such as those of labels.

    Raises:
        UnknownNameError: a pattern or name means no column.

    >>> expand(["age", "g_*", "g_1"], ["g_2", "age", "g_1", "sex"])
    ('age', 'g_2', 'g_1')
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern in names:
            found[pattern] = None
        elif any(c in pattern for c in "*?["):
            matched = [n for n in names if n not in spared and fnmatch.fnmatchcase(n, pattern)]
            if not matched:
                raise UnknownNameError(f"no column matches the pattern '{pattern}'; columns: {some(names)}")
            found |= dict.fromkeys(matched)
        else:
            raise unknown_name("column", pattern, names)
    return tuple(found)


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> some(["a", "b"])
    'a, b'
    """
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")
