"""Columns of numbers that are kept ready say of each cell what reading that cell alone says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io import typed_table
from datamodules.io.arrow_table import ArrowTable
from datamodules.io.column_types import Reader
from datamodules.io.typed_table import TableReading, TypedTable
from datamodules.io.unknown import Unknown

WORDS = ["+1", ".5", "5.", " 1e3 ", "-9", "NA", "", "0.1", "1e-320", "4.35", "9007199254740993", "12"]
COLUMNS: dict[str, list[Any]] = {
    "words": WORDS,
    "plain": [repr(v) for v in np.random.default_rng(0).normal(size=len(WORDS)).tolist()],
    "odd": ["<5", "1,5", *["3"] * 9, "n.d."],
    "comma": ["1,5"] * 6 + ["2,25"] * 6,
    "codes": [f"{k:03d}" for k in range(len(WORDS))],
    "whole": [-9, 0, None, 2**53 + 1, 5, 6, 7, 8, 9, 10, 11, 12],
    "real": [-9.0, float("nan"), None, 0.1, 1e300, 5.5, -0.0, 8.0, 9.0, 10.0, 11.0, 12.0],
    "endless": [float("inf"), *[1.5] * 11],
    "exact": [Decimal("0.10"), None, *[Decimal("2.35")] * 10],
    "truth": [True, False, None, *[True] * 9],
}


def table(folder: Path) -> ArrowTable:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: pa.array(cells) for name, cells in COLUMNS.items()}
    columns["single"] = pa.array([np.float32(v) for v in range(len(WORDS))], pa.float32())
    parquet.write_table(pa.table(columns), folder / "t.parquet")
    return ArrowTable(folder / "t.parquet", unknown=Unknown(("-9",)))


@pytest.mark.parametrize("exceptions", ["missing", "number"])
@pytest.mark.parametrize("number", [False, True])
def test_a_column_says_what_its_cells_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exceptions: Any, number: bool
) -> None:
    stored, reading = table(tmp_path), TableReading(exceptions=exceptions, types={"plain": "number"})
    ready = TypedTable(stored, reading)
    monkeypatch.setattr(typed_table, "READY_CELLS", 0)
    single = TypedTable(stored, reading)
    for name in stored.names:
        one, other = ([t.typed(name, row, number=number) for row in range(len(stored))] for t in (ready, single))
        assert one == other, name
        assert [type(v) for v in one] == [type(v) for v in other], name


def test_a_cell_of_a_ready_column_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of hundreds of columns are read often: parsing each cell each time took most of opening them."""
    typed = TypedTable(table(tmp_path), TableReading())
    first = [typed.typed("plain", row) for row in range(len(WORDS))]
    monkeypatch.setattr(Reader, "__call__", lambda *_: pytest.fail("parsed a cell again"))
    assert [typed.typed("plain", row) for row in range(len(WORDS))] == first


def test_an_exception_is_an_error_where_it_is_asked_for(tmp_path: Path) -> None:
    typed = TypedTable(table(tmp_path), TableReading(exceptions="error", types={"odd": "number"}))
    assert typed.typed("odd", 2) == 3.0
    with pytest.raises(Exception, match="column 'odd' holds '<5' among numbers"):
        typed.typed("odd", 0)
