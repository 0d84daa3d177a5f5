"""Write a trained model with its preprocessing into one folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.bundle import files
from zoo.bundle.build import model_config
from zoo.bundle.card import CardFacts, Contents, write_card
from zoo.bundle.detectors import fit_detectors, gathered
from zoo.bundle.parts import left_behind, take_along
from zoo.bundle.trust import TaskTrust, fit_trust
from zoo.carried import Box
from zoo.data import DataModule, Rows
from zoo.errors import SpecError
from zoo.evaluation.outliers import Outliers
from zoo.evaluation.summary import TaskResult
from zoo.models.base import TaskModel, lightning_module
from zoo.models.predict import predict
from zoo.registry import plugins
from zoo.tasks.base import task_kind
from zoo.thinning import thinned

MOST_VALIDATION = 2000
"""Validation rows at most, evenly spaced, that temperatures and thresholds are learned from."""
MOST_DETECTION = 1000
"""Training rows and validation rows at most, evenly spaced, that detectors are learned from."""
EXAMPLES = 2
"""Rows of the example inputs."""


@dataclass
class Learned:
    """What a bundle knows beside weights and preprocessing.

    Attributes:
        trust: task -> temperature and thresholds.
        detectors: what tells rows unlike those of training.
    """

    trust: dict[str, TaskTrust] = field(default_factory=dict)
    detectors: dict[str, Outliers] = field(default_factory=dict)


def learn(model: TaskModel, data: DataModule) -> Learned:
    """Learn temperatures, thresholds and detectors from validation and training rows. Call it on every rank.

    Args:
        model: with the weights that were tested.
        data: that it was trained on.
    """
    splits = data.pipeline.rows
    before = model.training
    model.eval()
    try:
        validation = thinned(splits["val"], MOST_VALIDATION)
        results = predict(model, data.rows_dataloader(validation)).results if len(validation) else {}
        trust = {t: fit_trust(task_kind(spec), results.get(t)) for t, spec in model.tasks.items()}
        numbers = [_numbers(model, data, splits[s]) for s in ("train", "val")]
    finally:
        model.train(before)
    return Learned(trust, fit_detectors(*numbers))


def _numbers(model: TaskModel, data: DataModule, rows: Rows) -> dict[str, Tensor]:
    return gathered(model, data.rows_dataloader(thinned(rows, MOST_DETECTION)))


def save(
    folder: Path,
    model: TaskModel,
    data: DataModule,
    learned: Learned,
    *,
    config: Mapping[str, Any] | None = None,
    lines: Sequence[TaskResult] = (),
    facts: CardFacts | None = None,
    training_rows: bool = True,
) -> list[str]:
    """Write a bundle; one that is there is replaced once the new one is whole.

    Args:
        folder: of the bundle.
        model: with the weights that were tested.
        data: that it was trained on.
        learned: temperatures, thresholds and detectors.
        config: ``class_path`` and ``init_args`` of the model; None takes what its hyperparameters hold.
        lines: what the test found, for the card.
        facts: what the card says beside.
        training_rows: whether parts that look training rows up, such as templates, keep them.

    Returns:
        Arguments, as "name='path'", that name local files which the bundle does not hold, since the class of the part
        does not declare them in ``carried``.

    Raises:
        SpecError: the model cannot be described by a configuration, or a file that it needs is gone.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        module = lightning_module(model)
        box = Box(part)
        told = take_along(model_config(module, config), box)
        weights, kept, left = weights_of(module, training_rows=training_rows)
        files.write_json(part / files.MODEL, told)
        files.write_tensors(part / files.WEIGHTS, weights)
        preprocessing = data.preprocessing()
        state, arrays = preprocessing.state(box)
        files.write_json(part / files.PREPROCESSING, {"class": type(preprocessing).__name__, "state": state})
        files.write_tensors(part / files.ARRAYS, {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()})
        _write_learned(part, learned)
        made_up = write_examples(part / files.EXAMPLES, data)
        contents = Contents(made_up, kept, left, box.told, left_behind({"model": told, "preprocessing": state}))
        card = part / files.CARD
        write_card(card, model, data, preprocessing, learned.trust, lines, facts or CardFacts(), contents)
        files.seal(part, plugins())
        if folder.exists():
            shutil.rmtree(folder)
        part.chmod(0o755)
        part.rename(folder)
        return list(contents.elsewhere)
    finally:
        if part.exists():
            shutil.rmtree(part)


def _write_learned(folder: Path, learned: Learned) -> None:
    """Write temperatures, thresholds and detectors."""
    files.write_json(folder / files.TRUST, {"tasks": {t: v.as_json() for t, v in learned.trust.items()}})
    detectors = {k: v for n, d in learned.detectors.items() for k, v in d.state(n).items()}
    files.write_tensors(folder / files.DETECTOR, detectors)


def weights_of(module: nn.Module, *, training_rows: bool) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """The state of a module as tensors.

    Args:
        module: any.
        training_rows: whether parts that keep training rows keep them; else these are empty.

    Returns:
        Name -> tensor; the names of parts that keep training rows; those that had to give them up.

    Raises:
        SpecError: a part keeps something that is no tensor.
    """
    holders = {n for n, m in module.named_modules() if getattr(m, "keeps_rows", False)}
    weights: dict[str, Tensor] = {}
    kept, left = list[str](), list[str]()
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise SpecError(
                f"the state '{name}' of the model is a {type(value).__name__}; get_extra_state must return a tensor "
                "for the model to leave home"
            )
        holder = name.rpartition(".")[0]
        if name.endswith("_extra_state") and holder in holders and len(value):
            (kept if training_rows else left).append(holder)
            value = value if training_rows else value[:0]
        weights[name] = value
    return weights, kept, left


def write_examples(folder: Path, data: DataModule) -> bool:
    """Write rows to try the model with; return whether they are made up."""
    import pandas as pd

    folder.mkdir()
    found = data.example_rows(folder, EXAMPLES)
    pd.DataFrame(list(found.rows)).to_csv(folder / "rows.csv", index=False)
    return found.made_up
