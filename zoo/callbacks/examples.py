"""Test rows that a model got most wrong, with their inputs as pictures and short texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract import MODALITIES, RawModality
from zoo.data import Pipeline
from zoo.results import Example
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated

FOLDER = "examples"
"""Folder of the pictures, below that of the run."""
SIDE = 160
"""Longest side of a picture, in pixels."""


def worst_examples(
    kinds: Mapping[str, TaskKind],
    results: Mapping[str, Evaluated],
    pipeline: Pipeline,
    folder: Path,
    per_task: int = 3,
) -> list[Example]:
    """The rows of each task with the lowest ``TaskKind.example_scores``, and PNG files below ``folder``/examples.

    Args:
        kinds: task -> TaskKind.
        results: task -> predictions of the test split.
        pipeline: of the data module.
        folder: of the run; pictures are named relative to it.
        per_task: rows a task; 0 for none.
    """
    picks = {t: _worst(kinds[t], results[t], per_task) for t in kinds if t in results} if per_task else {}
    wanted = {results[t].ids[k] for t, rows in picks.items() for k, _ in rows}
    found = {i: r for r in pipeline.rows["test"].tolist() if (i := pipeline.join.id(r)) in wanted} if wanted else {}
    made = []
    for task, rows in picks.items():
        spec, result = kinds[task].spec, results[task]
        for rank, (k, score) in enumerate(rows, 1):
            name = result.ids[k]
            truth, prediction = kinds[task].describe(result.prediction[k : k + 1], result.target[k : k + 1])
            source = int(result.source[k])
            invented = source >= 0 and pipeline.source_simulated[source]
            example = Example(task, name, truth, prediction, score, data="simulated" if invented else "real")
            inputs = pipeline.dataset.raw(found[name]).inputs
            for modality, value in inputs.items():
                if modality in pipeline.raw_modalities and (spec.uses(modality) or modality == spec.reads):
                    show_input(
                        example, pipeline.raw_modalities[modality], value, folder, f"{task}_{rank}_{modality}.png"
                    )
            made.append(example)
    return made


def _worst(kind: TaskKind, result: Evaluated, most: int) -> list[tuple[int, float]]:
    scores = kind.example_scores(result.prediction, result.target)
    known = [(k, v) for k, v in enumerate(scores.tolist()) if math.isfinite(v)]
    return sorted(known, key=lambda pair: pair[1])[:most]


# -- inputs ------------------------------------------------------------------------------------------------


def show_input(example: Example, modality: RawModality, value: Any, folder: Path, file: str) -> None:
    """Add an input to ``example`` as its kind shows it: a picture in a PNG file, words, or both.

    Args:
        example: to add to.
        modality: of the input.
        value: the raw input.
        folder: of the result.
        file: name of the picture in it.
    """
    shown = MODALITIES.get(modality.kind).show(modality, value, SIDE)
    if shown.words:
        example.texts[modality.name] = shown.words
    if shown.picture is not None:
        from PIL import Image

        path = folder / FOLDER / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(shown.picture)).save(path, optimize=True)
        example.pictures[modality.name] = f"{FOLDER}/{file}"
