"""LightningCLI over the zoo: fit, validate, test and predict from YAML."""

from __future__ import annotations

import difflib
import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger

import datamodules.phantom
import datamodules.sources  # noqa: F401  (registers data modules, processors and sources)
import zoo
import zoo.generative.captioners
import zoo.generative.painters  # noqa: F401  (registers generators)
from datamodules.base import BaseDataModule
from datamodules.source import SOURCES
from zoo.callbacks import PredictionWriter, ReportCallback, ResumeCallback
from zoo.encoders import ENCODERS
from zoo.errors import SpecError, unknown_name, zoo_cause
from zoo.fusion import FUSIONS
from zoo.generator import GENERATORS
from zoo.losses import LOSSES
from zoo.module import MultitaskModule
from zoo.registry import Registry
from zoo.weighting import WEIGHTINGS

CHECKPOINT_WORDS = ("best", "last", "hpc", "registry")
"""What Lightning takes for a checkpoint beside a path."""


class ZooParser(LightningArgumentParser):
    """A parser whose errors are short and name the nearest known class or option."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the zoo's own error behind ``ex``, or print hints and the message, and end."""
        known = zoo_cause(ex)
        if known is not None:
            raise known
        hints = _class_hints(message) + _option_hints(message, self._option_names())
        text = "\n".join(dict.fromkeys(hints)) + ("\n" if hints else "") + message
        if not self.exit_on_error:  # an inner parser, which jsonargparse asks whether a value fits
            super().error(text, ex)
        command = " ".join(sys.argv[1:2])
        print(f"error: {text}\ntip: run.py {command} --help shows all options", file=sys.stderr)
        sys.exit(2)

    def _option_names(self) -> list[str]:
        """Long options of this parser and of its subcommands, and those of the model and the data."""
        parsers: list[Any] = [self]
        for action in self._actions:
            if isinstance(action.choices, dict):
                parsers += [p for p in action.choices.values() if hasattr(p, "_actions")]
        names = {o for p in parsers for a in p._actions for o in a.option_strings if o.startswith("--")}
        for prefix, cls in (("model", MultitaskModule), ("data", BaseDataModule)):
            names |= {f"--{prefix}.{n}" for n in inspect.signature(cls.__init__).parameters if n != "self"}
        return sorted(names)


def _class_hints(message: str) -> list[str]:
    """For each capitalised word that is nearly the name of a registered class: which one."""
    registries: tuple[Registry[Any], ...] = (ENCODERS, FUSIONS, WEIGHTINGS, SOURCES, LOSSES, GENERATORS)
    words = dict.fromkeys(re.findall(r"\b[A-Z][A-Za-z0-9_]{3,}", message))
    unknown = [w for w in words if not any(w in r or w.lower() == r.family for r in registries)]
    return [
        str(unknown_name(r.family, w, r))
        for w in unknown
        for r in registries
        if difflib.get_close_matches(w, r.names(), n=1, cutoff=0.8)
    ]


def _option_hints(message: str, known: list[str]) -> list[str]:
    """For each option that the message refuses: the nearest known one."""
    refused = re.findall(r"(--[A-Za-z0-9_.]+)", message) if "nrecognized arguments" in message else []
    part = re.search(r'Parser key "(model|data)"', message)
    refused += [
        f"--{part[1] if part else 'model'}.{n}" for n in re.findall(r"Option '(\w+)' is not accepted", message)
    ]
    hints = []
    for option in refused:
        near = difflib.get_close_matches(option, known, n=1, cutoff=0.7)
        if near and option not in known:
            hints.append(f"unknown option {option}; did you mean {near[0]}?")
    return hints


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
        """Look for the checkpoint before the data are read, and set the number of threads."""
        path = self.config[self.subcommand].get("ckpt_path")
        if path and path not in CHECKPOINT_WORDS and "://" not in str(path) and not Path(path).exists():
            raise SpecError(f"ckpt_path '{path}' does not exist; give a .ckpt file or one of {CHECKPOINT_WORDS}")
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
    ZooCLI(
        MultitaskModule,
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
