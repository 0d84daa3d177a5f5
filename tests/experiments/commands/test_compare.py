"""run.py compare on a small table: values, units beside rows, paired differences, options."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from experiments.commands.compare import Compare
from zoo.errors import SpecError, UnknownNameError
from zoo.results import load_result

CONFIG = """
trainer: {{max_epochs: 1, accelerator: cpu}}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    root: {root}
    sampling: {{batch_size: 32}}
    sources:
      - class_path: datamodules.sources.Table
        init_args:
          folder: .
          file: rows.csv
          group: patient
          modalities: {{clinical: {{kind: tabular, columns: [age]}}, lab: {{kind: tabular, columns: [level]}}}}
          tasks: {{sick: {{kind: classification}}}}
model:
  class_path: zoo.MultitaskModule
  init_args:
    encoders:
      tabular: {{class_path: zoo.MLPEncoder, init_args: {{dim: 8, hidden: []}}}}
    fusion: {{class_path: zoo.ConcatFusion, init_args: {{dim: 8}}}}
"""
ROWS = 4
"""Rows of a patient, which are all alike."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    g, lines = np.random.default_rng(0), ["patient,age,level,sick"]
    for patient in range(150):
        sick = int(g.integers(2))
        lines += [f"p{patient},{g.integers(20, 90)},{sick + g.normal(0, 0.4):.3f},{'ny'[sick]}"] * ROWS
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG.format(root=tmp_path))
    return path


def run(config: Path, out: Path, *more: str) -> list[dict[str, str]]:
    fixed = ["--config", str(config), "--out", str(out), "--resamples", "200", "--workers", "1", "--seeds", "0"]
    assert Compare().main([*fixed, *more]) == 0
    with (out / "compare.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_method_on_every_set(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(config, tmp_path / "out", "--rows-too", "--pipelines", "TabularBaseline")
    assert [(r["reads"], r["method"]) for r in rows] == [
        (reads, method)
        for reads in ("clinical", "lab", "clinical + lab")
        for method in ("network", "TabularBaseline")
    ]
    by = {(r["reads"], r["method"]): r for r in rows}
    best, network = by["clinical + lab", "TabularBaseline"], by["clinical + lab", "network"]
    assert float(best["value"]) > 0.7 > float(by["clinical", "TabularBaseline"]["value"])
    for row in rows:
        assert row["unit"].startswith("patient (")
        assert int(row["n"]) == ROWS * int(row["unit"].removeprefix("patient (").rstrip(")"))
        assert row["value"] == row["rows"]
        if float(row["high"]) < 1:  # alike rows: the interval of n patients is sqrt(ROWS) times that of n x ROWS rows
            assert 1.5 < float(row["wider"]) < 2.7
    assert float(best["gap"]) == pytest.approx(float(network["value"]) - float(best["value"]))
    assert network["gap"] == ""
    said = capsys.readouterr().out
    assert "sick from clinical + lab: by paired intervals the network is" in said
    result = load_result(tmp_path / "out")
    assert [f.panel for f in result.figures] == ["sick"]
    # Nothing is trained again for another metric, and its references are measured.
    jobs = set((tmp_path / "out" / "jobs").iterdir())
    again = run(config, tmp_path / "out", "--metric", "balanced_accuracy", "--pipelines", "TabularBaseline")
    assert set((tmp_path / "out" / "jobs").iterdir()) == jobs
    assert {r["metric"] for r in again} == {"balanced_accuracy"}
    assert {float(r["constant"]) for r in again} == {0.5}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--metric", "brier"], SpecError, "lower is better"),
        (["--metric", "auroq"], UnknownNameError, "did you mean 'auroc'"),
        (["--pipelines", "CoxBaselin"], UnknownNameError, "did you mean 'CoxBaseline'"),
        (
            ["--unit", "ward", "--subsets", "all", "--pipelines", "TabularBaseline"],
            SpecError,
            "no finished network of seed 0",
        ),
        (["--tasks", "sik"], UnknownNameError, "did you mean 'sick'"),
    ],
)
def test_wrong_options(
    config: Path, tmp_path: Path, options: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(config, tmp_path / "out", *options)
