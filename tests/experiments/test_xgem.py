"""XGeM through the command line: stages, what is taken over, kill -9 in each, two processes, and generation."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import zoo
from zoo.generation.diffusion.process import SamplingOptions

HERE = Path(__file__).parent
SLOW = pytest.mark.slow
STAGES = ("prompts", "autoencoder.frontal+lateral", "autoencoder.report", "denoiser.frontal", "denoiser.lateral",
          "denoiser.report", "alignment")  # fmt: skip
SMALL = ("--config", str(HERE / "xgem_small.yaml"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny files."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "openi_pairs").mkdir()
    runpy.run_path(str(HERE.parent / "data" / "openi_pairs.py"))["write"](folder / "openi_pairs", n=40)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of all finished stages below a folder, by stage and name."""
    found = {}
    for path in sorted(folder.glob("stages/*/weights.safetensors")):
        found |= {f"{path.parent.name}/{k}": v for k, v in load_file(path).items()}
    return found


@pytest.fixture(scope="module")
def fitted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was not disturbed."""
    import os
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("whole")
    done = subprocess.run(
        [sys.executable, str(HERE.parents[1] / "experiments" / "run.py"), "fit", *SMALL, f"--data.root={root}"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for stage in STAGES:
        assert f"{stage}: 6 steps" in done.stdout
    return folder


def test_every_stage_is_kept_and_taken_over_and_the_samples_are_drawn(fitted: Path, root: Path, run) -> None:  # type: ignore[no-untyped-def]
    kept = fitted / "runs" / "xgem"
    names = {p.name.rpartition("-")[0] for p in kept.glob("stages/*") if (p / "stage.json").exists()}
    assert names == set(STAGES)
    assert not list(kept.glob("stages/*/*.ckpt"))
    assert (kept / "version_0" / "samples.png").read_bytes().startswith(b"\x89PNG")
    again = run("fit", *SMALL, f"--data.root={root}", f"--model.training.folder={kept / 'stages'}").stdout
    assert again.count("finished before") == len(STAGES)
    # another denoiser is trained anew, and so is what stands on it; what stands before is taken over
    other = run(
        "fit", *SMALL, f"--data.root={root}", f"--model.training.folder={kept / 'stages'}",
        "--model.denoisers.text.init_args.widths=[16,16]", "--model.training.only=[denoiser.report]",
        "--bundle.write=false",
    ).stdout  # fmt: skip
    assert other.count("finished before") == 5
    assert "denoiser.report: 6 steps" in other
    assert "alignment: left out" in other


def test_a_stage_that_is_needed_and_not_finished_is_named(root: Path, run) -> None:  # type: ignore[no-untyped-def]
    said = run("fit", *SMALL, f"--data.root={root}", "--model.training.only=[denoiser.report]", ok=False).stderr
    assert "the stage 'prompts' is needed and not finished" in said
    said = run("fit", *SMALL, f"--data.root={root}", "--model.training.only=[denoiser.raport]", ok=False).stderr
    assert "did you mean 'denoiser.report'" in said


@pytest.mark.parametrize(
    "stage",
    ["denoiser.frontal", *(pytest.param(s, marks=SLOW) for s in ("prompts", "autoencoder.report", "alignment"))],
)
def test_a_stage_that_was_killed_ends_in_the_same_weights(
    stage: str, fitted: Path, root: Path, run, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    before = STAGES[: STAGES.index(stage)]
    kept = tmp_path / "runs" / "xgem" / "stages"
    kept.mkdir(parents=True)
    for path in (fitted / "runs" / "xgem" / "stages").glob("*"):
        if path.name.rpartition("-")[0] in before:
            shutil.copytree(path, kept / path.name)
    spy = json.dumps([{"class_path": "spies.KillAt", "init_args": {"step": 5, "stage": stage}}])
    only = f"--model.training.only=[{stage}]"
    common = ("fit", *SMALL, f"--data.root={root}", only, "--bundle.write=false")
    dead = run(*common, f"--trainer.callbacks={spy}", ok=None)
    assert dead.returncode == -9, dead.stderr[-2000:]
    assert torch.load(next(kept.glob(f"{stage}-*/last.ckpt")), weights_only=True)["global_step"] == 4
    # what comes behind the stage may change before it goes on: its checkpoint holds its own weights alone
    later = () if stage == "alignment" else ("--model.training.alignment.width=8",)
    run(*common, *later)
    ours = {k: v for k, v in weights(tmp_path / "runs" / "xgem").items() if k.startswith(f"{stage}-")}
    theirs = weights(fitted / "runs" / "xgem")
    assert ours
    assert all(torch.equal(v, theirs[k]) for k, v in ours.items())


@SLOW
def test_two_processes_end_in_the_weights_of_one(fitted: Path, root: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    halves = [f"--model.training.{s}.batch_size=4" for s in ("prompts", "autoencoders", "denoisers", "alignment")]
    run("fit", *SMALL, f"--data.root={root}", *halves, "--trainer.devices=2", "--trainer.strategy=ddp",
        "--bundle.write=false")  # fmt: skip
    two = {k.partition("-")[0] + k[k.index("/") :]: v for k, v in weights(tmp_path / "runs" / "xgem").items()}
    one = {k.partition("-")[0] + k[k.index("/") :]: v for k, v in weights(fitted / "runs" / "xgem").items()}
    assert two.keys() == one.keys()
    for name, value in two.items():
        assert torch.allclose(value.float(), one[name].float(), atol=2e-3), name


def test_a_bundle_generates_and_a_killed_generation_goes_on(fitted: Path, root: Path, call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bundle = fitted / "runs" / "xgem" / "version_0" / "bundle"
    table = root / "openi_pairs" / "index.csv"
    common = ("generate", "--model", str(bundle), "--table", str(table), "--make", "frontal", "report",
              "--steps", "3", "--draws", "2", "--seed", "5")  # fmt: skip
    code, said = call(*common, "--out", str(tmp_path / "a"))
    assert code == 0, said
    lines = [json.loads(line) for line in (tmp_path / "a" / "generated.ndjson").read_text().splitlines()]
    assert [(x["row"], x["draw"]) for x in lines] == [(r, d) for r in range(40) for d in (0, 1)]
    assert all(x["told"] == ["lateral"] and x["generated"] and isinstance(x["made"]["report"], str) for x in lines)
    pictures = [np.asarray(Image.open(tmp_path / "a" / x["made"]["frontal"])) for x in lines[:2]]
    assert pictures[0].shape == (16, 16)
    assert not np.array_equal(*pictures)
    assert (tmp_path / "a" / "grid.png").exists()
    # killed after two of three parts, with half a line behind
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    state = json.loads((tmp_path / "b" / "generate.json").read_text())
    whole = (tmp_path / "b" / "generated.ndjson").read_bytes()
    upto = len(b"\n".join(whole.split(b"\n")[:64]) + b"\n")
    state.update(rows=32, bytes={"lines": upto})
    (tmp_path / "b" / "generate.json").write_text(json.dumps(state))
    (tmp_path / "b" / "generated.ndjson").write_bytes(whole[: upto + 30])
    code, said = call(*common, "--out", str(tmp_path / "b"))
    assert code == 0
    assert "32 of 40 rows are made already" in said
    assert (tmp_path / "b" / "generated.ndjson").read_bytes() == whole


def test_what_is_made_of_a_row_does_not_depend_on_the_rows_beside_it(fitted: Path, root: Path) -> None:
    model = zoo.load(fitted / "runs" / "xgem" / "version_0" / "bundle")
    table = pd.read_csv(root / "openi_pairs" / "index.csv", dtype=str, keep_default_na=False)
    folder = root / "openi_pairs"
    sampling = SamplingOptions(steps=3)
    many = model.generate(table[:20], ["lateral"], given=["frontal", "report"], folder=folder, sampling=sampling)
    some = model.generate(table[17:19], ["lateral"], given=["frontal", "report"], folder=folder, sampling=sampling)
    for one, other in zip(some, many[17:19], strict=True):
        assert one.id == other.id
        assert np.array_equal(np.asarray(one.values["lateral"]), np.asarray(other.values["lateral"]))
    alone = pd.DataFrame([{"uid": "new", "findings": "the heart is enlarged"}, {"uid": "none", "findings": ""}])
    made = model.generate(alone, ["frontal", "lateral"], sampling=sampling)
    assert made[0].told == ("report",)
    assert set(made[0].values) == {"frontal", "lateral"}
    assert made[1].values == {}
    assert "no modality that may be told" in made[1].problem


def test_what_a_bundle_made_is_audited(fitted: Path, root: Path, call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bundle = str(fitted / "runs" / "xgem" / "version_0" / "bundle")
    index = pd.read_csv(root / "openi_pairs" / "index.csv", dtype=str, keep_default_na=False)
    for name, part in (("train", index[:20]), ("held_out", index[20:])):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    code, said = call(
        "generate", "--model", bundle, "--table", str(tmp_path / "held_out.csv"), "--folder",
        str(root / "openi_pairs"), "--make", "frontal", "report", "--steps", "2", "--grid", "0",
        "--out", str(tmp_path / "made"),
    )  # fmt: skip
    assert code == 0, said
    code, said = call(
        "audit-generated", "--made", str(tmp_path / "made"), "--model", bundle, "--folder", str(root / "openi_pairs"),
        "--train", str(tmp_path / "train.csv"), "--held-out", str(tmp_path / "held_out.csv"),
    )  # fmt: skip
    assert code == 0, said  # after six steps the model knows no row
    told = json.loads((tmp_path / "made" / "privacy.json").read_text())
    assert {m: v["n_made"] for m, v in told["modalities"].items()} == {"frontal": 20, "report": 20}
    assert told["modalities"]["frontal"]["n_heldout"] == 20
    assert (tmp_path / "made" / "closest.png").exists()


def test_what_cannot_be_made_is_refused(fitted: Path, root: Path, call) -> None:  # type: ignore[no-untyped-def]
    bundle = str(fitted / "runs" / "xgem" / "version_0" / "bundle")
    table = str(root / "openi_pairs" / "index.csv")
    common = ("generate", "--model", bundle, "--table", table, "--out", "x")
    assert "did you mean 'frontal'" in call(*common, "--make", "frontl")[1]
    assert "is in both" in call(*common, "--make", "frontal", "--given", "frontal")[1]
    assert "sampler 'euler' is unknown" in call(*common, "--make", "frontal", "--sampler", "euler")[1]
    assert "generate needs --make" in call(*common)[1]


def test_every_route_is_scored(fitted: Path, root: Path, call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bundle = str(fitted / "runs" / "xgem" / "version_0" / "bundle")
    common = ("routes", *SMALL, f"--data.root={root}", "--bundle", bundle, "--steps", "2", "--resamples", "20")
    code, said = call(*common, "--out", str(tmp_path / "routes"))
    assert code == 0, said[-2000:]
    result = json.loads((tmp_path / "routes" / "result.json").read_text())
    names = [t["name"] for t in result["tables"]]
    assert names == ["prompts", "reconstructions", "images-frontal", "images-lateral", "texts-report"]
    routes = [r["route"] for r in result["tables"][2]["rows"]]
    assert routes[:3] == ["nothing", "lateral", "nearest training row by lateral"]
    assert {"report", "lateral + report"} <= set(routes)
    assert all(r["floor"] > 0 for r in result["tables"][2]["rows"])
    code, said = call(*common, "--data.processing.processors.report.init_args.max_length=9")
    assert code == 1
    assert "was trained on other modalities, sizes or vocabularies" in said
