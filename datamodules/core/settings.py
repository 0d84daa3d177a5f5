"""Options of sources, in groups: what checks its own words, and the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from zoo.errors import SpecError


def _choices(settings: type) -> Mapping[str, tuple[Any, ...]]:
    """Name of a field -> the values that it may have, for the fields that list them."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, hint in get_type_hints(settings).items():
        literals = [t for t in (hint, *get_args(hint)) if get_origin(t) is Literal]
        if literals:
            plain = (True, False) if bool in get_args(hint) else ()
            found[name] = (*plain, *(value for t in literals for value in get_args(t)))
    return found


@dataclass(frozen=True)
class Settings:
    """Base of the groups of options of a constructor: a field whose values are listed has one of them.

    Raises:
        SpecError: a field has another value.
    """

    def __post_init__(self) -> None:
        for name, allowed in _choices(type(self)).items():
            value = getattr(self, name)
            if not any(value is a or (value == a and isinstance(a, str)) for a in allowed):
                raise SpecError(f"{type(self).__name__}: {name} is {value!r}; allowed: {allowed}")


@dataclass(frozen=True)
class TableColumns(Settings):
    """Which columns of a table hold what.

    Attributes:
        label: column of the label, or the list of them where there are several.
        id: column of the ids.
        split: column of train, val, test or nothing; "" leaves the split open.
        group: column whose rows of one value never cross a split; "" for none.
        delimiter: of the table; "" takes the comma for .csv and the tab for all others.
    """

    label: str | tuple[str, ...] = "label"
    id: str = "id"
    split: str = ""
    group: str = ""
    delimiter: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of labels."""
        return (self.label,) if isinstance(self.label, str) else tuple(self.label)
