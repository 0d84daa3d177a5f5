"""A fusion finds the simulated synergy; one modality alone does not, as the design of the phantom says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from datamodules.phantom import best_accuracy
from experiments.commands import synergy
from experiments.commands.synergy import train


@pytest.mark.parametrize(("modalities", "low", "high"), [(("ct", "genomics"), 0.75, 1.0), (("ct",), 0.35, 0.65)])
def test_low_rank_fusion_needs_both_modalities(modalities: tuple[str, ...], low: float, high: float) -> None:
    result = train("LowRankFusion", modalities, patients=800, epochs=12, seed=0)
    assert low <= result.value <= high
    assert result.value <= best_accuracy("response", modalities) + 0.15
    assert result.data == "simulated"


def test_each_pair_is_trained_once_and_told_in_order(tmp_path: Path) -> None:
    out = tmp_path / "runs.json"
    short = ["--patients", "60", "--epochs", "1", "--fusions", "ConcatFusion", "--out", str(out)]
    assert synergy.Synergy().main(short) == 0
    runs = json.loads(out.read_text())
    assert [tuple(r["modalities"]) for r in runs] == list(synergy.SUBSETS)
    assert {r["fusion"] for r in runs} == {"ConcatFusion"}
    assert [r["best"] for r in runs] == [best_accuracy("response", s) for s in synergy.SUBSETS]


def test_no_more_processes_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Noted(synergy.Synergies):
        threads = 2

    def engine(work: Any, workers: int) -> None:
        made.append(workers)

    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr("experiments.core.executor.base.EXECUTORS.get", lambda name: engine)
    for workers, most in ((0, 0), (0, 3), (5, 3), (5, 0)):
        synergy.make_executor(Noted(1, 1, 0), workers, most=most)
    assert made == [4, 3, 3, 5]
