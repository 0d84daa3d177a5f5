"""Columns that tables of figures have in common."""

from __future__ import annotations

from zoo.evaluation.resampling import METHOD_HELP, UNIT_HELP
from zoo.results import Column


def figure_columns() -> list[Column]:
    """The figure of a method: its mean, interval and spread over seeds."""
    return [
        Column("value", "value", "number", "low", "high", "mean over seeds, 95 % interval over units"),
        Column("std", "std", "number", help="standard deviation over seeds"),
    ]


def reference_columns() -> list[Column]:
    """What a figure stands beside, and what it was measured on."""
    return [
        Column("chance", "chance", "number"),
        Column("constant", "constant", "number", help="best constant of each source"),
        Column("n", "n", "integer", help="test rows, all seeds together"),
        Column("unit", "unit", help=UNIT_HELP),
        Column("interval", "interval", help=METHOD_HELP),
        Column("seeds", "seeds", "integer"),
    ]
