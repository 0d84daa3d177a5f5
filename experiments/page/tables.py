"""Tables as HTML: sortable by each column, filtered by a box, simulated rows marked."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from experiments.page import drawing
from zoo.results import Column, Table

FILTER_FROM = 5
"""Rows from which on a table has a box to filter them."""


def badge(word: str) -> str:
    """A word for where data come from, in its colour.

    >>> badge("simulated")
    '<span class="badge simulated">simulated</span>'
    """
    safe = escape(word)
    return f'<span class="badge {safe if word in ("real", "simulated", "mixed") else ""}">{safe}</span>'


def cell(column: Column, row: dict[str, Any]) -> str:
    """One cell, with the value that it is sorted by."""
    value = row.get(column.key)
    if value is None or (column.kind in ("number", "integer") and not isinstance(value, str) and _unknown(value)):
        return '<td class="empty"></td>'
    if column.key == "data":
        return f'<td data-v="{escape(str(value))}">{badge(str(value))}</td>'
    if column.kind == "flag" or isinstance(value, bool):
        return (
            f'<td class="flag {"yes" if value else "no"}" data-v="{int(bool(value))}">{"yes" if value else "no"}</td>'
        )
    if column.kind in ("number", "integer") and not isinstance(value, str):
        words = f"{round(value):,}" if column.kind == "integer" else drawing.number(value)
        return f'<td class="number" data-v="{float(value)!r}">{words}{_interval(column, row)}</td>'
    text = escape(str(value))
    text = text.replace("_", "_<wbr>") if len(text) > 14 else text
    long = ' class="long"' if len(text) > 60 else ' class="words"' if " " in text and len(text) > 12 else ""
    return f'<td{long} data-v="{escape(str(value).lower())}">{text}</td>'


def _unknown(value: Any) -> bool:
    return drawing.finite(value) is None


def _interval(column: Column, row: dict[str, Any]) -> str:
    low, high = drawing.number(row.get(column.low)), drawing.number(row.get(column.high))
    return f' <span class="interval">{low} to {high}</span>' if low and high else ""


def html_table(table: Table, links: Sequence[str] = ()) -> str:
    """The table in a box that scrolls by itself.

    Args:
        table: what to show.
        links: one address a row, to which its first cell leads; () for none.
    """
    heads = []
    for column in table.columns:
        kind = "number" if column.kind in ("number", "integer", "flag") else "text"
        hint = f' title="{escape(column.help)}"' if column.help else ""
        label = escape(column.label or column.key)
        heads.append(
            f'<th scope="col" aria-sort="none" data-kind="{kind}"{hint}><button type="button">{label}</button></th>'
        )
    rows = []
    for k, row in enumerate(table.rows):
        word = row.get("data")
        cells = [cell(c, row) for c in table.columns]
        if links:
            start, end = cells[0].index(">") + 1, cells[0].rindex("</td>")
            cells[0] = f'{cells[0][:start]}<a href="{escape(links[k])}">{cells[0][start:end]}</a></td>'
        if word in ("simulated", "mixed") and all(c.key != "data" for c in table.columns):
            cells[0] = cells[0].replace("</td>", f" {badge(str(word))}</td>")
        marked = f' class="{word}"' if word in ("simulated", "mixed") else ""
        rows.append(f"<tr{marked}>{''.join(cells)}</tr>")
    title = escape(table.title)
    search = (
        f'<label class="filter">Filter <input type="search" aria-label="Filter the rows of: {title}" '
        f'placeholder="{len(rows)} rows"></label><span class="shown" role="status"></span>'
        if len(rows) >= FILTER_FROM
        else ""
    )
    body = "".join(rows) or f'<tr><td colspan="{len(table.columns)}" class="empty">no rows</td></tr>'
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="table"><div class="bar"><h4>{title}</h4>{search}</div>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{title}"><table><thead><tr>{"".join(heads)}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>{note}</div>"
    )
