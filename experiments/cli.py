"""LightningCLI over the zoo: fit, validate, test and predict from YAML."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NoReturn

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger

import datamodules.phantom
import datamodules.sources  # noqa: F401  (registers data modules, processors and sources)
import zoo  # noqa: F401  (registers encoders, fusions and weightings)
from datamodules.base import BaseDataModule
from datamodules.source import SOURCES
from zoo.callbacks import PredictionWriter, ReportCallback, ResumeCallback
from zoo.encoders import ENCODERS
from zoo.errors import ZooError, unknown_name
from zoo.fusion import FUSIONS
from zoo.module import MultitaskModule
from zoo.weighting import WEIGHTINGS


class _Parser(LightningArgumentParser):
    """A parser whose errors name the nearest registered class."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        cause: BaseException | None = ex
        while cause is not None:
            if isinstance(cause, ZooError):
                raise cause
            cause = cause.__cause__ or cause.__context__
        hints = []
        for registry in (ENCODERS, FUSIONS, WEIGHTINGS, SOURCES):
            suffix = {"encoder": "Encoder", "fusion": "Fusion", "weighting": "Weighting"}.get(registry.family, "")
            for word in dict.fromkeys(re.findall(r"[A-Za-z_][A-Za-z0-9_]{3,}", message)):
                if suffix and suffix.lower()[:4] in word.lower() and word not in registry and word[0].isupper():
                    error = str(unknown_name(registry.family, word, registry))
                    if "did you mean" in error and word not in (suffix, "Fusion", "Encoder", "Weighting"):
                        hints.append(error)
        text = "\n".join(dict.fromkeys(hints)) + ("\n" if hints else "") + message
        super().error(text, ex)


class ZooCLI(LightningCLI):
    """LightningCLI with the specs linked from the data to the model, and a test after each fit."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link specs; force the callbacks that every run has."""
        parser.link_arguments("data.modality_specs", "model.init_args.modalities", apply_on="instantiate")
        parser.link_arguments("data.task_specs", "model.init_args.tasks", apply_on="instantiate")
        parser.add_lightning_class_args(ReportCallback, "report")
        parser.add_lightning_class_args(ResumeCallback, "resume")
        parser.add_lightning_class_args(PredictionWriter, "predictions")
        parser.add_argument("--test_after_fit", type=bool, default=True, help="test the best weights after fit")
        parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 leaves the default")

    def before_instantiate_classes(self) -> None:
        """Set the number of threads."""
        threads = int(self.config[self.subcommand].threads or 0)
        if threads > 0:
            torch.set_num_threads(threads)

    def before_fit(self) -> None:
        """Give the whole configuration to W&B; hand gradient clipping over where the module steps by itself."""
        if not self.model.automatic_optimization:  # Lightning refuses to clip for such a module
            self.model.manual_clip = float(self.trainer.gradient_clip_val or 0.0)
            self.trainer.gradient_clip_val = None
        for logger in self.trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_hyperparams({"config": self.parser.dump(self.config, skip_link_targets=False)})

    def after_fit(self) -> None:
        """Test the best weights, or the last where nothing was monitored."""
        if not self.config[self.subcommand].test_after_fit:
            return
        best = [
            c.best_model_path
            for c in self.trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(c, ModelCheckpoint) and c.monitor and c.best_model_path
        ]
        usable = bool(best) and Path(best[0]).exists()
        self.trainer.test(
            self.model,
            datamodule=self.datamodule,
            ckpt_path=best[0] if usable else None,
            verbose=False,
            weights_only=True,
        )


def _wandb_offline_without_key() -> None:
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
    _wandb_offline_without_key()
    _quiet()
    ZooCLI(
        MultitaskModule,
        BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        parser_class=_Parser,
        save_config_callback=SaveConfigCallback,
        save_config_kwargs={"overwrite": True},
        trainer_defaults={"log_every_n_steps": 10},
        seed_everything_default=0,
    )


def _quiet() -> None:
    """Silence what libraries say about things that are as they should be here."""
    import warnings

    for pattern in (
        ".*does not have many workers.*",
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
        ".*Checkpoint directory.*",
    ):
        warnings.filterwarnings("ignore", pattern)
