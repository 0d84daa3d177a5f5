"""``run.py synergy``: whether each fusion finds information that is in no modality alone (simulated data).

The phantom's ``response`` is the exclusive or of a calcification (CT) and a strong promoter (DNA). Either
modality alone says nothing of it, both together say everything.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import zoo
from datamodules.multimodal import MultimodalDataModule
from datamodules.phantom import PhantomCohort, best_accuracy
from zoo.fusion import FUSIONS
from zoo.reporting import TaskResult, summarise

SUBSETS = (("ct", "genomics"), ("ct",), ("genomics",))
TASKS = ("response", "radiographic_findings", "expression")


def train(fusion: str, modalities: tuple[str, ...], *, patients: int, epochs: int, seed: int) -> TaskResult:
    """Train one fusion on one subset of modalities and return the result on ``response``."""
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
        batch_size=64,
        seed=seed,
    )
    module = zoo.MultitaskModule(
        data.modality_specs,
        data.task_specs,
        fusion=FUSIONS.get(fusion),  # type: ignore[arg-type]
        head_hidden=64,
        learning_rate=1e-3,
        weight_decay=0.1,
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
        module.kinds,
        module.results["test"],
        lambda task: pipe.labels("train", task),
        pipe.source_names,
        pipe.source_simulated,
    )
    return next(line for line in lines if line.task == "response")


def main() -> None:
    """Train every fusion on both modalities and on each alone, and print the table."""
    parser = argparse.ArgumentParser(prog="run.py synergy", description=__doc__)
    parser.add_argument("--fusions", nargs="*", default=FUSIONS.names(), help="default: all")
    parser.add_argument(
        "--patients",
        type=int,
        default=3000,
        help="virtual patients (default 3000; half as many are memorised instead)",
    )
    parser.add_argument("--epochs", type=int, default=12, help="epochs of each training (default 12)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="", help="also write the table to this JSON file")
    options = parser.parse_args(sys.argv[2:])
    for name in options.fusions:
        FUSIONS.get(name)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_float32_matmul_precision("high")
    runs: list[dict[str, Any]] = []
    cells = [(f, s) for f in options.fusions for s in SUBSETS]
    for fusion, subset in track(cells, description="training"):
        result = train(fusion, subset, patients=options.patients, epochs=options.epochs, seed=options.seed)
        runs.append(
            {"fusion": fusion, "modalities": subset, **result.as_dict(), "best": best_accuracy("response", subset)}
        )
    table = Table(
        title=f"accuracy on the synergistic task 'response' (simulated), n = {runs[0]['n']}, seed {options.seed}"
    )
    for column in ("fusion", *(" + ".join(s) for s in SUBSETS)):
        table.add_column(column)
    for fusion in options.fusions:
        mine = {tuple(r["modalities"]): r for r in runs if r["fusion"] == fusion}
        table.add_row(
            fusion, *(f"{mine[s]['value']:.3f} ({mine[s]['low']:.3f} to {mine[s]['high']:.3f})" for s in SUBSETS)
        )
    table.add_row("best reachable", *(f"{best_accuracy('response', s):.3f}" for s in SUBSETS))
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)
    if options.out:
        Path(options.out).write_text(json.dumps(runs, indent=2) + "\n")
