"""OODCallback: after a test, the same figures for the groups that were held out, and how well they are detected."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console
from rich.table import Table

from zoo.analysis.detection import collect, detect, outlier_scores, thinned
from zoo.analysis.groups import by_group, compare
from zoo.analysis.predict import predict
from zoo.callbacks.report import run_folder
from zoo.errors import SpecError
from zoo.evaluation import Evaluated
from zoo.reporting import data_word

OOD = "ood"
"""Split of the groups under ``data.holdout``."""
FILE = "ood.json"


class OODCallback(L.Callback):
    """At the end of a test, predict what ``data.holdout`` held out, and compare it with the test split.

    Logs ood/TASK/METRIC, ood/TASK/gap of the primary metric, and ood/TASK/DETECTOR_auroc; writes ood.json into the
    run's folder and prints a table.

    Args:
        group: group column by which the rows of both splits are scored too; "" for none.
        detectors: run the detectors of zoo.analysis.detection (needs pytorch-ood). They run in one process only.
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
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if data is None:
            raise SpecError("OODCallback needs a data module: call trainer.test(model, datamodule=...)")
        if OOD not in data.pipeline.rows:
            raise SpecError(
                "OODCallback: nothing is held out; set data.holdout, such as {organ: [Kidney]}, or leave it out"
            )
        if self.group:
            data.pipeline.groups(self.group, data.pipeline.rows[OOD][:0])

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Predict the held-out rows, compare, log and write."""
        folder = run_folder(trainer, self.folder)  # asks all ranks
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        outside = predict(pl_module, data.split_dataloader(OOD)).results
        inside: dict[str, Evaluated] = pl_module.results.get("test", {})
        alone = trainer.world_size == 1
        self.found = {"group": self.group, "detectors_ran": self.detectors and alone, "tasks": {}}
        for task in pl_module.tasks:
            if task in inside and task in outside:
                found = self._compare(data.pipeline, pl_module.kinds[task], inside[task], outside[task])
                if self.detectors and alone:
                    found["detection"] = detection(pl_module, data, task)
                self.found["tasks"][task] = found
        values = self._values(pl_module)
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
            logger.save()
        if trainer.is_global_zero:
            self._write(folder)

    def _compare(self, pipe: Any, kind: Any, inside: Evaluated, outside: Evaluated) -> dict[str, Any]:
        compared = compare(kind, inside, outside, resamples=self.resamples)
        numbers = sorted(set(outside.source.tolist()))
        found: dict[str, Any] = {
            "data": data_word(numbers, pipe.source_simulated),
            "primary": kind.primary,
            "n_test": len(inside.ids),
            "n_ood": len(outside.ids),
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

    def _values(self, pl_module: Any) -> dict[str, float]:
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
        table = Table(title="test rows and held-out rows, 95 % bootstrap interval")
        for name in ("task", "metric", "test", "held out", "gap", "n", "n held out", "detection AUROC", "data"):
            table.add_column(name)
        for task, found in self.found["tasks"].items():
            for name, parts in found["metrics"].items():
                first = name == found["primary"]
                detected = found.get("detection", {}).items() if first else ()
                table.add_row(
                    task if first else "",
                    name,
                    *(_text(parts[k]) for k in ("test", "ood", "gap")),
                    *((str(found["n_test"]), str(found["n_ood"])) if first else ("", "")),
                    ", ".join(f"{d} {s['auroc']:.3f}" for d, s in detected),
                    found["data"] if first else "",
                )
        console = Console()
        (console if console.is_terminal or console.width >= 120 else Console(width=120)).print(table)
        if self.detectors and not self.found["detectors_ran"]:
            console.print("detectors are left out: they run in one process only")
        console.print(f"out of distribution: {folder}/{FILE}", highlight=False, markup=False)


@torch.inference_mode(False)
def detection(module: Any, data: Any, task: str) -> dict[str, dict[str, float]]:
    """Detector -> auroc, fpr95, aupr, n_in and n_out of one task: test rows against held-out rows.

    Args:
        module: the trained MultitaskModule.
        data: its data module, with the split "ood".
        task: name of the task; rows that carry its label are looked at.
    """
    parts = {}
    for split in ("train", "test", OOD):
        loader = data.split_dataloader(split)
        if split == "train":
            loader.sampler.rows = thinned(loader.sampler.rows)
        parts[split] = collect(module, loader, task)
    train = parts.pop("train")
    scores = outlier_scores(train, parts)
    return {name: asdict(detect(found["test"], found[OOD])) for name, found in scores.items()}


def _names(pipe: Any, column: str) -> dict[str, str]:
    """Id -> name of the group, of test rows and held-out rows."""
    found: dict[str, str] = {}
    for split in ("test", OOD):
        rows = pipe.rows[split]
        names = pipe.groups(column, rows)
        found |= {str(pipe.join.id(r)): n for r, n in zip(rows.tolist(), names, strict=True)}
    return found


def _text(score: dict[str, float]) -> str:
    value = f"{score['value']:.3f}"
    return f"{value} ({score['low']:.3f} to {score['high']:.3f})" if math.isfinite(score["low"]) else value


def _plain(value: Any) -> Any:
    """The same without NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
