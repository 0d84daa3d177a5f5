"""LightningCLI over the zoo: fit, validate and test from YAML."""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger

from datamodules.core.base import BaseDataModule
from experiments.core.parser import ZooParser
from experiments.core.plugins import use_named_plugins
from experiments.core.staged import fit_stages, stage_callbacks
from zoo.callbacks.bundle import BundleOptions, write_bundle
from zoo.callbacks.line_progress import LineProgress
from zoo.callbacks.report import ReportCallback, run_folder
from zoo.callbacks.resume import ResumeCallback
from zoo.callbacks.samples import write_samples
from zoo.errors import SpecError
from zoo.models.base import ClipsGradients, Generates
from zoo.models.staged import StagedModel
from zoo.registry import discover_all, plugins

yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_str(str(value.value)))
"""Defaults of callbacks may be members of an Enum, which jsonargparse writes to config.yaml as they are."""
CHECKPOINT_WORDS = ("best", "last", "hpc", "registry")
"""What Lightning takes for a checkpoint beside a path."""


class ZooCLI(LightningCLI):
    """LightningCLI with the specs linked from the data to the model, and a test after each fit."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link specs; force the callbacks that every run has."""
        parser.link_arguments("data.modality_specs", "model.init_args.modalities", apply_on="instantiate")
        parser.link_arguments("data.task_specs", "model.init_args.tasks", apply_on="instantiate")
        parser.add_lightning_class_args(ReportCallback, "report")
        parser.add_lightning_class_args(ResumeCallback, "resume")
        parser.add_class_arguments(BundleOptions, "bundle")
        parser.add_argument("--test_after_fit", type=bool, default=True, help="test the best weights after fit")
        parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 leaves the default")
        parser.add_argument(
            "--plugins", type=list[str], default=list(plugins()), help="packages whose classes can be named"
        )

    def before_instantiate_classes(self) -> None:
        """Look for the checkpoint before the data are read, and set the number of threads."""
        path = self.config[self.subcommand].get("ckpt_path")
        if path and path not in CHECKPOINT_WORDS and "://" not in str(path) and not Path(path).exists():
            raise SpecError(f"ckpt_path '{path}' does not exist; give a .ckpt file or one of {CHECKPOINT_WORDS}")
        threads = int(self.config[self.subcommand].threads or 0)
        if threads > 0:
            torch.set_num_threads(threads)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """The trainer, which keeps a checkpoint "last"; where there is no terminal, its progress is lines."""
        trainer = super().instantiate_trainer(**kwargs)
        for kept in trainer.checkpoint_callbacks:
            if type(kept) is ModelCheckpoint and kept.monitor is None and kept.save_last is None:
                kept.save_last = "link"  # what Lightning adds by itself has no name that could be told beforehand
        if not sys.stdout.isatty():
            held: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
            held[:] = [LineProgress() if isinstance(c, ProgressBar) else c for c in held]
        return trainer

    def before_fit(self) -> None:
        """Give the whole configuration to W&B; hand gradient clipping over to a model that steps by itself.

        Lightning refuses to clip for such a model.
        """
        if not self.model.automatic_optimization and isinstance(self.model, ClipsGradients):
            self.model.manual_clip = float(self.trainer.gradient_clip_val or 0.0)
            self.trainer.gradient_clip_val = None
        for logger in self.trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_hyperparams({"config": self.parser.dump(self.config, skip_link_targets=False)})

    def fit(self, model: L.LightningModule, **options: Any) -> None:
        """Fit the model at once, or stage by stage where it has stages."""
        if not isinstance(model, StagedModel):
            self.trainer.fit(model, **options)
            return
        if options.get("ckpt_path"):
            raise SpecError(
                f"{type(model).__name__} is trained in stages, which go on by themselves: leave --ckpt_path out"
            )
        fit_stages(model, self.datamodule, self.trainer, self._stage_trainer, self._model_config()["init_args"])

    def _stage_trainer(self, steps: int, every: int, keep: ModelCheckpoint) -> L.Trainer:
        """The trainer of one stage, which validates every so many steps."""
        held: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        told = {**self._get(self.config_init, "trainer", default={}), "callbacks": stage_callbacks(held, keep)}
        length = {"max_steps": steps, "max_epochs": -1, "enable_checkpointing": True}
        often = {"check_val_every_n_epoch": None, "val_check_interval": every}  # a stage has steps, not epochs
        return L.Trainer(**{**told, **length, **often})

    def after_fit(self) -> None:
        """Test the best weights, or the last where nothing was monitored, and write the bundle of them."""
        settings = self.config[self.subcommand]
        options: BundleOptions = self.config_init[self.subcommand].bundle
        model: L.LightningModule = self.model
        if isinstance(self.model, Generates):
            if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
                write_samples(self.trainer, model, run_folder(self.trainer))
            write_bundle(self.trainer, model, self.datamodule, options, self._model_config())
            return
        best = [
            c.best_model_path
            for c in self.trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(c, ModelCheckpoint) and c.monitor and c.best_model_path
        ]
        path = best[0] if best and Path(best[0]).exists() else None
        pipeline = self.datamodule.pipeline
        if settings.test_after_fit and len(pipeline.rows["test"]):
            self.trainer.test(
                self.model, datamodule=self.datamodule, ckpt_path=path, verbose=False, weights_only=True
            )
        else:
            if settings.test_after_fit:
                print("not tested, since the split 'test' has no row", *pipeline.notices, sep="\nwarning: ")
            if path is not None and settings.bundle.write:
                kept = torch.load(path, map_location="cpu", weights_only=True)
                self.model.load_state_dict(kept["state_dict"])
        write_bundle(self.trainer, self.model, self.datamodule, options, self._model_config())

    def _model_config(self) -> dict[str, Any]:
        """Class and arguments of the model as plain data, without what the data give."""
        parser = self._parser(self.subcommand)
        told = yaml.safe_load(parser.dump(self.config[self.subcommand], skip_none=False, skip_link_targets=True))
        config: dict[str, Any] = told["model"]
        return config


def wandb_offline_without_key() -> None:
    """Never prompt: without a key W&B writes to disk, and ``wandb sync`` can send it later."""
    netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    has_key = bool(os.environ.get("WANDB_API_KEY")) or (
        netrc.exists() and "wandb" in netrc.read_text(errors="ignore")
    )
    if not has_key:
        os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("WANDB_SILENT", "true")


def run_lightning() -> None:
    """Parse the command line and run the subcommand."""
    wandb_offline_without_key()
    quiet_libraries()
    use_named_plugins(sys.argv[1:])
    discover_all()
    ZooCLI(
        L.LightningModule,
        BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        parser_class=ZooParser,
        save_config_callback=SaveConfigCallback,
        save_config_kwargs={"overwrite": True},
        trainer_defaults={"log_every_n_steps": 10},
        seed_everything_default=0,
    )


def quiet_libraries() -> None:
    """Silence what libraries say about things that are as they should be here."""
    import warnings

    for pattern in (
        ".*does not have many workers.*",
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
        ".*Checkpoint directory.*",
        "\\s*Unable to serialize instance .*Spec",
    ):
        warnings.filterwarnings("ignore", pattern)
