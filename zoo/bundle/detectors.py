"""Detectors of a bundle: one on the plain numbers of each modality, and one on the vectors that heads read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor

from zoo.contract import MODALITIES, Batch, ModalitySpec
from zoo.evaluation.outliers import Outliers, fit_outliers
from zoo.models.base import TaskModel

UNUSUAL = 0.01
"""Share of validation rows that count as unusual, over all detectors together."""
VECTORS = "vectors"
"""Name of the detector on vectors; that of a modality's is the modality's."""

Numbers = dict[str, tuple[Tensor, Tensor]]
"""Detector -> rows of the batch (n,), and their numbers (n, F)."""


def numbers(batch: Batch, modalities: Mapping[str, ModalitySpec], vectors: Tensor | None) -> Numbers:
    """What detectors look at in a batch.

    Args:
        batch: packed rows.
        modalities: the inputs by name.
        vectors: (B, D) of the model; None for none.
    """
    found: Numbers = {}
    for name, spec in modalities.items():
        rows = batch.present[name].nonzero().squeeze(1).cpu()
        if len(rows):
            found[name] = (rows, MODALITIES.get(spec.kind).features(spec, batch.inputs[name]).float().cpu())
    if vectors is not None and len(batch):
        found[VECTORS] = (torch.arange(len(batch)), vectors.float().cpu())
    return found


@torch.no_grad()
def gathered(model: TaskModel, batches: Iterable[Batch]) -> dict[str, Tensor]:
    """Detector -> numbers (N, F) of all rows of batches, with a model in evaluation mode.

    Where several processes have a part of the rows each, every one gets those of all: call it on every rank.
    """
    together = dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    parts: dict[str, list[Tensor]] = {}
    places: dict[str, list[tuple[int, int]]] = {}
    for step, batch in enumerate(batches):
        if len(batch):
            batch = batch.to(model.device)
            for name, (rows, values) in numbers(batch, model.modalities, model.predict(batch).vectors).items():
                parts.setdefault(name, []).append(values)
                places.setdefault(name, []).extend((step, int(row) * world + rank) for row in rows)
    found = {name: (places[name], torch.cat(each)) for name, each in parts.items()}
    everyone = [found]
    if together:
        everyone = [{} for _ in range(world)]
        dist.all_gather_object(everyone, found)
    names = dict.fromkeys(name for each in everyone for name in each)
    return {name: _in_order([each[name] for each in everyone if name in each]) for name in names}


def _in_order(parts: list[tuple[list[tuple[int, int]], Tensor]]) -> Tensor:
    """The rows (N, F) of all processes in the order in which one process has them, on which their limits depend."""
    places = [place for where, _ in parts for place in where]
    order = sorted(range(len(places)), key=places.__getitem__)
    return torch.cat([values for _, values in parts])[order]


def fit_detectors(train: Mapping[str, Tensor], validation: Mapping[str, Tensor]) -> dict[str, Outliers]:
    """A detector for everything that there are rows enough for.

    Args:
        train: detector -> numbers (N, F) of training rows.
        validation: the same of validation rows.
    """
    names = [n for n in train if n in validation]
    share = UNUSUAL / max(len(names), 1)
    made = {n: fit_outliers(train[n], validation[n], share=share) for n in names}
    return {n: d for n, d in made.items() if d is not None}
