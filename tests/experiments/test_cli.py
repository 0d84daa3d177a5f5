"""The command line: commands, overrides, errors, and evaluation from a checkpoint."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import zoo.models.multitask.module  # noqa: F401  (allows the specs in a checkpoint to be loaded)
from zoo.fusion.base import FUSIONS
from zoo.weighting.base import WEIGHTINGS

ROOT = Path(__file__).parents[2]
TASKS = {"disease", "radiographic_findings", "expression", "vqa", "response"}


def report_of(folder: Path) -> dict[str, dict[str, object]]:
    (path,) = folder.glob("runs/small/version_*/report.json")
    found: dict[str, dict[str, object]] = json.loads(path.read_text())
    return found


# -- without torch ---------------------------------------------------------------------------------------------


def test_help_and_wrong_commands_import_no_library(tmp_path: Path) -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['run.py', *sys.argv[1:]]\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'experiments' / 'run.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print('CODE', end.code)\n"
        "print('LOADED', sorted({'torch', 'lightning', 'numpy', 'wandb'} & set(sys.modules)))\n"
    )

    def ask(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "LOADED []" in done.stdout
        return done.stdout + done.stderr

    helped = ask("--help")
    assert "CODE 0" in helped
    for word in ("fit", "validate", "test", "predict", "bench", "synergy", "list", "--config", "--data.modalities"):
        assert word in helped
    assert "CODE 2" in ask()
    assert "unknown command 'fti'; did you mean 'fit'?" in ask("fti")
    assert "did you mean 'mtl.yaml'? known:" in ask("fit", "--config", "mlt.yaml")


def test_works_from_anywhere(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """From another folder by a relative path, with no PYTHONPATH: a configuration is found by its name."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    script = os.path.relpath(ROOT / "experiments" / "run.py", tmp_path)
    done = subprocess.run(
        [sys.executable, script, "fit", "--config", "mtl.yaml", "--print_config"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "PhantomCohort" in done.stdout
    monkeypatch.chdir(ROOT)
    code, said = call("fit", "--config", "experiments/configs/mtl.yaml", "--print_config")
    assert (code, said) == (0, done.stdout)


def test_a_file_here_goes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.core.catalogue import find_configs

    monkeypatch.chdir(tmp_path)
    shipped = str(ROOT / "experiments" / "configs" / "mtl.yaml")
    assert find_configs(["fit", "--config", "mtl.yaml"]) == ["fit", "--config", shipped]
    assert find_configs(["fit", "--config=mtl.yaml"]) == ["fit", f"--config={shipped}"]
    (tmp_path / "mtl.yaml").write_text("{}")
    assert find_configs(["fit", "--config", "mtl.yaml"]) == ["fit", "--config", "mtl.yaml"]
    monkeypatch.chdir(ROOT / "experiments" / "configs")
    assert find_configs(["fit", "-c", "mtl.yaml"]) == ["fit", "-c", "mtl.yaml"]


def test_list(call) -> None:  # type: ignore[no-untyped-def]
    code, said = call("list")
    assert code == 0
    words = set(said.replace(",", " ").replace("│", " ").split())
    assert {*FUSIONS.names(), *WEIGHTINGS.names(), "ViTEncoder", "PhantomCohort", "mtl.yaml", "structure"} <= words


# -- overrides ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUSIONS.names())
def test_every_fusion_trains_and_tests(name: str, call, small: str, tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = call("fit", "--config", small, *tiny, "--model.fusion", name)
    assert code == 0, said
    assert set(report_of(tmp_path)) == TASKS
    assert f".{name}" in next(tmp_path.glob("runs/**/config.yaml")).read_text()


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_every_weighting_trains_and_tests(name: str, call, small: str, tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = call("fit", "--config", small, *tiny, "--model.weighting", name)
    assert code == 0, said
    assert set(report_of(tmp_path)) == TASKS
    with next(tmp_path.glob("runs/**/metrics.csv")).open() as file:
        rows = list(csv.DictReader(file))
    assert {f"lambda/{t}/fused" for t in TASKS} <= rows[0].keys()


def test_one_modality(call, small: str, tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = call("fit", "--config", small, *tiny, "--data.modalities", "[ct]")
    assert code == 0, said
    assert set(report_of(tmp_path)) == {"disease", "radiographic_findings", "response"}


def test_one_task(call, small: str, tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, said = call("fit", "--config", small, *tiny, "--data.tasks", "[disease]")
    assert code == 0, said
    assert set(report_of(tmp_path)) == {"disease"}


# -- errors ------------------------------------------------------------------------------------------------------

WRONG = {
    "modality": (["--data.modalities", "[ctt]"], "'ctt'; did you mean 'ct'?"),
    "task": (["--data.tasks", "[diseas]"], "'diseas'; did you mean 'disease'?"),
    "task without its modality": (["--data.modalities", "[ct]", "--data.tasks", "[expression]"], "genomics"),
    "fusion": (["--model.fusion", "LateFusoin"], "'LateFusoin'; did you mean 'LateFusion'?"),
    "weighting": (["--model.weighting", "FixedWeightng"], "'FixedWeightng'; did you mean 'FixedWeighting'?"),
    "encoder": (["--model.encoders", '{"image": "ViTEncodr"}'], "'ViTEncodr'; did you mean 'ViTEncoder'?"),
    "source": (["--data.sources", '[{"class_path": "PhantomCohrt"}]'], "did you mean 'PhantomCohort'?"),
    "flag of the trainer": (["--trainer.max_epchs=1"], "did you mean --trainer.max_epochs?"),
    "flag of the model": (["--model.fuson=LateFusion"], "did you mean --model.fusion?"),
    "flag of the data": (["--data.modalites=[ct]"], "did you mean --data.modalities?"),
    "configuration": (["--config", "mtl_reel.yaml"], "'mtl_reel.yaml'; did you mean 'mtl_real.yaml'?"),
    "lambda": (
        ["--model.weighting", "FixedWeighting", "--model.weighting.lambdas", '{"diseas": 1.0}'],
        "lambda['diseas'] names no task; did you mean 'disease'?",
    ),
    "root": (["--data.root", "nowhere"], "data.root 'nowhere' is not a folder"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_the_nearest(case: str, call, small: str, tiny) -> None:  # type: ignore[no-untyped-def]
    arguments, expected = WRONG[case]
    code, said = call("fit", "--config", small, *tiny, *arguments)
    assert code != 0
    assert expected in said
    assert "Traceback" not in said
    assert "error: " in said


def test_error_in_a_process_has_no_traceback(run, small: str) -> None:  # type: ignore[no-untyped-def]
    done = run("fit", "--config", small, "--data.tasks", "[diseas]", ok=False)
    assert done.returncode == 1
    assert "did you mean 'disease'?" in done.stderr


# -- from a checkpoint --------------------------------------------------------------------------------------------


def test_evaluation_from_a_checkpoint(call, small: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Test metrics equal those after fit; validate runs; weights_only loads."""
    keep = '{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"dirpath": "kept", '
    keep += '"monitor": "val/skill", "mode": "max", "filename": "best"}}'
    common = ("--config", small, "--trainer.enable_checkpointing=true")
    code, said = call("fit", *common, "--trainer.max_epochs=1", f"--trainer.callbacks=[{keep}]")
    assert code == 0, said
    fitted = report_of(tmp_path)
    checkpoint = tmp_path / "kept" / "best.ckpt"
    assert torch.load(checkpoint, weights_only=True)["state_dict"]
    shutil.rmtree(tmp_path / "runs")

    code, said = call("test", *common, "--ckpt_path", str(checkpoint))
    assert code == 0, said
    tested = report_of(tmp_path)
    assert tested.keys() == fitted.keys() == TASKS
    for task, line in fitted.items():
        metrics = line.pop("metrics")
        assert tested[task].pop("metrics") == pytest.approx(metrics, rel=1e-5)
        for key, value in line.items():
            number = isinstance(value, float)
            assert tested[task][key] == (pytest.approx(value, rel=1e-5) if number else value), (task, key)
    shutil.rmtree(tmp_path / "runs")

    code, said = call("validate", *common, "--ckpt_path", str(checkpoint))
    assert code == 0, said
    assert "val/disease/" in said


def test_a_missing_checkpoint_is_an_error(call, small: str) -> None:  # type: ignore[no-untyped-def]
    code, said = call("test", "--config", small, "--ckpt_path", "nowhere.ckpt")
    assert code != 0
    assert "ckpt_path 'nowhere.ckpt' does not exist" in said
