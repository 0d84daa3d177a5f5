"""Cells of a column become the same names whatever type the column was stored in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from datamodules.io.unknown import RULE


def test_one_name_whatever_type_a_column_of_whole_numbers_was_stored_in() -> None:
    """A donor 1 of one file is the donor 1 of another that stored its numbers as floats since some are unknown."""
    columns: list[list[object]] = [
        [1, 2, None],
        ["1", "2", ""],
        [1.0, 2.0, float("nan")],
        list(np.array([1, 2, np.nan], np.float32)),
        list(pd.array([1, 2, None], dtype="Int64")),
        list(pd.Series(pd.Categorical([1.0, 2.0, None]))),
    ]
    for cells in columns:
        cells = [None if cell is pd.NA else cell for cell in cells]
        assert RULE.blank(cells, "donor")[0] == ["1", "2", ""]
