"""The end of a fit of a model that generates: a picture of what it makes of test rows, by every route."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from rich.console import Console

from zoo.data import data_module
from zoo.generation.request import GenerationRequest
from zoo.models.base import Generates, task_model
from zoo.rendering.grid import save_grid
from zoo.values import Shown

ROWS = 6
"""Rows of a picture."""
SIDE = 128
"""Longest side of a picture of a cell, in pixels."""


def routes(modalities: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every way to make one modality from others: what is told, and what is made.

    >>> list(routes(["a", "b"]))
    [(('b',), 'a'), (('a',), 'b')]
    """
    for target in modalities:
        others = [m for m in modalities if m != target]
        for size in range(1, len(others) + 1):
            for told in combinations(others, size):
                yield told, target


def write_samples(trainer: L.Trainer, model: L.LightningModule, folder: Path, seed: int = 0) -> None:
    """Draw samples.png: the first test rows that have everything, and what is made of them by each route.

    Args:
        trainer: that fitted.
        model: one that generates.
        folder: of the picture.
        seed: of the samples.
    """
    data: Any = data_module(trainer, "the samples")
    names = list(task_model(model).modalities)
    present = data.pipeline.availability.present
    split = "test" if len(data.pipeline.rows["test"]) else "train"
    rows = [int(r) for r in data.pipeline.rows[split] if all(present[m][r] for m in names)][:ROWS]
    if not rows or not trainer.is_global_zero:
        return
    preprocessing = data.preprocessing()
    samples = [data.pipeline.dataset.processed(r) for r in rows]
    batch = data.collated(samples).to(model.device)

    def shown(modality: str, tensor: torch.Tensor) -> Shown:
        return cast(Shown, preprocessing.show(modality, preprocessing.decode(modality, tensor.cpu()), SIDE))

    heads, columns = [f"real {m}" for m in names], [[shown(m, s.inputs[m]) for s in samples] for m in names]
    maker = cast(Generates, model)
    with torch.inference_mode():
        for told, target in routes(names):
            made = maker.generate(batch, GenerationRequest((target,), told, seed=seed))[target]
            heads.append(f"generated {target} from {' + '.join(told)}")
            columns.append([shown(target, x) for x in made])
    path = folder / "samples.png"
    save_grid(path, heads, [s.id for s in samples], [list(cells) for cells in zip(*columns, strict=True)])
    Console().print(f"samples of the {split} split: {path}", highlight=False, markup=False, soft_wrap=True)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image("samples", [str(path)])
