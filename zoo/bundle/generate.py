"""Modalities of new rows, made by a model from its bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from zoo.contract import collate
from zoo.data import NewRows, Preprocessing
from zoo.errors import SpecError
from zoo.generation.request import GenerationRequest
from zoo.models.base import Generates, TaskModel, lightning_module

ROWS = 16
"""Rows that are made at once. The number is fixed, so that sums run in one order whatever rows come together."""


@dataclass(frozen=True)
class GeneratedRow:
    """One draw of one row.

    Attributes:
        row: its place in the table.
        id: its name.
        draw: number of the draw.
        told: modalities that it was made from.
        values: modality -> raw value, such as a picture (H, W, C) uint8 or a text; {} where nothing was made.
        problem: why nothing was made, and what could not be read; "" for nothing.
    """

    row: int
    id: str
    draw: int
    told: tuple[str, ...]
    values: dict[str, object]
    problem: str = ""


def generate_part(
    model: TaskModel, preprocessing: Preprocessing, rows: NewRows, places: range, request: GenerationRequest
) -> list[GeneratedRow]:
    """Make what is asked for of some rows, by their place; draws of a row stand together.

    What is made of a row follows from the row, its id, the seed and the draw, and not from the rows beside it.

    Args:
        model: that makes it.
        preprocessing: of its bundle.
        rows: of ``Bundle.rows``.
        places: of the rows, one after the other; ROWS at most.
        request: what is to be made.

    Raises:
        SpecError: these are too many rows.
    """
    if len(places) > ROWS:
        raise SpecError(f"at most {ROWS} rows are made at once, got {len(places)}")
    read = rows.read(places.start, places.stop)
    told = [request.told(row.sample.inputs) for row in read]
    usable = [k for k in range(len(read)) if told[k]]
    made: dict[tuple[int, int], dict[str, object]] = {}
    if usable:
        samples = [read[k].sample for k in usable]
        padded = samples + samples[-1:] * (ROWS - len(samples))
        module = lightning_module(model)
        batch = collate(padded, list(model.modalities.values()), []).to(module.device)
        maker = cast(Generates, model)
        with torch.inference_mode():
            for draw in range(request.draws):
                tensors = maker.generate(batch, request, draw=draw)
                for place, k in enumerate(usable):
                    decoded = {m: preprocessing.decode(m, v[place].cpu()) for m, v in tensors.items()}
                    made[(k, draw)] = decoded
    found = []
    for k, row in enumerate(read):
        said = [*row.problems, *([] if told[k] else ["nothing was made: the row has no modality that may be told"])]
        for draw in range(request.draws):
            values = made.get((k, draw), {})
            found.append(GeneratedRow(places.start + k, row.sample.id, draw, told[k], values, "; ".join(said)))
    return found
