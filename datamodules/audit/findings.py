"""What an audit says: findings, a report a source, and the report of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from datamodules.audit.examples import Example

Level = Literal["leak", "note"]
NOT_HANDLED = "no"
KINDS = {
    "group": "rows of one group in two splits",
    "subject": "rows of one subject in two splits",
    "identical": "rows of equal content",
    "near-identical": "pictures that differ in little",
    "copy by name": "files that are called copies of others, in two splits",
    "study by name": "files of one study or patient by their names, in two splits",
    "overlap": "sequences that share a stretch of letters",
    "reverse complement": "the other strand of a DNA",
    "label in input": "a column of a table that tells the label",
    "label words": "a text, or the header of a file, that holds the name of its class",
    "shortcut": "format, size, compression, device, header or burnt-in letters of files that tell the label",
    "frames": "files of several frames, of which a fit has to be told which one to take",
    "empty class": "a class that a split lacks",
    "missing": "what a split, a task or a modality lacks",
    "elsewhere": "content that another data set holds too",
    "search": "a search that was not complete",
}
"""Kind of finding -> what it is."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: one of KINDS.
        level: "leak" where something of the test data, or the label, is given away; else "note".
        what: the modality, column or class it is about.
        message: the finding in words, with its numbers.
        handled: what the zoo's own reading does about it: "grouped", "dropped", "no", or "" where nothing is needed.
        numbers: the numbers of the message, by name.
        pairs: ids of some of the rows, two by two.
        remedy: the option of a configuration that closes it, in words; "" where there is none.
    """

    kind: str
    level: Level
    what: str
    message: str
    handled: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()
    remedy: str = ""

    @property
    def open(self) -> bool:
        """Whether it is a leak that the zoo's own reading does not close."""
        return self.level == "leak" and self.handled.startswith(NOT_HANDLED)


@dataclass
class Labels:
    """The labels of one task.

    Attributes:
        kind: one of zoo.contract.TASKS.
        counts: class or label -> "all", "published train", ... of the publisher's split, "train", ... of the zoo's
            own -> rows.
        numbers: target -> count, mean, standard deviation, minimum and maximum, for regression.
        rows: rows that have any label.
    """

    kind: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: int = 0


@dataclass
class SourceReport:
    """What was found in one source.

    Attributes:
        name, title: of the source.
        folder: where it was read.
        settings: constructor arguments by which it was read as published.
        rows: rows as published; read: how many were read.
        published, own: split -> rows, the publisher's ("" for none) and the zoo's.
        unreadable: rows that could not be read; unreadable_examples: (id, error) of the first ones.
        skipped, own_skipped: reason -> rows left out as published, and by the zoo's own reading.
        remarks: how the files were read: unknown cells, exceptions among numbers, inferred types.
        labels: task -> labels.
        groups: group column -> value -> rows, for tests on unseen groups.
        findings: what was found.
        shuffles: how often the labels were shuffled; alarms: kind of finding -> shuffles in which there was one.
        examples: some rows of each class; pairs: flagged rows side by side.
        error: why the source could not be checked; "" where it was.
        excused: the error may be passed over (another source reads the folder).
    """

    name: str
    title: str
    folder: str
    settings: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    read: int = 0
    published: dict[str, int] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0
    unreadable_examples: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    own_skipped: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    labels: dict[str, Labels] = field(default_factory=dict)
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    shuffles: int = 0
    alarms: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    pairs: list[tuple[str, Example, Example]] = field(default_factory=list)
    error: str = ""
    excused: bool = False
    seconds: float = 0.0

    @property
    def leaks(self) -> list[Finding]:
        """The findings that are leaks."""
        return [f for f in self.findings if f.level == "leak"]


@dataclass
class Report:
    """What was found in all sources, and what they share."""

    sources: list[SourceReport]
    between: list[Finding] = field(default_factory=list)

    def exit_code(self, *, handled_ok: bool = False) -> int:
        """Return 1 for a leak, an unreadable row or a source that could not be checked, else 0.

        Args:
            handled_ok: let leaks pass that the zoo's own reading closes.
        """
        leaks = [f for s in self.sources for f in s.leaks if f.open or not handled_ok]
        broken = any(s.unreadable or (s.error and not s.excused) for s in self.sources)
        return int(bool(leaks) or broken)

    def plain(self) -> dict[str, Any]:
        """Return everything but the pictures, for JSON."""
        sources = []
        for report in self.sources:
            kept = {k: v for k, v in vars(report).items() if k not in ("examples", "pairs", "labels", "findings")}
            kept["labels"] = {task: asdict(labels) for task, labels in report.labels.items()}
            kept["findings"] = [plain_finding(f) for f in report.findings]
            sources.append(kept)
        return {"sources": sources, "between": [plain_finding(f) for f in self.between]}


def plain_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding as a dictionary for JSON."""
    return asdict(finding) | {"open": finding.open}


def some(names: Sequence[str], most: int = 3) -> str:
    """Join the first few names, and count the others.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
