"""Filled tables as text, Markdown, LaTeX and CSV: under each measured line the paper's, marked as its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from experiments.commands.table.fill import Entry, Filled
from zoo.tables import Sheet, csv_text
from zoo.tables import written as in_format

PAPER = "paper (its data)"
MEASURED = "measured"
DASH = "-"
KEYS: tuple[str, ...] = (
    "table",
    "dataset",
    "section",
    "row",
    "column",
    "mean",
    "sd",
    "seeds",
    "n",
    "data",
    "leaky",
    "calibrated",
)
KEYS += ("setting", "mode", "trained", "remarks", "paper")
"""Columns of the CSV files: one line a cell of the table."""


def measured(entry: Entry, column: str, decimals: int) -> str:
    """A measured value as "mean (sd)"; a dash where there is none.

    Args:
        entry: a line of the table.
        column: whose value is written.
        decimals: of the value.

    >>> entry = Entry("Fusion", "", "d", [{"seed": 0}, {"seed": 1}], {"Accuracy": [0.9, 0.8]})
    >>> measured(entry, "Accuracy", 3), measured(entry, "AUC", 3)
    ('0.850 (0.071)', '-')
    """
    if column in entry.words:
        return entry.words[column]
    mean, sd, known = entry.estimate(column)
    if not known:
        return DASH
    text = f"{mean:{'+' if entry.signed else ''}.{decimals}f}" + ("" if math.isnan(sd) else f" ({sd:.{decimals}f})")
    return text + (f", {known} of {len(entry.rows)} seeds" if known < len(entry.rows) else "")


def sheet(filled: Filled) -> Sheet:
    """Lay a filled table out."""
    form = filled.form
    homes = ", ".join(b.dataset for b in form.blocks)
    title = f"Table {form.number}. {form.caption}"
    if filled.dataset and not filled.empty:
        title += f". Measured on {filled.dataset}; the paper's data: {homes}"
    frame, sections = _across(filled) if form.across else _down(filled)
    notes = [
        "Mean (standard deviation) over seeds; macro averages; n: test rows. "
        f"'{PAPER}': what the paper prints, on its own data ({homes}).",
        *([form.note] if form.note else []),
        *([f"not run: {len(filled.missing)}: {', '.join(filled.missing)}"] if filled.missing else []),
    ]
    return Sheet(frame, title, sections, notes=notes)


def _down(filled: Filled) -> tuple[pd.DataFrame, dict[int, str]]:
    """Settings down, metrics across; two lines a setting."""
    form, several = filled.form, not filled.dataset
    lines: list[list[str]] = []
    sections: dict[int, str] = {}
    section = ""
    for entry in filled.entries:
        if entry.section != section and entry.section:
            sections[len(lines)] = entry.section
        section = entry.section
        lead = [*([entry.dataset] if several else []), entry.label]
        values = [measured(entry, c, form.decimals) for c in form.columns]
        lines.append([*lead, MEASURED, *values, str(len(entry.rows) or DASH), entry.n, "; ".join(entry.remarks)])
        if entry.paper:
            printed = [entry.paper.get(c, DASH) for c in form.columns]
            lines.append([""] * len(lead) + [PAPER, *printed, "", "", ""])
    heads = [*(["dataset"] if several else []), "method", "from", *form.columns, "seeds", "n", "remarks"]
    return pd.DataFrame(lines, columns=heads, dtype=str), sections


def _across(filled: Filled) -> tuple[pd.DataFrame, dict[int, str]]:
    """Metrics down, settings across; two lines a metric, then seeds, n and remarks."""
    form, entries = filled.form, filled.entries
    lines: list[list[str]] = []
    for column in form.columns:
        lines.append([column, MEASURED, *(measured(e, column, form.decimals) for e in entries)])
        lines.append(["", PAPER, *(e.paper.get(column, DASH) for e in entries)])
    lines.append(["seeds", MEASURED, *(str(len(e.rows) or DASH) for e in entries)])
    lines.append(["n", MEASURED, *(e.n or DASH for e in entries)])
    lines.append(["remarks", "", *("; ".join(e.remarks) for e in entries)])
    return pd.DataFrame(lines, columns=["metric", "from", *(e.label for e in entries)], dtype=str), {}


def nothing(filled: Filled) -> str:
    """One line for a table that no run gives anything of."""
    homes = ", ".join(b.dataset for b in filled.form.blocks)
    return (
        f"Table {filled.form.number} ({filled.form.caption}; {homes}): "
        f"no run gives any of its {len(filled.missing)} rows: " + ", ".join(filled.missing)
    )


def cells(filled: Filled) -> pd.DataFrame:
    """A table with one line a cell, and what is known of it; lines that no run gives hold only the paper's value."""
    lines = []
    for entry in filled.entries:
        first = entry.rows[0] if entry.rows else {}
        for column in filled.form.columns:
            mean, sd, known = entry.estimate(column)
            numbers = [entry.words.get(column) or _number(mean), _number(sd), known, entry.n]
            about = [
                "; ".join(sorted({r["data"] for r in entry.rows})),
                first.get("leaky", ""),
                first.get("calibrated", ""),
            ]
            how = ["" if entry.signed else first.get(k, "") for k in ("setting", "mode", "trained")]
            lead = [filled.form.number, entry.dataset, entry.section, entry.label, column]
            lines.append([*lead, *numbers, *about, *how, "; ".join(entry.remarks), entry.paper.get(column, "")])
    return pd.DataFrame(lines, columns=list(KEYS))


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def written(tables: Sequence[Filled], style: str) -> str:
    """Several tables in one of the formats of zoo.tables; CSV has one line of column names.

    Raises:
        UnknownNameError: no such format.
    """
    if style == "csv":
        return "".join(csv_text(cells(t), head=not k) for k, t in enumerate(tables))
    mark = "% " if style == "latex" else ""
    return "\n".join(f"{mark}{nothing(t)}\n" if t.empty else in_format(sheet(t), style) for t in tables)
