"""Every shipped configuration goes through the real command line, on fewer patients and two steps."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from tests.experiments.shipped import SHIPPED, small_fit

KEYS = {"metric", "value", "low", "high", "chance", "baseline", "n", "real"}


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
def test_shipped_configuration(path: Path, run, call, tmp_path: Path, request) -> None:  # type: ignore[no-untyped-def]
    fit = small_fit(path, tmp_path, request)
    if path.name.startswith(
        "table_"
    ):  # in this process: what differs is how files are read, and imports cost seconds
        code, said = call(*fit)
        assert code == 0, said[-3000:]
    else:
        said = run(*fit).stdout
    if path.name.startswith("xgem"):
        assert "samples of the test split" in said
        assert list(tmp_path.glob("runs/**/samples.png"))
        return
    assert "beat the baseline" in said
    (report,) = tmp_path.glob("runs/**/report.json")
    check_report(report.parent)


def test_there_is_a_configuration_without_download() -> None:
    assert "mtl.yaml" in [p.name for p in SHIPPED]


def test_the_overlay_replaces_every_encoder_and_processor_of_images_and_texts(run) -> None:  # type: ignore[no-untyped-def]
    """The keys of a second file replace, but init_args are merged: nothing may be lost, nor be left over."""
    base = yaml.safe_load((SHIPPED[0].parent / "mtl_real.yaml").read_text())
    done = run("fit", "--config", "mtl_real.yaml", "--config", "pretrained.yaml", "--print_config")
    config = yaml.safe_load(done.stdout)
    processors = config["data"]["init_args"]["processing"]["processors"]
    encoders = config["model"]["init_args"]["encoders"]
    assert set(base["data"]["init_args"]["processing"]["processors"]) <= set(processors)
    assert set(base["model"]["init_args"]["encoders"]) <= set(encoders)
    for name, processor in processors.items():
        options = processor["init_args"]
        if processor["class_path"].endswith("ImageProcessor"):
            assert not options["augment"], name
        if processor["class_path"].endswith("TextProcessor"):
            assert options["word_dropout"] == 0.0, name
            assert options["tokenizer"] == encoders[name]["init_args"]["pretrained"], name
    for name in ("image", "mri"):
        assert encoders[name]["class_path"].endswith("FrozenImageEncoder")
        assert encoders[name]["init_args"]["backbone"] == "tf_efficientnet_lite0"
