"""What an experiment found, as plain data: tables, figures and examples that a page, a PNG or W&B can show.

Every command of the evidence (table1, ood, fewshot, ablate, robustness, a fit) ends in one Result, saved as
``result.json`` in its folder. ``run.py report`` draws any number of them. Nothing here knows how to draw.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from zoo.errors import DataError, SpecError
from zoo.tables import Sheet, write_sheet

FILE = "result.json"
SCHEMA = 1
DATA_WORDS = ("real", "simulated", "mixed")
FIGURE_KINDS = ("bars", "lines", "heatmap", "chains")


@dataclass
class Column:
    """A column of a Table.

    Attributes:
        key: key of the value in a row.
        label: heading.
        kind: "text", "number" (shown with three decimals), "integer" or "flag" (True and False).
        low, high: keys of the ends of the 95 % interval that is shown behind a number; "" for none.
        help: what the column holds, for a tooltip.
    """

    key: str
    label: str = ""
    kind: str = "text"
    low: str = ""
    high: str = ""
    help: str = ""


@dataclass
class Table:
    """A table: rows are dictionaries by column key; a missing key or None is an empty cell.

    A row whose key ``data`` is "simulated" or "mixed" is marked wherever it is shown.
    """

    name: str
    title: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    note: str = ""

    def frame(self) -> pd.DataFrame:
        """Every column, the ends of intervals included; what is unknown is None."""
        keys = list(dict.fromkeys(k for c in self.columns for k in (c.key, c.low, c.high) if k))
        return pd.DataFrame([[_plain(row.get(k)) for k in keys] for row in self.rows], columns=keys, dtype=object)


@dataclass
class Series:
    """One curve or one colour of bars: y (None where unknown) over x, with interval ends and n where known.

    ``simulated`` is one flag a point, or one for all.
    """

    name: str
    x: list[Any]
    y: list[float | None]
    low: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    n: list[int] = field(default_factory=list)
    simulated: bool | list[bool] = False
    dashed: bool = False


@dataclass
class Figure:
    """A figure as data.

    Attributes:
        name: unique in its Result; letters, digits, "_" and "-" (it becomes a file name).
        title: heading.
        kind: "bars" (categorical x), "lines" (numeric or ordered x), "heatmap" (``values`` over ``rows`` and
            ``columns``, such as a confusion matrix) or "chains" (``chains`` of coordinates).
        x_label, y_label: axes, with units.
        series: of bars and lines.
        references: name -> y of a horizontal line, such as chance.
        rows, columns, values: of a heatmap; values are rows of columns, None where empty.
        chains: of a structure: name -> (L, 3) in angstrom, superposed.
        group: figures of one group are shown as small multiples or behind one chooser ("" for a figure alone).
        panel: what tells this figure from the others of its group, such as the task.
        note: what to know when reading it.
        data: "real", "simulated" or "mixed".
        log_x: logarithmic x axis.
    """

    name: str
    title: str
    kind: str
    x_label: str = ""
    y_label: str = ""
    series: list[Series] = field(default_factory=list)
    references: dict[str, float] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    values: list[list[float | None]] = field(default_factory=list)
    chains: dict[str, list[list[float]]] = field(default_factory=dict)
    group: str = ""
    panel: str = ""
    note: str = ""
    data: str = "real"
    log_x: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FIGURE_KINDS:
            raise SpecError(f"figure '{self.name}': kind {self.kind!r} is unknown; kinds: {FIGURE_KINDS}")
        if self.data not in DATA_WORDS:
            raise SpecError(f"figure '{self.name}': data {self.data!r} is unknown; allowed: {DATA_WORDS}")


@dataclass
class Example:
    """A test row to look at, such as one that a model got badly wrong.

    Attributes:
        task, id: which.
        truth, prediction: in words.
        score: of this row, higher is better.
        pictures: modality -> PNG file relative to the result's folder.
        texts: modality -> what is not a picture, shortened.
        data: "real" or "simulated".
    """

    task: str
    id: str
    truth: str
    prediction: str
    score: float | None = None
    pictures: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    data: str = "real"


@dataclass
class Result:
    """What one run of a command found.

    Attributes:
        command: "fit", "table1", "ood", "fewshot", "ablate", "robustness", "sweep".
        title: one line.
        config: name of the configuration.
        data: "real", "simulated" or "mixed", over everything in it.
        summary: sentences that say what was found, failures included; shown first.
        tables, figures, examples: see the classes.
        seeds: that were run.
        seconds: of wall time, 0 where unknown.
        command_line: what was typed.
        machine, created: filled by ``save``.
        folder: where it was loaded from; not stored.
    """

    command: str
    title: str
    config: str = ""
    data: str = "real"
    summary: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0
    command_line: str = ""
    machine: str = ""
    created: str = ""
    folder: Path | None = None

    def save(self, folder: Path | str, *, tables: bool = True) -> Path:
        """Write ``folder/result.json``, and every table as NAME.csv beside it; return the path of the former.

        Args:
            folder: where; made where it is missing.
            tables: whether to write the CSV files. Not in the folder of a logger, which has a metrics.csv of its own.
        """
        path = Path(folder) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        self.machine = self.machine or machine()
        self.created = self.created or datetime.datetime.now().isoformat(timespec="seconds")
        content = {k: v for k, v in asdict(self).items() if k != "folder"}
        written = path.with_suffix(".tmp")
        written.write_text(json.dumps({"schema": SCHEMA, **_plain(content)}, indent=1, allow_nan=False) + "\n")
        written.replace(path)
        for table in self.tables if tables else []:
            write_sheet(Sheet(table.frame()), path.parent / f"{table.name}.csv")
        return path


def load_result(folder: Path | str) -> Result:
    """Read what ``Result.save`` wrote.

    Raises:
        DataError: no such file, not JSON, another schema, or an unknown key.
    """
    path = Path(folder) / FILE if Path(folder).is_dir() else Path(folder)
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"no {FILE}; give the folder of a finished run", file=path) from error
    except (OSError, ValueError) as error:
        raise DataError(f"it is not a readable {FILE}: {error}", file=path) from error
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise DataError(f"it is not a {FILE} of schema {SCHEMA}", file=path)
    try:
        result = Result(**_known(Result, content))
        result.tables = [
            Table(**{**_known(Table, t), "columns": [Column(**_known(Column, c)) for c in t["columns"]]})
            for t in content["tables"]
        ]
        result.figures = [
            Figure(**{**_known(Figure, f), "series": [Series(**_known(Series, s)) for s in f["series"]]})
            for f in content["figures"]
        ]
        result.examples = [Example(**_known(Example, e)) for e in content["examples"]]
    except (KeyError, TypeError, SpecError) as error:
        raise DataError(f"it does not hold a result: {error}", file=path) from error
    result.folder = path.parent
    return result


def machine() -> str:
    """The machine in words, without names that tell whose it is."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def joint_word(words: Sequence[str]) -> str:
    """The word for data of several words: theirs where they agree, else "mixed"."""
    return words[0] if len(set(words)) == 1 else "mixed"


def _known(cls: Any, content: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)} - {"folder"}
    extra = sorted(set(content) - names)
    if extra:
        raise TypeError(f"{cls.__name__} has no {extra}")
    return dict(content)


def _plain(value: Any) -> Any:
    """JSON without NaN: what is not finite becomes None; numpy and torch scalars become numbers."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
