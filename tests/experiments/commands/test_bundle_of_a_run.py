"""From fit to predict on the command line: progress in a log, names of files, kills, and two processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from experiments import cli
from experiments.commands import predict
from experiments.core import progress
from tests.data.protein_structures import write as write_chains
from tests.experiments.conftest import Call, Run
from zoo.callbacks.bundle import BundleOptions, write_bundle

MANY = (
    "[{class_path: datamodules.phantom.PhantomCohort, init_args: {n: 400, size: 16, presence: 0.6, "
    "modalities: [xray, genomics, question], tasks: [disease, vqa]}}]"
)
"""Rows enough for detectors."""


def killed(arguments: Sequence[str]) -> None:
    """Predict in a process of its own, until the third batch is in the files and the note does not say so."""
    note, count = predict.Written._note, []

    def die(self: predict.Written) -> None:
        count.append(0)
        if len(count) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        note(self)

    torch.set_num_threads(1)
    predict.Written._note = die  # type: ignore[method-assign]
    predict.Predict().main(arguments)


@pytest.fixture
def fitted(call: Call, small: str, tmp_path: Path) -> tuple[Path, str]:
    code, said = call("fit", "--config", small, "--bundle.write=true", "--trainer.enable_progress_bar=true",
                      "--trainer.enable_checkpointing=true")  # fmt: skip
    assert code == 0, said[-2000:]
    (bundle,) = tmp_path.glob("runs/small/version_*/bundle")
    return bundle, said


def table_of(bundle: Path, rows: int) -> Path:
    """A table of new rows: the examples of the bundle again and again, with another question each."""
    examples = pd.read_csv(bundle / "examples" / "rows.csv", dtype=str)
    parts = pd.concat([examples] * rows, ignore_index=True).iloc[:rows]
    for k, name in enumerate(parts.columns):
        parts.loc[np.arange(rows) % (k + 2) == 0, name] = np.nan
    path = bundle / "examples" / "new.csv"
    parts.to_csv(path, index=False)
    return path


def test_from_fit_to_predict(fitted: tuple[Path, str], call: Call, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    bundle, said = fitted
    assert "\r" not in said
    assert "epoch 1 of 2, batch " in said
    assert "epoch 2 of 2, batch " in said
    assert "train/loss" in said
    assert "test: " in said
    assert (bundle.parent / "checkpoints" / "last.ckpt").exists()
    assert "## Subgroups\n\nNot shown: " in (bundle / "README.md").read_text()
    table = table_of(bundle, 22)
    table = table.rename(tmp_path / "new.csv")
    options = ["--model", str(bundle), "--table", str(table), "--folder", str(bundle / "examples"), "--batch", "5"]
    process = multiprocessing.get_context("fork").Process(target=killed, args=([*options, "--out", "cut"],))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert json.loads((tmp_path / "cut" / predict.STATE).read_text())["rows"] == 10
    code, said = call("predict", *options, "--out", "cut")
    assert code == 0, said
    assert "10 of 22 rows are predicted already; going on" in said
    assert "predicting: 22 of 22" in said
    assert "\r" not in said
    assert call("predict", *options, "--out", "whole")[0] == 0
    files = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert len(files) > 2
    for name in files:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    for more, what in ((["--coverage", "0.8"], "coverage"), (["--batch", "7"], "batch")):
        code, said = call("predict", *options, *more, "--out", "cut")
        assert code
        assert f"what was made with another {what}; give another --out" in said
    table.write_text(table.read_text() + "\n")
    code, said = call("predict", *options, "--out", "cut")
    assert code
    assert "what was made with another table; give another --out" in said
    labelled = pd.read_csv(table)
    labelled["disease"] = pd.read_csv(tmp_path / "whole" / "predictions_disease.csv")["predicted"]
    labelled.to_csv(table, index=False)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    code, said = call("evaluate", *options, "--out", "scores.json")
    assert code == 0, said
    assert [line for line in said.splitlines() if line.startswith("evaluating: ")] == [
        f"evaluating: {n} of 22" for n in (5, 10, 15, 20, 22)
    ]
    assert "\r" not in said
    (score,) = json.loads((tmp_path / "scores.json").read_text())
    assert score["task"] == "disease"
    assert score["n"] == int(labelled["disease"].notna().sum()) > 10

    def stop(self: predict.Written, *arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(predict.Written, "add", stop)
    code, said = call("predict", *options, "--out", "stopped")
    assert code == 130
    assert f"stopped after 0 of 22 rows; go on with: zoo predict --model {bundle} --table" in said


@pytest.mark.slow
def test_nothing_is_said_of_a_test_that_was_not_made(run: Run, small: str, tmp_path: Path) -> None:
    run("fit", "--config", small, "--bundle.write=true", "--test_after_fit=false", "--bundle.training_rows=false")
    (bundle,) = tmp_path.glob("runs/small/version_*/bundle")
    card = (bundle / "README.md").read_text()
    assert "The model was not tested." in card
    assert "The model was not tested, so nothing is known of subgroups." in card
    assert "The bundle holds no training rows." in card
    run("predict", "--model", str(bundle), "--table", str(bundle / "examples" / "rows.csv"), "--out", "out")
    assert len(pd.read_csv(tmp_path / "out" / "predictions_disease.csv")) == 2
    timed = run("bench", "bundle", "--model", str(bundle), "--rows", "3").stdout
    assert "zoo.load beside it" in timed
    assert "3 rows:" in timed


@pytest.mark.slow
def test_two_processes_write_one_bundle_of_all_rows(run: Run, small: str, tmp_path: Path) -> None:
    """Without a step of training both have the same weights, and must learn the same of validation rows."""
    common = ["fit", "--config", small, "--bundle.write=true", "--trainer.max_epochs=0", f"--data.sources={MANY}"]
    done = {}
    for name, more in (("one", ()), ("two", ("--trainer.devices=2", "--trainer.strategy=ddp"))):
        done[name] = run(*common, f"--bundle.folder={tmp_path / name}", *more).stdout
    assert done["two"].count("bundle: ") == 1
    one, two = (json.loads((tmp_path / n / "trust.json").read_text())["tasks"] for n in done)
    assert one.keys() == two.keys()
    for task, told in one.items():
        assert two[task]["rows"] == told["rows"]
        assert two[task]["temperature"] == pytest.approx(told["temperature"], abs=1e-3)
        for coverage, limits in told["thresholds"].items():
            assert two[task]["thresholds"][coverage] == pytest.approx(limits, abs=1e-4), (task, coverage)
    arrays = [load_file(tmp_path / n / "detector.safetensors") for n in done]
    assert arrays[0].keys() == arrays[1].keys()
    assert arrays[0]
    for name, values in arrays[0].items():
        assert values.shape == arrays[1][name].shape
        if not name.endswith("axes"):  # which are determined up to their signs
            assert np.allclose(values, arrays[1][name], atol=1e-3), name


CHAINS = """
seed_everything: 0
trainer: {accelerator: cpu, devices: 1, max_epochs: 1, limit_train_batches: 2, enable_checkpointing: false,
  enable_progress_bar: false, enable_model_summary: false, logger: false}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    root: .
    sources: [{class_path: datamodules.sources.ProteinStructures}]
model:
  class_path: zoo.MultitaskModule
  init_args:
    encoders: {protein: {class_path: zoo.ESMEncoder, init_args: {dim: 8, depth: 1, heads: 2}}}
    fusion: {class_path: zoo.ConcatFusion, init_args: {dim: 8}}
    heads: {by_task: {structure: {class_path: zoo.tasks.structure.StructureHead, init_args: {templates: 3}}}}
"""
"""A head that models chains on those of the training rows."""


def test_training_chains_go_along_or_stay(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_chains(tmp_path / "protein_structures", n=24)
    (tmp_path / "chains.yaml").write_text(CHAINS)
    found: dict[str, str] = {}

    def write_both(trainer: Any, model: Any, data: Any, options: BundleOptions, config: Any) -> None:
        assert not options.training_rows
        write_bundle(trainer, model, data, options, config)
        whole = replace(options, folder=str(tmp_path / "with"), training_rows=True)
        write_bundle(trainer, model, data, whole, config)

    monkeypatch.setattr(cli, "write_bundle", write_both)
    options = (f"--bundle.folder={tmp_path / 'without'}", "--bundle.training_rows=false")
    code, said = call("fit", "--config", "chains.yaml", *options)
    assert code == 0, said[-2000:]
    shutil.rmtree(tmp_path / "protein_structures")
    pd.DataFrame({"protein": ["ADLKMADLKM", "VGLKVGLK", "W"]}).to_csv(tmp_path / "new.csv", index=False)
    for name in ("with", "without"):
        code, said = call("predict", "--model", name, "--table", "new.csv", "--out", f"out_{name}")
        assert code == 0, said
        (file,) = (tmp_path / f"out_{name}").glob("predictions_*.csv")
        found[name] = file.read_text()
        assert pd.read_csv(file)["problem"].isna().all()
    assert found["with"] != found["without"]
    cards = {n: " ".join((tmp_path / n / "README.md").read_text().split()) for n in found}
    kept = {n: {k: v for k, v in load_file(tmp_path / n / "weights.safetensors").items() if "_extra_state" in k}
            for n in found}  # fmt: skip
    ((part, rows),) = kept["with"].items()
    holder = part.removesuffix("._extra_state")
    assert rows.shape[0] > 5
    assert len(kept["without"][part]) == 0
    assert f"**The weights hold training rows**, which {holder} looks up" in cards["with"]
    assert "The bundle holds no training rows." in cards["without"]
    assert f"Training rows of {holder} were left out; results above were found with them." in cards["without"]
