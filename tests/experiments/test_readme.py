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


def test_your_own_data(tmp_path: Path) -> None:
    script = next(b for b in blocks() if "mydata/table.csv" in b)
    (tmp_path / "experiments").symlink_to(HERE / "experiments")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "runs/mine/version_0/report.json").read_text())
    assert report["diagnosis"]["data"] == "simulated"
    assert report["diagnosis"]["value"] > report["diagnosis"]["baseline"]
    assert "severity" in report
