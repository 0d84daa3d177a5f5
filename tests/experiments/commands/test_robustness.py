"""``run.py robustness`` from the configuration to result.json, on a small simulated cohort."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
import yaml

from experiments.commands.robustness import Robustness
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.results import Result, load_result

QUICK = ("--seeds", "0", "--workers", "1", "--resamples", "20", "--levels", "0", "3", "5", "--rates", "0", "0.5")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two modalities and three tasks, one epoch."""
    told = yaml.safe_load((Path(__file__).parents[1] / "small.yaml").read_text())
    told["trainer"]["max_epochs"] = 1
    told["trainer"]["logger"] = False
    init = told["data"]["init_args"]["sources"][0]["init_args"]
    init |= {"n": 160, "modalities": ["ct", "genomics"], "tasks": ["disease", "expression", "response"]}
    init["presence"] = 0.7
    del told["model"]["init_args"]["encoders"]["text"]
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(told))
    return str(path)


def call(config: str, *arguments: str) -> None:
    assert Robustness().main(["--config", config, *QUICK, *arguments]) == 0


@pytest.fixture(scope="module")
def made(config: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("robustness")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.core.job.LEAST_STEPS", 8)
        call(config, "--out", str(folder), "--corruptions", "GaussianNoise", "BaseSubstitution", "GaussianBlur")
    return folder, load_result(folder)


def rows(result: Result, table: str) -> list[dict[str, object]]:
    return next(t.rows for t in result.tables if t.name == table)


def test_every_table_and_figure_is_there(made: tuple[Path, Result]) -> None:
    folder, result = made
    assert (result.command, result.data, result.seeds) == ("robustness", "simulated", [0])
    names = {t.name for t in result.tables}
    assert {"robustness", "missing", "calibration", "conformal", "conformal_classes", "curves"} <= names
    assert {f.group for f in result.figures} >= {"corruption", "missing", "without", "reliability"}
    assert all(f.data == "simulated" for f in result.figures)
    assert all(r["data"] == "simulated" for t in result.tables for r in t.rows)
    for table in result.tables:
        with (folder / f"{table.name}.csv").open() as file:
            assert len(list(csv.DictReader(file))) == len(table.rows)
    lines = [f for f in result.figures if f.group == "corruption"]
    assert {f.panel for f in lines} == {"disease", "expression", "response"}
    assert {s.name for f in lines if f.panel == "response" for s in f.series} == {
        "all modalities", "ct: GaussianNoise", "genomics: BaseSubstitution",
    }  # fmt: skip
    json.loads((folder / "result.json").read_text(), parse_constant=pytest.fail)


def test_values_agree_between_tables(made: tuple[Path, Result]) -> None:
    result = made[1]
    curves = {
        (r["network"], r["task"], r["modality"], r["corruption"], r["level"]): r for r in rows(result, "curves")
    }
    for row in rows(result, "robustness"):
        key = ("full", row["task"], row["modality"])
        values = [curves[(*key, row["corruption"], level)]["value"] for level in (3, 5)]
        assert row["clean"] == pytest.approx(curves[(*key, "none", 0)]["value"])
        assert row["corrupted"] == pytest.approx(sum(values) / 2)
        area = (1.5 * (row["clean"] + values[0]) + values[0] + values[1]) / 5
        assert row["area"] == pytest.approx(area)
        if row.get("effective") is not None:
            assert math.isfinite(row["effective"])
    whole = next(r for r in rows(result, "robustness") if r["modality"] == "all modalities")
    missing = [r for r in rows(result, "missing") if r["task"] == whole["task"]]
    assert all(r["before"] == pytest.approx(whole["clean"]) for r in missing if r["missing"] == "random")
    nothing = [r for r in missing if r["rate"] == 0]
    assert nothing
    assert all(r["before"] == r["every"] == r["kept"] and r["coverage"] == 1 for r in nothing)
    half = [r for r in missing if r["rate"] == 0.5]
    assert all(0 < r["coverage"] < 1 for r in half)


def test_references_are_seen_and_the_network_of_one_modality_on_the_same_rows(made: tuple[Path, Result]) -> None:
    curves = rows(made[1], "curves")
    full = {(r["task"], r["modality"]): r["n"] for r in curves if r["network"] == "full"}
    single = {(r["task"], r["modality"]): r["n"] for r in curves if r["network"] == "single"}
    assert single
    assert all(full[key] == n for key, n in single.items())


def test_a_second_call_trains_nothing_and_finds_the_same(
    made: tuple[Path, Result], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, result = made
    monkeypatch.setattr("experiments.core.job.LEAST_STEPS", 8)
    monkeypatch.setattr("experiments.core.study.Study.fit", lambda *_, **__: pytest.fail("trained again"))
    call(config, "--out", str(folder), "--corruptions", "GaussianNoise", "BaseSubstitution", "GaussianBlur")
    again = load_result(folder)
    assert [t.rows for t in again.tables] == [t.rows for t in result.tables]


def test_from_a_checkpoint_by_source_and_group(
    made: tuple[Path, Result], config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of the job as a checkpoint give the job's curve."""
    import torch
    from safetensors.torch import load_file

    weights = [p for p in (made[0] / "jobs").glob("*/weights.safetensors") if "-all-" in p.parent.name]
    torch.save({"state_dict": load_file(weights[0])}, tmp_path / "made.ckpt")
    monkeypatch.setattr("experiments.core.job.LEAST_STEPS", 8)
    common = ("--ckpt_path", str(tmp_path / "made.ckpt"), "--out", str(tmp_path / "out"), "--tasks", "response")
    call(config, *common, "--subgroups", "source", "--corruptions", "GaussianNoise")
    found = load_result(tmp_path / "out")
    mine = [r for r in rows(found, "curves") if r["modality"] == "ct"]
    theirs = [
        r
        for r in rows(made[1], "curves")
        if r["network"] == "full" and (r["task"], r["modality"]) == ("response", "ct")
        and r["corruption"] in ("none", "GaussianNoise")
    ]  # fmt: skip
    assert [r["value"] for r in mine] == pytest.approx([r["value"] for r in theirs])
    groups = rows(found, "subgroups")
    assert [r["group"] for r in groups] == ["PhantomCohort", "overall"]
    assert groups[0]["value"] == groups[1]["value"]
    (tmp_path / "broken.ckpt").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a checkpoint that can be loaded safely"):
        call(config, "--ckpt_path", str(tmp_path / "broken.ckpt"))
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(SpecError, match="does not fit the configuration"):
        call(config, "--ckpt_path", str(tmp_path / "other.ckpt"))


WRONG = {
    "level": (("--levels", "7"), SpecError, "--levels 7 is unknown"),
    "corruption": (("--corruptions", "GausianNoise"), UnknownNameError, "did you mean 'GaussianNoise'"),
    "corruption that fits nothing": (("--corruptions", "ElectrodeDrop"), SpecError, "fits none of the modalities"),
    "task": (("--tasks", "diseas"), UnknownNameError, "did you mean 'disease'"),
    "group column": (("--subgroups", "sorce"), UnknownNameError, "did you mean 'source'"),
    "alpha": (("--alpha", "1.5"), SpecError, "--alpha must lie between 0 and 1"),
    "rate": (("--rates", "2"), SpecError, "--rates must lie between 0 and 1"),
    "rows": (("--min-rows", "0"), SpecError, "--min-rows must be at least 1"),
    "checkpoint": (("--ckpt_path", "nowhere.ckpt"), SpecError, "'nowhere.ckpt' is no file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_come_before_training(case: str, config: str, tmp_path: Path) -> None:
    arguments, kind, said = WRONG[case]
    with pytest.raises(kind, match=said):
        call(config, "--out", str(tmp_path), *arguments)
    assert not (tmp_path / "jobs").exists()
