"""Filled tables as text, Markdown, LaTeX and CSV: under each measured line the paper's, marked as its own."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from experiments.table.fill import Entry, Filled
from zoo.errors import unknown_name

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


@dataclass
class Grid:
    """A table ready to print: heads, lines of words, and before which line a section begins."""

    title: str
    heads: list[str]
    lines: list[list[str]] = field(default_factory=list)
    sections: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def measured(entry: Entry, column: str, decimals: int) -> str:
    """A measured value as "mean (sd)"; a dash where there is none.

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


def grid(filled: Filled) -> Grid:
    """Lay a filled table out."""
    form = filled.form
    homes = ", ".join(b.dataset for b in form.blocks)
    title = f"Table {form.number}. {form.caption}"
    if filled.dataset and not filled.empty:
        title += f". Measured on {filled.dataset}; the paper's data: {homes}"
    made = _across(filled, title) if form.across else _down(filled, title)
    made.notes = [
        "Mean (standard deviation) over seeds; macro averages; n: test rows. "
        f"'{PAPER}': what the paper prints, on its own data ({homes}).",
        *([form.note] if form.note else []),
        *([f"not run: {len(filled.missing)}: {', '.join(filled.missing)}"] if filled.missing else []),
    ]
    return made


def _down(filled: Filled, title: str) -> Grid:
    """Settings down, metrics across; two lines a setting."""
    form, several = filled.form, not filled.dataset
    heads = [*(["dataset"] if several else []), "method", "from", *form.columns, "seeds", "n", "remarks"]
    made = Grid(title, heads)
    section = ""
    for entry in filled.entries:
        if entry.section != section and entry.section:
            made.sections[len(made.lines)] = entry.section
        section = entry.section
        lead = [*([entry.dataset] if several else []), entry.label]
        values = [measured(entry, c, form.decimals) for c in form.columns]
        made.lines.append([*lead, MEASURED, *values, str(len(entry.rows) or DASH), entry.n, "; ".join(entry.remarks)])
        if entry.paper:
            printed = [entry.paper.get(c, DASH) for c in form.columns]
            made.lines.append([""] * len(lead) + [PAPER, *printed, "", "", ""])
    return made


def _across(filled: Filled, title: str) -> Grid:
    """Metrics down, settings across; two lines a metric, then seeds, n and remarks."""
    form, entries = filled.form, filled.entries
    made = Grid(title, ["metric", "from", *(e.label for e in entries)])
    for column in form.columns:
        made.lines.append([column, MEASURED, *(measured(e, column, form.decimals) for e in entries)])
        made.lines.append(["", PAPER, *(e.paper.get(column, DASH) for e in entries)])
    made.lines.append(["seeds", MEASURED, *(str(len(e.rows) or DASH) for e in entries)])
    made.lines.append(["n", MEASURED, *(e.n or DASH for e in entries)])
    made.lines.append(["remarks", "", *("; ".join(e.remarks) for e in entries)])
    return made


def nothing(filled: Filled) -> str:
    """One line for a table that no run gives anything of."""
    homes = ", ".join(b.dataset for b in filled.form.blocks)
    return (
        f"Table {filled.form.number} ({filled.form.caption}; {homes}): "
        f"no run gives any of its {len(filled.missing)} rows: " + ", ".join(filled.missing)
    )


def as_text(filled: Filled) -> str:
    """A table for the terminal."""
    if filled.empty:
        return nothing(filled) + "\n"
    made = grid(filled)
    words = [made.heads, *made.lines]
    widths = [max(len(w[k]) for w in words) for k in range(len(made.heads))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()

    out = [made.title, "", line(made.heads), "-" * (sum(widths) + 2 * len(widths) - 2)]
    for k, cells in enumerate(made.lines):
        out += [f"[{made.sections[k]}]"] if k in made.sections else []
        out.append(line(cells))
    return "\n".join([*out, "", *made.notes]) + "\n"


def as_markdown(filled: Filled) -> str:
    """A table in Markdown, sections as bold lines."""
    if filled.empty:
        return nothing(filled) + "\n"
    made = grid(filled)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"

    out = [f"### {made.title}", "", line(made.heads), "|" + "---|" * len(made.heads)]
    for k, cells in enumerate(made.lines):
        if k in made.sections:
            out.append(line([f"**{made.sections[k]}**", *[""] * (len(made.heads) - 1)]))
        out.append(line(cells))
    return "\n".join([*out, "", *(f"- {n}" for n in made.notes)]) + "\n"


def as_latex(filled: Filled) -> str:
    """A booktabs table in LaTeX, notes as comments."""
    if filled.empty:
        return f"% {nothing(filled)}\n"
    made = grid(filled)

    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(_escape, cells)) + r" \\"

    out = [rf"% {made.title}", r"\begin{tabular}{" + "l" * len(made.heads) + "}", r"\toprule", line(made.heads)]
    out.append(r"\midrule")
    for k, cells in enumerate(made.lines):
        if k in made.sections:
            words = rf"\multicolumn{{{len(made.heads)}}}{{l}}{{\textit{{{_escape(made.sections[k])}}}}} \\"
            out += [*([r"\midrule"] if k else []), words]
        out.append(line(cells))
    return "\n".join([*out, r"\bottomrule", r"\end{tabular}", *(f"% {n}" for n in made.notes)]) + "\n"


def _escape(text: str) -> str:
    for letter in "&%_#$":
        text = text.replace(letter, "\\" + letter)
    return text.replace("+-", r"$\pm$")


def as_csv(filled: Filled, *, head: bool = True) -> str:
    """A table as CSV, one line a cell, with what is known of it; lines that no run gives hold only the paper's value.

    Args:
        filled: the table.
        head: whether to begin with the names of the columns.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if head:
        writer.writerow(KEYS)
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
            writer.writerow([*lead, *numbers, *about, *how, "; ".join(entry.remarks), entry.paper.get(column, "")])
    return out.getvalue()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


FORMATS: dict[str, Callable[[Filled], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
}
"""Name of a format -> how a table is written in it."""
SUFFIXES = {"csv": ".csv", "markdown": ".md", "latex": ".tex"}
"""Formats that are written to files."""


def written(tables: Sequence[Filled], style: str) -> str:
    """Several tables in one format; CSV has one line of column names.

    Raises:
        UnknownNameError: no such format.
    """
    if style not in FORMATS:
        raise unknown_name("format", style, FORMATS)
    if style == "csv":
        return "".join(as_csv(t, head=not k) for k, t in enumerate(tables))
    return "\n".join(FORMATS[style](t) for t in tables)
