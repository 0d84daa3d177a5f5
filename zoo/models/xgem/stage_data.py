"""The data of one stage: batches of the data module, or latents of its rows, which are computed once and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from safetensors.torch import load_file, save_file

from zoo.contract import Batch
from zoo.data import DataModule, Rows
from zoo.errors import DataError
from zoo.models.xgem.latents import LatentBatch, LatentLoader, encoded, joined
from zoo.models.xgem.stages.base import Stage

IDS = "ids.json"


class StageData(L.LightningDataModule):
    """Serve the batches of a stage from the rows of a data module.

    Args:
        data: of all stages.
        stage: whose batches these are.
        encode: maps a Batch to its LatentBatch.
        seed: of the order of latents.
        folder: where latents are kept.
    """

    def __init__(
        self, data: DataModule, stage: Stage, encode: Callable[[Batch], LatentBatch], seed: int, folder: Path
    ) -> None:
        super().__init__()
        self.inner: Any = data
        self.stage = stage
        self.encode = encode
        self.seed = seed
        self.folder = folder
        self._loader: LatentLoader | None = None
        self._resume: dict[str, int] | None = None

    def setup(self, stage: str) -> None:
        """Let the data module know the trainer, and so the number of processes."""
        self.inner.trainer = self.trainer
        self.inner.setup(stage)

    def train_dataloader(self) -> Any:
        """Training batches of the stage."""
        if not self.stage.on_latents:
            self.inner.batch_size = self.stage.options.batch_size
            return self.inner.train_dataloader()
        self._loader = self._latents("train", shuffle=True)
        if self._resume is not None:
            self._loader.load_state_dict(self._resume)
            self._resume = None
        return self._loader

    def val_dataloader(self) -> Any:
        """The validation rows of the stage once, in order; none where there are none."""
        if not len(self.inner.pipeline.rows["val"]):
            return []
        return self._latents("val", shuffle=False) if self.stage.on_latents else self.inner.val_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the running epoch were served."""
        if self.stage.on_latents:
            return self._loader.state_dict() if self._loader is not None else {}
        return cast(dict[str, Any], self.inner.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state for the next training loader."""
        if not self.stage.on_latents:
            self.inner.load_state_dict(state_dict)
        elif state_dict:
            self._resume = dict(state_dict)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Apply the transforms of the data module to batches of it."""
        return batch if self.stage.on_latents else self.inner.on_after_batch_transfer(batch, dataloader_idx)

    # -- latents ---------------------------------------------------------------------------------------------

    def _latents(self, split: str, *, shuffle: bool) -> LatentLoader:
        trainer: Any = self.trainer
        rows = self._computed(split, self.inner.pipeline.rows[split])
        return LatentLoader(
            rows,
            batch_size=self.stage.options.batch_size,
            seed=self.seed,
            world=trainer.world_size,
            rank=trainer.global_rank,
            shuffle=shuffle,
        )

    def _computed(self, split: str, rows: Rows) -> LatentBatch:
        """The latents of the rows of a split: read where they are kept, else computed, each process its share."""
        trainer: Any = self.trainer
        whole = self.folder / f"{split}.safetensors"
        if not whole.exists():
            rank, world = trainer.global_rank, trainer.world_size
            device = trainer.lightning_module.device
            part = encoded(self.inner.rows_dataloader(rows), self.encode, device)  # by parts that are frozen by now
            write_latents(part, self.folder / f"{split}-{rank}.safetensors")
            trainer.strategy.barrier()
            if rank == 0:
                parts = [read_latents(self.folder / f"{split}-{r}.safetensors") for r in range(world)]
                together = joined(parts)
                order = sorted(range(len(together)), key=lambda k: together.ids[k])
                write_latents(together.take(order), whole)
                for r in range(world):
                    (self.folder / f"{split}-{r}.safetensors").unlink()
                    (self.folder / f"{split}-{r}.{IDS}").unlink()
            trainer.strategy.barrier()
        return read_latents(whole)


def write_latents(rows: LatentBatch, path: Path) -> None:
    """Write latents and names; the tensors last and at once, so that a file that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(f".{IDS}").write_text(json.dumps(list(rows.ids)), encoding="utf-8")
    part = path.with_suffix(".part")
    save_file({k: v.to(torch.float32) if v.is_floating_point() else v for k, v in rows.tensors().items()}, part)
    part.replace(path)


def read_latents(path: Path) -> LatentBatch:
    """Invert ``write_latents``.

    Raises:
        DataError: a file is missing or broken.
    """
    try:
        ids = json.loads(path.with_suffix(f".{IDS}").read_text(encoding="utf-8"))
        return LatentBatch.from_tensors(load_file(path), ids)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"latents cannot be read ({error}); delete the file to compute them again", file=path
        ) from error
