"""Several runs beside one another: an overview, and the rows of tables that they have in common."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.rendering import drawing
from zoo.results import Column, Figure, Result, Series, Table, joint_word

GLANCE = 100
"""Letters of a finding in the overview; the run's own part has all of it."""


@dataclass
class Comparison:
    """A table of one quantity over runs, and the figure of it."""

    name: str
    quantity: str
    table: Table
    figure: Figure


def labels(results: Sequence[Result]) -> list[str]:
    """A short name a run: the last parts of its folder's path, as many as tell the runs apart.

    A run that is known by no folder is called by its number.
    """
    parts = [(r.folder or Path(f"run-{k + 1}")).resolve().parts[1:] for k, r in enumerate(results)]
    most = max((len(p) for p in parts), default=1)
    for n in range(1, most + 1):
        names = ["/".join(p[-n:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"run {k + 1}" for k in range(len(results))]


def overview(results: Sequence[Result], names: Sequence[str]) -> Table:
    """One row a run."""
    columns = [
        Column("run", "run"), Column("command", "command"), Column("title", "what"), Column("config", "config"),
        Column("data", "data"), Column("seeds", "seeds"), Column("tables", "tables", "integer"),
        Column("figures", "figures", "integer"), Column("seconds", "seconds", "integer", help="wall time"),
        Column("created", "finished"), Column("finding", "first finding"),
    ]  # fmt: skip
    rows = [
        {
            "run": name, "command": r.command, "title": r.title, "config": r.config, "data": r.data,
            "seeds": ", ".join(map(str, r.seeds)), "tables": len(r.tables), "figures": len(r.figures),
            "seconds": r.seconds or None, "created": r.created.replace("T", " "),
            "finding": textwrap.shorten(r.summary[0], GLANCE, placeholder=" ...") if r.summary else None,
        }
        for r, name in zip(results, names, strict=True)
    ]  # fmt: skip
    return Table("overview", "Runs", columns, rows)


def _shared(columns: Sequence[Sequence[Column]], kinds: Sequence[str]) -> list[Column]:
    """Columns of these kinds that every table has, as the first table has them."""
    everywhere = set.intersection(*({c.key for c in some} for some in columns))
    return [c for c in columns[0] if c.kind in kinds and c.key in everywhere and c.key != "data"]


def _keyed(table: Table, keys: Sequence[Column]) -> dict[tuple[str, ...], dict[str, Any]] | None:
    """Rows by the texts that name them; None where two rows have the same ones."""
    rows = {tuple(str(r.get(c.key) or "") for c in keys): r for r in table.rows}
    return rows if len(rows) == len(table.rows) else None


def compare(results: Sequence[Result], names: Sequence[str]) -> list[Comparison]:
    """For each table that several runs have: a Comparison of each number, its rows found by their text columns.

    Tables without common text columns or numbers, or with two rows of the same texts, cannot be put side by side.
    Of the tables and quantities the first with an interval comes first.
    """
    found = []
    for name in dict.fromkeys(t.name for r in results for t in r.tables):
        having = [(k, t) for k, r in enumerate(results) for t in r.tables if t.name == name]
        if len(having) < 2:
            continue
        columns = [t.columns for _, t in having]
        keys = _shared(columns, ("text",))
        rows = [_keyed(t, keys) for _, t in having]
        if not keys or any(r is None for r in rows):
            continue
        quantities = sorted(_shared(columns, ("number", "integer")), key=lambda c: not c.low)
        known = {names[k]: r for (k, _), r in zip(having, rows, strict=True) if r is not None}
        found += [_comparison(having[0][1], keys, quantity, known) for quantity in quantities]
    return found


def _comparison(
    first: Table, keys: Sequence[Column], quantity: Column, runs: dict[str, dict[tuple[str, ...], dict[str, Any]]]
) -> Comparison:
    label = quantity.label or quantity.key
    columns = [*keys]
    columns += [
        Column(f"v{k}", run, quantity.kind, f"l{k}" if quantity.low else "", f"h{k}" if quantity.high else "")
        for k, run in enumerate(runs)
    ]
    if len(runs) == 2:
        columns.append(Column("difference", "difference", "number", help="second run minus first"))
    out = []
    order = list(dict.fromkeys(key for rows in runs.values() for key in rows))
    for key in order:
        having = [rows[key] for rows in runs.values() if key in rows]
        row: dict[str, Any] = {c.key: text for c, text in zip(keys, key, strict=True)}
        row["data"] = joint_word([str(r.get("data", "real")) for r in having])
        for k, rows in enumerate(runs.values()):
            there = rows.get(key, {})
            row |= {f"v{k}": there.get(quantity.key)}
            row |= {f"l{k}": there.get(quantity.low), f"h{k}": there.get(quantity.high)} if quantity.low else {}
        values = [drawing.finite(row[f"v{k}"]) for k in range(len(runs))]
        if len(runs) == 2 and values[0] is not None and values[1] is not None:
            row["difference"] = values[1] - values[0]
        out.append(row)
    table = Table(first.name, f"{first.title}: {label}", columns, out)
    words = [", ".join(t for t in key if t) for key in order]
    series = []
    for k, run in enumerate(runs):
        intervals = bool(quantity.low)
        series.append(
            Series(
                run, words, [drawing.finite(r[f"v{k}"]) for r in out],
                [drawing.finite(r.get(f"l{k}")) for r in out] if intervals else [],
                [drawing.finite(r.get(f"h{k}")) for r in out] if intervals else [],
                simulated=[r["data"] != "real" for r in out],
            )
        )  # fmt: skip
    data = joint_word([str(r["data"]) for r in out] or ["real"])
    title = f"{first.title}: {label} of each run"
    figure = Figure("comparison", title, "bars", y_label=label, series=series, data=data)
    return Comparison(first.name, label, table, figure)
