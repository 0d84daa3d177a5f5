"""PredictionWriter: what ``predict`` predicts, as one CSV file a task."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
from rich.console import Console

from zoo.callbacks.report import run_folder


class PredictionWriter(L.Callback):
    """After ``predict``, write predictions_TASK.csv with a line a sample: id, predicted class, values.

    Args:
        folder: where to write; "" for the logger's folder.
    """

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def on_predict_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Append the rows of a batch. Every rank writes a file of its own."""
        folder = run_folder(trainer, self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        suffix = f"_rank{trainer.global_rank}" if trainer.world_size > 1 else ""
        for task, (ids, values) in outputs.items():
            spec = pl_module.tasks[task]
            names = list(spec.classes) or ["values"]
            with (folder / f"predictions_{task}{suffix}.csv").open(
                "w" if batch_idx == 0 else "a", newline=""
            ) as file:
                writer = csv.writer(file)
                if file.tell() == 0:
                    writer.writerow(["id", "predicted", *names])
                for name, value in zip(ids, values, strict=True):
                    flat = [f"{x:.6g}" for x in value.flatten().tolist()]
                    cells = flat if spec.classes else [" ".join(flat)]
                    best = (
                        spec.classes[int(value.argmax())] if spec.kind in ("classification", "ordinal", "vqa") else ""
                    )
                    writer.writerow([name, best, *cells])

    def on_predict_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Say where the files are."""
        if trainer.is_global_zero:
            Console().print(
                f"predictions: {Path(run_folder(trainer, self.folder))}/predictions_*.csv", highlight=False
            )
