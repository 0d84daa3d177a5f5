"""Tables of predictions are the same however rows were parted."""

from __future__ import annotations

import warnings

import pandas as pd

from zoo.bundle.frames import joined


def test_types_of_columns_do_not_depend_on_the_parts() -> None:
    rows = [["", None, None], ["b", 0.5, 1], ["a", 0.25, 2]]
    whole = pd.DataFrame(rows, columns=["predicted", "p", "n"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cut in (0, 1, 2, 3):
            parts = [pd.DataFrame(r, columns=whole.columns) for r in (rows[:cut], rows[cut:]) if r]
            pd.testing.assert_frame_equal(joined(list(whole.columns), parts), whole)
    assert list(joined(["row"], []).columns) == ["row"]
