"""Run the real command line in a process of its own, or in this one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]
Call = Callable[..., tuple[int, str]]
Several = Callable[..., list[tuple[int, str]]]


def environment_of_runs() -> dict[str, str]:
    """The environment of a command in a process of its own."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("WANDB")},  # W&B of this process leaves some
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "160",
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "offline",
        "PYTHONPATH": str(ROOT / "tests" / "experiments"),
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """run("fit", "--config", ..., ok=True): call experiments/run.py in an empty folder."""

    def call(
        *arguments: str, ok: bool | None = True, timeout: float = 600, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "experiments" / "run.py"), *arguments],
            cwd=tmp_path,
            env={**environment_of_runs(), **environment},
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


SEVERAL = """
import json, sys
sys.path.insert(0, sys.argv[2])
from experiments import run
for arguments in json.loads(sys.argv[1]):
    sys.argv, code = ["run.py", *arguments], 0
    try:
        run.main()
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        print(code if isinstance(code, str) else "", END, int(bool(code)), file=stream, flush=True)
""".replace("END", repr("-- end of a command:"))
"""Runs several commands in one process, which imports once."""


@pytest.fixture
def several(tmp_path: Path) -> Several:
    """several(["fit", ...], ["predict", ...]): the same as ``run``, one command after another in one process.

    Returns the exit code (0 or 1) and the output of each; a traceback fails the test.
    """

    def call(*commands: Sequence[str], **environment: str) -> list[tuple[int, str]]:
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL, json.dumps(commands), str(ROOT)],
            cwd=tmp_path,
            env={**environment_of_runs(), **environment},
            text=True,
            capture_output=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
        parts = [re.split(r" *-- end of a command: ([01])\n", s) for s in (done.stdout, done.stderr)]
        ends = zip(parts[0][1::2], parts[0][::2], parts[1][::2], strict=False)
        return [(int(code), out + error) for code, out, error in ends]

    return call


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """call("fit", "--config", ...): the same in this process, which saves the imports; (exit code, output).

    An exception that the command line lets through is a traceback to its user, and fails the test.
    """
    from experiments import run as command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def inner(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        capfd.readouterr()
        code: object = 0
        try:
            command.main()
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        output = said.out + said.err + (code if isinstance(code, str) else "")
        return (code if isinstance(code, int) else int(code is not None)), output

    return inner


TINY = (
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=2",
    "--trainer.limit_val_batches=2",
    "--trainer.limit_test_batches=2",
    "--trainer.check_val_every_n_epoch=1",
    "--bundle.write=false",
)
"""Not 1 for the limits: LightningCLI reads "1" as 1.0, which is all batches."""


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Options of a training of two steps."""
    return TINY


@pytest.fixture(scope="session")
def small() -> str:
    """Path of small.yaml."""
    return str(Path(__file__).parent / "small.yaml")
