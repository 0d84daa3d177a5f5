"""Run the real command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """run("fit", "--config", ..., ok=True): call experiments/run.py in an empty folder."""

    def call(*arguments: str, ok: bool | None = True, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "160",
            "HF_HUB_OFFLINE": "1",
            "WANDB_MODE": "offline",
            "PYTHONPATH": str(ROOT / "tests" / "experiments"),
            **environment,
        }
        done = subprocess.run(
            [sys.executable, str(ROOT / "experiments" / "run.py"), *arguments],
            cwd=tmp_path,
            env=env,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if ok is True:
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
        if ok is False:
            assert done.returncode != 0, done.stdout[-3000:]
            assert "Traceback" not in done.stderr, done.stderr[-3000:]
        return done

    return call


TINY = (
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=2",
    "--trainer.limit_val_batches=1",
    "--trainer.limit_test_batches=1",
    "--trainer.check_val_every_n_epoch=1",
)
