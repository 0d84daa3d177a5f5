"""Every shipped configuration goes through the real command line, on fewer patients and two steps."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

SHIPPED = sorted((Path(__file__).parents[2] / "experiments" / "configs").glob("*.yaml"))
KEYS = {"metric", "value", "low", "high", "chance", "baseline", "n", "real"}


def shrink(node: Any) -> None:
    """Give every simulated cohort below ``node`` at most 60 patients, and leave out what draws on a terminal."""
    if isinstance(node, dict):
        if str(node.get("class_path", "")).endswith("PhantomCohort"):
            node.setdefault("init_args", {})["n"] = min(node.get("init_args", {}).get("n", 60), 60)
        for value in node.values():
            shrink(value)
    elif isinstance(node, list):
        node[:] = [n for n in node if not (isinstance(n, dict) and "ProgressBar" in str(n.get("class_path", "")))]
        for value in node:
            shrink(value)


def check_report(folder: Path) -> None:
    """report.json, .csv and .png and metrics.csv are there, and the report is whole."""
    report = json.loads((folder / "report.json").read_text())
    assert report
    for task, line in report.items():
        assert line.keys() >= KEYS, task
        assert line["n"] > 0
        assert isinstance(line["real"], bool)
        if line["value"] is not None and line["low"] is not None:
            assert line["low"] <= line["high"]
    with (folder / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["task"] for r in rows if " [" not in r["task"]} == set(report)
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "metrics.csv").open() as file:
        header = next(csv.reader(file))
    assert "train/loss" in header
    assert any(h.startswith("test/") for h in header)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_configuration(path: Path, run, tiny, tmp_path: Path, request) -> None:  # type: ignore[no-untyped-def]
    config = yaml.safe_load(path.read_text())
    shrink(config)
    (tmp_path / path.name).write_text(yaml.safe_dump(config, sort_keys=False))
    root = (f"--data.root={request.getfixturevalue('shared_data')}",) if "--data.root" in path.read_text() else ()
    done = run(
        "fit", "--config", path.name, *tiny, "--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1", *root
    )
    assert "beat the baseline" in done.stdout
    (report,) = tmp_path.glob("runs/**/report.json")
    check_report(report.parent)


def test_there_is_a_configuration_without_download() -> None:
    assert "mtl.yaml" in [p.name for p in SHIPPED]
