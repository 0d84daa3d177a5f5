"""Table 1 as Markdown and LaTeX: tasks down, methods across."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.table1.paper import NOTE, TABLE_1
from experiments.table1.rows import Row
from zoo.results import Result

Entries = Mapping[tuple[str, str], Any]


def _tasks(entries: Entries) -> list[str]:
    return list(dict.fromkeys(task for _, task in entries))


def write_markdown(result: Result, rows: Sequence[Row], entries: Entries, path: Path) -> None:
    """Write the table, the paper's beside it, what it says, and how to read it."""
    heads = ["task", "metric", "data", "n", *(r.label for r in rows), "chance", "constant"]
    lines = [f"# {result.title}", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for task in _tasks(entries):
        mine = [entries[(r.label, task)] for r in rows]
        known = next((e for e in mine if e.estimate), mine[0])
        n = str(known.estimate.n) if known.estimate else ""
        cells = [task, known.metric, known.data, n, *(_markdown(e) for e in mine)]
        lines.append("| " + " | ".join([*cells, _number(known.chance), _number(known.constant)]) + " |")
    lines += [
        "",
        "Mean over seeds +- standard deviation (95 % bootstrap interval over test rows). In bold: better than",
    ]
    lines += [
        "the row to its left with the interval of the paired difference. =: the same trainings as a row to its left."
    ]
    lines += ["", "What it says:", "", *(f"- {s}" for s in result.summary), "", "Rows:", ""]
    lines += [f"- {r.label}: {r.about}" for r in rows]
    told = [r.label for r in rows if r.label in TABLE_1]
    lines += ["", "## The paper's own figures, on the paper's data", "", "| task | " + " | ".join(told) + " |"]
    lines += ["|" + "---|" * (len(told) + 1)]
    lines += [
        f"| {t} | " + " | ".join(_number(TABLE_1[r].get(t, math.nan)) for r in told) + " |" for t in _tasks(entries)
    ]
    path.write_text("\n".join([*lines, "", NOTE, ""]))


def write_latex(rows: Sequence[Row], entries: Entries, path: Path) -> None:
    """Write a booktabs table; simulated tasks carry a dagger."""
    lines = [r"\begin{tabular}{l" + "c" * len(rows) + "}", r"\toprule"]
    lines += [" & ".join(["Task", *(_escape(r.label) for r in rows)]) + r" \\", r"\midrule"]
    for task in _tasks(entries):
        mine = [entries[(r.label, task)] for r in rows]
        mark = "" if all(e.data == "real" for e in mine) else r"$^\dagger$"
        lines.append(" & ".join([_escape(task) + mark, *(_latex(e) for e in mine)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [r"% mean over seeds $\pm$ standard deviation, 95 % bootstrap interval; dagger: simulated data in it"]
    path.write_text("\n".join(lines) + "\n")


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _markdown(entry: Any) -> str:
    if entry.estimate is None:
        return "not run"
    e = entry.estimate
    text = f"{e.value:.3f}" + ("" if math.isnan(e.std) else f" +- {e.std:.3f}") + f" ({e.low:.3f} to {e.high:.3f})"
    if entry.above is not None and entry.above.verdict == "better":
        return f"**{text}**"
    return text + (" =" if entry.same_as else "")


def _latex(entry: Any) -> str:
    if entry.estimate is None:
        return "--"
    e = entry.estimate
    spread = "" if math.isnan(e.std) else rf" $\pm$ {e.std:.3f}"
    text = rf"{e.value:.3f}{spread} {{\scriptsize[{e.low:.3f}, {e.high:.3f}]}}"
    better = entry.above is not None and entry.above.verdict == "better"
    return rf"\textbf{{{text}}}" if better else text


def _escape(text: str) -> str:
    return text.replace("_", r"\_").replace("&", r"\&").replace("%", r"\%")
