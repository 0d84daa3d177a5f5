"""Labels that the inputs give away: by a column, by words in a text, by the files of the images.

All of it depends on which label belongs to which row, so that shuffled labels are a control: nothing may be found.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from datamodules.audit.chance import level
from datamodules.audit.findings import Finding
from datamodules.audit.leaks import ACCURACY, column_accuracy, number_correlation
from datamodules.audit.reading import Reading
from datamodules.audit.shortcuts import find_shortcuts
from datamodules.audit.words import find_words
from zoo.contract import TASKS

SHARED_NUMBER = 0.999
"""A column of numbers that correlates more than this with a regression target holds it."""
INPUT = "no: the column is an input"


def about_labels(reading: Reading) -> list[Finding]:
    """Return the findings about labels in inputs."""
    kinds = {name: TASKS.get(task.kind) for name, task in reading.tasks.items()}
    held = {t: {r: frozenset(kinds[t].label_classes(c)) for r, c in reading.labels[t]} for t in reading.tasks}
    words = find_words(reading.named, held, reading.units, reading.ids)
    return [*_columns(reading), *words, *find_shortcuts(reading)]


def control(reading: Reading, shuffles: int) -> Counter[str]:
    """Shuffle the labels among the rows, and count what is found then: all of it is false alarms.

    Args:
        reading: read in full; its labels are as they were afterwards.
        shuffles: how often.

    Returns:
        Kind of finding -> in how many of the shuffles there was one.
    """
    alarms: Counter[str] = Counter()
    true = reading.labels
    try:
        for seed in range(shuffles):
            generator = np.random.default_rng(seed)
            reading.labels = {}
            for task, labelled in true.items():
                order = generator.permutation(len(labelled)).tolist()
                reading.labels[task] = [(row, labelled[k][1]) for (row, _), k in zip(labelled, order, strict=True)]
            alarms.update({f.kind for f in about_labels(reading)})
    finally:
        reading.labels = true
    return alarms


def _columns(reading: Reading) -> list[Finding]:
    """Find tabular columns that tell the label."""
    tried = []
    for modality, (rows, columns) in reading.tables.items():
        place = {row: k for k, row in enumerate(rows)}
        for task in reading.tasks:
            if not reading.informs(task, modality):
                continue
            labelled = [(place[row], row, label) for row, label in reading.labels[task] if row in place]
            for target, taken in _targets(reading.tasks[task].kind, labelled).items():
                tried += [(f"{modality}.{c}", f"{task}{target}", cells, taken) for c, cells in columns.items()]
    found = []
    for column, task, cells, taken in tried:
        names = [reading.units[row] for _, row, _ in taken]
        values, said = [cells[k] for k, _, _ in taken], [label for _, _, label in taken]
        found += _column(column, task, values, said, names, level(len(tried)))
    return found


def _targets(kind: str, labelled: list[tuple[int, int, Any]]) -> dict[str, list[tuple[int, int, Any]]]:
    """Name of each thing to be predicted ("" for the task itself) -> (place, row, label)."""
    split: dict[str, list[tuple[int, int, Any]]] = {}
    for place, row, label in labelled:
        for name, value in TASKS.get(kind).label_targets(label).items():
            split.setdefault(f" '{name}'" if name else "", []).append((place, row, value))
    return split


def _column(
    column: str, task: str, values: list[Any], labels: list[Any], groups: list[str], wanted: float
) -> list[Finding]:
    modality, name = column.split(".", 1)
    remedy = f"leave '{name}' out of the columns of '{modality}'"
    if labels and isinstance(labels[0], float):
        shared = number_correlation(values, labels)
        if shared <= SHARED_NUMBER:
            return []
        message = f"the column correlates with {task} by {shared:.4f}"
        numbers = {"r": shared}
        return [Finding("label in input", "leak", column, message, INPUT, numbers, remedy=remedy)]
    accuracy, how = column_accuracy(values, labels, groups, wanted)
    if accuracy <= ACCURACY:
        return []
    message = f"the column alone tells {task} {how}: accuracy {accuracy:.3f} on rows that were held out"
    return [Finding("label in input", "leak", column, message, INPUT, {"accuracy": accuracy}, remedy=remedy)]
