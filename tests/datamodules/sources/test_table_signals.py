"""Signals of a table that lie in WFDB records: units, rates and channels come from the headers."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.preprocessing.fields import from_json
from datamodules.sources.table import Table, TableModality
from zoo.errors import DataError
from zoo.table_task import TableTask

pytest.importorskip("wfdb")
write_record = runpy.run_path(str(Path(__file__).parents[2] / "data" / "wfdb_records.py"))["write_record"]
CODES = np.random.default_rng(0).integers(-99, 99, (2, 200))


def folder(root: Path, *records: dict[str, Any]) -> Path:
    (root / "mine").mkdir()
    lines = ["file,dx", ",a"]
    for k, options in enumerate(records):
        write_record(root / "mine" / "ecg" / f"r{k}", CODES, **({"names": ("I", "II")} | options))
        lines.append(f"r{k},{'ab'[k % 2]}")
    (root / "mine" / "table.csv").write_text("\n".join(lines) + "\n")
    return root


def opened(root: Path, path: str = "ecg/{}", **options: Any) -> Table:
    source = Table(
        folder="mine",
        modalities={"ecg": TableModality("signal", column="file", path=path, **options)},
        tasks={"dx": TableTask("classification")},
    )
    source.open(root)
    return source


@pytest.mark.parametrize("path", ["ecg/{}", "ecg/{}.hea", "ecg/{}.dat"])
def test_the_header_says_what_the_user_does_not(tmp_path: Path, path: str) -> None:
    source = opened(folder(tmp_path, {}, {}), path)
    raw = source.card.modalities[0]
    assert (raw.unit, raw.sampling_rate, raw.features) == ("mV", 100.0, ("I", "II"))
    np.testing.assert_allclose(source.read(1).inputs["ecg"], CODES / 1000, atol=1e-6)
    assert "ecg" not in source.read(0).inputs


def test_records_of_other_units_and_orders(tmp_path: Path) -> None:
    root = folder(tmp_path, {}, {"units": "uV"}, {"names": ("II", "I")}, {"units": ("V", "mV")})
    source = opened(root)
    np.testing.assert_allclose(source.read(2).inputs["ecg"], CODES / 1e6, atol=1e-9)
    np.testing.assert_allclose(source.read(3).inputs["ecg"], CODES[::-1] / 1000, atol=1e-6)
    told = opened(root, unit="uV", channels=("II",))
    np.testing.assert_allclose(told.read(1).inputs["ecg"], CODES[1:], atol=1e-4)
    np.testing.assert_allclose(told.read(4).inputs["ecg"], CODES[1:], atol=1e-4)


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"rate": 500}, "the header says 500 Hz, and sampling_rate is 100"),
        ({"names": ("I", "V1")}, "unknown channel 'II'"),
        ({"units": "mmHg"}, "in 'mmHg', which cannot be brought to the unit 'mV'"),
        ({"samples": 900}, "cut short"),
    ],
)
def test_records_that_do_not_fit_the_first(tmp_path: Path, second: dict[str, Any], says: str) -> None:
    source = opened(folder(tmp_path, {}, second))
    with pytest.raises(DataError, match=rf"{says}.*r1\.hea"):
        source.read(2)


def test_missing_samples_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, {}, {})
    codes = CODES.copy()
    codes[0, :5] = -(2**15)
    write_record(root / "mine" / "ecg" / "r1", codes, ("I", "II"))
    with pytest.raises(DataError, match=r"5 of the 400 values are not finite.*r1\.hea"):
        opened(root).read(2)


def test_new_rows_are_read_as_those_of_training(tmp_path: Path) -> None:
    source = opened(folder(tmp_path, {}, {}))
    told = source.cell_options()
    assert told is not None
    reader = from_json({**told, "as_given": False, "image_size": 0})
    assert reader.modalities["ecg"].channels == ("I", "II")
    assert reader.modalities["ecg"].unit == "mV"


def test_an_index_that_is_kept_asks_the_first_header_again(tmp_path: Path) -> None:
    source = opened(folder(tmp_path, {}, {"units": "uV"}))
    later = Table(folder="mine", modalities={"ecg": TableModality("signal", column="file", path="ecg/{}")},
                  tasks={"dx": TableTask("classification")})  # fmt: skip
    later.open_later(tmp_path)
    later.ready()
    np.testing.assert_array_equal(later.read(2).inputs["ecg"], source.read(2).inputs["ecg"])
