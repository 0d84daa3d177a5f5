"""What a record says of a risk and of findings: orders, sentences, and the findings typical of a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from zoo.generation.captioners.appearance import CONCERNING, WORDS

ORDER_RULE: tuple[tuple[float, str, str], ...] = (
    (0.8, "urgent_referral", "high risk of malignancy"),
    (0.5, "biopsy", "malignancy is more likely than not"),
    (0.2, "dermoscopy_follow_up", "malignancy cannot be ruled out"),
    (0.0, "reassurance", "low risk of malignancy"),
)
"""Lowest risk, order, note: the first line that the risk reaches is ordered. Thresholds are ours, not clinical."""
TYPICAL, LIFT = 3, 1.2
"""At most so many findings are typical of a class: those so many times as frequent in it as in all training rows."""


def order(risk: float) -> dict[str, str]:
    """Return the order that a risk (0 to 1) calls for by ORDER_RULE.

    >>> order(0.55)["type"], order(0.1)["type"]
    ('biopsy', 'reassurance')
    """
    kind, note = next((kind, note) for least, kind, note in ORDER_RULE if risk >= least)
    return {"type": kind, "note": note}


def rationale(risk: float, findings: Sequence[str]) -> list[str]:
    """Put the risk and what speaks for it in sentences."""
    said = [f"Estimated risk of malignancy {risk:.2f}."]
    signs = [word for word in findings if word in CONCERNING]
    said.append(f"Of concern: {', '.join(signs)}." if signs else "No finding of concern by the ABCD rule.")
    return said


def typical_words(findings: Sequence[Sequence[str]], labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the words that tell each class from the rest: at most TYPICAL, those of the largest lift from LIFT on.

    Lift is how often a word is said of the class over how often of all rows. A word said of fewer than a quarter
    of the class is not typical of it. Ties are alphabetical.
    """
    overall = Counter(word for row in findings for word in row)
    out: dict[str, tuple[str, ...]] = {}
    for name in sorted(set(labels)):
        rows = [row for row, label in zip(findings, labels, strict=True) if label == name]
        counts = Counter(word for row in rows for word in row)
        lifts = {w: (n / len(rows)) / (overall[w] / len(findings)) for w, n in counts.items() if 4 * n >= len(rows)}
        ranked = sorted((w for w in lifts if lifts[w] >= LIFT), key=lambda w: (-lifts[w], w))
        out[name] = tuple(ranked[:TYPICAL])
    return out


def with_typical(findings: Sequence[str], typical: Sequence[str]) -> tuple[str, ...]:
    """Add typical words to those of a picture, and leave out what contradicts them (another level of a measure)."""
    against = _same_measure(typical)
    return (*typical, *(w for w in findings if w not in against and w not in typical))


def _same_measure(said: Sequence[str]) -> set[str]:
    table: Mapping[str, tuple[str, str, str]] = WORDS
    return {other for levels in table.values() for w in said if w and w in levels for other in levels}
