"""Every switch of Lightning's Trainer that a user may set works on the command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import lightning as L
import pytest

from datamodules import MultimodalDataModule
from datamodules.phantom import PhantomCohort
from zoo import MultitaskModule
from zoo.models.multitask.options import OptimisationOptions

CALLBACKS = "lightning.pytorch.callbacks"
SWITCHES: dict[str, tuple[str, ...]] = {
    "overfit_batches": (
        "--trainer.overfit_batches=1",
        "--trainer.enable_progress_bar=true",
        "--trainer.enable_model_summary=true",
    ),
    "limits": (
        "--trainer.limit_train_batches=2",
        "--trainer.limit_val_batches=1.0",
        "--trainer.limit_test_batches=2",
        "--trainer.limit_predict_batches=2",
        "--trainer.accumulate_grad_batches=2",
        "--trainer.val_check_interval=2",
        "--trainer.num_sanity_val_steps=2",
        "--trainer.reload_dataloaders_every_n_epochs=1",
        "--trainer.profiler=simple",
    ),
    "fast_dev_run": ("--trainer.fast_dev_run=2", "--trainer.profiler=pytorch"),
    "bf16-mixed": (
        "--trainer.precision=bf16-mixed",
        "--trainer.gradient_clip_val=0.5",
        "--trainer.detect_anomaly=true",
        "--trainer.deterministic=true",
    ),
    "bf16-true": ("--trainer.precision=bf16-true", "--trainer.inference_mode=false", "--trainer.profiler=advanced"),
    "64-true": (
        "--trainer.precision=64-true",
        "--trainer.gradient_clip_val=0.5",
        "--trainer.gradient_clip_algorithm=value",
        "--trainer.max_steps=2",
    ),
    "no_validation": (
        "--trainer.limit_val_batches=0",
        "--trainer.logger=false",
        "--trainer.gradient_clip_val=null",
        "--trainer.default_root_dir=elsewhere",
    ),
    "times": (
        "--trainer.check_val_every_n_epoch=2",
        "--trainer.min_epochs=2",
        "--trainer.max_time=00:00:10:00",
        "--trainer.use_distributed_sampler=false",
    ),
    "barebones": (
        "--trainer.barebones=true",
        "--trainer.logger=false",
        "--trainer.log_every_n_steps=0",
        "--trainer.enable_checkpointing=false",
    ),
    "observers": (
        f"--trainer.callbacks+={CALLBACKS}.EarlyStopping",
        "--trainer.callbacks.monitor=val/disease/accuracy",
        "--trainer.callbacks.patience=1",
        "--trainer.callbacks.mode=max",
        f"--trainer.callbacks+={CALLBACKS}.LearningRateMonitor",
        f"--trainer.callbacks+={CALLBACKS}.DeviceStatsMonitor",
        f"--trainer.callbacks+={CALLBACKS}.RichModelSummary",
        f"--trainer.callbacks+={CALLBACKS}.Timer",
        "--trainer.callbacks.duration=00:00:10:00",
    ),
    "averaging": (
        f"--trainer.callbacks+={CALLBACKS}.StochasticWeightAveraging",
        "--trainer.callbacks.swa_lrs=0.001",
        "--trainer.callbacks.swa_epoch_start=1",
        f"--trainer.callbacks+={CALLBACKS}.ModelCheckpoint",
        "--trainer.callbacks.every_n_train_steps=1",
        "--trainer.enable_checkpointing=true",
        f"--trainer.callbacks+={CALLBACKS}.GradientAccumulationScheduler",
        "--trainer.callbacks.scheduling={1: 2}",
    ),
    "learning_rate_finder": (
        f"--trainer.callbacks+={CALLBACKS}.LearningRateFinder",
        "--trainer.callbacks.num_training_steps=4",
    ),
    "batch_size_finder": (
        f"--trainer.callbacks+={CALLBACKS}.BatchSizeFinder",
        "--trainer.callbacks.mode=binsearch",
        "--trainer.callbacks.steps_per_trial=1",
        "--trainer.callbacks.max_trials=2",
        "--trainer.callbacks.init_val=4",
    ),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_of_the_trainer_works(switch: str, call, small: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, output = call("fit", "--config", small, *SWITCHES[switch])
    assert code == 0, output[-4000:]


def test_what_lightning_refuses_is_an_error_of_one_line(call, small: str) -> None:  # type: ignore[no-untyped-def]
    code, output = call("fit", "--config", small, "--trainer.limit_val_batches=0.01")
    assert code == 1
    assert "error: Lightning refuses this: You requested to check 0.01 of the `val_dataloader`" in output


@pytest.fixture
def data() -> MultimodalDataModule:
    return MultimodalDataModule([PhantomCohort(n=30, size=16, modalities=["ct"], tasks=["disease"])])


def test_overfit_batches_shows_the_same_rows_in_every_epoch(data: MultimodalDataModule) -> None:
    """Lightning takes as many batches as were asked for; the loader must not shuffle them."""
    data.trainer = cast(L.Trainer, SimpleNamespace(overfit_batches=1, world_size=1, global_rank=0))
    loader = data.train_dataloader()
    first = list(next(iter(loader)).ids)
    assert first == list(next(iter(loader)).ids)
    assert first == [data.pipeline.join.id(int(r)) for r in data.pipeline.rows["train"][: len(first)]]


def test_finders_change_what_is_used(data: MultimodalDataModule) -> None:
    module = MultitaskModule(
        data.modality_specs, data.task_specs, optimisation=OptimisationOptions(schedule="constant", warmup=0.0)
    )
    module.learning_rate = 0.5
    assert {g["lr"] for g in module.configure_optimizers().param_groups} == {0.5}
    data.batch_size = 3
    data.trainer = None
    assert len(next(iter(data.train_dataloader()))) == 3
