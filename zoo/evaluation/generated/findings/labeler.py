"""From the words of a report to a value for each finding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.evaluation.generated.findings.rules import FINDINGS, IMPLIES, NORMAL, OTHER, RULES, Rule, Value
from zoo.evaluation.generated.findings.scopes import Scopes, sentences

Values = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mention:
    """One mention of a finding.

    Attributes:
        finding: one of FINDINGS, or "Other".
        value: what the sentence says of it.
        words: that matched.
        sentence: in which it stands.
    """

    finding: str
    value: Value
    words: str
    sentence: str


class FindingsLabeler:
    """Read which findings a report of a chest X-ray states: positive, negative, uncertain or unmentioned.

    Rules are those of ``zoo.evaluation.generated.findings.rules``, cues of negation and doubt those of ``scopes``.
    "Normal" is positive where neither another finding nor any further abnormality is positive or uncertain and
    the report states something; else it is negative. How far it agrees with manual labels is in
    docs/decisions/2026-12-labeler.md.

    Args:
        rules: the mentions to read.

    >>> labels = FindingsLabeler().label("Cardiomegaly without edema. Possible left effusion.")
    >>> {name: value.name for name, value in labels.items() if value >= 0}
    {'Cardiomegaly': 'POSITIVE', 'Edema': 'NEGATIVE', 'Effusion': 'UNCERTAIN', 'Normal': 'NEGATIVE'}
    """

    def __init__(self, *, rules: Sequence[Rule] = RULES) -> None:
        self._rules = [(r, re.compile(r.pattern), re.compile(r.unless) if r.unless else None) for r in rules]

    def mentions(self, report: str) -> list[Mention]:
        """Every mention in a report, in the order of its sentences."""
        return [mention for sentence in sentences(report) for mention in self._of(sentence)]

    def label(self, report: str) -> dict[str, Value]:
        """Finding of FINDINGS -> what the report says of it."""
        found = dict.fromkeys([*FINDINGS, OTHER], Value.UNMENTIONED)
        for mention in self.mentions(report):
            for name in (mention.finding, IMPLIES.get(mention.finding, "")):
                if name == mention.finding or (name and mention.value == Value.POSITIVE):
                    found[name] = max(found[name], mention.value)
        abnormal = found.pop(OTHER) > Value.NEGATIVE or any(v > Value.NEGATIVE for v in found.values())
        if report.strip():
            found[NORMAL] = Value.NEGATIVE if abnormal else Value.POSITIVE
        return found

    def matrix(self, reports: Sequence[str]) -> Values:
        """(N, 13) values of Value, a column for each of FINDINGS, of N reports."""
        rows = [list(self.label(report).values()) for report in reports]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(FINDINGS))

    def _of(self, sentence: str) -> list[Mention]:
        scopes, found = Scopes(sentence), []
        for rule, pattern, unless in self._rules:
            taken = [m.span() for m in unless.finditer(sentence)] if unless else []
            for match in pattern.finditer(sentence):
                key = match.span("key") if "key" in pattern.groupindex and match["key"] else match.span()
                if any(start < key[1] and key[0] < stop for start, stop in taken):
                    continue
                said = scopes.at(key)
                if said == Value.UNMENTIONED:
                    continue
                value = rule.value if said is None or rule.value == Value.NEGATIVE else said
                found.append(Mention(rule.finding, value, match.group(), sentence))
        return found
