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
    """kill -9 this process before batch ``step`` of all of training."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)
