"""A long table, a row a measurement, as a wide one: a row a patient, columns that sum up what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from datamodules.io.distinct import distinct, texts_of
from datamodules.io.unknown import Unknown, text_of
from zoo.errors import DataError, SpecError, unknown_name


@dataclass(frozen=True)
class LongTable:
    """How measurements that lie below each other become columns called NAME.SUMMARY, such as HR.mean.

    Attributes:
        name: column that says what was measured, such as HR.
        value: column of the measured numbers. Cells that are unknown are left out.
        time: column of numbers by which first, last and slope are told; "" takes the order of the rows, and knows no
            slope.
        summaries: of the values of a name: mean, min, max, first, last, std, count, and slope (the least-squares
            change for one unit of time). count is 0 where nothing was measured, the others are unknown there; std and
            slope need two values.

    Raises:
        SpecError: a summary that is not known, or slope without ``time``.
    """

    name: str
    value: str
    time: str = ""
    summaries: tuple[str, ...] = ("mean", "min", "max", "last", "count")
    known: ClassVar[tuple[str, ...]] = ("mean", "min", "max", "first", "last", "std", "count", "slope")

    def __post_init__(self) -> None:
        for summary in self.summaries:
            if summary not in self.known:
                raise SpecError(f"long.summaries: {unknown_name('summary', summary, self.known)}")
        if "slope" in self.summaries and not self.time:
            raise SpecError("long.summaries: a slope needs the column 'time'")


def widen(table: Any, names: Any, how: LongTable, unknown: Unknown, file: Path) -> tuple[Any, Any]:
    """Sum up a long table.

    Args:
        table: a pyarrow Table.
        names: (N,) pyarrow array: whom each row belongs to, null where that is unknown.
        how: what is summed up.
        unknown: the rule for unknown cells.
        file: what errors call the table.

    Returns:
        names (M,), each once, and a pyarrow Table of M rows: a column for each measured name and summary.

    Raises:
        DataError: a column is missing, a value or a time is no number, or there is no known value.
    """
    import pandas as pd
    import pyarrow as pa

    for column in (how.name, how.value, *([how.time] if how.time else [])):
        if column not in table.column_names:
            raise DataError(str(unknown_name("column", column, table.column_names)), file=file)
    frame = pd.DataFrame({"who": names.to_pylist(), "what": texts_of(table[how.name])})
    frame["value"] = _numbers(table[how.value], how.value, unknown, file)
    frame["time"] = _numbers(table[how.time], how.time, unknown, file) if how.time else np.arange(len(frame))
    whose = frame["who"].dropna().unique()
    frame = frame[frame["what"] != ""].dropna()
    if frame.empty:
        raise DataError(f"column '{how.value}' holds no known number", file=file)
    groups = frame.sort_values("time", kind="stable").groupby(["who", "what"], sort=False)
    columns: dict[str, Any] = {}
    made = {s: _summary(s, groups).unstack("what").reindex(whose) for s in how.summaries}
    for what in sorted(frame["what"].unique()):
        for summary, wide in made.items():
            column = wide[what].fillna(0) if summary == "count" else wide[what]
            columns[f"{what}.{summary}"] = pa.array(column.to_numpy(float), from_pandas=True)
    return pa.array(whose.tolist(), pa.large_string()), pa.table(columns)


def _summary(name: str, groups: Any) -> Any:
    """The summary of each group, NaN where there are too few values."""
    if name != "slope":
        return getattr(groups["value"], name)()
    mean = groups[["time", "value"]].transform("mean")
    frame = groups.obj.assign(t=groups.obj["time"] - mean["time"], v=groups.obj["value"] - mean["value"])
    frame = frame.assign(tv=frame["t"] * frame["v"], tt=frame["t"] ** 2)
    sums = frame.groupby(["who", "what"], sort=False)[["tv", "tt"]].sum()
    return sums["tv"] / sums["tt"].where(sums["tt"] > 0)


def _numbers(column: Any, name: str, unknown: Unknown, file: Path) -> npt.NDArray[np.float64]:
    """(N,) floats, NaN where a cell is unknown."""
    import pandas as pd

    told, places = distinct(column)
    cells = pd.Series(told, dtype=object)
    words = unknown.set_of()
    gone = cells.map(text_of).isin(words)
    numbers = pd.to_numeric(cells.where(~gone), errors="coerce")
    odd = ((numbers.isna() & ~gone) | np.isinf(numbers.astype(float))).to_numpy()[places]
    if odd.any():
        row = int(np.argmax(odd))
        raise DataError(
            f"column '{name}' holds {told[places[row]]!r}, not a number (finite); name it under 'unknown' if it "
            "means that",
            file=file,
            row=row,
        )
    return np.asarray(numbers, dtype=np.float64)[places]
