"""The end of a fit: the bundle of the weights that the test used."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning as L
from rich.console import Console

from zoo.bundle.card import CardFacts
from zoo.bundle.save import learn, save
from zoo.bundle.subgroups import subgroup_lines
from zoo.callbacks.report import ReportCallback, config_name, run_folder
from zoo.data import data_module
from zoo.errors import SpecError
from zoo.models.base import task_model

BUNDLE = "bundle"
"""Name of the folder in the run's."""


@dataclass(frozen=True)
class BundleOptions:
    """The folder that a fit ends with: the trained model with its preprocessing, for new rows.

    Attributes:
        write: whether it is written.
        folder: where; "" for the folder "bundle" in the run's.
        training_rows: whether parts that look training rows up, such as templates of structures, take them along.
    """

    write: bool = True
    folder: str = ""
    training_rows: bool = True


def write_bundle(
    trainer: L.Trainer,
    model: L.LightningModule,
    datamodule: L.LightningDataModule,
    options: BundleOptions,
    config: Mapping[str, Any],
) -> None:
    """Write the bundle of a model that was fitted and tested. Call it on every rank.

    Args:
        trainer: that fitted and tested.
        model: with the weights that were tested.
        datamodule: that it was trained on.
        options: whether and where.
        config: class_path and init_args of the model.
    """
    if not options.write or cast(Any, trainer).fast_dev_run:
        return
    data = data_module(trainer, "the bundle")
    folder = Path(options.folder) if options.folder else run_folder(trainer) / BUNDLE  # asks all ranks
    taken = task_model(model)
    learned = learn(taken, data)
    if not trainer.is_global_zero:
        return
    reports = [c for c in cast(Any, trainer).callbacks if isinstance(c, ReportCallback)]
    evaluation = taken.evaluation
    facts = CardFacts(
        config=config_name(),
        seed=os.environ.get("PL_GLOBAL_SEED", ""),
        subgroups=subgroup_lines(evaluation.kinds, evaluation.results.get("test", {}), data.pipeline),
    )
    try:
        elsewhere = save(
            folder,
            taken,
            data,
            learned,
            config=config,
            lines=reports[0].lines if reports else [],
            facts=facts,
            training_rows=options.training_rows,
        )
    except SpecError as error:  # such as a class that no registry has: the fit itself is sound
        print(f"warning: no bundle was written: {error}", file=sys.stderr, flush=True)
        return
    for argument in elsewhere:
        print(
            f"warning: the bundle does not hold the local file of {argument}, which must lie there to load it; "
            "declare the argument in the attribute 'carried' of its class",
            file=sys.stderr,
            flush=True,
        )
    Console().print(
        f"bundle: {folder}; zoo predict --model {folder} --table NEW.csv --out DIR predicts new rows",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
