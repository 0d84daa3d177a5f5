"""How a command of the evidence ends: result.json and CSV files, tables on the screen, and what was found."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from zoo.rendering import drawing
from zoo.results import Column, Result, Table

WIDTH = 160
"""Columns of a table that is written to a file or a pipe."""


def wide_console() -> Console:
    """The terminal, or, where there is none, one wide enough for tables."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, WIDTH))


def finish(result: Result, folder: Path, started: float, arguments: Sequence[str]) -> None:
    """Save a result, and print its summary and where it is.

    Args:
        result: without seconds and command line.
        folder: of the command.
        started: time.monotonic() at its beginning.
        arguments: of the command line, its name first.
    """
    result.seconds = round(time.monotonic() - started, 1)
    result.command_line = "zoo " + shlex.join(arguments)
    result.save(folder)
    console = wide_console()
    for line in result.summary:
        console.print(f"- {line}", highlight=False, markup=False)
    tables = ", ".join(f"{t.name}.csv" for t in result.tables)
    said = f"results: {folder}/result.json, {tables}; zoo report {folder} draws it"
    console.print(said, highlight=False, markup=False, soft_wrap=True)


def show_table(
    table: Table, *, keys: Collection[str] = (), without: Collection[str] = (), most: int = 0, title: str = ""
) -> None:
    """Print a table with its intervals.

    Args:
        table: to print.
        keys: columns to show; all where none is named.
        without: columns to leave out.
        most: a table of more rows is only named; 0 for no limit.
        title: in the place of the table's own.
    """
    console = wide_console()
    if most and len(table.rows) > most:
        said = f"{table.title}: {len(table.rows)} rows, in {table.name}.csv"
        console.print(said, highlight=False, markup=False)
        return
    columns = [c for c in table.columns if (not keys or c.key in keys) and c.key not in without]
    shown = RichTable(title=(title or table.title).replace("[", "\\["))
    for column in columns:
        right = column.kind in drawing.NUMBERS
        shown.add_column((column.label or column.key).replace("[", "\\["), justify="right" if right else "left")
    for row in table.rows:
        shown.add_row(*(cell_text(row, c) for c in columns))
    console.print(shown)


def cell_text(row: dict[str, Any], column: Column) -> str:
    """A value of a table in words, with its interval, for rich."""
    words, interval = drawing.cell(column, row)
    return (f"{words} ({interval})" if interval else words).replace("[", "\\[")
