"""run.py suite: what it runs for which configuration, and all of it once on a small cohort."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from experiments.commands import suite
from experiments.core.budget import seconds_of
from experiments.core.study import Study
from zoo.results import load_result

CONFIG = """
threads: 1
trainer: {{max_epochs: 1, accelerator: cpu}}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    sampling: {{batch_size: 32}}
    sources:
      - {source}
model:
  class_path: zoo.MultitaskModule
  init_args:
    encoders:
      image: {{class_path: zoo.ViTEncoder, init_args: {{dim: 16, depth: 1, patch_size: 8}}}}
      tabular: {{class_path: zoo.TabularEncoder, init_args: {{dim: 16}}}}
    fusion: {{class_path: zoo.ConcatFusion, init_args: {{dim: 16}}}}
"""
COHORT = "{class_path: datamodules.phantom.PhantomCohort, init_args: {n: 200, size: 16, presence: 1.0, "
COHORT += "modalities: [ct, xray], tasks: [disease]}}"
WISCONSIN = "{class_path: datamodules.sources.WisconsinBreastCancer}"


def config(folder: Path, source: str) -> list[str]:
    path = folder / "small.yaml"
    path.write_text(CONFIG.format(source=source))
    return ["--config", str(path)]


def options() -> Namespace:
    return suite.Suite().parser().parse_args([])


def test_what_fits_a_configuration_is_run(tmp_path: Path) -> None:
    study = Study.parse(config(tmp_path, COHORT))
    assert study.word() == "simulated"
    found = {p.command: p for p in suite.parts(study, options())}
    assert found["ood"].arguments == ["--group", "organ"]
    assert found["fewshot"].arguments == ["--task", "disease", "--hold-out-classes", "2"]
    assert found["ablate"].arguments == []
    assert sum(p.share for p in found.values()) == pytest.approx(1.0)


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    study = Study.parse(config(tmp_path, WISCONSIN))
    assert study.word() == "real"
    found = {p.command: p for p in suite.parts(study, options())}
    left = {c: p.why for c, p in found.items() if p.arguments is None}
    assert left == {
        "ood": "no source has a group column to hold out",
        "fewshot": "no task has four classes or more",
        "ablate": "no task has two modalities",
    }


FEWER = {"ood": ("--max-groups", "1"), "fewshot": ("--episodes", "5", "--shots", "0", "5")}
"""Options that the suite does not pass on, which make its studies short."""


def test_everything_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run_part = suite.run_part
    monkeypatch.setattr(suite, "run_part", lambda c, a: run_part(c, [*a, *FEWER.get(c, ())]))
    cohort = COHORT.replace("n: 200", f"n: 100, cache: {tmp_path / 'cache'}")  # each training renders them anew
    arguments = [*config(tmp_path, cohort), "--out", str(tmp_path / "out"), "--seeds", "0"]
    assert suite.Suite().main([*arguments, "--workers", "1", "--resamples", "10", "--no-png"]) == 0
    said = capsys.readouterr().out
    for command in ("table1", "ood", "fewshot", "ablate", "robustness"):
        result = load_result(tmp_path / "out" / command)
        assert (result.command, result.data) == (command, "simulated")
        assert result.summary
    assert "index.html" in said
    assert "failed" not in said
    assert (tmp_path / "out" / "index.html").stat().st_size > 10**6
    assert list((tmp_path / "out" / "jobs").glob("network-all*"))


def test_a_wrong_part_is_told() -> None:
    assert "name a configuration" in suite.run_part("table1", [])


def test_each_part_has_a_budget_even_where_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, float] = {}

    def record(command: str, arguments: list[str]) -> str:
        if "--budget" in arguments:
            given[command] = seconds_of(arguments[arguments.index("--budget") + 1])
        return ""

    monkeypatch.setattr(suite, "run_part", record)
    assert suite.Suite().main([*config(tmp_path, COHORT), "--budget", "1s"]) == 0
    assert given == dict.fromkeys(("table1", "robustness", "ood", "fewshot", "ablate"), 1.0)  # 0 would be no budget
