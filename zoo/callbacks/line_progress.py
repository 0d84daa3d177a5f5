"""LineProgress: how far a run is, in lines of a log, where there is no terminal for a bar."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

EVERY = 30.0
"""Seconds between lines within an epoch."""


class LineProgress(ProgressBar):
    """Print a line at the end of each epoch, and every half minute within one: time, epoch, batch and figures.

    The command line puts it in the place of the progress bar where the output is no terminal.

    Args:
        every: seconds between lines within an epoch; 0 prints a line a batch.
    """

    def __init__(self, every: float = EVERY) -> None:
        super().__init__()
        self.every = every
        self._enabled = True
        self._last = time.monotonic()

    def enable(self) -> None:
        """Print."""
        self._enabled = True

    def disable(self) -> None:
        """Print nothing, as on all ranks but the first."""
        self._enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count half minutes from here."""
        self._last = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Print a line where the last is old."""
        if time.monotonic() - self._last >= self.every and batch_idx + 1 < self.total_train_batches:
            self._say(trainer, pl_module, batch_idx + 1)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print a line with the figures of the epoch."""
        self._say(trainer, pl_module, trainer.fit_loop.epoch_loop.batch_progress.current.completed)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say that the test is done."""
        if self._enabled:
            print(f"{_now()} test: {trainer.test_loop.batch_progress.current.completed} batches", flush=True)

    def _say(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: int) -> None:
        self._last = time.monotonic()
        if not self._enabled:
            return
        most = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else "?"
        figures = self.get_metrics(trainer, pl_module)
        told = "".join(f", {n} {v:.4g}" for n, v in figures.items() if isinstance(v, int | float))
        of = f"epoch {trainer.current_epoch + 1} of {most}, batch {batch} of {self.total_train_batches}"
        print(f"{_now()} {of}{told}", flush=True)


def _now() -> str:
    return time.strftime("%H:%M:%S")
