"""Tables as text, CSV, Markdown and LaTeX: the one writer of tables, on pandas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from zoo.errors import unknown_name


@dataclass
class Sheet:
    """A table that is ready to be written.

    Attributes:
        frame: the cells; a heading a column.
        title: one line above it; "" for none.
        sections: number of a row -> heading that stands above this row.
        bold: (row, column) numbers of cells that are emphasised in Markdown and LaTeX.
        notes: sentences below it; comments in LaTeX.
    """

    frame: pd.DataFrame
    title: str = ""
    sections: Mapping[int, str] = field(default_factory=dict)
    bold: frozenset[tuple[int, int]] = frozenset()
    notes: Sequence[str] = ()

    def text(self) -> str:
        """The table for a terminal, columns aligned."""
        body = self._cells(lambda t: t, "[{}]", "{}")
        lines = body.to_markdown(index=False, disable_numparse=True, tablefmt="simple").splitlines()
        return "\n".join([*_if(self.title), "", *(line.rstrip() for line in lines), "", *self.notes]) + "\n"

    def markdown(self) -> str:
        """The table in Markdown, headings of sections as bold rows, notes as a list."""
        body = self._cells(lambda t: t.replace("|", "\\|"), "**{}**", "**{}**")
        padded = body.to_markdown(index=False, disable_numparse=True, tablefmt="pipe")
        table = re.sub(" +", " ", padded)
        heading = [f"### {self.title}", ""] if self.title else []
        notes = ["", *(f"- {n}" for n in self.notes)] if self.notes else []
        return "\n".join([*heading, table, *notes]) + "\n"

    def latex(self) -> str:
        """A booktabs table in LaTeX, title and notes as comments."""
        body = self._cells(escape_latex, r"\textit{{{}}}", r"\textbf{{{}}}")
        body.columns = pd.Index([escape_latex(str(c)) for c in body.columns])
        table = body.to_latex(index=False, escape=False).rstrip("\n")
        return "\n".join([*(f"% {t}" for t in _if(self.title)), table, *(f"% {n}" for n in self.notes)]) + "\n"

    def csv(self) -> str:
        """The cells as CSV: numbers with six digits, nothing where a value is unknown."""
        return csv_text(self.frame)

    def _cells(self, escape: Callable[[str], str], section: str, bold: str) -> pd.DataFrame:
        """The cells as words, with a row for each heading of a section."""
        rows: list[list[str]] = []
        for k, row in enumerate(self.frame.itertuples(index=False)):
            if k in self.sections:
                rows.append([section.format(escape(self.sections[k])), *[""] * (len(row) - 1)])
            words = [escape("" if pd.isna(v) else str(v)) for v in row]
            rows.append([bold.format(w) if (k, c) in self.bold and w else w for c, w in enumerate(words)])
        return pd.DataFrame(rows, columns=self.frame.columns, dtype=str)


def _if(text: str) -> list[str]:
    return [text] if text else []


def csv_text(frame: pd.DataFrame, *, head: bool = True) -> str:
    r"""A frame as CSV: numbers with six digits, nothing where a value is unknown.

    >>> csv_text(pd.DataFrame({"task": ["a"], "value": [1 / 3], "low": [float("nan")]}))
    'task,value,low\na,0.333333,\n'
    """
    columns = {k: [_csv_cell(v) for v in frame.iloc[:, k]] for k in range(frame.shape[1])}
    cells = pd.DataFrame(columns, dtype=object).set_axis(frame.columns, axis=1)
    return str(cells.to_csv(index=False, header=head, lineterminator="\n"))


def _csv_cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else str(value)


def escape_latex(text: str) -> str:
    r"""Words that LaTeX sets as they stand.

    >>> escape_latex("cell_type 95 % +- 1")
    'cell\\_type 95 \\% $\\pm$ 1'
    """
    for letter in "&%_#$":
        text = text.replace(letter, "\\" + letter)
    return text.replace("+-", r"$\pm$")


FORMATS: dict[str, Callable[[Sheet], str]] = {
    "text": Sheet.text,
    "markdown": Sheet.markdown,
    "latex": Sheet.latex,
    "csv": Sheet.csv,
}
"""Name of a format -> how a sheet is written in it."""
SUFFIXES = {"csv": ".csv", "markdown": ".md", "latex": ".tex"}
"""Formats that are written to files, with the ending of their names."""


def written(sheet: Sheet, style: str) -> str:
    """A sheet in one of ``FORMATS``.

    Raises:
        UnknownNameError: no such format.
    """
    if style not in FORMATS:
        raise unknown_name("format", style, FORMATS)
    return FORMATS[style](sheet)


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write a sheet in the format that the ending of ``path`` names: .csv, .md or .tex."""
    style = next(s for s, suffix in SUFFIXES.items() if suffix == path.suffix)
    path.write_text(written(sheet, style), encoding="utf-8")
