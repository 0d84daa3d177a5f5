"""Texts that any generator of reports must beat: one constant report, a random one, that of the nearest neighbour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError
from zoo.evaluation.generated.text import bleu, bleu_counts, words


def constant_text(
    train: Sequence[str], *, order: int = 4, candidates: int = 200, sample: int = 500, seed: int = 0
) -> str:
    """The training text that has the highest BLEU against all training texts.

    Candidates are the most frequent texts, filled up by random ones.

    Args:
        train: training texts.
        order: of the BLEU, 1 to 4.
        candidates: texts that are tried.
        sample: training texts that they are scored against.
        seed: of the choice of both.

    Raises:
        SpecError: no training text has a word, or an order outside 1 to 4.

    >>> constant_text(["no effusion today", "no effusion today", "heart is large"], order=1)
    'no effusion today'
    """
    texts = [t for t in train if words(t)]
    if not texts or order not in (1, 2, 3, 4):
        raise SpecError(f"a constant text needs training texts and an order of 1 to 4, got {len(texts)} and {order}")
    generator = np.random.default_rng(seed)
    scored = [words(texts[k]) for k in generator.permutation(len(texts))[:sample]]
    often = [t for t, n in Counter(texts).most_common() if n > 1][: candidates // 2]
    others = [t for t in dict.fromkeys(texts[k] for k in generator.permutation(len(texts))) if t not in set(often)]
    tried: list[str] = [*often, *others][:candidates]
    values: list[float] = [float(bleu(np.sum([bleu_counts(words(t), s) for s in scored], 0), order)) for t in tried]
    return tried[values.index(max(values))]


def random_texts(train: Sequence[str], n: int, *, seed: int = 0) -> list[str]:
    """Draw ``n`` training texts with replacement.

    Args:
        train: training texts.
        n: how many to draw.
        seed: of the draws.

    Raises:
        SpecError: there are no training texts.
    """
    if not train:
        raise SpecError("random texts need training texts, got none")
    return [train[k] for k in np.random.default_rng(seed).integers(0, len(train), n)]


def retrieved_texts(train: Sequence[str], neighbours: npt.ArrayLike) -> list[str]:
    """The text of each row's nearest training row.

    Args:
        train: training texts.
        neighbours: (N,) number of the nearest training row of each row, or (N, K) with the nearest first.

    Raises:
        DataError: a number that is of no training text.

    >>> retrieved_texts(["a", "b"], [[1, 0], [0, 1]])
    ['b', 'a']
    """
    numbers = np.asarray(neighbours)
    first = numbers if numbers.ndim == 1 else numbers[:, 0]
    wrong = np.flatnonzero((first < 0) | (first >= len(train)))
    if len(wrong):
        raise DataError(
            f"neighbour {first[wrong[0]]} is of none of {len(train)} training texts, numbered from 0",
            row=int(wrong[0]),
        )
    return [train[int(k)] for k in first]
