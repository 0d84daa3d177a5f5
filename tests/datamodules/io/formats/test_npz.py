"""Arrays of npz archives, described from their headers and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.io.formats.npz import load_npz, npz_arrays
from zoo.errors import DataError

ARRAYS = {
    "a": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "none": np.zeros((0, 5)),
    "scalar": np.array(7),
}


@pytest.mark.parametrize("compressed", [True, False])
def test_round_trip(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "x.npz"
    (np.savez_compressed if compressed else np.savez)(path, **ARRAYS)
    found = npz_arrays(path)
    assert set(found) == set(ARRAYS)
    for key, value in ARRAYS.items():
        array = load_npz(path, key, found[key])
        assert found[key].shape == value.shape
        assert found[key].dtype == value.dtype
        assert np.array_equal(array, value)
        assert isinstance(array, np.memmap) is (not compressed and value.size > 0)


def test_objects_and_broken(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.array([None]))
    with pytest.raises(DataError, match=r"Python objects.*x\.npz"):
        npz_arrays(path)
    np.savez(path, x=np.zeros(100))
    content = path.read_bytes()
    for broken in (b"", b"text", content[: len(content) // 2], content.replace(b"(100,)", b"(-10,)")):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"cannot be read.*x\.npz"):
            npz_arrays(path)
    with pytest.raises(DataError, match="missing"):
        npz_arrays(tmp_path / "y.npz")
