"""Modality dropout: rows that hide modalities in training, so that a model predicts without them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch

from zoo.contract import Batch


def drop_modalities(batch: Batch, chance: float, *, keep: Collection[str]) -> Batch:
    """Hide present modalities at random; a row that would lose all keeps one of them, any alike.

    Args:
        batch: packed rows.
        chance: of each present modality of a row to be hidden.
        keep: modalities that are never hidden, such as the question of VQA.
    """
    names = list(batch.present)
    present = torch.stack([batch.present[m] for m in names])
    chances = torch.tensor([0.0 if m in keep else chance for m in names], device=present.device)
    drawn = torch.rand(present.shape, device=present.device)
    kept = present & (drawn >= chances.unsqueeze(1))
    spared = drawn.masked_fill(~present, -1.0).argmax(0)
    kept[spared, torch.arange(len(batch), device=present.device)] |= present.any(0) & ~kept.any(0)
    left = dict(zip(names, kept, strict=True))
    inputs = {m: x[left[m][batch.present[m]]] for m, x in batch.inputs.items()}
    return replace(batch, inputs=inputs, present=left)
