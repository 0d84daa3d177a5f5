"""What a judge is, and what judges of records share: verdicts, fields, and what findings say of a picture."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.generator import Condition, Generation
from zoo.registry import Registry

UNKNOWN = ("", "unknown")
FEW, MIDDLE, MANY = 0, 1, 2
"""Levels that words give to a measure: below its lower threshold, between the two, above the upper one."""
STATEMENTS: tuple[tuple[str, str, int], ...] = (
    (r"\b(mild|slight)(ly)? asymmetr", "asymmetry", MIDDLE),
    (r"\basymmetr", "asymmetry", MANY),
    (r"\bsymmetr", "asymmetry", FEW),
    (r"\b(mild|slight)ly irregular (border|margin|edge)", "border_irregularity", MIDDLE),
    (r"\birregular (border|margin|edge)", "border_irregularity", MANY),
    (r"\bregular (border|margin|edge)", "border_irregularity", FEW),
    (r"\b(many|multiple|several) colou?rs", "colour_count", MANY),
    (r"\bone or two colou?rs", "colour_count", FEW),
    (r"\bvariegat", "colour_spread", MANY),
    (r"\b(uniform|homogeneous) (colou?r|pigment)", "colour_spread", FEW),
    (r"\bblu(e|ish)\b", "blue_grey", MANY),
    (r"(?<!blue-)(?<!blue )\bwhit(e|ish)\b", "white", MANY),
    (r"\bred areas", "red", MANY),
    (r"\b(reddish|pink(ish)?|erythem\w*)", "redness", MANY),
    (r"\blight brown\b", "light_brown", MANY),
    (r"\bdark brown\b", "dark_brown", MANY),
    (r"(?<!light )(?<!dark )\bbrown(ish)?\b", "brown", MANY),
    (r"\bblack(ish)?\b", "black", MANY),
    (r"\bnetwork", "network", MANY),
    (r"\bhairs?\b", "hair", MANY),
    (r"\bsmall in the frame", "relative_size", FEW),
    (r"\blarge in the frame", "relative_size", MANY),
    (r"\bsmooth surface", "texture", FEW),
    (r"\bcoarse texture", "texture", MANY),
    (r"\bfaint against", "contrast", FEW),
    (r"\bsharply darker", "contrast", MANY),
)
"""Pattern, measure of the picture, level: what words of a finding say. Of one measure the first pattern counts."""
NEGATION = re.compile(r"\b(no|not|without|absent|absence of|lacks?|lacking|denies)\b[^,;.]*$")


@dataclass(frozen=True)
class Verdict:
    """What a judge says of one value.

    Attributes:
        score: 1 (contradicts what is known) to 5 (agrees in all that could be compared); NaN where the value was
            rejected or nothing could be compared.
        reasons: what lowered it, or why there is none.
        checks: how many comparisons were made.
    """

    score: float
    reasons: tuple[str, ...] = ()
    checks: int = 0


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        passed: 1 agrees, 0 contradicts.
        weight: in the verdict.
        reason: what is said below 1.
    """

    passed: float
    weight: float
    reason: str


class Judge(ABC):
    """Score generated values; registered in JUDGES, keyword arguments only."""

    def fit(self, rows: Sequence[Condition]) -> None:
        """Learn what is usual from training rows. Does nothing by default."""

    @abstractmethod
    def score(self, given: Condition, made: Generation) -> Verdict:
        """Judge what was made of a row, see Verdict."""


JUDGES: Registry[Judge] = Registry("judge", "generation")
"""Judges by class name."""


def statements(text: str) -> dict[str, int]:
    """Find what a text says of the measures of a picture, by STATEMENTS; a negation before a word turns it round.

    >>> statements("asymmetric shape, no blue-grey veil")
    {'asymmetry': 2, 'blue_grey': 0}
    """
    lowered, said = text.lower(), {}
    for pattern, name, level in STATEMENTS:
        found = re.search(pattern, lowered)
        if found and name not in said:
            said[name] = MANY - level if NEGATION.search(lowered[: found.start()]) else level
    return said


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """Map the weighted share of agreement to 1 .. 5."""
    if not checks:
        return Verdict(math.nan, ("nothing could be compared",))
    share = sum(c.passed * c.weight for c in checks) / sum(c.weight for c in checks)
    return Verdict(1.0 + 4.0 * share, tuple(c.reason for c in checks if c.passed < 1), len(checks))


def is_known(value: object) -> bool:
    """Whether a value tells anything: not None, NaN, empty or "unknown"."""
    missing = isinstance(value, float) and math.isnan(value)
    return value is not None and not missing and str(value).strip().lower() not in UNKNOWN


def as_number(value: object) -> float:
    """The value as a float, NaN where it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def part_of(record: Mapping[str, Any], section: str, name: str) -> Any:
    """A field of a record, None where it is not there.

    Args:
        record: as the schema describes it.
        section: name of a part, such as "patient".
        name: of the field in it.
    """
    part = record.get(section)
    return part.get(name) if isinstance(part, Mapping) else None


def texts_of(value: object) -> list[str]:
    """A list of texts, or one text, as a list."""
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)] if is_known(value) else []


def rejected(made: Generation) -> Verdict | None:
    """The verdict of a rejected value; None for one that is there."""
    return Verdict(math.nan, (f"rejected: {made.reason}",)) if made.value is None else None
