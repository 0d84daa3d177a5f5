"""A configuration from which commands make data and models of any part, again and again."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import WeightAveraging

from datamodules.core.base import BaseDataModule
from datamodules.core.options import SamplingOptions
from datamodules.core.processor import PROCESSORS
from datamodules.core.view import DataView
from experiments.cli import ZooCLI, quiet_libraries, wandb_offline_without_key
from experiments.core.best import BestAverage, BestWeights
from experiments.core.parser import ZooParser
from experiments.core.plugins import use_named_plugins
from zoo.errors import SpecError, unknown_name
from zoo.models.base import ClipsGradients, TaskModel, lightning_module, task_model
from zoo.registry import discover_all
from zoo.results import joint_word

TRAINER = ("max_epochs", "max_steps", "gradient_clip_val", "accelerator", "precision", "check_val_every_n_epoch")
"""Options of the trainer that trainings of a study take over; each runs on one device."""

FEEDING = {
    "sampling": tuple(f.name for f in fields(SamplingOptions)),
    "loading": ("num_workers", "cache_mib", "index"),
    "processing": ("augment", "transforms"),
}
"""Options of the data, by group, that say how a network is fed, and nothing of which rows there are."""


def _for_networks(processor: Mapping[str, Any]) -> bool:
    """Whether classical pipelines, which read raw values, see nothing of a processor that YAML names."""
    name = str(processor.get("class_path")).rsplit(".", 1)[-1]
    return name in PROCESSORS and PROCESSORS.get(name).for_networks


class _StudyCLI(ZooCLI):
    """ZooCLI that parses and builds nothing."""

    def before_instantiate_classes(self) -> None:
        """Nothing is built."""

    def instantiate_classes(self) -> None:
        """Nothing is built."""


class Study:
    """What a configuration says of data, model and training.

    Args:
        config: ``data``, ``model`` and ``trainer`` as plain dictionaries, as LightningCLI parses them.
        name: of the configuration, for titles and folders.
        threads: CPU threads of torch; 0 leaves the default.
    """

    def __init__(self, config: Mapping[str, Any], name: str, threads: int = 0) -> None:
        self.config = {k: copy.deepcopy(config[k]) for k in ("data", "model", "trainer")}
        self.name = name
        self.threads = threads
        self._prepared: tuple[str, BaseDataModule] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to know; it prepares data of its own."""
        return {**self.__dict__, "_prepared": None}

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Study:
        """Parse what ``run.py fit`` takes: --config, --data.*, --model.*, --trainer.*, --threads."""
        if not any(a in ("--config", "-c") or a.startswith("--config=") for a in arguments):
            raise SpecError("name a configuration: --config mtl.yaml (zoo list shows the shipped ones)")
        wandb_offline_without_key()
        quiet_libraries()
        use_named_plugins(arguments)
        discover_all()
        before = sys.argv
        sys.argv = [before[0], *arguments]  # LightningCLI warns where it is given arguments
        try:
            cli = _StudyCLI(
                L.LightningModule,
                BaseDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                parser_class=ZooParser,
                save_config_callback=None,
                seed_everything_default=0,
                run=False,
            )
        finally:
            sys.argv = before
        config = cli.config.as_dict()
        paths = [str(p) for p in config.get("config") or []]
        return cls(config, "+".join(Path(p).stem for p in paths) or "study", int(config.get("threads") or 0))

    def fingerprint(self, kind: str = "network") -> str:
        """A hash of all that results depend on; those of "classical" pipelines depend on the data alone."""
        data = copy.deepcopy(self.config["data"])
        parts: list[Any] = [data]
        if kind == "classical":
            for group, names in FEEDING.items():
                for name in names:
                    (data["init_args"].get(group) or {}).pop(name, None)
            processing = data["init_args"].setdefault("processing", {})
            processors = processing.get("processors") or {}
            processing["processors"] = {n: p for n, p in processors.items() if not _for_networks(p)}
        else:
            parts += [self.config["model"], {k: self.config["trainer"].get(k) for k in TRAINER}]
            parts += self._averaging()
        text = json.dumps(parts, sort_keys=True, default=repr)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    @property
    def seed(self) -> int:
        """The seed of the data's split."""
        return int((self.config["data"]["init_args"].get("split") or {}).get("seed") or 0)

    # -- data ------------------------------------------------------------------------------------------------

    def data(
        self,
        *,
        seed: int | None = None,
        holdout: Mapping[str, Sequence[str]] | None = None,
        changes: Sequence[str] = (),
    ) -> BaseDataModule:
        """The prepared data of a seed, a hold-out and "data.KEY=VALUE" changes; the last one made is kept.

        Args:
            seed: of the split; None keeps that of the configuration.
            holdout: group column -> names that are held out; None keeps those of the configuration.
            changes: options in the place of the configured ones.
        """
        chosen = copy.deepcopy(self.config["data"])
        split = chosen["init_args"].setdefault("split", {})
        if seed is not None:
            split["seed"] = seed
        if holdout is not None:
            split["held_out"] = {k: list(v) for k, v in holdout.items()}
        for change in changes:
            if change.startswith("data."):
                change_option(chosen, change)
        key = json.dumps(chosen, sort_keys=True, default=repr)
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = None  # let go of the old one first
            parser = ZooParser()
            parser.add_subclass_arguments(BaseDataModule, "data", required=True)
            made: BaseDataModule = parser.instantiate_classes(parser.parse_object({"data": chosen})).data
            _ = made.pipeline
            self._prepared = (key, made)
        return self._prepared[1]

    def word(self) -> str:
        """Whether the data are "real", "simulated" or "mixed", for a result that nothing was measured for yet."""
        return joint_word(["simulated" if s else "real" for s in self.data().pipeline.source_simulated])

    def forget(self) -> None:
        """Let go of prepared data."""
        self._prepared = None

    # -- models ----------------------------------------------------------------------------------------------

    def module(self, data: BaseDataModule, changes: Sequence[str] = ()) -> TaskModel:
        """A new module for the modalities and tasks of ``data``.

        Args:
            data: a data module or a view of one.
            changes: "model.KEY=VALUE" as on the command line, such as "model.fusion=LateFusion"; VALUE is YAML.
                Those of the data are left to ``data``, those of the trainer to ``fit``.
        """
        changes = [c for c in changes if c.startswith("model.")]
        model = copy.deepcopy(self.config["model"])
        model["init_args"]["modalities"] = [asdict(s) for s in data.modality_specs]
        model["init_args"]["tasks"] = [asdict(s) for s in data.task_specs]
        parser = ZooParser()
        parser.add_subclass_arguments(L.LightningModule, "model", required=True)
        config = parser.parse_object({"model": model})
        if changes:
            config = parser.parse_args([f"--{c}" for c in changes], namespace=config)
        with warnings.catch_warnings():  # encoders and lambdas of what is left out
            warnings.filterwarnings("ignore", message=r".*is not used$")
            return task_model(parser.instantiate_classes(config).model)

    def view(
        self,
        data: BaseDataModule,
        *,
        modalities: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        seed: int = 0,
        least_steps: int = 0,
    ) -> DataView:
        """A part of ``data``; see DataView.

        Args:
            data: the prepared data.
            modalities: names to keep; None for all.
            tasks: names to keep; None for all.
            seed: of the order of rows.
            least_steps: steps that a training shall make at least.
        """
        return DataView(data, modalities=modalities, tasks=tasks, seed=seed, least_steps=least_steps)

    def steps(self, data: BaseDataModule) -> int:
        """Training steps that the configuration makes on the whole of ``data``."""
        epochs = int(self.config["trainer"].get("max_epochs") or 1)
        return epochs * len(data.train_dataloader())

    def _averaging(self) -> list[dict[str, Any]]:
        """The callbacks of the trainer that average weights: the only ones that a study takes over."""
        given = self.config["trainer"].get("callbacks") or []
        chosen = [c for c in (given if isinstance(given, list) else [given]) if isinstance(c, dict)]
        return [c for c in chosen if str(c.get("class_path")).endswith("WeightAveraging")]

    def _average(self) -> WeightAveraging | None:
        """A new callback that averages weights, where the configuration names one."""
        found = self._averaging()
        if not found:
            return None
        parser = ZooParser()
        parser.add_subclass_arguments(WeightAveraging, "callback", required=True)
        made: WeightAveraging = parser.instantiate_classes(parser.parse_object({"callback": found[0]})).callback
        return made

    def fit(
        self,
        model: TaskModel,
        data: BaseDataModule,
        *,
        seed: int = 0,
        folder: Path | None = None,
        progress: bool = False,
        callbacks: Sequence[L.Callback] = (),
        epochs: int = 0,
    ) -> int:
        """Train as the configuration says, keep the weights of the best validation, and return the steps made.

        Args:
            model: from ``module``, made after ``seed_everything(seed)``.
            data: what it trains on.
            seed: of everything random.
            folder: where curves (metrics.csv) are written; None writes nothing.
            progress: show a progress bar.
            callbacks: further ones.
            epochs: in the place of trainer.max_epochs; 0 keeps these.
        """
        from lightning.pytorch.loggers import CSVLogger

        options = {k: v for k, v in self.config["trainer"].items() if k in TRAINER and v is not None}
        if epochs:
            options["max_epochs"] = epochs
        module = lightning_module(model)
        if not module.automatic_optimization and isinstance(model, ClipsGradients):
            model.manual_clip = float(options.pop("gradient_clip_val", 0.0))
        average = self._average()
        best = BestWeights() if average is None else BestAverage(average)
        trainer = L.Trainer(
            **options,
            devices=1,
            logger=CSVLogger(folder, name="", version="") if folder else False,
            enable_checkpointing=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=int(self.config["trainer"].get("log_every_n_steps") or 50),
            callbacks=[best, *([] if average is None else [average]), *callbacks],
        )
        torch.manual_seed(seed)
        trainer.fit(module, datamodule=data)
        best.restore(module)
        module.trainer = None  # type: ignore[assignment]
        data.trainer = None
        return int(trainer.global_step)


def change_option(data: dict[str, Any], change: str) -> None:
    """Set one option in the configuration of the data or of the model.

    Args:
        data: with class_path and init_args, of the data or of the model; it is altered.
        change: "data.KEY.KEY=VALUE", where a key that names an option of a class stands for init_args too, such as
            "data.processing.generated.record.generator.leaky_replication=true"; VALUE is YAML.

    Raises:
        UnknownNameError: a key on the way is not there.
    """
    path, _, value = change.partition("=")
    *way, last = path.split(".")[1:]
    place: Any = data["init_args"]
    for key in way:
        if not isinstance(place, dict) or key not in place:
            raise unknown_name(f"option in '{change}'", key, place if isinstance(place, dict) else ())
        place = place[key]
        if isinstance(place, dict) and "class_path" in place:
            place = place.setdefault("init_args", {})
    place[last] = yaml.safe_load(value)
