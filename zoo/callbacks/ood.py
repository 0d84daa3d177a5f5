"""OODCallback: after a test, the same figures for the groups that were held out, and how well they are detected."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console
from rich.table import Table

from zoo.callbacks.report import run_folder
from zoo.data import OOD, DataModule, Pipeline, data_module
from zoo.errors import SpecError
from zoo.evaluation.detection import MOST_TRAIN, detect, features, outlier_scores, plain_inputs
from zoo.evaluation.groups import by_group, compare, within
from zoo.evaluation.resampling import describe_units
from zoo.evaluation.summary import data_word
from zoo.models.base import TaskModel, task_model
from zoo.models.predict import predict
from zoo.tasks.base import TaskKind
from zoo.thinning import thinned
from zoo.training.collector import Evaluated

FILE = "ood.json"


class OODCallback(L.Callback):
    """At the end of a test, predict what ``data.split.held_out`` held out, and compare it with the test split.

    Logs ood/TASK/METRIC, ood/TASK/gap of the primary metric, and ood/TASK/DETECTOR_auroc; writes ood.json into the
    run's folder and prints a table.

    Args:
        group: group column by which the rows of both splits are scored too; "" for none.
        detectors: run the detectors of zoo.evaluation.detection (needs pytorch-ood). They run in one process only.
        folder: where to write; "" for the logger's folder.
        resamples: of the bootstrap behind the 95 % intervals.
    """

    def __init__(self, group: str = "", detectors: bool = True, folder: str = "", resamples: int = 200) -> None:
        if resamples < 1:
            raise SpecError(f"resamples must be at least 1, got {resamples}")
        self.group, self.detectors, self.folder, self.resamples = group, detectors, folder, resamples
        self.found: dict[str, Any] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Find out before training whether there is anything to look at.

        Raises:
            SpecError: no data module, or nothing is held out.
            UnknownNameError: no source has the group column.
        """
        if stage not in ("fit", "test"):
            return
        data = data_module(trainer, "OODCallback")
        if OOD not in data.pipeline.rows:
            raise SpecError(
                "OODCallback: nothing is held out; set data.split.held_out, such as {organ: [Kidney]}, or leave the "
                "callback out"
            )
        if self.group:
            data.pipeline.groups(self.group, data.pipeline.rows[OOD][:0])

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Predict the held-out rows, compare, log and write."""
        model = task_model(pl_module)
        folder = run_folder(trainer, self.folder)  # asks all ranks
        data = data_module(trainer, "OODCallback")
        outside = predict(model, data.split_dataloader(OOD)).results
        inside = model.evaluation.results.get("test", {})
        alone = trainer.world_size == 1
        self.found = {"group": self.group, "detectors_ran": self.detectors and alone, "tasks": {}}
        for task, kind in model.evaluation.kinds.items():
            if task in inside and task in outside:
                found = self._compare(data.pipeline, kind, inside[task], outside[task])
                self.found["tasks"][task] = found
        if self.detectors and alone and self.found["tasks"]:
            for task, scores in detection(model, data, list(self.found["tasks"])).items():
                self.found["tasks"][task]["detection"] = scores
        values = self._values()
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
            logger.save()
        if trainer.is_global_zero:
            self._write(folder)

    def _compare(self, pipe: Pipeline, kind: TaskKind, inside: Evaluated, outside: Evaluated) -> dict[str, Any]:
        compared = compare(kind, inside, outside, resamples=self.resamples)
        numbers = sorted(set(outside.source.tolist()))
        found: dict[str, Any] = {
            "data": data_word(numbers, pipe.source_simulated),
            "primary": kind.primary,
            "n_test": len(inside.ids),
            "n_ood": len(outside.ids),
            "unit_test": describe_units(within(inside).drawn),
            "unit_ood": describe_units(within(outside).drawn),
            "metrics": {
                name: {"test": asdict(c.inside), "ood": asdict(c.outside), "gap": asdict(c.gap)}
                for name, c in compared.items()
            },
            "ood": kind.metrics(outside.prediction, outside.target),
        }
        if self.group:
            names = _names(pipe, self.group)
            found["groups"] = {"test": by_group(kind, inside, names), "ood": by_group(kind, outside, names)}
        return found

    def _values(self) -> dict[str, float]:
        """What is logged."""
        values: dict[str, float] = {}
        for task, found in self.found["tasks"].items():
            primary = found["primary"]
            values |= {f"ood/{task}/{k}": v for k, v in found["ood"].items()}
            values |= {f"ood/{task}/{k}": m["ood"]["value"] for k, m in found["metrics"].items() if k != primary}
            values[f"ood/{task}/gap"] = found["metrics"][primary]["gap"]["value"]
            values |= {f"ood/{task}/{d}_auroc": s["auroc"] for d, s in found.get("detection", {}).items()}
        return values

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(_plain(self.found), indent=2) + "\n")
        table = Table(title="test rows and held-out rows, 95 % intervals over the units named")
        heads = ("task", "metric", "test", "held out", "gap", "n", "unit", "n held out", "unit held out")
        for name in (*heads, "detection AUROC", "data"):
            table.add_column(name)
        for task, found in self.found["tasks"].items():
            for name, parts in found["metrics"].items():
                first = name == found["primary"]
                detected = found.get("detection", {}).items() if first else ()
                table.add_row(
                    task if first else "",
                    name,
                    *(_text(parts[k]) for k in ("test", "ood", "gap")),
                    *(str(found[k]) if first else "" for k in ("n_test", "unit_test", "n_ood", "unit_ood")),
                    ", ".join(f"{d} {s['auroc']:.3f}" for d, s in detected),
                    found["data"] if first else "",
                )
        console = Console()
        (console if console.is_terminal or console.width >= 120 else Console(width=120)).print(table)
        if self.detectors and not self.found["detectors_ran"]:
            console.print("detectors are left out: they run in one process only")
        console.print(f"out of distribution: {folder}/{FILE}", highlight=False, markup=False)


@torch.inference_mode(False)
def detection(model: TaskModel, data: DataModule, tasks: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Task -> detector -> auroc, fpr95, aupr, n_in and n_out: test rows against held-out rows.

    Args:
        model: the trained model.
        data: its data module, with the split "ood".
        tasks: names of the tasks; rows that carry their labels are looked at.
    """
    parts = {}
    inputs = partial(plain_inputs, modalities=list(model.modalities.values()))
    for split in ("train", "test", OOD):
        rows = data.pipeline.rows[split]
        loader = data.rows_dataloader(thinned(rows, MOST_TRAIN) if split == "train" else rows)
        parts[split] = predict(model, loader, logits=tasks, inputs=inputs)
    found = {}
    for task in tasks:
        looked_at = {split: features(part, model.evaluation.kinds[task]) for split, part in parts.items()}
        scores = outlier_scores(looked_at.pop("train"), looked_at)
        found[task] = {name: asdict(detect(s["test"], s[OOD])) for name, s in scores.items()}
    return found


def _names(pipe: Pipeline, column: str) -> dict[str, str]:
    """Id -> name of the group, of test rows and held-out rows."""
    found: dict[str, str] = {}
    for split in ("test", OOD):
        rows = pipe.rows[split]
        names = pipe.groups(column, rows)
        found |= {pipe.join.id(r): n for r, n in zip(rows.tolist(), names, strict=True)}
    return found


def _text(score: dict[str, float]) -> str:
    value = f"{score['value']:.3f}"
    return f"{value} ({score['low']:.3f} to {score['high']:.3f})" if math.isfinite(score["low"]) else value


def _plain(value: Any) -> Any:
    """The same without NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
