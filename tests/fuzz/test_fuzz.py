"""A few damaged files of every format; ``python -m tests.fuzz`` makes many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.fuzz.campaign import Workers, run_format
from tests.fuzz.cases import Bench
from tests.fuzz.damage import WAYS, damage
from tests.fuzz.formats import FORMATS

COUNT = 6
LIBRARIES = {
    "dicom": "pydicom", "nifti": "nibabel", "eeg": "pymatreader", "structure": "biotite", "parquet": "pyarrow",
    "excel": "openpyxl",
}  # fmt: skip


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers()
    yield made
    made.close()


@pytest.mark.parametrize("name", list(FORMATS))
def test_damaged_files(name: str, workers: Workers) -> None:
    if FORMATS[name].extra:
        pytest.importorskip(LIBRARIES[FORMATS[name].extra], reason=f"the extra '{FORMATS[name].extra}' is missing")
    result = run_format(name, COUNT, workers)
    assert result.good, "\n".join(f"case {n}: {outcome}: {text}" for n, outcome, text in result.failures)
    assert sum(result.counts.values()) == COUNT


@pytest.mark.parametrize("way", list(WAYS))
def test_damage_follows_from_the_seed(way: str) -> None:
    data = bytes(range(256)) * 4
    made = [WAYS[way](data, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert made[0] == made[1]
    assert any(m != data for m in made)
    assert damage(data, np.random.default_rng(5)) == damage(data, np.random.default_rng(5))
    assert damage(data, np.random.default_rng(5))[0] != data


def test_a_wrong_row_is_seen(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """A reader that answers an error with the image of another row is found out; so is one that hides the file."""
    from datamodules.io.images import read_image as sound
    from zoo.errors import DataError

    bench = Bench("jpeg", FORMATS["jpeg"], tmp_path / "jpeg")
    other = bench.files[0]

    def swapped(path, **options):  # type: ignore[no-untyped-def]
        return sound(other if path.name != other.name else bench.files[1], **options)

    number = next(n for n in range(50) if bench.run(n)[0] == "error")
    monkeypatch.setattr("datamodules.io.images.read_image", swapped)
    assert bench.run(number)[0] == "wrong row"

    def hiding(path, **options):  # type: ignore[no-untyped-def]
        try:
            return sound(path, **options)
        except DataError:
            raise DataError("something is broken") from None

    monkeypatch.setattr("datamodules.io.images.read_image", hiding)
    assert bench.run(number)[0] == "unnamed error"

    def failing(path, **options):  # type: ignore[no-untyped-def]
        try:
            return sound(path, **options)
        except DataError:
            raise KeyError("x") from None

    monkeypatch.setattr("datamodules.io.images.read_image", failing)
    assert bench.run(number)[0] == "other exception"
