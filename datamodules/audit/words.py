"""Words of the label in texts that are inputs: in notes and reports, and in the headers of files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from datamodules.audit.chance import level, tail
from datamodules.audit.findings import Finding, some
from datamodules.audit.leaks import ACCURACY, FEWEST
from zoo.values import shorten

GAIN = 0.1
"""A class's name is worth a word where its own texts hold it more often than others by this share of them."""
CLASSES = 200
"""Classes of a task whose names are looked for."""


@dataclass
class Named:
    """Which texts of a modality hold the name of which class of a task.

    Attributes:
        classes: those with a name that can be looked for.
        rows: rows that have a text.
        hits: class -> rows whose text holds its name.
        examples: class -> row and the words around the name.
    """

    classes: dict[str, str]
    rows: set[int] = field(default_factory=set)
    hits: dict[str, set[int]] = field(default_factory=dict)
    examples: dict[str, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, classes: Iterable[str]) -> Named:
        """For the classes of a task; short names, numbers and what says only yes or no are not looked for."""
        known = {c: plain(c) for c in list(classes)[:CLASSES]}
        return cls({c: w for c, w in known.items() if len(w) >= 4 and not w.isdigit()})

    def add(self, row: int, text: str) -> None:
        """Note the text of one row."""
        self.rows.add(row)
        words = f" {plain(text)} "
        for name, wanted in self.classes.items():
            place = words.find(f" {wanted} ")
            if place >= 0:
                self.hits.setdefault(name, set()).add(row)
                if name not in self.examples:
                    around = words[max(0, place - 40) : place + len(wanted) + 40].strip()
                    self.examples[name] = (row, around)


def plain(text: str) -> str:
    """A text in lower case, letters and digits alone.

    >>> plain("Signs of PNEUMONIA_lobar.")
    'signs of pneumonia lobar'
    """
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def find_words(
    named: Mapping[tuple[str, str], Named],
    labels: Mapping[str, Mapping[int, frozenset[str]]],
    units: list[str],
    ids: list[str],
) -> list[Finding]:
    """Find texts that name the class of their row more often than chance, by Fisher's exact test for each class.

    One row of each unit counts, and the level is divided by the number of classes and texts that were looked at.

    Args:
        named: task and where the text stands -> what was found there.
        labels: task -> row -> its classes.
        units: of every row, what rows share that are not independent, such as the patient.
        ids: of every row.
    """
    looks = sum(len(n.classes) for n in named.values())
    found = []
    for (task, where), held in named.items():
        first = {units[r]: r for r in sorted(held.rows & labels[task].keys(), reverse=True)}
        own = {r: labels[task][r] for r in first.values()}
        if len(own) < FEWEST:
            continue
        told = {c: _rates(held.hits[c], own, c, level(looks)) for c in held.classes if c in held.hits}
        kept = {c: rates for c, rates in told.items() if rates is not None}
        if kept:
            found.append(_finding(task, where, held, own, kept, ids))
    return found


def _rates(
    hits: set[int], own: Mapping[int, frozenset[str]], name: str, wanted: float
) -> tuple[float, float, float] | None:
    """Share of the texts of a class that hold its name, of other texts, and of all; None where it may be chance."""
    inside = [r in hits for r, held in own.items() if name in held]
    outside = [r in hits for r, held in own.items() if name not in held]
    if not inside or not outside:
        return None
    here, there = sum(inside) / len(inside), sum(outside) / len(outside)
    marked = sum(inside) + sum(outside)
    if here - there < GAIN or tail(sum(inside), len(inside), marked, len(own)) >= wanted:
        return None
    return here, there, marked / len(own)


def _finding(
    task: str,
    where: str,
    held: Named,
    own: Mapping[int, frozenset[str]],
    kept: Mapping[str, tuple[float, float, float]],
    ids: list[str],
) -> Finding:
    ordered = sorted(kept.items(), key=lambda item: item[1][1] - item[1][0])
    said = [
        f"'{c}' stands in {here:.0%} of its own texts, {there:.0%} of others ({chance:.0%} where labels are shuffled)"
        for c, (here, there, chance) in ordered
    ]
    row, around = held.examples[ordered[0][0]]
    named = {r: {c for c, hits in held.hits.items() if r in hits} for r in own}
    right = sum(bool(named[r] & own[r]) for r in own)
    alone = sum(len(named[r]) == 1 and named[r] == own[r] for r in own) / len(own)
    leak = alone > ACCURACY
    message = f"texts hold the name of their class of {task}: {some(said)}; for example '{ids[row]}': "
    message += f"'{shorten(around, 90)}'"
    return Finding(
        "label words",
        "leak" if leak else "note",
        where,
        message,
        "no: the text is an input" if leak else "",
        {"rows": float(right), "of": float(len(own)), "alone": alone},
        remedy=f"leave '{where.split(':')[0]}' out of data.modalities, or take the words out of the texts",
    )
