"""A grid of samples as one picture: a row a sample, with pictures and short texts in its cells."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from zoo.values import Shown

SIDE = 1.5
"""Inches of a cell."""
LETTERS = 26
"""Letters in a line of a cell."""
LINES = 9
"""Lines of text in a cell."""


def save_grid(
    path: Path, heads: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[Shown | None]]
) -> None:
    """Draw a grid.

    Args:
        path: png file to write.
        heads: of the columns.
        names: of the rows.
        cells: for each row a cell for each column; None leaves it empty.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    height, width = max(len(names), 1), max(len(heads), 1)
    figure = Figure(figsize=(SIDE * width + 0.6, SIDE * height + 0.4), dpi=120)
    axes = figure.subplots(height, width, squeeze=False)
    for line, name, row in zip(axes, names, cells, strict=True):
        for axis, shown in zip(line, row, strict=True):
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
            _fill(axis, shown)
        line[0].set_ylabel(name[:20], fontsize=6)
    for axis, head in zip(axes[0], heads, strict=True):
        axis.set_title(textwrap.fill(head, LETTERS), fontsize=6)
    figure.subplots_adjust(0.06, 0.01, 0.99, 0.93, 0.04, 0.04)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _fill(axis: object, shown: Shown | None) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    if shown is None:
        return
    if shown.picture is not None:
        axis.imshow(shown.picture, interpolation="nearest")
    elif shown.words:
        lines = textwrap.wrap(shown.words, LETTERS)
        kept = [*lines[: LINES - 1], "..."] if len(lines) > LINES else lines
        axis.text(0.02, 0.98, "\n".join(kept), fontsize=5, va="top", transform=axis.transAxes)
