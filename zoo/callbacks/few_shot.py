"""FewShotCallback: how well a few examples tell the classes of a task apart in the space that was learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from zoo.callbacks.report import run_folder
from zoo.contract import TASKS, Batch, Output
from zoo.errors import SpecError, unknown_name
from zoo.evaluation.episodes import draw_episodes, enough_rows
from zoo.evaluation.few_shot import prototype_accuracy
from zoo.evaluation.resampling import mean_interval
from zoo.models.base import task_model
from zoo.training.loss_table import world_size

FILE = "few_shot.json"


class FewShotCallback(L.Callback):
    """After a test, classify test rows by prototypes of k of them a class, in the space of the fused vectors.

    The classes were seen in training: this measures the space, not generalisation to new classes, which is what
    ``run.py fewshot`` measures. Logs ``fewshot/TASK/k``, the accuracy averaged over classes and episodes, and writes
    few_shot.json into the run's folder: accuracy, 95 % interval over episodes, chance, rows, and the classes that
    have too few test rows and are left out. Where fewer than two are left the accuracy is NaN, and the file says
    why.

    Args:
        task: whose targets are classes of a fixed list, such as one of classification.
        shots: numbers of examples a class; classes need rows for the largest.
        episodes: draws of examples and queries.
        group: group column whose rows are never on both sides, such as "subject"; "" for none.
        folder: where to write; "" for the logger's folder.
        seed: of the draws.

    Raises:
        SpecError, UnknownNameError: no shots, no episodes, an unknown task, or one without single classes.
    """

    def __init__(
        self,
        task: str,
        shots: Sequence[int] = (1, 5, 10),
        episodes: int = 100,
        group: str = "",
        folder: str = "",
        seed: int = 0,
    ) -> None:
        if not shots or min(shots) < 1 or episodes < 1:
            raise SpecError(f"FewShotCallback: shots={list(shots)}, episodes={episodes}; all are at least 1")
        self.task, self.shots, self.episodes = task, tuple(sorted(set(shots))), episodes
        self.group, self.folder, self.seed = group, folder, seed
        self._rows: list[tuple[list[str], Tensor, Tensor, Tensor]] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse a task that is not there before anything is trained."""
        tasks = task_model(pl_module).tasks
        if self.task not in tasks:
            raise unknown_name("task of FewShotCallback", self.task, tasks)
        kind = tasks[self.task].kind
        if not TASKS.get(kind).fixed_classes():
            raise SpecError(
                f"FewShotCallback: task '{self.task}' is of kind '{kind}', whose targets are no classes of a fixed "
                "list, as those of classification and ordinal are"
            )

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to listen to what the model predicts, so that no row is embedded twice."""
        self._rows = []
        self._stop(pl_module)
        task_model(pl_module).evaluation.listeners.append(self._keep)

    def _keep(self, batch: Batch, output: Output) -> None:
        seen = batch.observed[self.task]
        if not bool(seen.any()):
            return
        if output.vectors is None:
            raise SpecError(
                "FewShotCallback needs a vector of each row; this model makes none: its Output has no streams"
            )
        vectors = output.vectors[seen].detach().float().cpu()
        if self.group and self.group not in batch.groups:
            raise unknown_name("group column of FewShotCallback", self.group, batch.groups)
        group = batch.groups[self.group][seen].cpu() if self.group else torch.full((len(vectors),), -1)
        ids = [i for i, s in zip(batch.ids, seen.tolist(), strict=True) if s]
        self._rows.append((ids, vectors, batch.targets[self.task].cpu(), group))

    def _stop(self, module: L.LightningModule) -> None:
        listeners = task_model(module).evaluation.listeners
        if self._keep in listeners:
            listeners.remove(self._keep)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Stop listening."""
        self._stop(pl_module)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the episodes, log and write."""
        self._stop(pl_module)
        folder = run_folder(trainer, self.folder)  # asks all ranks
        report = self._report(task_model(pl_module).tasks[self.task].classes)
        for shots, line in report["shots"].items():
            value = line["accuracy"] if line["accuracy"] is not None else float("nan")
            pl_module.log(f"fewshot/{self.task}/{shots}", value, rank_zero_only=False, batch_size=1)
        if trainer.is_global_zero:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / FILE
            whole = json.loads(path.read_text()) if path.exists() else {}  # of a callback for another task
            path.write_text(json.dumps({**whole, self.task: report}, indent=2) + "\n")

    def _gathered(self) -> tuple[Tensor, np.ndarray[Any, np.dtype[np.int64]], list[str]]:
        """Vectors (N, D), codes (N,) and groups of all ranks, sorted by id; a row that two ranks saw counts once."""
        rows = self._rows
        if world_size() > 1:
            everyone: list[list[Any]] = [[] for _ in range(world_size())]
            dist.all_gather_object(everyone, rows)
            rows = [part for theirs in everyone for part in theirs]
        found = {
            i: (vector, int(code), int(group))
            for ids, vectors, codes, groups in rows
            for i, vector, code, group in zip(ids, vectors, codes, groups, strict=True)
        }
        order = sorted(found)
        vectors = torch.stack([found[i][0] for i in order]) if order else torch.zeros((0, 1))
        groups = [str(found[i][2]) if found[i][2] >= 0 else "" for i in order]
        return vectors, np.array([found[i][1] for i in order], dtype=np.int64), groups

    def _report(self, classes: Sequence[str]) -> dict[str, Any]:
        vectors, labels, groups = self._gathered()
        good, left = enough_rows(labels, self.shots[-1])
        report: dict[str, Any] = {
            "method": "prototypes, squared Euclidean distance, on classes seen in training",
            "classes": [classes[c] for c in good],
            "left_out": {classes[c]: n for c, n in left.items()},
            "rows": int(np.isin(labels, good).sum()),
            "episodes": self.episodes,
            "chance": 1.0 / len(good) if good else None,
            "reason": "",
        }
        drawn = []
        try:
            if len(good) < 2:
                raise SpecError(f"{len(good)} classes have test rows for {self.shots[-1]} shots; 2 are needed")
            kept = np.where(np.isin(labels, good), labels, -1)
            drawn = draw_episodes(
                kept,
                shots=self.shots[-1],
                episodes=self.episodes,
                seed=self.seed,
                groups=groups if self.group else None,
            )
        except SpecError as error:  # a test that went well is not lost for want of rows
            report["reason"] = str(error)
        report["shots"] = {}
        for shots in self.shots:
            line: dict[str, float | None] = {"accuracy": None, "low": None, "high": None}
            if drawn:
                values = prototype_accuracy(vectors, drawn, shots, "euclidean")
                found = mean_interval(values, bounds=(0.0, 1.0), seed=self.seed)
                line = {"accuracy": found.value, "low": found.low, "high": found.high}
            report["shots"][str(shots)] = line
        return report
