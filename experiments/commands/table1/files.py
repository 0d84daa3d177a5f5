"""Table 1 as Markdown and LaTeX: tasks down, methods across."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.commands.table1.paper import NOTE, TABLE_1
from experiments.commands.table1.rows import Row
from zoo.results import Result
from zoo.tables import Sheet, write_sheet

Entries = Mapping[tuple[str, str], Any]


def _tasks(entries: Entries) -> list[str]:
    return list(dict.fromkeys(task for _, task in entries))


def write_markdown(result: Result, rows: Sequence[Row], entries: Entries, path: Path) -> None:
    """Write the table, the paper's beside it, what it says, and how to read it.

    Args:
        result: whose sentences are written.
        rows: of the table.
        entries: (row, task) -> its entry.
        path: of the file.
    """
    lines, bold = [], set()
    for number, task in enumerate(_tasks(entries)):
        mine = [entries[(r.label, task)] for r in rows]
        known = next((e for e in mine if e.estimate), mine[0])
        n, unit = (str(known.estimate.n), known.estimate.unit) if known.estimate else ("", "")
        lead = [task, known.metric, known.data, n, unit]
        lines.append([*lead, *(_words(e) for e in mine), _number(known.chance), _number(known.constant)])
        bold |= {(number, len(lead) + k) for k, e in enumerate(mine) if _better(e)}
    heads = ["task", "metric", "data", "n", "unit", *(r.label for r in rows), "chance", "constant"]
    table = Sheet(pd.DataFrame(lines, columns=heads), bold=frozenset(bold)).markdown()
    told = [r.label for r in rows if r.label in TABLE_1]
    printed = [[t, *(_number(TABLE_1[r].get(t, math.nan)) for r in told)] for t in _tasks(entries)]
    paper = Sheet(pd.DataFrame(printed, columns=["task", *told])).markdown()
    parts = [
        f"# {result.title}",
        table,
        "Mean over seeds +- standard deviation (95 % interval over the units named). In bold: better than the row "
        "to its left with the interval of the paired difference. =: the same trainings as a row to its left.",
        "What it says:",
        "\n".join(f"- {s}" for s in result.summary),
        "Rows:",
        "\n".join(f"- {r.label}: {r.about}" for r in rows),
        "## The paper's own figures, on the paper's data",
        paper,
        NOTE,
    ]
    path.write_text("\n\n".join(p.rstrip("\n") for p in parts) + "\n")


def write_latex(rows: Sequence[Row], entries: Entries, path: Path) -> None:
    """Write a booktabs table; simulated tasks carry an asterisk.

    Args:
        rows: of the table.
        entries: (row, task) -> its entry.
        path: of the file.
    """
    lines, bold = [], set()
    for number, task in enumerate(_tasks(entries)):
        mine = [entries[(r.label, task)] for r in rows]
        mark = "" if all(e.data == "real" for e in mine) else "*"
        unit = next((e.estimate.unit for e in mine if e.estimate), "")
        lines.append([task + mark, unit, *(_words(e) for e in mine)])
        bold |= {(number, 2 + k) for k, e in enumerate(mine) if _better(e)}
    note = (
        "mean over seeds +- standard deviation (95 % interval over the units named); asterisk: simulated data in it"
    )
    frame = pd.DataFrame(lines, columns=["Task", "Unit", *(r.label for r in rows)])
    write_sheet(Sheet(frame, bold=frozenset(bold), notes=[note]), path)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _words(entry: Any) -> str:
    if entry.estimate is None:
        return "not run"
    e = entry.estimate
    text = f"{e.value:.3f}" + ("" if math.isnan(e.std) else f" +- {e.std:.3f}") + f" ({e.low:.3f} to {e.high:.3f})"
    return text + (" =" if entry.same_as and not _better(entry) else "")


def _better(entry: Any) -> bool:
    """Whether the paired difference to the row on the left is above zero with its interval."""
    return entry.above is not None and entry.above.verdict == "better"
