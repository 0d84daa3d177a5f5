"""Signals of a table that are whole recordings, as MNE reads them: units, rates and channels come from the files."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.io.formats.recordings import SUFFIXES
from datamodules.sources.table import Table, TableModality
from zoo.errors import DataError
from zoo.table_task import TableTask

mne = pytest.importorskip("mne")
HERE = Path(__file__).parent
write = runpy.run_path(str(HERE / "signals" / "test_eeg_folder.py"))
writers = runpy.run_path(str(HERE.parents[1] / "data" / "edf.py"))
SIGNALS = np.random.default_rng(0).normal(0, 20, (3, 400)).round(1)
EVENTS = [(1.0, 1.0, "a")]


def opened(root: Path, *files: str, **options: Any) -> Table:
    lines = ["file,dx", *(f"{file},{dx}" for dx in "ab" for file in files)]
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    source = Table(
        folder=".",
        modalities={"eeg": TableModality("signal", column="file", path="{}", **options)},
        tasks={"dx": TableTask("classification")},
    )
    source.open(root)
    return source


@pytest.mark.parametrize("kind", write["KINDS"])
def test_every_kind_of_recording_is_read_as_by_mne(tmp_path: Path, kind: str) -> None:
    write["save"](tmp_path, kind, EVENTS, SIGNALS)
    (file,) = (p for p in tmp_path.iterdir() if p.suffix in SUFFIXES)
    source = opened(tmp_path, file.name)
    raw = source.card.modalities[0]
    assert (raw.unit, raw.sampling_rate, raw.features) == ("uV", 100.0, write["CHANNELS"])
    theirs = mne.io.read_raw(file, verbose="ERROR").get_data()[:3] * 1e6
    np.testing.assert_allclose(source.read(0).inputs["eeg"], theirs, atol=1e-3)
    told = opened(tmp_path, file.name, unit="mV", channels=("C4", "C3")).read(0).inputs["eeg"]
    np.testing.assert_allclose(told, theirs[[2, 0]] / 1000, atol=1e-6)


def test_recordings_that_do_not_fit(tmp_path: Path) -> None:
    edf = writers["write_edf"]
    edf(tmp_path / "a.edf", SIGNALS, write["CHANNELS"], 100, EVENTS)
    edf(tmp_path / "fast.edf", SIGNALS, write["CHANNELS"], 200, EVENTS)
    edf(tmp_path / "unit.edf", SIGNALS, write["CHANNELS"], 100, EVENTS, unit="degC")
    edf(tmp_path / "slow.edf", SIGNALS, write["CHANNELS"], 100, EVENTS, slow=("C4",))
    edf(tmp_path / "few.edf", SIGNALS[:2], write["CHANNELS"][:2], 100, EVENTS)
    source = opened(tmp_path, "a.edf", "fast.edf", "unit.edf", "slow.edf", "few.edf")
    for row, says in enumerate(
        ("the header says 200 Hz, and sampling_rate is 100", "in the unit 'degC'", "at different rates", "'C4'"),
        start=1,
    ):
        with pytest.raises(DataError, match=rf"{says}.*\.edf"):
            source.read(row)
    with pytest.raises(DataError, match="cannot be brought to the unit 'mmHg'"):
        opened(tmp_path, "a.edf", unit="mmHg").read(0)
