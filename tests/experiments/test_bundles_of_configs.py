"""The bundle of every shipped configuration predicts as it did at home where neither data nor runs are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo
from datamodules.core.query import Pipeline
from datamodules.preprocessing.examples import cells_of
from datamodules.preprocessing.reader import RowReader
from datamodules.sources.table import Table, TableModality
from experiments import cli
from tests.experiments.conftest import Call
from tests.experiments.shipped import SHIPPED, small_fit
from tests.experiments.user_package import write_config, write_package
from zoo.bundle.load import Bundle
from zoo.contract import Sample
from zoo.data import ReadRow
from zoo.models.base import task_model

PATTERNS = 10
"""New rows of several modalities, of which a half is left out by chance."""
NEW = "is new, and counts as unknown"
"""Ends what is said of a category that the few training rows have not; its tensors are compared all the same."""
SAMPLE = ("mtl", "survival_gbsg2")
"""Configurations that the plain suite tries too."""
ELSEWHERE = """
import sys, zoo
folder, table, out = sys.argv[1:4]
for task, frame in zoo.load(folder, use=sys.argv[4:]).predict(table).items():
    frame.to_pickle(f"{out}/{task}.pkl")
"""


@dataclass
class Home:
    """What the process that trained says of new rows.

    Attributes:
        bundle: of the model and the preprocessing that are still in memory.
        rows: the new rows as their processed samples in training, None for a row that training had not.
        table: file of the new rows, beside their files.
        frames: task -> predictions for the table.
        of_samples: task -> predictions for ``rows``.
    """

    bundle: Bundle
    rows: list[Sample]
    table: Path
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    of_samples: dict[str, pd.DataFrame] = field(default_factory=dict)


class Given:
    """Samples as new rows that were read already."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, start: int, stop: int, *, labels: bool = False) -> list[ReadRow]:
        return [ReadRow(s) for s in self.samples[start:stop]]


def said(pipe: Pipeline, row: int, modality: str) -> bool:
    """Whether a row has a modality of which its cells say something; all of a made-up record may be unknown."""
    if not pipe.availability.present[modality][row]:
        return False
    value = pipe.dataset.raw(row).inputs[modality]
    return not isinstance(value, Mapping) or any(v not in (None, "", "unknown") for v in value.values())


def as_they_are(pipe: Pipeline, row: int, modality: str, folder: Path) -> dict[str, str]:
    """The cell of a table and a copy of its file, where a modality is such; else {}."""
    for number, place in pipe.join.members[row]:
        source = pipe.sources[number]
        if isinstance(source, Table) and source.modalities.get(modality, TableModality("")).path:
            pattern, cells = source.modalities[modality].path, source.cells(modality, place)
            for cell in cells.values():
                copy = folder / pattern.replace("{}", str(cell))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source.path / pattern.replace("{}", str(cell)), copy)
            return {c: str(v) for c, v in cells.items()}
    return {}


def new_rows(pipe: Pipeline, reader: RowReader, folder: Path) -> tuple[Path, list[Sample]]:
    """Write a table with a row of each modality alone, and PATTERNS of several; return it and their samples."""
    draw = np.random.default_rng(0)
    rows = np.concatenate([pipe.rows[s] for s in ("test", "val", "train")])
    present = pipe.availability.present
    names = list(pipe.raw_modalities)
    alone = {m: next((int(r) for r in rows if said(pipe, int(r), m)), -1) for m in names}
    empty = {m for m, row in alone.items() if row < 0}
    assert empty <= set(pipe.made_modalities), empty  # what a random model writes may be no record
    wanted = [([m], row) for m, row in alone.items() if row >= 0]
    fullest = rows[np.argsort(-np.sum([present[m][rows].astype(int) for m in names], axis=0), kind="stable")]
    for k in range(PATTERNS):
        row = int(fullest[k % len(fullest)])
        has = [m for m in names if said(pipe, row, m)]
        kept = [m for m in has if not k or draw.random() < 0.5]
        wanted.append((kept or [has[k % len(has)]], row))
    folder.mkdir()
    lines, samples = [], []
    for k, (kept, row) in enumerate(wanted):
        raw = {m: v for m, v in pipe.dataset.raw(row).inputs.items() if m in kept}
        copied = {m: as_they_are(pipe, row, m, folder) for m in raw}
        made = cells_of(reader, {m: v for m, v in raw.items() if not copied[m]}, folder, str(k))
        lines.append(made | {c: v for cells in copied.values() for c, v in cells.items()})
        whole = pipe.dataset.processed(row)
        samples.append(Sample(str(k), inputs={m: v for m, v in whole.inputs.items() if m in kept}))
    table = folder / "new.csv"
    pd.DataFrame(lines).to_csv(table, index=False)
    return table, samples


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Home]:
    """Takes what the process says right after the bundle of a fit was written."""
    found: list[Home] = []
    write = cli.write_bundle

    def spy(trainer: Any, model: Any, data: Any, options: Any, config: Any) -> None:
        write(trainer, model, data, options, config)
        (folder,) = tmp_path.glob("runs/**/bundle")
        stored = zoo.load(folder)
        live = Bundle(folder, task_model(model), data.preprocessing(), stored.trust, stored.detectors, {})
        table, samples = new_rows(data.pipeline, data.preprocessing(), tmp_path / "new")
        told = Home(live, samples, table)
        live.model.to("cpu").eval()
        told.frames = live.predict(table)
        told.of_samples = live.predict_part(Given(samples), 0, len(samples))
        found.append(told)

    monkeypatch.setattr(cli, "write_bundle", spy)
    return found


def elsewhere(folder: Path, table: Path, place: Path, use: Sequence[str], path: str) -> dict[str, pd.DataFrame]:
    """Predict in a process of its own, from another folder."""
    place.mkdir()
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(folder), str(table), str(place), *use],
        cwd=place,
        env={"PYTHONPATH": f"{root}{os.pathsep}{path}", "OMP_NUM_THREADS": "1", "PATH": "", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {p.stem: pd.read_pickle(p) for p in place.glob("*.pkl")}


def check_equal(found: Mapping[str, pd.DataFrame], expected: Mapping[str, pd.DataFrame], columns: str = "") -> None:
    """Tables are equal: numbers to 1e-6, words exactly."""
    assert found.keys() == expected.keys()
    for task, frame in expected.items():
        other = found[task]
        assert list(other) == list(frame), task
        for name in frame:
            if columns and name in ("row", "id", "problem", "unusual", "unusual_in"):
                continue
            numbers = [pd.to_numeric(f[name], errors="coerce") for f in (frame, other)]
            assert np.allclose(*numbers, rtol=1e-6, atol=1e-6, equal_nan=True), (task, name)
            words = [
                f[name].where(n.isna()).fillna("").tolist() for f, n in zip((frame, other), numbers, strict=True)
            ]
            assert words[0] == words[1], (task, name)


def check_away(home: Home, tmp_path: Path, use: Sequence[str] = (), path: str = "") -> None:
    """The bundle says the same without the runs and the data, and of each modality alone."""
    shutil.move(home.bundle.folder, tmp_path / "away")
    shutil.rmtree(tmp_path / "runs")
    root = tmp_path / "root"
    if root.is_symlink():
        root.unlink()
    elif root.exists():
        shutil.rmtree(root)
    for made in ("qwen", "pipeline"):
        shutil.rmtree(tmp_path / made, ignore_errors=True)
    found = elsewhere(tmp_path / "away", home.table, tmp_path / "place", use, path)
    check_equal(found, home.frames)
    check_equal(home.frames, home.of_samples, "of the model")
    asked = ["|".join(m for m in home.bundle.model.modalities if m in s.inputs) for s in home.rows]
    for frame in home.frames.values():
        assert frame["modalities"].tolist() == asked
        problems = {p for cell in frame["problem"] for p in cell.split("; ") if p}
        assert not {p for p in problems if not p.startswith("no prediction") and not p.endswith(NEW)}
        assert len(frame) == len(home.rows) > PATTERNS
    predicted = sum(int((f["problem"] == "").sum()) for f in home.frames.values())
    assert predicted >= PATTERNS


def fit_and_check(path: Path, call: Call, home: list[Home], tmp_path: Path, request: Any) -> None:
    code, said = call(*small_fit(path, tmp_path, request), "--bundle.write=true")
    assert code == 0, said[-3000:]
    check_away(home[0], tmp_path)


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.stem in SAMPLE], ids=lambda p: p.stem)
def test_bundle_of_a_configuration(path: Path, call: Call, home: list[Home], tmp_path: Path, request: Any) -> None:
    fit_and_check(path, call, home, tmp_path, request)


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in SHIPPED if p.stem not in SAMPLE], ids=lambda p: p.stem)
def test_bundle_of_every_configuration(
    path: Path, call: Call, home: list[Home], tmp_path: Path, request: Any
) -> None:
    fit_and_check(path, call, home, tmp_path, request)


@pytest.mark.slow
def test_bundle_with_parts_of_a_plugin(
    call: Call, home: list[Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    write_config(tmp_path / "linear.yaml", linear=True, plugins="plugins: [my_spectra]")
    code, said = call("fit", "--config", "linear.yaml", "--trainer.max_epochs=1")
    assert code == 0, said[-3000:]
    check_away(home[0], tmp_path, ("my_spectra",), str(tmp_path / "site"))
