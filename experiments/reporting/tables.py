"""Tables as the page shows them: the words of each cell, what it is sorted by, and what marks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from zoo.rendering import drawing
from zoo.results import Column, Table

FILTER_FROM = 5
"""Rows from which on a table has a box to filter them."""
MARKED = ("simulated", "mixed")
"""Words of data that are marked in a row."""


@dataclass
class Cell:
    """One cell of a table on the page.

    Attributes:
        words: what it says.
        sort: the value that it is sorted by; None for an empty cell.
        css: its class.
        interval: the interval behind a number, in words.
        is_badge: whether the words are shown as a badge.
        link: address that it leads to; "" for none.
        mark: word of a badge behind the words, such as "simulated".
    """

    words: str = ""
    sort: str | None = None
    css: str = ""
    interval: str = ""
    is_badge: bool = False
    link: str = ""
    mark: str = ""


@dataclass
class Head:
    """The heading of a column: its label, "number" or "text" for sorting, and a tooltip."""

    label: str
    kind: str
    help: str = ""


@dataclass
class Line:
    """A row: its cells, and the word for where its data come from."""

    cells: list[Cell]
    word: str = ""


@dataclass
class PageTable:
    """A table as the template draws it."""

    title: str
    heads: list[Head]
    rows: list[Line]
    note: str = ""
    filter_from: int = FILTER_FROM


def page_table(table: Table, links: Sequence[str] = ()) -> PageTable:
    """A table for the template.

    Args:
        table: what to show.
        links: one address a row, to which its first cell leads; () for none.
    """
    rows = []
    for k, row in enumerate(table.rows):
        cells = [page_cell(c, row) for c in table.columns]
        word = str(row.get("data", ""))
        if links:
            cells[0].link = links[k]
        if word in MARKED and all(c.key != "data" for c in table.columns):
            cells[0].mark = word
        rows.append(Line(cells, word))
    heads = [Head(c.label or c.key, "number" if c.kind in SORTED else "text", c.help) for c in table.columns]
    return PageTable(table.title, heads, rows, table.note)


SORTED = (*drawing.NUMBERS, "flag")
"""Kinds of column that are sorted as numbers."""


def page_cell(column: Column, row: dict[str, Any]) -> Cell:
    """One cell, with the value that it is sorted by."""
    value = row.get(column.key)
    words, interval = drawing.cell(column, row)
    if not words:
        return Cell(css="empty")
    if column.key == "data":
        return Cell(words, words, is_badge=True)
    if column.kind == "flag" or isinstance(value, bool):
        return Cell(words, str(int(bool(value))), f"flag {words}")
    if column.kind in drawing.NUMBERS and not isinstance(value, str):
        return Cell(words, repr(float(row[column.key])), "number", interval)
    css = "long" if len(words) > 60 else "words" if " " in words and len(words) > 12 else ""
    return Cell(words, words.lower(), css)


def breakable(text: str) -> Markup:
    """Escaped text in which a long word may break behind an underscore."""
    safe = escape(text)
    return Markup(safe.replace("_", Markup("_<wbr>"))) if len(text) > 14 else safe
