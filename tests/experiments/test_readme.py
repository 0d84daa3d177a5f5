"""The examples of the README run as printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]


def blocks() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", (HERE / "README.md").read_text(), re.S)


def run(script: str, folder: Path) -> None:
    (folder / "experiments").symlink_to(HERE / "experiments")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_your_own_data(tmp_path: Path) -> None:
    run(next(b for b in blocks() if "mydata/table.csv" in b), tmp_path)
    report = json.loads((tmp_path / "runs/mine/version_0/report.json").read_text())
    assert report["diagnosis"]["data"] == "simulated"
    assert report["diagnosis"]["value"] > report["diagnosis"]["baseline"]
    assert "severity" in report


def test_fewer_modalities_and_tasks(tmp_path: Path) -> None:
    line = next(x for b in blocks() for x in b.splitlines() if "--data.tasks '[disease]'" in x)
    run(f"{line} --trainer.fast_dev_run 1", tmp_path)
