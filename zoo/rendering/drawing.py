"""What the page and the PNG files agree on: colours, numbers in words, labels, and how bars lie."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.results import Column, Figure, Series

NUMBERS = ("number", "integer")
"""Kinds of column that hold numbers."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C", "#B8A800")
"""Okabe and Ito's colours (the yellow darkened, black replaced by grey), which stay apart for the colour-blind and
show on white and on black."""
TICKS = ("#D55E00", "#B8A800", "#8C8C8C")
"""Of dashed series, which lie on the bars of others, such as a baseline and chance of each task."""
GREY = "#808891"
"""Of reference lines."""
ELLIPSIS = "\u2026"


def colours(figures: Sequence[Figure]) -> dict[str, dict[str, str]]:
    """Return figure name -> series name -> colour.

    One name has one colour in all figures of a run, or, where a run has more names than there are colours, in all
    figures of a group.
    """

    def names(some: Sequence[Figure]) -> list[str]:
        return list(
            dict.fromkeys(n for f in some for n in (*(s.name for s in f.series), *f.chains) if n not in ticks)
        )

    ticks = list(dict.fromkeys(s.name for f in figures if f.kind == "bars" for s in f.series if s.dashed))
    everywhere = names(figures)
    found = {}
    for figure in figures:
        mates = [f for f in figures if f is figure or (f.group and f.group == figure.group)]
        known = everywhere if len(everywhere) <= len(PALETTE) else names(mates)
        found[figure.name] = {n: PALETTE[k % len(PALETTE)] for k, n in enumerate(known)}
        found[figure.name] |= {n: TICKS[k % len(TICKS)] for k, n in enumerate(ticks)}
    return found


def finite(value: Any) -> float | None:
    """The value as a number; None where it is none or not finite."""
    if value is None or isinstance(value, str):
        return None
    return float(value) if math.isfinite(value) else None


def number(value: Any, digits: int = 3) -> str:
    """A number in words; "" for none.

    >>> number(0.81234), number(12345.6), number(0.00002), number(None)
    ('0.812', '12,346', '2.0e-05', '')
    """
    known = finite(value)
    if known is None:
        return ""
    if abs(known) >= 1000:
        return f"{known:,.0f}"
    if known and abs(known) < 0.5 * 10**-digits:
        return f"{known:.1e}"
    return f"{known:.{digits}f}"


def cell(column: Column, row: Mapping[str, Any]) -> tuple[str, str]:
    """A cell of a table in words, and its interval; "" where there is none.

    Args:
        column: of the table.
        row: of the table: key -> value.

    >>> cell(Column("auc", kind="number", low="from", high="to"), {"auc": 0.81234, "from": 0.7, "to": 0.9})
    ('0.812', '0.700 to 0.900')
    >>> cell(Column("ok", kind="flag"), {"ok": False}), cell(Column("n", kind="integer"), {"n": 12345})
    (('no', ''), ('12,345', ''))
    """
    value = row.get(column.key)
    if value is None:
        return "", ""
    if column.kind == "flag" or isinstance(value, bool):
        return ("yes" if value else "no"), ""
    if column.kind not in NUMBERS or isinstance(value, str):
        return str(value), ""
    if finite(value) is None:
        return "", ""
    if column.kind == "integer":
        return f"{round(value):,}", ""
    low, high = number(row.get(column.low)), number(row.get(column.high))
    return number(value), f"{low} to {high}" if low and high else ""


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(42), duration(754), duration(7500), duration(0)
    ('42 s', '12 min 34 s', '2 h 5 min', '')
    """
    whole = round(seconds)
    if whole <= 0:
        return f"{seconds:.1f} s" if seconds > 0 else ""
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def lines_of(text: str, width: int = 18, most: int = 2) -> list[str]:
    r"""Break a label, also behind "_" and "/", into at most ``most`` lines of ``width`` letters.

    What is left out becomes an ellipsis.

    Args:
        text: the label.
        width: most letters of a line.
        most: most lines.

    >>> lines_of("a label of many words indeed", 10)
    ['a label of', 'many word\u2026']
    >>> lines_of("radiographic_findings", 14)
    ['radiographic_', 'findings']
    """
    lines: list[str] = [""]
    for part in re.findall(r"\s+|[^\s_/]+[_/]*|[_/]+", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    lines = [line.strip() for line in lines if line.strip()] or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])[: width - 1] + ELLIPSIS]
    return lines


def categories(figure: Figure) -> list[str]:
    """The values of x over all series, in the order of their first appearance, as text."""
    return list(dict.fromkeys(str(x) for s in figure.series for x in s.x))


def lies(figure: Figure) -> bool:
    """Whether bars lie, so that many or long labels can be read."""
    known = categories(figure)
    return len(known) > 8 or (len(known) > 3 and max((len(c) for c in known), default=0) > 9)


def numeric(figure: Figure) -> bool:
    """Whether x of a figure of lines is a number throughout."""
    return all(isinstance(x, int | float) and not isinstance(x, bool) for s in figure.series for x in s.x)


def simulated(series: Series) -> list[bool]:
    """One flag a point."""
    flags = series.simulated
    return list(flags) if isinstance(flags, list) else [bool(flags)] * len(series.x)


def interval(series: Series, k: int) -> tuple[float, float] | None:
    """The ends of the interval of a point, or None."""
    if k >= len(series.low) or k >= len(series.high):
        return None
    low, high = finite(series.low[k]), finite(series.high[k])
    return None if low is None or high is None else (low, high)


def point_words(figure: Figure, series: Series, k: int) -> list[str]:
    """What is known of a point, line by line.

    Args:
        figure: of the point.
        series: of the point.
        k: number of the point in the series.
    """
    words = [f"{series.name}, {figure.x_label or 'x'} {series.x[k]}", number(series.y[k])]
    ends = interval(series, k)
    if ends:
        words[-1] += f" ({number(ends[0])} to {number(ends[1])})"
    if k < len(series.n):
        words.append(f"n = {series.n[k]}")
    if simulated(series)[k]:
        words.append("simulated data")
    return words


def signed(figure: Figure) -> bool:
    """Whether a heatmap holds values on both sides of zero, which asks for two hues."""
    known = [v for row in figure.values for v in row if v is not None]
    return bool(known) and min(known) < 0 < max(known)


def has_simulated(figure: Figure) -> bool:
    """Whether any point of a figure is marked as of simulated data."""
    return any(any(simulated(s)) for s in figure.series)


def turned(chains: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[list[float]]]:
    """All chains turned together, so that they lie along x and show their broad side to who looks along y.

    Right-handed helices stay right-handed.
    """
    import numpy as np

    points = np.array([p for chain in chains.values() for p in chain], dtype=float).reshape(-1, 3)
    if not len(points):
        return {name: [] for name in chains}
    centre = points.mean(0)
    _, _, axes = np.linalg.svd(points - centre, full_matrices=True)
    order = axes[[0, 2, 1]]  # longest, thinnest, middle
    order[1] *= np.sign(np.linalg.det(order))
    return {
        name: ((np.array(chain, dtype=float).reshape(-1, 3) - centre) @ order.T).round(2).tolist()
        for name, chain in chains.items()
    }


def cell_words(value: float | None, largest: float) -> str:
    """What is written into a cell of a heatmap whose largest value is ``largest``.

    >>> cell_words(0.5, 1.0), cell_words(1.0, 1.0), cell_words(12.0, 40.0), cell_words(None, 1.0)
    ('.50', '1', '12', '')
    """
    if value is None:
        return ""
    if largest > 1 and float(value).is_integer():
        return f"{value:.0f}"
    if value in (0, 1):
        return f"{value:.0f}"
    digits = 2 if largest < 100 else 0
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"
