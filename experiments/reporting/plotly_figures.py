"""Figures as plotly's dictionaries of traces and layout. Colours of text and grid are the page's, by theme."""

from __future__ import annotations

from html import escape
from typing import Any

from zoo.rendering import drawing
from zoo.results import Figure, Series

FADE = "2E"
"""Opacity of bands, as the last two digits of a colour."""


def plotly_figure(figure: Figure, colours: dict[str, str]) -> dict[str, Any]:
    """Return {"data": traces, "layout": layout}; the heights are in pixels, the width is the page's.

    Args:
        figure: what to draw.
        colours: series or chain -> colour, as ``drawing.colours`` gives them for a figure.
    """
    draw = {"bars": _bars, "lines": _lines, "heatmap": _heatmap, "chains": _chains}[figure.kind]
    made = draw(figure, colours)
    named_above = figure.references and figure.kind == "bars" and drawing.lies(figure)
    common = {
        "margin": {"l": 8, "r": 12, "t": 34 if named_above else 12, "b": 8},
        "showlegend": False,  # the page has one of its own, which wraps
        "dragmode": False,
        "hovermode": "closest",
        "uirevision": figure.name,
    }
    return {"data": made["data"], "layout": {**common, **made["layout"]}}


def _text(words: str, width: int = 18, most: int = 2) -> str:
    return "<br>".join(escape(line, quote=False) for line in drawing.lines_of(words, width, most))


def _axis(label: str) -> dict[str, Any]:
    title = {"text": escape(label, quote=False), "standoff": 8}
    return {"title": title, "automargin": True, "zeroline": False, "fixedrange": True}


def _labels(known: list[str], width: int = 18) -> dict[str, Any]:
    """Categories as positions 0, 1, ..., so that no two of them fall together."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(known))),
        "ticktext": [_text(c, width) for c in known],
        "range": [-0.6, len(known) - 0.4],
    }


def _hover(figure: Figure, series: Series) -> dict[str, Any]:
    words = [
        "<br>".join(escape(w, quote=False) for w in drawing.point_words(figure, series, k))
        for k in range(len(series.x))
    ]
    return {"hovertext": words, "hovertemplate": "%{hovertext}<extra></extra>"}


def _errors(series: Series) -> dict[str, Any]:
    """Intervals as distances from the values."""
    plus: list[float] = []
    minus: list[float] = []
    for k, y in enumerate(series.y):
        ends, value = drawing.interval(series, k), drawing.finite(y)
        known = ends is not None and value is not None
        plus.append(max(ends[1] - value, 0.0) if known else 0.0)  # type: ignore[index,operator]
        minus.append(max(value - ends[0], 0.0) if known else 0.0)  # type: ignore[index,operator]
    return {"type": "data", "symmetric": False, "array": plus, "arrayminus": minus, "thickness": 1.4, "width": 3}


def _references(figure: Figure, lies: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Dashed lines with their names at alternating ends, in the order of their values; and an invisible trace."""
    shapes: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []
    ranked = sorted(figure.references.items(), key=lambda item: item[1])
    for k, (name, value) in enumerate(ranked):
        if drawing.finite(value) is None:
            continue
        along, across = ("y", "x") if lies else ("x", "y")
        shapes.append(
            {
                "type": "line", "layer": "above", f"{along}ref": "paper", f"{along}0": 0, f"{along}1": 1,
                f"{across}ref": across, f"{across}0": value, f"{across}1": value,
                "line": {"width": 1.4, "dash": "dash"},
            }
        )  # fmt: skip
        end = (1, 0, 0.5)[k % 3]
        names.append(
            {
                "text": f"{_text(name, 24)} {drawing.number(value)}", "showarrow": False, "borderpad": 1,
                "font": {"size": 11}, f"{along}ref": "paper", f"{along}": 1 if lies else end,
                f"{across}ref": across, f"{across}": value,
                "xanchor": "center" if lies else ("right", "left", "center")[k % 3], "yanchor": "bottom",
                "yshift": 13 * (k % 2) if lies else 1,
            }
        )  # fmt: skip
    # an invisible point a line keeps the axis wide enough to show it
    values = [s["x0" if lies else "y0"] for s in shapes]
    ghost = {
        "type": "scatter", "mode": "markers", "showlegend": False, "hoverinfo": "skip", "marker": {"opacity": 0},
        "x": values if lies else [None] * len(values), "y": [None] * len(values) if lies else values,
    }  # fmt: skip
    return {"shapes": shapes, "annotations": names}, [ghost] if values else []


def _bars(figure: Figure, colours: dict[str, str]) -> dict[str, Any]:
    """Grouped bars; dashed series are ticks across a group, such as a baseline of each task."""
    known = drawing.categories(figure)
    place = {c: k for k, c in enumerate(known)}
    lies = drawing.lies(figure)
    bars = [s for s in figure.series if not s.dashed]
    traces: list[dict[str, Any]] = []
    for series in figure.series:
        at, colour = [place[str(x)] for x in series.x], colours[series.name]
        value = [drawing.finite(y) for y in series.y]
        axes = {"y": at, "x": value, "orientation": "h"} if lies else {"x": at, "y": value}
        base = {"name": _text(series.name, 30), "legendgroup": series.name, **axes, **_hover(figure, series)}
        if series.dashed:
            base.pop("orientation", None)
            marker = {"symbol": "line-ns-open" if lies else "line-ew-open", "size": 20, "color": colour}
            traces.append(
                {**base, "type": "scatter", "mode": "markers", "marker": {**marker, "line": {"width": 2.5}}}
            )
            continue
        pattern = {
            "shape": ["/" if f else "" for f in drawing.simulated(series)],
            "fillmode": "overlay", "fgcolor": "rgba(255,255,255,0.75)", "size": 7, "solidity": 0.35,
        }  # fmt: skip
        errors = {("error_x" if lies else "error_y"): {**_errors(series)}} if series.low else {}
        traces.append({**base, "type": "bar", "marker": {"color": colour, "pattern": pattern}, **errors})
    lines, ghost = _references(figure, lies)
    category = {**_axis(figure.x_label), **_labels(known)}
    value_axis = {**_axis(figure.y_label), "rangemode": "tozero"}
    if lies:
        category["range"] = category["range"][::-1]
        height = 90 + len(known) * max(30, 15 * len(bars))
        layout = {"yaxis": category, "xaxis": value_axis, "height": height}
    else:
        layout = {"xaxis": category, "yaxis": value_axis, "height": 320}
    return {"data": [*traces, *ghost], "layout": {**layout, "barmode": "group", "bargap": 0.25, **lines}}


def _band(series: Series, x: list[Any], colour: str) -> dict[str, Any] | None:
    """The interval as one closed polygon for each unbroken run of points."""
    runs: list[list[int]] = [[]]
    for k in range(len(x)):
        if drawing.interval(series, k) is None or drawing.finite(series.y[k]) is None:
            runs.append([])
        else:
            runs[-1].append(k)
    px: list[Any] = []
    py: list[Any] = []
    for run in runs:
        if run:
            px += [*([None] if px else []), *(x[k] for k in run), *(x[k] for k in reversed(run))]
            py += [*([None] if py else []), *(series.high[k] for k in run), *(series.low[k] for k in reversed(run))]
    if not px:
        return None
    return {
        "type": "scatter", "x": px, "y": py, "fill": "toself", "mode": "none", "fillcolor": colour + FADE,
        "legendgroup": series.name, "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip


def _lines(figure: Figure, colours: dict[str, str]) -> dict[str, Any]:
    numeric = drawing.numeric(figure)
    known = drawing.categories(figure)
    place = {c: k for k, c in enumerate(known)}
    bands, traces = [], []
    for series in figure.series:
        x = list(series.x) if numeric else [place[str(v)] for v in series.x]
        colour = colours[series.name]
        band = _band(series, x, colour)
        bands += [band] if band else []
        alone = len(x) == 1 and series.low
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": _text(series.name, 30),
                "legendgroup": series.name, "x": x, "y": [drawing.finite(y) for y in series.y],
                "line": {"color": colour, "width": 2, "dash": "dash" if series.dashed else "solid"},
                "marker": {
                    "color": colour, "size": 7 if len(x) < 40 else 3,
                    "symbol": ["circle-open" if f else "circle" for f in drawing.simulated(series)],
                },
                **({"error_y": {**_errors(series), "color": colour}} if alone else {}),
                **_hover(figure, series),
            }
        )  # fmt: skip
    references, ghost = _references(figure)
    axis = _axis(figure.x_label)
    values = [x for s in figure.series for x in s.x]
    if figure.log_x and numeric:
        axis["type"] = "log"
    elif numeric and values and all(isinstance(x, int) for x in values) and max(values) - min(values) <= 10:
        axis["dtick"] = 1
    elif not numeric:
        axis |= _labels(known)
    layout = {"xaxis": axis, "yaxis": _axis(figure.y_label), "height": 320, **references}
    return {"data": [*bands, *traces, *ghost], "layout": layout}


def _heatmap(figure: Figure, colours: dict[str, str]) -> dict[str, Any]:
    values = [[drawing.finite(v) for v in row] for row in figure.values]
    known = [v for row in values for v in row if v is not None]
    text = [[drawing.cell_words(v, max(map(abs, known), default=0.0)) for v in row] for row in values]
    hover = [
        [
            f"{escape(r, quote=False)}, {escape(c, quote=False)}<br>{drawing.number(v) or 'nothing'}"
            for c, v in zip(figure.columns, row, strict=True)
        ]
        for r, row in zip(figure.rows, values, strict=True)
    ]
    trace: dict[str, Any] = {
        "type": "heatmap", "z": values, "x": list(range(len(figure.columns))), "y": list(range(len(figure.rows))),
        "text": text, "texttemplate": "%{text}", "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>",
        "xgap": 2, "ygap": 2, "showscale": False, "textfont": {"size": 11},
        "meta": "two hues" if drawing.signed(figure) else "one hue",
    }  # fmt: skip
    if drawing.signed(figure):
        trace["zmid"] = 0
    elif known and min(known) >= 0 and max(known) <= 1:
        trace |= {"zmin": 0, "zmax": 1}
    y = {**_axis(figure.y_label), **_labels(figure.rows), "showgrid": False}
    y["range"] = y["range"][::-1]
    x = {**_axis(figure.x_label), **_labels(figure.columns, 12), "showgrid": False}
    return {"data": [trace], "layout": {"xaxis": x, "yaxis": y, "height": 130 + 34 * max(len(figure.rows), 2)}}


def _chains(figure: Figure, colours: dict[str, str]) -> dict[str, Any]:
    chains = drawing.turned(figure.chains)
    traces = [
        {
            "type": "scatter3d", "mode": "lines", "name": _text(name, 30), "legendgroup": name,
            "x": [p[0] for p in chain], "y": [p[1] for p in chain], "z": [p[2] for p in chain],
            "line": {"color": colours[name], "width": 7},
            "hovertemplate": f"{_text(name, 30)}<br>residue %{{pointNumber}}<extra></extra>",
        }
        for name, chain in chains.items()
    ]  # fmt: skip
    hidden = {"visible": False, "showspikes": False}
    scene: dict[str, Any] = {
        "xaxis": hidden,
        "yaxis": hidden,
        "zaxis": hidden,
        "aspectmode": "manual",
        "dragmode": "orbit",
    }
    points = [p for chain in chains.values() for p in chain]
    spans = [max((p[k] for p in points), default=1.0) - min((p[k] for p in points), default=0.0) for k in range(3)]
    longest = max(*spans, 1e-6)
    scene["aspectratio"] = {axis: max(span / longest, 0.05) for axis, span in zip("xyz", spans, strict=True)}
    scene["camera"] = {"eye": {"x": 0.0, "y": -1.4, "z": 0.25}}
    return {"data": traces, "layout": {"scene": scene, "height": 360}}
