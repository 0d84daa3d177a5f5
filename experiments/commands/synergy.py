"""The command ``synergy``: whether each fusion finds information that is in no modality alone (simulated data)."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.progress import track
from rich.table import Table

import zoo
from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import SamplingOptions, SplitOptions
from datamodules.phantom import PhantomCohort, best_accuracy
from experiments.core.command import COMMANDS, Command, at_least
from experiments.core.executor import Work, make_executor
from experiments.core.finish import wide_console
from zoo.evaluation.summary import TaskResult, summarise
from zoo.fusion.base import FUSIONS
from zoo.models.multitask.options import HeadOptions, OptimisationOptions

SUBSETS = (("ct", "genomics"), ("ct",), ("genomics",))
TASKS = ("response", "radiographic_findings", "expression")


def train(fusion: str, modalities: tuple[str, ...], *, patients: int, epochs: int, seed: int) -> TaskResult:
    """Train one fusion on one subset of modalities and return the result on ``response``.

    Args:
        fusion: name of the fusion class.
        modalities: to train on.
        patients: of the simulated cohort.
        epochs: of the training.
        seed: of cohort and training.
    """
    L.seed_everything(seed, verbose=False)
    everything = {
        "response",
        *({"radiographic_findings"} if "ct" in modalities else ()),
        *({"expression"} if "genomics" in modalities else ()),
    }
    data = MultimodalDataModule(
        [
            PhantomCohort(
                n=patients, seed=seed, size=32, modalities=list(modalities), tasks=sorted(everything), presence=1.0
            )
        ],
        sampling=SamplingOptions(batch_size=64),
        split=SplitOptions(seed=seed),
    )
    module = zoo.MultitaskModule(
        data.modality_specs,
        data.task_specs,
        fusion=FUSIONS.get(fusion),
        heads=HeadOptions(hidden=64),
        optimisation=OptimisationOptions(learning_rate=1e-3, weight_decay=0.1),
    )
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    data.print_summary = lambda: None  # type: ignore[method-assign]
    trainer.fit(module, datamodule=data)
    trainer.test(module, datamodule=data, verbose=False)
    pipe = data.pipeline
    lines = summarise(
        module.evaluation.kinds,
        module.evaluation.results["test"],
        lambda task: pipe.labels("train", task),
        pipe.source_names,
        pipe.source_simulated,
    )
    return next(line for line in lines if line.task == "response")


@dataclass
class Synergies(Work[tuple[str, tuple[str, ...]], TaskResult]):
    """Trains pairs of a fusion and a subset of modalities.

    Attributes:
        patients: of the simulated cohort.
        epochs: of each training.
        seed: of cohort and training.
    """

    patients: int
    epochs: int
    seed: int

    def run(self, item: tuple[str, tuple[str, ...]]) -> TaskResult:
        """Train one pair."""
        fusion, subset = item
        return train(fusion, subset, patients=self.patients, epochs=self.epochs, seed=self.seed)


@COMMANDS.register
class Synergy(Command):
    """Accuracy of every fusion on the simulated synergistic task, with both modalities and with each.

    The phantom's ``response`` is the exclusive or of a calcification (CT) and a strong promoter (DNA). Either
    modality alone says nothing of it, both together say everything.
    """

    name = "synergy"
    group = "benchmarks"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which fusions, and how long they are trained."""
        add = parser.add_argument
        add("--fusions", nargs="*", default=FUSIONS.names(), help="default: all")
        patients = "virtual patients (default 3000; half as many are memorised instead)"
        add("--patients", type=int, default=3000, help=patients)
        add("--epochs", type=int, default=12, help="epochs of each training (default 12)")
        add("--seed", type=int, default=0, help="of patients and training (default 0)")
        add("--workers", type=int, default=1, help="trainings at once; 0: one for each core (default 1)")
        add("--executor", default="", help="class that runs trainings; default: processes of this machine")
        add("--out", default="", help="also write the table to this JSON file")

    def main(self, arguments: Sequence[str]) -> int:
        """Train every fusion on both modalities and on each alone, and print the table."""
        options = self.parser().parse_args(arguments)
        at_least(options, workers=0)
        for name in options.fusions:
            FUSIONS.get(name)
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        torch.set_float32_matmul_precision("high")
        pairs = [(f, s) for f in options.fusions for s in SUBSETS]
        work = Synergies(options.patients, options.epochs, options.seed)
        with make_executor(work, options.workers, options.executor, most=len(pairs)) as engine:
            found = dict(track(engine.each(pairs), description="training", total=len(pairs)))
        runs = [
            {"fusion": f, "modalities": s, **found[f, s].as_dict(), "best": best_accuracy("response", s)}
            for f, s in pairs
        ]
        _print(runs, options)
        if options.out:
            Path(options.out).write_text(json.dumps(runs, indent=2) + "\n")
        return 0


def _print(runs: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    n, unit = (runs[0]["n"], runs[0]["unit"]) if runs else (0, "nothing")
    title = f"accuracy on the synergistic task 'response' (simulated), n = {n}, seed {options.seed}, "
    table = Table(title=f"{title}95 % intervals over {unit}")
    for column in ("fusion", *(" + ".join(s) for s in SUBSETS)):
        table.add_column(column)
    for fusion in options.fusions:
        mine = {tuple(r["modalities"]): r for r in runs if r["fusion"] == fusion}
        words = [f"{mine[s]['value']:.3f} ({mine[s]['low']:.3f} to {mine[s]['high']:.3f})" for s in SUBSETS]
        table.add_row(fusion, *words)
    table.add_row("best reachable", *(f"{best_accuracy('response', s):.3f}" for s in SUBSETS))
    wide_console().print(table)
