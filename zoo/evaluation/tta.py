"""Test-time augmentation: predictions averaged over seeded colour jitters of each image."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from zoo.contract import MODALITIES, Batch, ModalitySpec, TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.ensemble import average
from zoo.tasks.base import task_kind
from zoo.training.collector import Predicted


def predict_tta(
    predict: Callable[[Callable[[Batch], Batch] | None], Predicted],
    modalities: Iterable[ModalitySpec],
    tasks: Iterable[TaskSpec],
    *,
    views: int = 8,
    seed: int = 0,
    brightness: float = 0.1,
    contrast: float = 0.1,
    saturation: float = 0.1,
    hue: float = 0.02,
) -> Predicted:
    """Predict every row under several views of its images, and average (cross-modal augmentation: 8 colour jitters).

    The first view is the images as they are. The others go through torchvision.transforms.v2.ColorJitter; what is
    drawn follows from the seed, the row's id, the modality and the view, whatever batch the row is in, and the global
    random state stays as it was. Other modalities stay as they are, and without an image all views are the same.

    Args:
        predict: predicts all rows after a change of each batch, None for none, such as
            ``partial(zoo.models.predict.predict, model, batches)``; called once for each view.
        modalities: of the model; the images among them are changed.
        tasks: of the model.
        views: K >= 1, the plain one included; 1 is ``predict``.
        seed: of the jitters.
        brightness: largest relative change, each way.
        contrast: the same.
        saturation: the same; grey has none.
        hue: largest turn, each way, as a share of the colour circle, at most .5.

    Returns:
        Mean predictions (structures: those of the plain view), and mean vectors.

    Raises:
        SpecError: fewer than one view, or rows that differ between views, such as those of batches that can be gone
            through only once.
    """
    from torchvision.transforms.v2 import ColorJitter

    if views < 1:
        raise SpecError(f"predict_tta: views must be 1 or more, got {views}")
    try:
        jitter = ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    except ValueError as error:
        raise SpecError(f"predict_tta: {error}") from error
    images = [spec.name for spec in modalities if MODALITIES.get(spec.kind).pixels]
    changes = [None, *(partial(view_of, images=images, jitter=jitter, seed=seed, view=v) for v in range(1, views))]
    found = [predict(change) for change in changes]
    plain = found[0]
    if any(f.ids != plain.ids for f in found):
        raise SpecError("predict_tta predicts all rows once a view: give it a loader or a list, not an iterator")
    kinds = {spec.name: task_kind(spec) for spec in tasks}
    results = {t: average([f.results[t] for f in found], kind=kinds[t]) for t in plain.results}
    return replace(plain, results=results, vectors=torch.stack([f.vectors for f in found]).mean(0))


def view_of(batch: Batch, *, images: list[str], jitter: torch.nn.Module, seed: int, view: int) -> Batch:
    """The batch with each image jittered by a draw of its own.

    Args:
        batch: whose images are jittered.
        images: names of the modalities that are.
        jitter: the random transform.
        seed: of the draws.
        view: number of the view.
    """
    inputs = dict(batch.inputs)
    for name in images:
        if name in inputs and len(inputs[name]):
            ids = [i for i, there in zip(batch.ids, batch.present[name].tolist(), strict=True) if there]
            rows = [_jittered(x, jitter, f"{seed}/{view}/{name}/{i}") for x, i in zip(inputs[name], ids, strict=True)]
            inputs[name] = torch.stack(rows)
    return replace(batch, inputs=inputs)


def _jittered(image: Tensor, jitter: torch.nn.Module, draw: str) -> Tensor:
    """Jitter an image (C, H, W) in [-1, 1] on the scale [0, 1], as ``draw`` says."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(zlib.crc32(draw.encode()))
        changed: Tensor = jitter(image * 0.5 + 0.5)
    return (changed - 0.5) / 0.5
