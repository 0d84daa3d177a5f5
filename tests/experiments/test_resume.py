"""kill -9 in the middle of an epoch, then resume: the same batches, the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch

import zoo.models.multitask.module  # noqa: F401  (allows the specs in a checkpoint to be loaded)

SMALL = str(Path(__file__).parent / "small.yaml")


def callbacks(log: Path, folder: Path, kill: int | None) -> str:
    chosen: list[dict[str, object]] = [
        {"class_path": "spies.NoteBatches", "init_args": {"path": str(log)}},
        {
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {
                "dirpath": str(folder),
                "every_n_train_steps": 2,
                "save_top_k": -1,
                "filename": "{step}",
                "save_last": True,
            },
        },
    ]
    if kill is not None:
        chosen.append({"class_path": "spies.KillAt", "init_args": {"step": kill}})
    return json.dumps(chosen)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    return state


def test_killed_run_ends_like_one_that_was_not(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    common = ("fit", "--config", SMALL, "--trainer.enable_checkpointing=true", "--test_after_fit=false")
    run(*common, f"--trainer.callbacks={callbacks(tmp_path / 'whole', tmp_path / 'a', None)}")
    whole = (tmp_path / "whole0").read_text().splitlines()
    steps = len(whole) // 2
    kill = steps + 3 if steps > 3 else steps + 1
    dead = run(*common, f"--trainer.callbacks={callbacks(tmp_path / 'dead', tmp_path / 'b', kill)}", ok=None)
    assert dead.returncode == -9
    last = tmp_path / "b" / "last.ckpt"
    served = torch.load(last, weights_only=True)["global_step"]
    assert steps < served <= kill
    run(
        *common,
        f"--trainer.callbacks={callbacks(tmp_path / 'rest', tmp_path / 'b', None)}",
        f"--ckpt_path={last}",
    )
    rest = (tmp_path / "rest0").read_text().splitlines()
    assert rest == whole[served:]
    ours, theirs = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
