"""Results as W&B runs: tables, pictures, plotly figures and custom charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.reporting.plotly_figures import plotly_figure
from zoo.rendering import drawing
from zoo.results import Column, Figure, Result, Table


def log_results(
    results: Sequence[Result], names: Sequence[str], pictures: Mapping[tuple[int, str], Path], project: str
) -> list[str]:
    """Make a W&B run of each result and return where their files lie; offline where there is no key.

    Args:
        results: of the runs.
        names: of the runs.
        pictures: (number of the result, "figures/NAME" or "tables/NAME") -> PNG.
        project: of W&B.
    """
    import wandb

    folders = []
    for k, (result, name) in enumerate(zip(results, names, strict=True)):
        run = wandb.init(
            project=project, name=name, job_type=f"report-{result.command}", tags=[result.command, result.data],
            config={"command": result.command, "config": result.config, "seeds": result.seeds, "data": result.data},
        )  # fmt: skip
        content: dict[str, Any] = {f"tables/{t.name}": _table(t) for t in result.tables}
        colours = drawing.colours(result.figures)
        for figure in result.figures:
            content |= _charts(figure, colours[figure.name])
        content |= {f"png/{n}": wandb.Image(str(path)) for (r, n), path in pictures.items() if r == k}
        if result.examples:
            content["examples"] = _examples(result)
        run.log(content)
        run.summary["summary"] = "\n".join(result.summary)
        folders.append(str(Path(run.dir).parent))
        run.finish()
    return folders


def _table(table: Table) -> Any:
    import wandb

    keys: list[tuple[str, str]] = []
    for column in table.columns:
        keys.append((column.key, column.label or column.key))
        keys += [(k, f"{column.label or column.key} {end}") for k, end in _ends(column)]
    rows: list[Any] = [[_plain(row.get(key)) for key, _ in keys] for row in table.rows]
    labels: list[Any] = [label for _, label in keys]
    return wandb.Table(columns=labels, data=rows, allow_mixed_types=True)


def _ends(column: Column) -> list[tuple[str, str]]:
    return [(k, end) for k, end in ((column.low, "low"), (column.high, "high")) if k]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _charts(figure: Figure, colours: dict[str, str]) -> dict[str, Any]:
    """The figure as plotly draws it, and bars and numeric lines as custom charts too."""
    import plotly.graph_objects as go
    import wandb

    drawn = plotly_figure(figure, colours)
    charts: dict[str, Any] = {f"plotly/{figure.name}": wandb.Plotly(go.Figure(drawn))}
    key = f"charts/{figure.name}"
    if figure.kind == "bars":
        rows: list[Any] = [
            [f"{x} - {s.name}" if len(figure.series) > 1 else str(x), y]
            for s in figure.series
            for x, y in zip(s.x, s.y, strict=True)
            if y is not None
        ]
        table = wandb.Table(columns=["what", figure.y_label or "value"], data=rows)
        charts[key] = wandb.plot.bar(table, "what", figure.y_label or "value", title=figure.title)
    elif figure.kind == "lines" and drawing.numeric(figure) and figure.series:
        known = [[(x, y) for x, y in zip(s.x, s.y, strict=True) if y is not None] for s in figure.series]
        charts[key] = wandb.plot.line_series(
            xs=[[x for x, _ in points] for points in known],
            ys=[[y for _, y in points] for points in known],
            keys=[s.name for s in figure.series],
            title=figure.title,
            xname=figure.x_label or "x",
        )
    return charts


def _examples(result: Result) -> Any:
    import wandb

    folder = result.folder or Path()
    modalities = list(dict.fromkeys(m for e in result.examples for m in (*e.pictures, *e.texts)))
    rows: list[Any] = []
    for e in result.examples:
        shown: list[Any] = []
        for m in modalities:
            shown.append(wandb.Image(str(folder / e.pictures[m])) if m in e.pictures else e.texts.get(m))
        rows.append([e.task, e.id, e.truth, e.prediction, e.score, e.data, *shown])
    columns: list[Any] = ["task", "id", "truth", "prediction", "score", "data", *modalities]
    return wandb.Table(columns=columns, data=rows, allow_mixed_types=True)
