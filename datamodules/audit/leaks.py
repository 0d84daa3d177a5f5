"""Labels in the inputs, and what the zoo's own reading makes of rows that belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.audit.chance import arrangements
from datamodules.core.splits import stable_key

ACCURACY = 0.99
"""A column gives the label away where it alone tells more than this share of labels that were held out."""
FEWEST = 20
"""Rows that a column must have before anything is said of it."""
PARTS = ("train", "open", "val", "test", "")
"""Parts of a publisher's split, in order: see Reading.parts."""


@dataclass
class Own:
    """How the zoo's own reading splits the rows: by default, or as a configuration says.

    Attributes:
        split: id -> split; group: id -> what never crosses a split; fixed: ids whose split the publisher fixed.
    """

    split: dict[str, str] = field(default_factory=dict)
    group: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)

    def judge(self, ids: Sequence[str]) -> str:
        """Say what becomes of rows that belong together.

        Returns:
            "apart": they end in several splits; "chance": another seed may part them; "grouped"; "dropped": some are
            left out and the others stay together.
        """
        there = [i for i in ids if i in self.split]
        if len({self.split[i] for i in there}) > 1:
            return "apart"
        together = len({self.group[i] for i in there}) <= 1 or all(i in self.fixed for i in there)
        if not together:
            return "chance"
        return "dropped" if len(there) < len(ids) else "grouped"


@dataclass
class Judged:
    """Sets of rows that belong together, counted by what becomes of them.

    Attributes:
        sets: number of them.
        rows: number of rows in them.
        across: sets in several parts of the publisher's split; parts: which parts -> sets.
        rows_across: part -> rows of these sets.
        apart: sets in several splits of the zoo's own reading.
        verdicts: what Own.judge says -> sets.
        examples: ids of two rows of some sets, those that cross first.
    """

    sets: int = 0
    rows: int = 0
    across: int = 0
    rows_across: Counter[str] = field(default_factory=Counter)
    apart: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[bool, tuple[str, str]]] = field(default_factory=list)

    def add(self, ids: Sequence[str], parts: Sequence[str], own: Own) -> None:
        """Count one set of rows; ``parts`` are those of the publisher's split, "" where there is none.

        Args:
            ids: of the rows of the set.
            parts: of the publisher's split, one a row; "" where there is none.
            own: where the zoo's own reading puts rows.
        """
        verdict = own.judge(ids)
        crosses = len(set(parts)) > 1
        self.sets += 1
        self.rows += len(ids)
        self.verdicts[verdict] += 1
        self.apart += verdict == "apart"
        if crosses:
            self.across += 1
            self.rows_across.update(parts)
            self.parts[" and ".join(sorted(set(parts), key=PARTS.index))] += 1
        second = next((k for k, p in enumerate(parts) if p != parts[0]), 1)
        if len(ids) > 1 and (len(self.examples) < 40 or crosses or verdict == "apart"):
            self.examples.append((crosses or verdict == "apart", (ids[0], ids[second])))

    @property
    def leaks(self) -> bool:
        """Whether any set crosses the publisher's split, or the zoo's own."""
        return bool(self.across or self.apart)

    @property
    def handled(self) -> str:
        """What the zoo's own reading does, over all sets."""
        lost = self.verdicts["apart"] + self.verdicts["chance"]
        if lost:
            return f"no: {lost} of {self.sets} can end in two splits"
        done = [w for w in ("grouped", "dropped") if self.verdicts[w]]
        return "yes, " + " or ".join(done) if done else ""

    def pairs(self, most: int = 8) -> tuple[tuple[str, str], ...]:
        """Ids of some pairs, those that cross first."""
        ordered = sorted(self.examples, key=lambda e: not e[0])
        return tuple(pair for _, pair in ordered[:most])


def by_chance(columns: dict[str, list[Any]]) -> npt.NDArray[np.bool_]:
    """Tell for each line of a table whether its repeats may be chance: columns are few, and values common.

    A line whose values, drawn one column at a time, would come up in more than one of a hundred tables of this size.
    """
    size = max((len(v) for v in columns.values()), default=0)
    chance = np.full(size, np.log(max(size, 1)))
    for values in columns.values():
        counts = Counter(map(repr, values))
        chance += np.log(np.array([counts[repr(v)] / size for v in values]))
    return np.asarray(chance > np.log(0.01), dtype=bool)


def column_accuracy(
    values: Sequence[Any], labels: Sequence[str], groups: Sequence[str], wanted: float = 1.0
) -> tuple[float, str]:
    """How well a column alone tells the labels of rows that it did not learn from.

    Half of the groups are held out. Words are looked up; numbers are also cut into ranges by a small tree.

    Args:
        values: (N,) numbers, words or None.
        labels: (N,) classes.
        groups: (N,) what must not be on both sides; an id for a row of its own.
        wanted: so many rows must be held out that chance tells all of them more seldom than this.

    Returns:
        The lower one of accuracy and balanced accuracy, and "by value" or "by range"; 0 where nothing can be said:
        fewer than FEWEST rows, one class, too few rows that are held out, or words that are all different.
    """
    known = [k for k, v in enumerate(values) if v is not None and not (isinstance(v, float) and np.isnan(v))]
    classes = Counter(labels[k] for k in known)
    if len(known) < FEWEST or len(classes) < 2 or min(classes.values()) < 4:
        return 0.0, ""
    held_out = np.array([_is_held_out(groups[k]) for k in known])
    column, true = [values[k] for k in known], np.array([labels[k] for k in known], dtype=object)
    if len(set(true[held_out])) < 2 or len(set(true[~held_out])) < 2:
        return 0.0, ""
    if -arrangements(list(Counter(true[held_out].tolist()).values())) >= np.log(wanted):
        return 0.0, ""
    scores: list[tuple[float, str]] = [(0.0, "")]
    if len(set(map(repr, column))) < len(column):
        scores.append((_score(_look_up(column, true, held_out), true[held_out]), "by value"))
    if all(isinstance(v, (int, float, np.number)) for v in column):
        numbers = np.array(column, dtype=np.float64)
        scores.append((_score(_cut(numbers, true, held_out), true[held_out]), "by range"))
    return max(scores)


@lru_cache(maxsize=2**17)
def _is_held_out(group: str) -> bool:
    """Whether a group is among the half that nothing is learned from; asked again for each column and shuffle."""
    return stable_key(0, group)[-1] in "02468ace"


def _look_up(column: list[Any], labels: npt.NDArray[np.object_], held_out: npt.NDArray[np.bool_]) -> list[str]:
    seen: dict[str, Counter[str]] = {}
    for value, label, out in zip(column, labels.tolist(), held_out.tolist(), strict=True):
        if not out:
            seen.setdefault(repr(value), Counter())[label] += 1
    best = {value: counts.most_common(1)[0][0] for value, counts in seen.items()}
    return [best.get(repr(v), "") for v, out in zip(column, held_out.tolist(), strict=True) if out]


def _cut(numbers: npt.NDArray[np.float64], labels: npt.NDArray[Any], held_out: npt.NDArray[np.bool_]) -> list[str]:
    from sklearn.tree import DecisionTreeClassifier

    finite = np.nan_to_num(numbers).astype(np.float32)[:, None]
    names, codes = np.unique(labels.astype(str), return_inverse=True)
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, 2 * len(names)), random_state=0)
    tree.fit(finite[~held_out], codes[~held_out], check_input=False)  # checks would take longer than the tree
    return [str(names[c]) for c in tree.predict(finite[held_out], check_input=False)]


def _score(said: Sequence[str], wanted: npt.NDArray[np.object_]) -> float:
    right = np.array([a == b for a, b in zip(said, wanted.tolist(), strict=True)])
    of_class = [float(right[wanted == c].mean()) for c in sorted(set(wanted.tolist()))]
    return min(float(right.mean()), float(np.mean(of_class)))


def number_correlation(values: Sequence[Any], targets: Sequence[float]) -> float:
    """Correlation of a column of numbers with the numbers to be predicted; 0 where nothing can be said."""
    pairs = [(v, t) for v, t in zip(values, targets, strict=True) if isinstance(v, (int, float, np.number))]
    table = np.array(pairs, dtype=np.float64)
    if len(pairs) < FEWEST or not np.isfinite(table).all() or (table.std(axis=0) == 0).any():
        return 0.0
    return abs(float(np.asarray(np.corrcoef(table.T))[0, 1]))
