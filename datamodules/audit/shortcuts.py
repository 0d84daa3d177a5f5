"""Labels that the files of the images give away: by format, size, compression, device, header or burnt-in letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from datamodules.audit.chance import FAMILY, beats_shuffles, level
from datamodules.audit.findings import Finding
from datamodules.audit.leaks import FEWEST
from datamodules.audit.reading import Reading
from zoo.contract import TASKS
from zoo.thinning import thinned
from zoo.values import shorten

GAIN = 0.1
"""A trait is worth a word where it alone raises the balanced accuracy by this much above chance."""
ROWS = 5_000
"""Rows that are looked at, evenly spaced."""


def find_shortcuts(reading: Reading) -> list[Finding]:
    """Find traits of image files that tell the class. One row of each group counts: a group shares its device.

    The level of the permutation test is divided by the number of traits and tasks that were looked at.
    """
    tried = [
        (modality, trait, task)
        for modality, trait in sorted(reading.traits)
        for task, spec in reading.tasks.items()
        if reading.informs(task, modality) and TASKS.get(spec.kind).fixed_classes()
    ]
    looked_at: dict[str, set[int]] = {}
    for (modality, _), values in reading.traits.items():
        looked_at.setdefault(modality, set()).update(values)
    found = []
    for modality, trait, task in tried:
        values, there = reading.traits[modality, trait], looked_at[modality]
        if trait == "compression":
            there = set(values)  # that others have none, the file format says
        labelled = [(r, label) for r, label in reading.labels[task] if r in there]
        pairs = {reading.units[r]: (values.get(r, "none"), str(label)) for r, label in labelled}
        told = accuracy_of_a_trait([v for v, _ in pairs.values()], [c for _, c in pairs.values()], level(len(tried)))
        if told is not None:
            found.append(_finding(modality, trait, task, told, list(pairs.values())))
    return found


def _finding(
    modality: str, trait: str, task: str, told: tuple[float, float], pairs: list[tuple[str, str]]
) -> Finding:
    accuracy, chance = told
    counts: dict[str, dict[str, int]] = {}
    for value, label in pairs:
        counts.setdefault(value, {}).setdefault(label, 0)
        counts[value][label] += 1
    common = sorted(counts.items(), key=lambda item: -sum(item[1].values()))[:3]
    words = "; ".join(
        f"{shorten(value, 60)}: " + ", ".join(f"{n} {c}" for c, n in sorted(of.items())) for value, of in common
    )
    message = (
        f"the {trait} of the files alone tells {task}: balanced accuracy {accuracy:.3f}, chance {chance:.3f} "
        f"({len(pairs)} groups; {words})"
    )
    remedy = "bring the files to one format and size, take out what is burnt in, or test on files of other origin"
    return Finding(
        "shortcut", "note", f"{modality}: {trait}", message, "no", {"balanced_accuracy": accuracy}, remedy=remedy
    )


def accuracy_of_a_trait(
    values: Sequence[str], labels: Sequence[str], wanted: float = FAMILY / 10
) -> tuple[float, float] | None:
    """How well a trait tells the class, if it does so beyond chance.

    Args:
        values: (N,) the trait of each file.
        labels: (N,) the class of each file.
        wanted: level of the permutation test.

    Returns:
        Balanced accuracy of the best guess from the trait, and its chance level, the mean over shuffles of labels.
        None where the gain is below GAIN, or chance may do so well, or fewer than FEWEST files have the trait.
    """
    if len(values) < FEWEST:
        return None
    where = thinned(np.arange(len(values)), ROWS)
    trait = np.unique(np.asarray(values, dtype=str)[where], return_inverse=True)[1]
    label = np.unique(np.asarray(labels, dtype=str)[where], return_inverse=True)[1]
    if trait.max() == 0 or label.max() == 0:
        return None
    accuracy = _balanced(trait, label)
    beyond, chance = beats_shuffles(accuracy, lambda g: _balanced(trait, g.permutation(label)), wanted)
    return (accuracy, chance) if beyond and accuracy - chance >= GAIN else None


def _balanced(trait: npt.NDArray[np.int64], label: npt.NDArray[np.int64]) -> float:
    """Balanced accuracy of the guess that each value of the trait makes likeliest, classes weighing alike."""
    classes = int(label.max()) + 1
    flat = np.bincount(trait * classes + label, minlength=(int(trait.max()) + 1) * classes)
    table = flat.reshape(-1, classes) / np.bincount(label, minlength=classes)
    return float(table.max(1).sum() / classes)
