"""Whether generated texts repeat training texts, beside how often real texts that were not trained on do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError
from zoo.evaluation.generated.neighbours import Pair, closest
from zoo.evaluation.generated.text import words
from zoo.evaluation.resampling import Interval, Resampler, describe_units

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Owners = dict[tuple[str, ...], set[str]]
"""Words of a training text -> the patients that have it."""
PAIRS = 10
"""Pairs that are named at most."""


@dataclass(frozen=True)
class CopyShare:
    """A share of texts that are copies.

    Attributes:
        made: of made texts, with its interval.
        floor: of held-out real texts, with its interval; reports are often word for word alike.
    """

    made: Interval
    floor: Interval


@dataclass(frozen=True)
class TextCopies:
    """How often texts repeat training texts.

    Attributes:
        exact: the same words in the same order as some training text.
        rare: the same as a training text of one patient only, which is what gives a patient away.
        near: at least ``threshold`` of the runs of ``run`` words are in one and the same training text.
        pairs: made text, training text and their likeness, the likest first; of texts of one patient only.
        run, threshold: see ``near``.
        unit: what intervals of the made texts draw, and how many.
    """

    exact: CopyShare
    rare: CopyShare
    near: CopyShare
    pairs: tuple[Pair, ...]
    run: int
    threshold: float
    unit: str


def text_copies(
    made: Sequence[str],
    train: Sequence[str],
    heldout: Sequence[str],
    *,
    made_units: Sequence[str] | None = None,
    train_units: Sequence[str] | None = None,
    heldout_units: Sequence[str] | None = None,
    run: int = 5,
    threshold: float = 0.8,
) -> TextCopies:
    """Look for training texts among made ones.

    The likeness of a text to a training text is the share of its different runs of ``run`` words that the training
    text has (containment, Broder 1997); a text of fewer words is one run.

    Args:
        made: (M,) made texts.
        train: (N,) texts that the generator was trained on.
        heldout: (H,) real texts that it was not trained on.
        made_units: (M,) patient of whose data each text was made; None: each text is its own.
        train_units: (N,) patient of each training text; None: each text is its own.
        heldout_units: (H,) patient of each held-out text; None: each text is its own.
        run: words of a run.
        threshold: likeness of a near copy.

    Raises:
        SpecError: a run below 1, or a threshold outside (0, 1].
        DataError: a set has no text, or not one unit for each.
    """
    if run < 1 or not 0 < threshold <= 1:
        raise SpecError(
            f"text_copies takes a run of 1 or more words and a threshold in (0, 1], got {run}, {threshold}"
        )
    sets = {"made": list(made), "train": list(train), "heldout": list(heldout)}
    units = {
        name: [f"{name} row:{k}" for k in range(len(sets[name]))] if given is None else list(given)
        for name, given in (("made", made_units), ("train", train_units), ("heldout", heldout_units))
    }
    for name, texts in sets.items():
        if not texts or len(units[name]) != len(texts):
            raise DataError(
                f"'{name}' has {len(texts)} texts and {len(units[name])} units; give one unit for each text"
            )
    owners: Owners = {}
    for text, unit in zip(sets["train"], units["train"], strict=True):
        owners.setdefault(tuple(words(text)), set()).add(unit)
    likeness = {name: _likeness(sets[name], sets["train"], run) for name in ("made", "heldout")}
    flags = {name: _flags(sets[name], owners, likeness[name].max(1) >= threshold) for name in ("made", "heldout")}
    exact, rare, near = (
        CopyShare(*(_share(flags[name][k], units[name]) for name in ("made", "heldout"))) for k in range(3)
    )
    single = np.array([len(owners[tuple(words(t))]) == 1 for t in sets["train"]])
    of_one = np.where(single, likeness["made"], 0.0)
    found = closest(-of_one.max(1), of_one.argmax(1), PAIRS)
    pairs = tuple(Pair(p.made, p.train, -p.value) for p in found if p.value < 0)
    return TextCopies(exact, rare, near, pairs, run, threshold, describe_units(units["made"]))


def _flags(texts: Sequence[str], owners: Owners, near: Bools) -> tuple[Bools, Bools, Bools]:
    """Of each text whether a training text has its words, whether those of one patient only do, and ``near``."""
    known = np.array([len(owners.get(tuple(words(t)), ())) for t in texts])
    return known > 0, known == 1, near


def _share(flags: Bools, units: Sequence[str]) -> Interval:
    resampler = Resampler(units)
    return resampler.interval(resampler.means(flags, units), bounds=(0.0, 1.0))


def _likeness(texts: Sequence[str], train: Sequence[str], run: int) -> Floats:
    """(M, N) share of the runs of each text that each training text has."""
    from sklearn.feature_extraction.text import CountVectorizer

    def runs(text: str) -> list[str]:
        each = words(text)
        return [" ".join(each[k : k + run]) for k in range(max(1, len(each) - run + 1))]

    counter = CountVectorizer(analyzer=runs, binary=True, dtype=np.float64)
    both = counter.fit_transform([*texts, *train])
    mine, theirs = both[: len(texts)], both[len(texts) :]
    shared: Floats = (mine @ theirs.T).toarray()
    likeness: Floats = shared / np.asarray(mine.sum(1))
    return likeness
