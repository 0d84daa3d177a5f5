"""Callbacks for tests of the command line: note the batches, and die in the middle."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import lightning as L


class NoteBatches(L.Callback):
    """Append the ids of each training batch to a file, a line a batch."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        with Path(f"{self.path}{trainer.global_rank}").open("a") as file:
            file.write(" ".join(batch.ids) + "|" + " ".join(m for m, x in batch.inputs.items() if len(x) == 0) + "\n")


class KillAt(L.Callback):
    """kill -9 this process before batch ``step`` of all of training, or of a stage of it."""

    def __init__(self, step: int, stage: str = "") -> None:
        self.step = step
        self.stage = stage

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        stage = getattr(getattr(pl_module, "_current", None), "name", "")
        if trainer.global_step == self.step and stage == self.stage:
            os.kill(os.getpid(), signal.SIGKILL)
