"""The scores of finished runs, looked over: each row says what was measured, on what, and with which seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.commands.table.form import METRICS, Paper
from zoo.errors import DataError
from zoo.results import DATA_WORDS, FILE, Result, load_result

Row = dict[str, Any]
WORDS: Mapping[str, tuple[str, ...]] = {
    "direction": ("image_to_text", "text_to_image"),
    "mode": ("fusion", "image", "tabular"),
    "trained": ("masked", "separate"),
    "data": DATA_WORDS,
}
"""Column -> what it may hold."""
LEAKY = " leaky"
"""End of the key of a setting whose generator was told the label."""


def read_scores(folders: Sequence[Path], paper: Paper) -> list[Row]:
    """The rows of scores of all folders, each run once.

    Args:
        folders: of finished runs, or above some.
        paper: whose tables they are for.

    Raises:
        DataError: a folder without a result, a result of another command, no scores in it, or a row that is broken.
    """
    from experiments.commands.report import find_runs

    rows: list[Row] = []
    for file in find_runs(folders):
        rows += _of_result(load_result(file), paper, file)
    return rows


def _of_result(result: Result, paper: Paper, file: Path) -> list[Row]:
    if result.command != paper.command:
        raise DataError(
            f"it is a result of run.py {result.command}; the tables of '{paper.name}' are made of results of "
            f"run.py {paper.command}: give only folders of these",
            file=file,
        )
    tables = [t for t in result.tables if t.name == paper.table]
    if not tables:
        known = ", ".join(t.name for t in result.tables) or "none"
        raise DataError(
            f"no table '{paper.table}' in this {FILE}; it has: {known}. Run run.py {paper.command} again", file=file
        )
    return [checked(row, k, file) for k, row in enumerate(tables[0].rows)]


def checked(row: Mapping[str, Any], number: int, file: object) -> Row:
    """A row with every column known, and ``leaky`` taken out of the setting's key.

    Args:
        row: as the file holds it.
        number: of the row, for errors.
        file: for errors.

    Raises:
        DataError: what is missing or not allowed, with the row's number.
    """
    for key in ("dataset", "setting", "seed", *WORDS):
        if row.get(key) is None:
            raise DataError(f"a row of scores has no '{key}'", file=file, row=number)
    if isinstance(row["seed"], bool) or not isinstance(row["seed"], int):
        raise DataError(f"seed is {row['seed']!r}, which is no whole number", file=file, row=number)
    for key, words in WORDS.items():
        if row[key] not in words:
            raise DataError(f"{key} is {row[key]!r}; allowed: {', '.join(words)}", file=file, row=number)
    found = dict(row)
    for metric in METRICS:
        value = row.get(metric)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise DataError(f"{metric} is {value!r}, which is no number", file=file, row=number)
        found[metric] = math.nan if value is None else float(value)
    setting = str(row["setting"])
    found["leaky"] = bool(row.get("leaky")) or setting.endswith(LEAKY)
    found["calibrated"] = bool(row.get("calibrated"))
    found["setting"] = setting.removesuffix(LEAKY)
    found["generator"] = str(row.get("generator") or "")
    found["file"] = str(file)
    return found
