"""ResumeCallback: a run that was killed goes on as if it had not been."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from zoo.callbacks.report import typed


class ResumeCallback(L.Callback):
    """Store the random state in each checkpoint, and restore it before the first batch after a resume.

    With it, a checkpoint taken in mid-epoch (ModelCheckpoint with every_n_train_steps) continues with the
    batches that remained (the loader stores how many were served) and ends in the same weights.
    """

    def __init__(self) -> None:
        self._restore: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The random states of this process."""
        state: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until the first batch: making iterators may draw random numbers."""
        self._restore = state_dict

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Print the command that goes on where a fit was interrupted."""
        if isinstance(exception, KeyboardInterrupt) and trainer.is_global_zero and trainer.state.fn == "fit":
            print(f"\nstopped; {how_to_go_on(trainer)}", file=sys.stderr, flush=True)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Restore the random states once."""
        if self._restore is None:
            return
        torch.set_rng_state(self._restore["cpu"].cpu())
        if "cuda" in self._restore and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([s.cpu() for s in self._restore["cuda"]])
        self._restore = None


def how_to_go_on(trainer: L.Trainer) -> str:
    """What to type after a fit was interrupted, in words."""
    kept = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    paths = [p for c in kept for p in (c.last_model_path, c.best_model_path) if p]
    if not paths:
        return "no checkpoint was written yet, so the same command begins anew"
    return f"go on with: {typed() or 'the same command and'} --ckpt_path {shlex.quote(paths[0])}"
