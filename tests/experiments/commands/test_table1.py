"""run.py table1 from end to end on a small cohort: files, resume after a kill, budget, errors."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.commands.table1 import Table1
from experiments.core.budget import Budget, seconds_of
from zoo.results import load_result

HERE = Path(__file__).parents[3]
CONFIG = """
threads: 1
trainer: {max_epochs: 1, accelerator: cpu}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    sampling: {batch_size: 32}
    sources:
      - class_path: datamodules.phantom.PhantomCohort
        init_args: {n: 60, size: 16, modalities: [ct, xray, text], tasks: [disease, radiographic_findings]}
      - class_path: datamodules.sources.WisconsinBreastCancer
model:
  class_path: zoo.MultitaskModule
  init_args:
    encoders:
      image: {class_path: zoo.ViTEncoder, init_args: {dim: 16, depth: 1, patch_size: 8}}
      text: {class_path: zoo.BERTEncoder, init_args: {dim: 16, depth: 1}}
      tabular: {class_path: zoo.TabularEncoder, init_args: {dim: 16}}
    fusion: {class_path: zoo.ConcatFusion, init_args: {dim: 16}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path


def run(config: Path, out: Path, *more: str) -> None:
    fixed = ["--config", str(config), "--out", str(out), "--resamples", "20", "--workers", "1"]
    assert Table1().main([*fixed, *more]) == 0


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "table1.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_table_files_and_resume(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(config, out, "--seeds", "0", "1")
    rows = lines(out)
    assert len(rows) == 5 * 3
    first = {(r["row"], r["task"]): r for r in rows}
    mixed = first[("multimodal multitask", "disease")]
    assert mixed["data"] == "simulated"
    assert float(mixed["low"]) <= float(mixed["value"]) <= float(mixed["high"])
    assert first[("multimodal", "breast_cancer")]["note"] == "the trainings of unimodal multitask"
    assert float(first[("domain-specific", "breast_cancer")]["value"]) > 0.9
    assert mixed["paper"] == "0.6189"
    assert len({r["n"] for r in rows if r["task"] == "disease"}) == 1  # every row on the same test rows
    result = load_result(out)
    assert result.data == "mixed"
    assert {f.kind for f in result.figures} >= {"bars", "heatmap", "lines"}
    assert any("multimodal multitask against domain-specific" in s for s in result.summary)
    markdown = (out / "table1.md").read_text()
    assert "| disease | accuracy | simulated |" in markdown
    assert "the paper's data" in markdown
    assert r"breast\_cancer" in (out / "table1.tex").read_text()
    # Again, with a sixth row: nothing that is finished runs, and the five rows stay as they are.
    before = {p: p.stat().st_mtime_ns for p in (out / "jobs").glob("*/job.json")}
    table = (out / "table1.csv").read_text()
    run(config, out, "--seeds", "0", "1")
    assert (out / "table1.csv").read_text() == table
    run(config, out, "--seeds", "0", "1", "--rows", "DomainSpecific", "MultimodalMultitask", "Blend")
    assert {p: p.stat().st_mtime_ns for p in (out / "jobs").glob("*/job.json")} == before
    blend = [r for r in lines(out) if r["row"].endswith("+ domain-specific")]
    assert len(blend) == 3


def test_a_killed_run_goes_on(config: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, str(HERE / "experiments/run.py"), "table1", "--config", str(config), "--out", str(out)]
    command += ["--seeds", "0", "--resamples", "20", "--workers", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    for _ in range(1000):  # until something is finished
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(timeout=0.25)
            break
        if list((out / "jobs").glob("*/job.json")):
            break
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    kept = {p: p.stat().st_mtime_ns for p in (out / "jobs").glob("*/job.json")}
    assert kept, "nothing was finished before the kill"
    run(config, out, "--seeds", "0")
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
    run(config, whole, "--seeds", "0")
    assert (out / "table1.csv").read_text() == (whole / "table1.csv").read_text()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_spent_budget_leaves_a_partial_table(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    out = tmp_path / "out"
    run(config, out, "--seeds", "0", "--budget", "0.000001s", "--workers", jobs)
    assert "The budget left out" in capsys.readouterr().out
    assert all(not r["value"] for r in lines(out))
    assert json.loads((out / "result.json").read_text())["summary"]


def test_wrong_options_say_what_to_do(tmp_path: Path, config: Path) -> None:
    def fails(*arguments: str) -> str:
        command = [sys.executable, str(HERE / "experiments/run.py"), "table1", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "name a configuration" in fails()
    assert "did you mean --data.tasks" in fails("--config", str(config), "--data.taks", "[disease]")
    assert "no time" in fails("--config", str(config), "--budget", "soon")
    assert "did you mean 'Unimodal'" in fails("--config", str(config), "--rows", "Unimodel")


def test_budgets() -> None:
    assert [seconds_of(t) for t in ("90s", "20m", "1.5h", "1h30m", "7")] == [90, 1200, 5400, 5400, 7]
    for none in ("0s", "0", "soon", "5x", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="is no time"):
            seconds_of(none)
    assert Budget().left == float("inf")
    assert Budget(100.0).left <= 100
