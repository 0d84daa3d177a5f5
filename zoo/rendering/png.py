"""Figures and tables as PNG files, by matplotlib: for papers and slides, in the colours of the page."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.rendering import drawing
from zoo.results import Column, Figure, Series, Table

DPI = 150
MOST_ROWS = 60
"""Rows of a table that a picture shows; a note says how many more there are."""


@contextmanager
def _canvas(width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure of this size in inches, in which text is never read as mathematics."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    style: Any = {"text.parse_math": False, "font.size": 9, "hatch.linewidth": 0.8, "axes.axisbelow": True}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # letters that the font lacks become boxes
        canvas = Canvas(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(canvas)
        yield canvas


def save_figure(figure: Figure, colours: dict[str, str], path: Path) -> None:
    """Draw ``figure`` into the PNG file ``path``.

    Args:
        figure: to draw.
        colours: name of a series or chain -> its colour.
        path: of the file.
    """
    width, height = _size(figure)
    with _canvas(width, height) as canvas:
        axes = canvas.add_subplot(projection="3d") if figure.kind == "chains" else canvas.add_subplot()
        {"bars": _bars, "lines": _lines, "heatmap": _heatmap, "chains": _chains}[figure.kind](axes, figure, colours)
        mark = f"  [{figure.data}]" if figure.data != "real" else ""
        canvas.suptitle("\n".join(drawing.lines_of(figure.title + mark, int(width * 12), 3)), fontsize=10.5)
        note = "\n".join(drawing.lines_of(figure.note, int(width * 17), 3))
        handles, labels = axes.get_legend_handles_labels()
        if labels and figure.kind != "heatmap":
            names = ["\n".join(drawing.lines_of(n, 28)) for n in labels]
            # The note is the title of the legend: matplotlib lays two texts below the axes over each other.
            legend = canvas.legend(
                handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8,
                title=note or None, title_fontsize=7.5,
            )  # fmt: skip
            legend.get_title().set(color=drawing.GREY, multialignment="center")
        elif note:
            canvas.supxlabel(note, fontsize=7.5, color=drawing.GREY)
        canvas.savefig(path, dpi=DPI)


def _size(figure: Figure) -> tuple[float, float]:
    if figure.kind == "heatmap":
        return max(4.5, 2.0 + 0.5 * len(figure.columns)), max(3.2, 1.6 + 0.38 * len(figure.rows))
    if figure.kind == "bars" and drawing.lies(figure):
        bars = sum(not s.dashed for s in figure.series)
        return 7.0, 1.6 + len(drawing.categories(figure)) * max(0.3, 0.17 * bars)
    return (5.5, 5.0) if figure.kind == "chains" else (7.0, 4.2)


def _ticks(axis: Any, labels: list[str], width: int = 18) -> None:
    axis.set_ticks(range(len(labels)), ["\n".join(drawing.lines_of(c, width)) for c in labels])


def _tidy(axes: Any, figure: Figure, lies: bool = False) -> None:
    names = (figure.y_label, figure.x_label) if lies else (figure.x_label, figure.y_label)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if lies else "y", color="#e3e6ea", linewidth=0.7)
    for name, value in figure.references.items():
        if drawing.finite(value) is not None:
            draw = axes.axvline if lies else axes.axhline
            draw(value, color=drawing.GREY, linestyle="--", linewidth=1.2, label=f"{name} {drawing.number(value)}")


def _value_errors(series: Series) -> tuple[list[float], list[list[float]] | None]:
    """Values with NaN for the unknown, and distances to the ends of the intervals."""
    values = [v if (v := drawing.finite(y)) is not None else float("nan") for y in series.y]
    if not series.low:
        return values, None
    ends = [drawing.interval(series, k) or (v, v) for k, v in enumerate(values)]
    below = [max(v - e[0], 0.0) if v == v else 0.0 for v, e in zip(values, ends, strict=True)]
    above = [max(e[1] - v, 0.0) if v == v else 0.0 for v, e in zip(values, ends, strict=True)]
    return values, [below, above]


def _bars(axes: Any, figure: Figure, colours: dict[str, str]) -> None:
    known, lies = drawing.categories(figure), drawing.lies(figure)
    place = {c: k for k, c in enumerate(known)}
    bars = [s for s in figure.series if not s.dashed]
    thick = 0.78 / max(len(bars), 1)
    for series in figure.series:
        values, errors = _value_errors(series)
        if series.dashed:
            at = [place[str(x)] for x in series.x]
            (axes.vlines if lies else axes.hlines)(
                values,
                [a - 0.42 for a in at],
                [a + 0.42 for a in at],
                colors=colours[series.name],
                linewidth=2,
                label=series.name,
                zorder=3,
            )
            continue
        shift = (bars.index(series) - (len(bars) - 1) / 2) * thick
        at_bars = [place[str(x)] + shift for x in series.x]
        draw, which = (axes.barh, "xerr") if lies else (axes.bar, "yerr")
        options: dict[str, Any] = {"color": colours[series.name], "edgecolor": "white", "label": series.name}
        options |= {which: errors, "error_kw": {"elinewidth": 1, "capsize": 2}} if errors else {}
        drawn = draw(at_bars, values, thick * 0.94, **options)
        for patch, flag in zip(drawn.patches, drawing.simulated(series), strict=True):
            patch.set_hatch("//" if flag else None)
    _ticks(axes.yaxis if lies else axes.xaxis, known)
    if lies:
        axes.invert_yaxis()
    elif len(known) > 4:
        axes.tick_params(axis="x", rotation=30)
    if any(any(drawing.simulated(s)) for s in bars):
        axes.fill_between([], [], facecolor="#d5dae0", edgecolor="white", hatch="//", label="hatched: simulated data")
    _tidy(axes, figure, lies)


def _lines(axes: Any, figure: Figure, colours: dict[str, str]) -> None:
    numeric, known = drawing.numeric(figure), drawing.categories(figure)
    place = {c: k for k, c in enumerate(known)}
    for series in figure.series:
        x = list(series.x) if numeric else [place[str(v)] for v in series.x]
        values, errors = _value_errors(series)
        colour = colours[series.name]
        style = "--" if series.dashed else "-"
        axes.plot(x, values, style, color=colour, linewidth=1.8, label=series.name)
        faces = ["white" if f else colour for f in drawing.simulated(series)]
        if len(x) < 40:
            axes.scatter(x, values, s=18, c=faces, edgecolors=colour, zorder=3)
        if errors and len(x) == 1:
            axes.errorbar(x, values, yerr=errors, color=colour, capsize=3)
        elif errors:
            low = [v - d for v, d in zip(values, errors[0], strict=True)]
            high = [v + d for v, d in zip(values, errors[1], strict=True)]
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    if figure.log_x and numeric:
        axes.set_xscale("log")
    elif not numeric:
        _ticks(axes.xaxis, known)
    _tidy(axes, figure)


def _heatmap(axes: Any, figure: Figure, colours: dict[str, str]) -> None:
    import numpy as np

    known = [drawing.finite(v) for row in figure.values for v in row]
    if not known:
        return
    numbers = [v for v in known if v is not None]
    table = np.array([np.nan if v is None else v for v in known]).reshape(len(figure.rows), len(figure.columns))
    largest = max(map(abs, numbers), default=0.0)
    two = drawing.signed(figure)
    unit = bool(numbers) and min(numbers) >= 0 and largest <= 1
    low, high = (-largest, largest) if two else (0, 1) if unit else (None, None)
    image = axes.imshow(table, cmap="RdBu" if two else "Blues", vmin=low, vmax=high, aspect="auto")
    for r in range(table.shape[0]):
        for c in range(table.shape[1]):
            words = drawing.cell_words(drawing.finite(table[r, c]), largest)
            if words:
                shade = sum(image.cmap(image.norm(table[r, c]))[:3])
                axes.text(
                    c, r, words, ha="center", va="center", fontsize=7.5, color="white" if shade < 1.4 else "#1b2026"
                )
    _ticks(axes.yaxis, figure.rows)
    _ticks(axes.xaxis, figure.columns, 12)
    if len(figure.columns) > 5:
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)


def _chains(axes: Any, figure: Figure, colours: dict[str, str]) -> None:
    import numpy as np

    for name, chain in drawing.turned(figure.chains).items():
        points = np.array(chain, dtype=float).reshape(-1, 3)
        axes.plot(*points.T, color=colours[name], linewidth=2, label=name)
    axes.set_aspect("equal")
    axes.view_init(elev=10, azim=-90)
    axes.set_axis_off()


def save_table(table: Table, path: Path) -> None:
    """Draw ``table`` into the PNG file ``path``: its first MOST_ROWS rows; simulated rows are in italics."""
    shown = table.rows[:MOST_ROWS]
    heads = ["\n".join(drawing.lines_of(c.label or c.key, 16)) for c in table.columns]
    cells = [["\n".join(drawing.lines_of(_words(c, r), 34, 3)) for c in table.columns] for r in shown]
    letters = [
        max(len(line) for text in column for line in text.split("\n")) + 2
        for column in zip(heads, *cells, strict=True)
    ]
    left = len(table.rows) - len(shown)
    lines = sum(max(t.count("\n") for t in row) + 1 for row in [heads, *cells])
    with _canvas(max(4.0, 0.078 * sum(letters)), 0.9 + 0.24 * lines + 0.05 * len(cells)) as canvas:
        axes = canvas.add_subplot()
        axes.set_axis_off()
        axes.set_title(table.title, fontsize=10.5, loc="left")
        widths = [n / sum(letters) for n in letters]
        drawn = axes.table([heads, *cells], colWidths=widths, loc="upper left", cellLoc="left", edges="horizontal")
        drawn.auto_set_font_size(False)
        drawn.set_fontsize(8)
        heights = [max(t.count("\n") for t in row) + 1.25 for row in [heads, *cells]]
        for (r, c), box in drawn.get_celld().items():
            box.set_edgecolor("#d5dae0")
            box.set_height(heights[r] / sum(heights))
            weight = "bold" if r == 0 else "normal"
            marked = r > 0 and shown[r - 1].get("data") in ("simulated", "mixed")
            right = table.columns[c].kind in drawing.NUMBERS
            box.set_text_props(weight=weight, style="italic" if marked else "normal", ha="right" if right else "left")
        if left:
            canvas.supxlabel(f"and {left} more rows", fontsize=8, color=drawing.GREY)
        canvas.savefig(path, dpi=DPI)


def _words(column: Column, row: dict[str, Any]) -> str:
    words, interval = drawing.cell(column, row)
    return f"{words} ({interval})" if interval else words
