"""Columns that tables of figures have in common."""

from __future__ import annotations

from zoo.evaluation.resampling import METHOD_HELP, UNIT_HELP
from zoo.results import Column


def interval_column(key: str, label: str, help: str = "", *, interval: bool = True) -> Column:
    """A number with its interval, in the cells KEY_low and KEY_high.

    Args:
        key: of the number.
        label: heading of the column.
        help: what the number is.
        interval: whether it has one.
    """
    return Column(key, label, "number", f"{key}_low" * interval, f"{key}_high" * interval, help)


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
