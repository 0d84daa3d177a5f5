"""Evenly spaced rows: each once, the first and the last among them, from all parts."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.thinning import evenly_spaced, thinned


@pytest.mark.parametrize("number", [0, 1, 2, 7, 999, 1000, 1001, 54_321])
@pytest.mark.parametrize("most", [1, 2, 7, 1000])
def test_evenly_spaced(number: int, most: int) -> None:
    taken = evenly_spaced(number, most)
    assert len(taken) == len(set(taken.tolist())) == min(number, most)
    if number:
        assert taken[0] == 0
    if number > 1 < most:
        assert taken[-1] == number - 1
        assert np.ptp(np.diff(taken)) <= 1
    rows = np.arange(number)[::-1].copy()
    assert thinned(rows, most).tolist() == rows[taken].tolist()
