"""The parts of a recipe from YAML through the command line: two stages, a resume in the second, averaged weights."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

import zoo.models.multitask.module  # noqa: F401  (allows the specs in a checkpoint to be loaded)
from experiments.core.study import Study

RECIPE = str(Path(__file__).parent / "recipe.yaml")


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def same(a: dict[str, Any], b: dict[str, Any]) -> set[str]:
    return {k for k in a if torch.equal(a[k], b[k])}


def metrics_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("runs/small/version_*/report.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return {t: line["metrics"] for t, line in report.items()}


def test_a_recipe_trains_resumes_in_its_second_stage_and_is_tested_averaged(  # type: ignore[no-untyped-def]
    call, small: str, tmp_path: Path
) -> None:
    common = ("--config", small, "--config", RECIPE)
    code, said = call("fit", *common)
    assert code == 0, said
    whole = load(tmp_path / "kept" / "last.ckpt")
    steps = whole["global_step"]
    assert steps % 4 == 0
    begin = steps // 2
    # counts of the training split are in the checkpoint, in both stages
    counts = whole["state_dict"]["class_losses.disease.counts"]
    assert float(counts.sum()) > 10
    assert torch.equal(counts, whole["state_dict"]["refined_losses.disease.counts"])

    # stage 2: what is frozen is bitwise the same from its first step to its last, and all else learns
    paths = {load(p)["global_step"]: p for p in (tmp_path / "kept").glob("step=*.ckpt")}
    states = {k: load(p)["current_model_state"] for k, p in paths.items()}
    frozen = {k for k in states[steps] if k.startswith(("encoders.ct.", "encoders.xray."))}
    free = {k for k in states[steps] if k.startswith(("encoders.genomics.", "heads.", "fusion."))}
    assert frozen
    assert frozen <= same(states[begin], states[steps])
    assert not any(k in same(states[begin - 1], states[begin]) for k in frozen if k.endswith("weight"))
    assert not any(k in same(states[begin], states[steps]) for k in free if k.endswith("weight"))
    groups = load(paths[begin])["optimizer_states"][0]["param_groups"]
    assert {g["lr"] for g in groups if g["frozen"]} == {0.0}
    assert [g["lr"] for g in groups if not g["frozen"]] == pytest.approx([2e-4] * 2)

    # the weights that were tested after the fit are the averages of the best checkpoint
    best = load(tmp_path / "best" / "best.ckpt")
    head = next(k for k in best["state_dict"] if k.startswith("heads.disease") and k.endswith("weight"))
    assert not torch.equal(best["state_dict"][head], best["current_model_state"][head])
    fitted = metrics_of(tmp_path)
    (tmp_path / "runs").rename(tmp_path / "first")
    averaged = tmp_path / "averaged.ckpt"
    torch.save({k: v for k, v in best.items() if k not in ("current_model_state", "callbacks")}, averaged)
    code, said = call("test", *common, "--ckpt_path", str(averaged))
    assert code == 0, said
    tested = metrics_of(tmp_path)
    for task, line in fitted.items():
        assert tested[task] == pytest.approx(line, rel=1e-5, nan_ok=True)

    # a resume in the middle of the second stage ends bitwise like the run that was not stopped
    (tmp_path / "kept").rename(tmp_path / "whole")
    middle = tmp_path / "whole" / paths[begin + 1].name
    code, said = call("fit", *common, "--test_after_fit=false", "--ckpt_path", str(middle))
    assert code == 0, said
    again = load(tmp_path / "kept" / "last.ckpt")
    assert again["global_step"] == steps
    for key in ("state_dict", "current_model_state"):
        assert set(whole[key]) == same(whole[key], again[key])


def test_a_study_keeps_the_average_that_was_validated(small: str, tmp_path: Path) -> None:
    """Study.fit takes over averaging of weights, and no other callback of the trainer."""
    study, plain = Study.parse(["--config", small, "--config", RECIPE]), Study.parse(["--config", small])
    assert len(study._averaging()) == 1
    assert not plain._averaging()
    data = study.data()
    L.seed_everything(0, verbose=False)
    module = study.module(data)
    study.fit(module, study.view(data), seed=0, folder=tmp_path / "curves")
    with (tmp_path / "curves" / "metrics.csv").open() as file:
        logged = [float(line["val/skill"]) for line in csv.DictReader(file) if line["val/skill"]]
    again = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    (scores,) = again.validate(module, data.val_dataloader(), verbose=False)
    assert len(logged) == 4
    assert scores["val/skill"] == pytest.approx(max(logged), rel=1e-5)
    assert not (tmp_path / "kept").exists()


def test_mistakes_in_a_recipe_are_named(call, small: str, tiny) -> None:  # type: ignore[no-untyped-def]
    wrong = {
        "--model.optimisation.learning_rates={encoders.xry: 0.1}": "did you mean 'xray'?",
        "--model.training.losses={diseas: {class_path: zoo.BalancedSoftmax}}": "did you mean 'disease'?",
        "--model.training.losses={expression: {class_path: zoo.BalancedSoftmax}}": "losses['expression']",
        "--model.training.refinement={epochs: 1, frozen: [encoder.ct]}": "did you mean 'encoders'?",
        "--model.training.refinement={epochs: 1}": "so none are left",
        "--model.optimisation.optimizer=loin": "lion",
    }
    for option, said in wrong.items():
        code, output = call("fit", "--config", small, *tiny, option)
        assert code != 0, option
        assert said in output, (option, output)
        assert "Traceback" not in output
