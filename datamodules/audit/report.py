"""Audit reports as tables on a terminal, as plain text elsewhere, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from datamodules.audit.findings import Finding, Labels, Report, SourceReport, some
from datamodules.core.splits import SPLITS
from zoo.contract import TASKS

MOST = 12
"""Classes or values in one cell."""


def print_table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, else in plain columns that are never wrapped.

    Args:
        console: where to.
        title: above the table.
        columns: headings.
        rows: cells of each row.
    """
    if not rows:
        return
    if console.is_terminal:
        table = Table(title=title, title_justify="left", show_lines=any(len(c) > 60 for r in rows for c in r))
        for k, column in enumerate(columns):
            table.add_column(column, overflow="fold", no_wrap=k == 0)
        for row in rows:
            table.add_row(*[cell.replace("[", "\\[") for cell in row])
        console.print(table)
        return
    widths = [max(len(line[k]) for line in (columns, *rows)) for k in range(len(columns))]
    lines = [
        title,
        *("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (columns, *rows)),
    ]
    console.print("\n".join(lines) + "\n", markup=False, highlight=False, soft_wrap=True)


def print_report(console: Console, report: Report) -> None:
    """Print everything that was found."""
    checked = [s for s in report.sources if not s.error]
    print_table(
        console, "Rows (own: the zoo's split)",
        ("source", "rows", "read", "unreadable", "published", "own train/val/test", "left out", "seconds"),
        [_rows_line(s) for s in checked],
    )  # fmt: skip
    remarks = [(s.name, remark) for s in checked for remark in s.remarks]
    print_table(console, "How the files were read", ("source", "remark"), remarks)
    lines = [(s.name, task, label_words(labels)) for s in checked for task, labels in s.labels.items()]
    print_table(console, "Labels (all: own train/val/test)", ("source", "task", "rows of each class"), lines)
    groups = [(s.name, c, str(len(v)), counts_words(v)) for s in checked for c, v in s.groups.items()]
    print_table(console, "Groups for tests on unseen ones", ("source", "column", "values", "rows"), groups)
    broken = [(s.name, f"{i}: {e}") for s in checked for i, e in s.unreadable_examples]
    print_table(console, "Unreadable rows (the first of each source)", ("source", "row and error"), broken)
    failed = [(s.name, "passed over" if s.excused else "NOT CHECKED", s.error) for s in report.sources if s.error]
    print_table(console, "Sources that could not be checked", ("source", "", "error"), failed)
    found = [(s.name, *finding_cells(f)) for s in checked for f in s.findings]
    found += [("between sources", *finding_cells(f)) for f in report.between]
    print_table(console, "Findings", ("source", "level", "kind", "in", "finding", "handled"), found)
    shuffled = [(s.name, str(s.shuffles), alarm_words(s)) for s in checked if s.shuffles]
    print_table(console, "Control: labels shuffled", ("source", "shuffles", "false alarms"), shuffled)
    for line in verdicts(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def alarm_words(source: SourceReport) -> str:
    """In how many shuffles of the labels something was found."""
    return ", ".join(f"{kind}: {n}" for kind, n in sorted(source.alarms.items())) or "none"


def finding_cells(finding: Finding) -> tuple[str, str, str, str, str]:
    """Level, kind, what, message with an example, and what is done about it."""
    example = f"; for example {finding.pairs[0][0]} and {finding.pairs[0][1]}" if finding.pairs else ""
    level = finding.level.upper() if finding.level == "leak" else finding.level
    handled = "; ".join(
        filter(None, [finding.handled, finding.remedy if not finding.handled.startswith("yes") else ""])
    )
    return level, finding.kind, finding.what, finding.message + example, handled


def verdicts(report: Report) -> list[str]:
    """One line a source, and one about all."""
    lines = []
    for source in report.sources:
        if source.error:
            lines.append(f"{source.name}: could not be checked")
            continue
        leaks = source.leaks
        still = [f"{f.kind} ({f.what})" for f in leaks if f.open]
        many = "1 leak" if len(leaks) == 1 else f"{len(leaks)} leaks"
        words = "no leak" if not leaks else f"{many} as published; " + (
            f"not handled: {some(still)}" if still else "the zoo's own reading is free of them"
        )  # fmt: skip
        part = source.read + source.unreadable < source.rows
        words += f" among {source.read} of {source.rows} rows" if part else ""
        words += f"; {source.unreadable} rows cannot be read" if source.unreadable else ""
        lines.append(f"{source.name}: {words}")
    leaky = sum(bool(s.leaks) for s in report.sources)
    still_open = sum(any(f.open for f in s.leaks) for s in report.sources)
    lines.append(
        f"{len(report.sources)} sources: {leaky} leak as published, {still_open} in the zoo's own reading too"
    )
    return lines


def _rows_line(s: SourceReport) -> tuple[str, ...]:
    published = " ".join(f"{k} {v}" for k, v in s.published.items()) or "no split"
    own = "/".join(str(s.own.get(k, 0)) for k in SPLITS)
    left_out = "; ".join(f"{n} {reason}" for reason, n in {**s.skipped, **s.own_skipped}.items())
    return s.name, str(s.rows), str(s.read), str(s.unreadable), published, own, left_out, f"{s.seconds:.1f}"


def label_words(labels: Labels, most: int = MOST) -> str:
    """The labels of a task in one cell."""
    if labels.numbers:
        return "; ".join(
            f"{name}: {n['rows']:.0f} rows, mean {n['mean']:.3g}, sd {n['sd']:.3g}, {n['min']:.3g} to {n['max']:.3g}"
            for name, n in labels.numbers.items()
        )
    if not labels.counts:
        return f"{labels.rows} rows"
    ordered = list(labels.counts.items())
    if TASKS.get(labels.kind).open_classes:
        ordered.sort(key=lambda item: -item[1]["all"])
    words = [f"{c} {n['all']} ({'/'.join(str(n.get(s, 0)) for s in SPLITS)})" for c, n in ordered[:most]]
    more = len(ordered) - most
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def counts_words(counts: dict[str, int], most: int = MOST) -> str:
    """Values and their numbers in one cell."""
    more = len(counts) - most
    return ", ".join(f"{k} {n}" for k, n in list(counts.items())[:most]) + (f" and {more} more" if more > 0 else "")


def write_json(report: Report, path: Path) -> None:
    """Write everything but the pictures."""
    path.write_text(json.dumps(report.plain(), indent=1, default=str) + "\n", encoding="utf-8")
