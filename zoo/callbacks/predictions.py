"""PredictionWriter: what ``predict`` predicts, as one CSV file a task."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
from rich.console import Console

from zoo.callbacks.report import run_folder
from zoo.contract import PAD, Batch


class PredictionWriter(L.Callback):
    """After ``predict``, write predictions_TASK.csv with a line a sample: id, predicted class, values.

    Regression values are in the unit of the task, not standardised. A task of one class a token has the classes of
    the tokens that are there, parted by blanks.

    Args:
        folder: where to write; "" for the logger's folder.
    """

    def __init__(self, folder: str = "") -> None:
        self.folder = folder
        self._begun: set[str] = set()
        self._path = Path(folder)

    def on_predict_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Begin the files anew; a task may first appear in a later batch."""
        self._begun.clear()
        self._path = run_folder(trainer, self.folder)  # asks all ranks

    def on_predict_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Append the rows of a batch. Every rank writes a file of its own."""
        folder = self._path
        folder.mkdir(parents=True, exist_ok=True)
        suffix = f"_rank{trainer.global_rank}" if trainer.world_size > 1 else ""
        for task, (ids, values) in outputs.items():
            spec = pl_module.tasks[task]
            by_token = spec.kind == "token_classification"
            names = [] if by_token else list(spec.classes) or ["values"]
            path = folder / f"predictions_{task}{suffix}.csv"
            with path.open("a" if task in self._begun else "w", newline="") as file:
                writer = csv.writer(file)
                if task not in self._begun:
                    self._begun.add(task)
                    writer.writerow(["id", "predicted", *names])
                if spec.scale:
                    values = values * values.new_tensor(spec.scale) + values.new_tensor(spec.mean)
                for name, value in zip(ids, values, strict=True):
                    if by_token:
                        codes = value[: _length(batch, spec.reads, name)].argmax(-1).tolist()
                        writer.writerow([name, " ".join(spec.classes[k] for k in codes)])
                        continue
                    flat = [f"{x:.6g}" for x in value.flatten().tolist()]
                    cells = flat if spec.classes else [" ".join(flat)]
                    best = (
                        spec.classes[int(value.argmax())] if spec.kind in ("classification", "ordinal", "vqa") else ""
                    )
                    writer.writerow([name, best, *cells])

    def on_predict_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Say where the files are."""
        if trainer.is_global_zero:
            Console().print(f"predictions: {self._path}/predictions_*.csv", highlight=False)


def _length(batch: Batch, modality: str, name: str) -> int:
    """Number of tokens, without padding, that a sample of the batch has of a modality."""
    row = batch.ids.index(name)
    packed = int(batch.present[modality][:row].sum())
    return int((batch.inputs[modality][packed] != PAD).sum())
