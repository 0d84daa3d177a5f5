"""Modalities of new rows, made by a model from its bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch

from zoo.contract import collate
from zoo.data import NewRows, Preprocessing
from zoo.errors import SpecError, unknown_name
from zoo.generation.diffusion.process import SamplingOptions
from zoo.models.base import Generates, TaskModel, lightning_module, require

ROWS = 16
"""Rows that are made at once. The number is fixed, so that sums run in one order whatever rows come together."""


@dataclass(frozen=True)
class GenerationRequest:
    """What is to be made of every row.

    Attributes:
        targets: modalities to make, together.
        given: modalities that may be told; None for all but the targets.
        draws: how often each is made.
        seed: of all random numbers.
        sampling: sampler, steps and guidance.
        joint: whether what is made together may look at each other while it is made.
    """

    targets: tuple[str, ...]
    given: tuple[str, ...] | None = None
    draws: int = 1
    seed: int = 0
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    joint: bool = True


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


def check_request(model: TaskModel, request: GenerationRequest) -> None:
    """Refuse what the model cannot make.

    Args:
        model: that shall make it.
        request: what is to be made.

    Raises:
        SpecError, UnknownNameError: the model makes nothing, a modality is not one of its own, or is both given and
            made.
    """
    require(model, Generates, "generate")
    known = model.modalities
    for name in (*request.targets, *(request.given or ())):
        if name not in known:
            raise unknown_name("modality", name, known)
    both = sorted(set(request.targets) & set(request.given or ()))
    if not request.targets or both or request.draws < 1:
        raise SpecError(
            f"generate makes one modality at least, from others, once or more; got targets {list(request.targets)}, "
            f"given {list(request.given or ())}, draws {request.draws}"
            + (f"; '{both[0]}' is in both" if both else "")
        )


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
    given = request.given if request.given is not None else tuple(model.modalities)
    told = [tuple(m for m in row.sample.inputs if m in given and m not in request.targets) for row in read]
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
                tensors = maker.generate(
                    batch,
                    request.targets,
                    given=request.given,
                    seed=request.seed,
                    draw=draw,
                    sampling=request.sampling,
                    joint=request.joint,
                )
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
