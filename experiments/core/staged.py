"""Fit a model whose training has stages: each by a trainer of its own, kept when finished, and taken over then."""

from __future__ import annotations

import copy
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from rich.console import Console
from safetensors.torch import load_file, save_file

from zoo.callbacks.report import ReportCallback, run_folder
from zoo.data import DataModule
from zoo.errors import SpecError
from zoo.models.staged import StagedModel, StagePlan, digest_of

WEIGHTS, STATE, LAST = "weights.safetensors", "stage.json", "last.ckpt"
"""Files in the folder of a stage; the checkpoint goes once the stage is finished."""


def fit_stages(
    model: L.LightningModule,
    data: L.LightningDataModule,
    trainer: L.Trainer,
    make_trainer: Callable[[int, int, ModelCheckpoint], L.Trainer],
    config: Mapping[str, Any],
) -> None:
    """Fit every stage that is asked for and not finished yet.

    A stage whose options, parts, data and earlier stages are those of one that is finished is taken over; one that
    was stopped goes on from its last checkpoint.

    Args:
        model: a StagedModel.
        data: that it is trained on.
        trainer: of the whole run, which knows its folder and its logger, and does not fit itself.
        make_trainer: makes the trainer of a stage from its steps, those between validations, and its checkpoints.
        config: ``init_args`` of the model as plain data.

    Raises:
        SpecError: a stage is needed that is neither finished nor asked for.
    """
    staged, rows = cast(StagedModel, model), cast(DataModule, data)
    console, told = Console(), cast(Any, trainer)
    _hush()
    data.trainer = trainer
    plan = [p for p in staged.plan() if p.steps]
    needed = {n for p in plan if p.runs for n in p.needs}
    with _folder(staged, trainer) as root:
        for number, stage in enumerate(plan, 1):
            identity = staged.identity(stage.name, config, rows)
            folder = root / f"{stage.name}-{digest_of(identity)}"
            head = f"stage {number} of {len(plan)}, {stage.name}"
            if (folder / STATE).exists():
                staged.take_stage(stage.name, load_file(folder / WEIGHTS))
                _say(trainer, console, f"{head}: finished before, in {folder}")
            elif stage.runs:
                _say(trainer, console, f"{head}: {stage.steps} steps, in {folder}")
                _fit_stage(model, rows, stage, folder, make_trainer, identity)
            elif stage.name in needed:
                raise SpecError(
                    f"the stage '{stage.name}' is needed and not finished ({folder} holds none); name it under "
                    "model.training.only too, or leave that option out to run all stages"
                )
            else:
                _say(trainer, console, f"{head}: left out, since it is not named under model.training.only")
    data.trainer, told.datamodule = trainer, data


def _hush() -> None:
    """Keep Lightning from saying at each stage which devices there are, and that the other parts are frozen."""
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode at the start of training.*")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def _folder(staged: StagedModel, trainer: L.Trainer) -> Iterator[Path]:
    """Where stages are kept; nothing is kept of a fast_dev_run."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    yield Path(staged.stages_folder) if staged.stages_folder else run_folder(trainer).parent / "stages"


def _say(trainer: L.Trainer, console: Console, text: str) -> None:
    if trainer.is_global_zero:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _fit_stage(
    model: Any,
    data: DataModule,
    stage: StagePlan,
    folder: Path,
    make_trainer: Callable[[int, int, ModelCheckpoint], L.Trainer],
    identity: Mapping[str, Any],
) -> None:
    """Fit one stage from where it stands, and keep its weights."""
    began = time.monotonic()
    keep = ModelCheckpoint(dirpath=folder, filename="last", every_n_train_steps=stage.checkpoint_every)
    trainer = make_trainer(stage.steps, stage.checkpoint_every, keep)
    rows = model.begin(stage.name, data, folder.parent)
    last = folder / LAST
    trainer.fit(model, datamodule=rows, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    model.end(stage.name)
    if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
        folder.mkdir(parents=True, exist_ok=True)
        save_file(model.stage_weights(stage.name), folder / WEIGHTS)
        figures = {k: float(v) for k, v in trainer.callback_metrics.items()}
        told = {"identity": identity, "seconds": round(time.monotonic() - began, 1), "figures": figures}
        (folder / f"{STATE}.part").write_text(json.dumps(told, indent=1, default=str) + "\n", encoding="utf-8")
        (folder / f"{STATE}.part").replace(folder / STATE)
        last.unlink(missing_ok=True)
    trainer.strategy.barrier()


def stage_callbacks(callbacks: Sequence[L.Callback], keep: ModelCheckpoint) -> list[L.Callback]:
    """The callbacks of a configuration for one stage: fresh copies, with the stage's own checkpoints.

    What writes the configuration stays the same one, and writes it once; the report belongs to a test.

    Args:
        callbacks: of the trainer of the whole run.
        keep: keeps the checkpoints of the stage.
    """
    left = [c for c in callbacks if not isinstance(c, ModelCheckpoint | ReportCallback)]
    return [c if isinstance(c, SaveConfigCallback) else copy.deepcopy(c) for c in left] + [keep]
