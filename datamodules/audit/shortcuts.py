"""Labels that the files of the images give away: by format, size, compression or device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from datamodules.audit.findings import Finding
from datamodules.audit.leaks import FEWEST
from datamodules.audit.reading import Reading
from zoo.contract import TASKS

GAIN = 0.1
"""A trait is a shortcut where it alone raises the balanced accuracy by this much above chance ..."""
CHANCE = 0.001
"""... and where fewer than this share of shuffles of the labels does so well."""
SHUFFLES = 2_000
ROWS = 5_000
"""Rows that are looked at, evenly spaced."""


def find_shortcuts(reading: Reading) -> list[Finding]:
    """Find traits of image files that tell the class. One row of each group counts: a group shares its device."""
    index = reading.source.index
    groups = index["group"].astype(str).where(index["group"] != "", index["id"].astype(str)).tolist()
    found = []
    for (modality, trait), values in sorted(reading.traits.items()):
        for task, spec in reading.tasks.items():
            if not (reading.informs(task, modality) and TASKS.get(spec.kind).fixed_classes()):
                continue
            pairs = {groups[r]: (values[r], str(label)) for r, label in reading.labels[task] if r in values}
            told = accuracy_of_a_trait([v for v, _ in pairs.values()], [label for _, label in pairs.values()])
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
    words = "; ".join(f"{value}: " + ", ".join(f"{n} {c}" for c, n in sorted(of.items())) for value, of in common)
    message = (
        f"the {trait} of the files alone tells {task}: balanced accuracy {accuracy:.3f}, chance {chance:.3f} "
        f"({len(pairs)} groups; {words})"
    )
    remedy = "no: bring the files to one format and size, or test on other files"
    return Finding("shortcut", "note", f"{modality}: {trait}", message, remedy, {"balanced_accuracy": accuracy})


def accuracy_of_a_trait(values: Sequence[str], labels: Sequence[str]) -> tuple[float, float] | None:
    """How well a trait tells the class, if it does so beyond chance.

    Args:
        values: (N,) the trait of each file.
        labels: (N,) the class of each file.

    Returns:
        Balanced accuracy of the best guess from the trait, and its chance level, the mean over shuffles of labels.
        None where the gain is below GAIN or shuffles do so well too, or fewer than FEWEST files have the trait.
    """
    if len(values) < FEWEST:
        return None
    where = np.unique(np.linspace(0, len(values) - 1, ROWS).round().astype(np.int64)) if len(values) > ROWS else ...
    trait = np.unique(np.asarray(values, dtype=str)[where], return_inverse=True)[1]
    label = np.unique(np.asarray(labels, dtype=str)[where], return_inverse=True)[1]
    if trait.max() == 0 or label.max() == 0:
        return None
    accuracy = _balanced(trait, label)
    generator = np.random.default_rng(0)
    quick = np.array([_balanced(trait, generator.permutation(label)) for _ in range(50)])
    if accuracy - quick.mean() < GAIN or (quick >= accuracy).any():
        return None
    shuffled = np.array([_balanced(trait, generator.permutation(label)) for _ in range(SHUFFLES)])
    return (accuracy, float(shuffled.mean())) if (shuffled >= accuracy).mean() < CHANCE else None


def _balanced(trait: npt.NDArray[np.int64], label: npt.NDArray[np.int64]) -> float:
    """Balanced accuracy of the guess that each value of the trait makes likeliest, classes weighing alike."""
    table = np.zeros((trait.max() + 1, label.max() + 1))
    np.add.at(table, (trait, label), 1)
    return float((table / table.sum(0)).max(1).sum() / table.shape[1])
