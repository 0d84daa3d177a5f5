"""Callbacks: the report's files, the predictions' files, and random states that come back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from datamodules.core.base import BaseDataModule
from datamodules.core.options import SamplingOptions
from tests.datamodules.fakes import Fake, cohort
from zoo.callbacks.report import COLUMNS, ReportCallback, draw, print_table, run_folder, write_csv, write_json
from zoo.callbacks.resume import ResumeCallback
from zoo.errors import SpecError
from zoo.evaluation.summary import TaskResult
from zoo.models.multitask.module import MultitaskModule
from zoo.results import load_result


def line(task: str, value: float = 0.8, source: str = "", **changes: Any) -> TaskResult:
    fields: dict[str, Any] = {
        "task": task, "metric": "accuracy", "value": value, "low": value - 0.1, "high": value + 0.1,
        "interval": "bootstrap", "unit": "patient (12)", "chance": 0.5,
        "baseline": 0.75, "n": 20, "real": True, "data": "real", "beats_chance": True, "beats_baseline": False,
        "source": source, "metrics": {"accuracy": value, "auroc": float("nan")},
    }  # fmt: skip
    return TaskResult(**{**fields, **changes})


LINES = [
    line("sick"),
    line("sick [A]", 0.9, "A"),
    line("sick [B]", 0.7, "B", real=False, data="simulated"),
    line("age", float("nan"), low=float("nan"), high=float("nan"), beats_chance=False),
]


def test_json_nests_sources_and_holds_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(LINES, path)

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    report = json.loads(path.read_text(), parse_constant=refuse)
    assert list(report) == ["sick", "age"]
    assert report["sick"]["value"] == 0.8
    assert report["sick"]["metrics"] == {"accuracy": 0.8, "auroc": None}
    assert {s: e["value"] for s, e in report["sick"]["sources"].items()} == {"A": 0.9, "B": 0.7}
    assert report["age"]["value"] is None
    assert "sources" not in report["age"]


def test_csv_has_a_line_a_row(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    write_csv(LINES, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [r["task"] for r in rows] == [x.task for x in LINES]
    assert float(rows[1]["value"]) == 0.9
    assert rows[2]["data"] == "simulated"


def test_the_picture_and_the_table_take_any_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k, lines in enumerate((LINES, [], [line("r2", -0.4, low=-0.9, high=0.1)])):
        path = tmp_path / f"{k}.png"
        draw(lines, path)
        assert path.read_bytes().startswith(b"\x89PNG")
        print_table(lines)
    text = capsys.readouterr().out
    assert "sick [A]" in text
    assert "0.800" in text
    assert "simulated" in text


def test_resamples_must_be_positive() -> None:
    with pytest.raises(SpecError, match="at least 1, got 0"):
        ReportCallback(resamples=0)
    with pytest.raises(SpecError, match="0 or more, got -1"):
        ReportCallback(examples=-1)


def trainer(folder: Path, *callbacks: L.Callback, **options: Any) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=list(callbacks),
        **options,
    )


def parts() -> tuple[MultitaskModule, BaseDataModule]:
    data = BaseDataModule(
        [Fake(cohort())], sampling=SamplingOptions(batch_size=8, eval_batch_size=4), modalities=["table"]
    )
    torch.manual_seed(0)
    return MultitaskModule(data.modality_specs, data.task_specs), data


def test_a_test_ends_in_a_report_of_the_test_split(tmp_path: Path) -> None:
    module, data = parts()
    report = ReportCallback(str(tmp_path / "out"), resamples=20)
    run = trainer(tmp_path, report)
    run.test(module, datamodule=data, verbose=False)
    files = {"report.json", "report.csv", "report.png", "result.json"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == files
    result = load_result(tmp_path / "out")
    assert [t.name for t in result.tables] == ["tasks", "metrics"]
    assert {e.task for e in result.examples} == {"sick", "age"}
    assert result.command == "fit"
    assert result.data == "real"
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["sick"]["n"] == len(data.pipeline.rows["test"])
    assert written["sick"]["value"] == pytest.approx(float(run.logged_metrics["test/sick/accuracy"]))
    target, _ = data.pipeline.labels("train", "sick")
    truth, _ = data.pipeline.labels("test", "sick")
    majority = int(target.bincount().argmax())
    assert written["sick"]["baseline"] == pytest.approx(float((truth == majority).float().mean()))
    assert written["sick"]["real"] is True
    assert [x.task for x in report.lines] == ["sick", "age"]


def test_a_report_without_a_data_module_says_so(tmp_path: Path) -> None:
    module, data = parts()
    with pytest.raises(
        SpecError, match=r"ReportCallback needs a data module .* got no data module; .*datamodule=...\)"
    ):
        trainer(tmp_path, ReportCallback(str(tmp_path), 5)).test(module, data.test_dataloader(), verbose=False)


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    assert run_folder(run, "given") == Path("given")
    assert run_folder(run) == tmp_path


def test_random_states_come_back_before_the_first_batch_and_only_once() -> None:
    kept = ResumeCallback()
    torch.manual_seed(5)
    state = kept.state_dict()
    expected = torch.rand(3)
    fresh = ResumeCallback()
    fresh.load_state_dict(state)
    torch.rand(100)
    fresh.on_train_batch_start(None, None, None, 0)  # type: ignore[arg-type]
    assert torch.equal(torch.rand(3), expected)
    fresh.on_train_batch_start(None, None, None, 1)  # type: ignore[arg-type]
    assert not torch.equal(torch.rand(3), expected)
