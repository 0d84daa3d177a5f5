"""Training rows for the parts of a model that look rows up, or learn from them before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from zoo.contract import TaskSpec
from zoo.data import GivesExamples, GivesInputs
from zoo.encoders.base import Encoder
from zoo.errors import SpecError


def give_examples(datamodule: object, tasks: Mapping[str, TaskSpec], heads: nn.ModuleDict) -> None:
    """Give the training rows to the heads that look rows up in them.

    Args:
        datamodule: of the trainer.
        tasks: by name.
        heads: task -> stream -> head.

    Raises:
        SpecError: there is such a head, and the data module gives no rows.
    """
    for t, task in tasks.items():
        asking: list[Any] = [h for h in cast(nn.ModuleDict, heads[t]).values() if cast(Any, h).examples]
        if not asking:
            continue
        if not isinstance(datamodule, GivesExamples):
            raise SpecError(
                f"the head {type(asking[0]).__name__} of task '{t}' looks training rows up, but the trainer got "
                "no data module that gives examples; pass trainer.fit(module, datamodule=...) one of the zoo, or "
                "take another head under model.heads.by_task"
            )
        rows = datamodule.examples(t, task.reads)
        for head in asking:
            head.remember(*rows)


def give_inputs(datamodule: object, encoders: nn.ModuleDict, encoder_of: Mapping[str, str]) -> None:
    """Give training rows to the encoders that learn from them before the first step.

    Args:
        datamodule: of the trainer.
        encoders: by name.
        encoder_of: modality -> name of the encoder that reads it.

    Raises:
        SpecError: there is such an encoder, and the data module gives no rows.
    """
    for name, part in encoders.items():
        encoder = cast(Encoder, part)
        if not encoder.learns:
            continue
        if not isinstance(datamodule, GivesInputs):
            raise SpecError(
                f"{type(encoder).__name__} learns from training rows of '{name}' before the first step, but the "
                "trainer got no data module that gives them; pass trainer.fit(module, datamodule=...) one of the "
                "zoo, or take another encoder under model.encoders"
            )
        rows = torch.cat([datamodule.training_inputs(m) for m, key in encoder_of.items() if key == name])
        encoder.learn(rows.to(next(encoder.parameters()).device))
