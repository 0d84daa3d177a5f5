"""What is missing from prepared data, in sentences: said before training, by the audit, and again in the report."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from datamodules.core.source import Source
from datamodules.core.splits import SPLITS
from zoo.contract import TASKS
from zoo.raw import RawTask
from zoo.thinning import thinned

if TYPE_CHECKING:  # the audit lists data sets without torch
    from datamodules.core.query import Pipeline

FEWEST = 30
"""A task whose test split has fewer labelled rows than this is named."""
COUNTED = 20_000
"""Labels of a task that are counted at most in each split, evenly spaced."""
NAMED = 5
"""Classes that one sentence names."""
Counts = Mapping[str, Mapping[str, int]]
"""Split -> class -> rows."""


def notices(data: Pipeline, fractions: Sequence[float]) -> list[str]:
    """Say what prepared data lack.

    Args:
        data: split and fitted.
        fractions: shares of train, val and test that were asked for.

    Returns:
        One sentence each for a split without rows, a task that training or testing lacks labels or classes of, and a
        modality whose features share a name.
    """
    sizes = {split: len(data.rows[split]) for split in SPLITS}
    found = empty_splits(data.sources, sizes, fractions)
    for name, task in data.raw_tasks.items():
        labelled = {split: len(data.labelled(split, name)) for split in SPLITS if sizes[split]}
        found += label_notices(task, labelled, _count_classes(data, task))
    for name, processor in data.processors.items():
        features = data.raw_modalities[name].features or processor.spec(data.raw_modalities[name]).features
        found += repeated_features(name, features)
    return found


def left_out(data: Pipeline) -> list[str]:
    """Say what was left out of prepared data, without the names of rows and files.

    Args:
        data: split and fitted.
    """
    counts = [(s.name, n, why) for s in data.sources for why, n in sorted(s.skipped.items()) if n]
    found = [f"left out by {name}: {number} x {why}" for name, number, why in counts]
    total = len(data.dataset)
    found += [f"left out: {n} of {total} samples have {why}" for why, n in data.availability.lacking().items()]
    if data.skipped:
        found.append(f"skipped {sum(data.skipped.values())} rows (on_error: skip)")
    return found


def empty_splits(sources: Sequence[Source], sizes: Mapping[str, int], fractions: Sequence[float]) -> list[str]:
    """Say which splits have no row, why, and which options change that.

    Args:
        sources: opened.
        sizes: split -> rows.
        fractions: shares of train, val and test that were asked for.
    """
    follows = {
        "train": "nothing can be trained on",
        "val": "no weights are chosen by validation",
        "test": "the run ends without a table of results",
    }
    empty = [split for split in SPLITS if not sizes.get(split, 0)]
    if not empty:
        return []
    said = "; ".join(f"the split '{split}' has no row, so that {follows[split]}" for split in empty)
    asked_none = [f for split, f in zip(SPLITS, fractions, strict=True) if split in empty and not f]
    why = [w for w in map(_published_as_one, sources) if w]
    if len(asked_none) == len(empty):
        why = [f"data.split.fractions is {[float(f) for f in fractions]}"]
    if not why:
        why = ["there are too few rows or groups for data.split.fractions to give it one"]
    return [f"{said}: {'; '.join(why)}"]


def _published_as_one(source: Source) -> str:
    """That every row of a source has the same fixed part, and what opens it; "" where that is not so."""
    parts = source.index["split"].astype(str)
    fixed = Counter(parts[parts != ""].tolist())
    if len(fixed) != 1 or sum(fixed.values()) < len(parts):
        return ""
    (part,) = fixed
    known = inspect.signature(type(source).__init__).parameters
    if "published_split" in known:
        way = "give that source published_split: false, and data.split.fractions divides them"
    elif "split" in known:
        way = (
            "leave out that source's split column, or leave its cells empty where they are open, and "
            "data.split.fractions divides the rows; or add rows of the other splits"
        )
    else:
        way = "data.split.fractions divides only rows that are left open; add a source with rows of the other splits"
    return f"all {len(parts)} rows of {source.name} are fixed as '{part}'; {way}"


def _count_classes(data: Pipeline, task: RawTask) -> dict[str, Counter[str]]:
    """Split -> class -> rows, of the classes that labels of a task hold; {} for a task without classes."""
    kind = TASKS.get(task.kind)
    counts: dict[str, Counter[str]] = {}
    for split in SPLITS:
        rows = thinned(data.labelled(split, task.name), COUNTED)
        held = [kind.label_classes(label) for label in data.raw_labels(rows[:1], task.name)]
        if len(rows) and held and not held[0] and not task.classes:
            return {}  # no label of this kind holds a class
        counts[split] = Counter(c for label in data.raw_labels(rows, task.name) for c in kind.label_classes(label))
    return counts


def label_notices(task: RawTask, labelled: Mapping[str, int], counts: Counts) -> list[str]:
    """Say what the labels of a task lack.

    Args:
        task: as its sources describe it.
        labelled: split -> rows with a label, of splits that have rows.
        counts: split -> class -> rows.
    """
    name = f"task '{task.name}'"
    if not any(labelled.values()):
        return [f"{name}: no row carries a label; its column may be empty, or all its words may mean unknown"]
    found = [f"{name}: no row of {split} carries a label" for split, rows in labelled.items() if not rows]
    test = labelled.get("test", 0)
    if 0 < test < FEWEST:
        rows = "1 row of test carries" if test == 1 else f"{test} rows of test carry"
        found.append(f"{name}: only {rows} a label, so that its result says little")
    return found + class_notices(task, counts)


def class_notices(task: RawTask, counts: Counts) -> list[str]:
    """Say which classes training or all rows lack.

    Args:
        task: as its sources describe it.
        counts: split -> class -> rows.
    """
    name, trained = f"task '{task.name}'", counts.get("train", {})
    if not trained:
        return []
    found, kind = [], TASKS.get(task.kind)
    if kind.class_codes and len(trained) == 1:
        rows = sum(trained.values())
        found.append(f"{name}: all {rows} labelled rows of train are of the class '{next(iter(trained))}'")
    elsewhere: dict[str, dict[str, int]] = {}
    for split in SPLITS[1:]:
        for held, rows in counts.get(split, {}).items():
            if not trained.get(held):
                elsewhere.setdefault(held, {})[split] = rows
    if elsewhere:
        found.append(f"{name}: training has no row of {_classes(elsewhere)}, which no model can learn then")
    if kind.fixed_classes():
        seen = {c for held in counts.values() for c in held}
        nowhere = [c for c in task.classes if c not in seen]
        if nowhere:
            found.append(f"{name}: no row at all is of {_some([repr(c) for c in nowhere])}")
    return found


def _classes(elsewhere: Mapping[str, Mapping[str, int]]) -> str:
    """Classes with their rows in each split, the most frequent ones first."""
    ordered = sorted(elsewhere.items(), key=lambda item: -sum(item[1].values()))
    words = [f"'{c}' ({', '.join(f'{s} {n}' for s, n in held.items())})" for c, held in ordered]
    return _some(words)


def _some(words: Sequence[str]) -> str:
    more = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {more} more classes" if more > 0 else "")


def repeated_features(modality: str, features: Iterable[str]) -> list[str]:
    """Say which names of features, such as genes, a modality has more than once.

    >>> repeated_features("rna", ["TP53", "A", "TP53"])
    ["modality 'rna': 1 name occurs more than once among its features ('TP53' 2 times); each is kept as a feature"]
    """
    twice = [(n, k) for n, k in Counter(features).most_common() if k > 1]
    if not twice:
        return []
    words = ", ".join(f"'{n}' {k} times" for n, k in twice[:NAMED])
    many = "1 name occurs" if len(twice) == 1 else f"{len(twice)} names occur"
    return [f"modality '{modality}': {many} more than once among its features ({words}); each is kept as a feature"]
