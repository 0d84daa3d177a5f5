"""What the form of a paper's table is: its rows, its columns, and which rows of finished runs belong in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

METRICS = ("accuracy", "auroc", "macro_f1", "precision", "recall", "balanced_accuracy", "weighted_f1")
"""Columns of a row of scores that hold a metric in 0 to 1."""
Figures = Mapping[int, Mapping[str, Mapping[str, str]]]
"""Table -> row -> column -> value as the paper prints it, in ASCII ("+-" for the sign)."""


@dataclass(frozen=True)
class Pick:
    """Which scores belong in a line: of each field the first value that gives rows wins.

    Attributes:
        settings: keys of settings, the wanted one first.
        modes: "fusion", "image", "tabular".
        trained: "masked" (one model, inputs masked) and "separate".
        directions: other than the block's; () for the block's only.
        generator: part of the generator's name, in lower case; "" for any.
    """

    settings: tuple[str, ...]
    modes: tuple[str, ...] = ("fusion",)
    trained: tuple[str, ...] = ("masked", "separate")
    directions: tuple[str, ...] = ()
    generator: str = ""


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes:
        label: as in the paper.
        picks: suffix of the label -> scores; the first is the paper's, the others are printed where a run gives them.
            Empty for a row that is only quoted.
        section: heading above it, "" for none.
        extra: not in the paper's table; printed where a run gives it and never counted as missing.
    """

    label: str
    picks: tuple[tuple[str, Pick], ...] = ()
    section: str = ""
    extra: bool = False


@dataclass(frozen=True)
class Block:
    """The rows of one of the paper's data sets.

    Attributes:
        dataset: the paper's name.
        home: beginning of the name of that data set in runs.
        direction: "image_to_text" or "text_to_image".
        lines: its rows.
        key: a data set other than the paper's is shown here only where it has one of these settings,
        without: and none of these,
        either: in runs of either direction.
    """

    dataset: str
    home: str
    direction: str
    lines: tuple[Line, ...]
    key: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    either: bool = False


@dataclass(frozen=True)
class Form:
    """A table of a paper.

    Attributes:
        number: of the table.
        caption: in our own words.
        columns: heading -> metric; "delta" for the differences of accuracy and macro F1 to the block's first line.
        blocks: one a data set of the paper.
        decimals: of measured values.
        across: settings are columns and metrics are rows, and behind each further setting comes its gain.
        note: what to know when reading it.
    """

    number: int
    caption: str
    columns: Mapping[str, str]
    blocks: tuple[Block, ...]
    decimals: int = 4
    across: bool = False
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper whose tables can be filled.

    Attributes:
        name: for the command line.
        title: of the paper.
        command: of run.py whose results fill it.
        table: of these results that holds the scores.
        forms: of its tables.
        figures: what the paper prints.
        note: printed once, above the tables.
    """

    name: str
    title: str
    command: str
    table: str
    forms: tuple[Form, ...]
    figures: Figures
    note: str = ""
