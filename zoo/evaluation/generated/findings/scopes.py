"""Words that negate a finding or put it in doubt, and how far they reach within a sentence.

As in NegEx (Chapman et al., J. Biomed. Inform. 34:301, 2001) a cue reaches forward or backward to the next word that
ends its scope, or to the end of the sentence; phrases that only look like a negation are taken out first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoo.evaluation.generated.findings.rules import Value

PSEUDO = (
    r"\b(?:no|without) (?:(?:significant|interval|appreciable|definite|substantial|further|major|radiographic) )*"
    r"(?:change|increase|decrease|improvement)s?\b",
    r"\bnot (?:significantly |appreciably )?(?:changed|only|necessarily)\b",
    r"\bno (?:comparison|prior|previous) \w+",
)
"""Phrases that hold a negation of something else than a finding."""
DOUBT_BEFORE = (
    r"\bpossib(?:le|ly|ility)(?: of)?\b",
    r"\b(?:may|might|could)\b",
    r"\bquestion(?:able|ably|ed)?(?: of)?\b",
    r"\bsuspicio(?:n|us)(?: for| of)?\b|\bsuspect(?:ed)?\b",
    r"\b(?:concern|concerning|worrisome)(?: for)?\b",
    r"\b(?:suggest|suggests|suggesting|suggestive)(?: of)?\b",
    r"\b(?:can ?not|can't|could not|not|difficult to|unable to) (?:\w+ly )?(?:exclude|rule out)\b",
    r"\b(?:rule out|r/o|evaluate for|evaluation for|assess for|evaluation of|exclude)\b",
    r"\b(?:versus|vs|and/or)\b",
    r"\bdifferential\b|\bcorrelat\w+\b|\bif (?:there|clinical\w*|symptom\w*|concern)\b",
)
"""A finding after one of these is uncertain."""
DOUBT_AFTER = (
    r"\b(?:can ?not|not|difficult to) be (?:\w+ly )?(?:excluded|ruled out)\b|\bnot (?:\w+ly )?excluded\b",
    r"\b(?:is|are) (?:possible|suspected|questioned|questionable|not excluded)\b",
    r"\b(?:versus|vs)\b|\bless likely\b|\bin the differential\b|\bconsiderations?\b",
)
"""A finding before one of these is uncertain."""
NO_BEFORE = (
    r"\bno\b|\bnot\b|\bnor\b|\bneither\b|\bwithout\b|\bw/o\b",
    r"\b(?:negative|free|clear|absence|lack|devoid)(?: for| of)\b",
    r"\bresol(?:ved|ution)(?: of)?\b|\b(?:removal|clearing) of\b",
    r"\b(?:rather than|unlikely)\b",
)
"""A finding after one of these is negative."""
NO_AFTER = (
    r"\b(?:is|are|was|were|(?:has|have) been) (?:not|no longer|never) (?:\w+ )?(?:seen|identified|present|evident)\b",
    r"\b(?:is|are|was|were|(?:has|have) been) (?:not|no longer|never) (?:\w+ )?(?:appreciated|visuali[sz]ed)\b",
    r"\b(?:is|are|was|were|(?:has|have) been) (?:not|no longer|never) (?:\w+ )?(?:demonstrated|noted|detected)\b",
    r"\b(?:is|are) (?:not|no longer) (?:\w+ )?suspected\b",
    r"\b(?:is|are) absent\b|\b(?:has|have|is|are)? ?(?:completely |essentially )?resolved\b|\b(?:has|have) cleared\b",
    r"\b(?:is|are|(?:has|have) been) (?:excluded|ruled out|removed)\b|\b(?:is|are|seems?) (?:\w+ ){0,3}?unlikely\b",
)
"""A finding before one of these is negative."""
PAST = (r"\bhistory of\b|\bh/o\b|\bhx of\b|\bindication\b",)
"""A finding after one of these is told of the past, and is no mention."""
ENDS = (
    r"\b(?:but|however|although|though|except|apart from|aside from|other than|otherwise)\b",
    r"\b(?:nevertheless|while|whereas|with)\b",
    r"[,]? (?:and |with )?there (?:is|are|has|have)\b",
    r"[,] (?:which|stable|unchanged|persistent|mild|small|status)\b",
)
"""Where a scope ends within a sentence."""
SENTENCE = re.compile(r"(?<=[a-z)\]%\s])[.:](?=\s|$|[a-z])|(?<=\d)\.(?=\s|$)|[;?!\n]+|\s\d+\.\s", re.IGNORECASE)
"""Where a sentence ends; the point of 2.5 is none."""

Span = tuple[int, int]


def sentences(text: str) -> list[str]:
    """The sentences of a report, in lower case with single blanks.

    >>> sentences("No effusion. Nodule of 2.5 cm; heart normal.")
    ['no effusion', 'nodule of 2.5 cm', 'heart normal']
    """
    parts = SENTENCE.split(re.sub(r"[ \t]+", " ", text))
    return [part.strip().lower() for part in parts if part and part.strip(" .,:")]


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns))


_PSEUDO, _PAST, _ENDS = (_compiled(p) for p in (PSEUDO, PAST, ENDS))
_DOUBT_BEFORE, _DOUBT_AFTER, _NO_BEFORE, _NO_AFTER = (
    _compiled(p) for p in (DOUBT_BEFORE, DOUBT_AFTER, NO_BEFORE, NO_AFTER)
)


class Scopes:
    """The cues of one sentence, and what they say of a place in it.

    Args:
        sentence: in lower case.

    >>> scopes = Scopes("no effusion but possible nodule")
    >>> scopes.at((3, 11)), scopes.at((25, 31))
    (<Value.NEGATIVE: 0>, <Value.UNCERTAIN: 1>)
    """

    def __init__(self, sentence: str) -> None:
        text = _blanked(_PSEUDO, sentence)
        self._doubt_after = _spans(_DOUBT_AFTER, text)
        text = _blanked(_DOUBT_AFTER, text)
        self._doubt_before = _spans(_DOUBT_BEFORE, text)
        text = _blanked(_DOUBT_BEFORE, text)
        self._no_after = _spans(_NO_AFTER, text)
        text = _blanked(_NO_AFTER, text)
        self._no_before = _spans(_NO_BEFORE, text)
        self._past = _spans(_PAST, text)
        self._ends = [start for start, _ in _spans(_ENDS, sentence)]

    def at(self, key: Span) -> Value | None:
        """What holds at the words from ``key[0]`` to ``key[1]``: NEGATIVE, UNCERTAIN, UNMENTIONED (past) or None."""
        if self._reach(self._past, key, forward=True):
            return Value.UNMENTIONED
        if self._reach(self._no_before, key, forward=True) or self._reach(self._no_after, key, forward=False):
            return Value.NEGATIVE
        if self._reach(self._doubt_before, key, forward=True) or self._reach(self._doubt_after, key, forward=False):
            return Value.UNCERTAIN
        return None

    def _reach(self, cues: list[Span], key: Span, *, forward: bool) -> bool:
        """Whether a cue before (forward) or after the key reaches it without an end between them."""
        for start, stop in cues:
            low, high = (stop, key[0]) if forward else (key[1], start)
            if low <= high and not any(low <= end <= high for end in self._ends):
                return True
        return False


def _spans(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [m.span() for m in pattern.finditer(text)]


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """The text with each match overwritten by signs of equal number."""
    return pattern.sub(lambda m: "~" * len(m.group()), text)
