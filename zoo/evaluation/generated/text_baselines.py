"""Texts that any generator of reports must beat: one constant report, a random one, that of the nearest neighbour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError
from zoo.evaluation.generated.text import ORDERS, bleu, words


def constant_text(train: Sequence[str], *, order: int = 4) -> str:
    """The training text that has the highest BLEU against all training texts; of equal ones the first.

    Every training text is tried. What a constant text has right of a run of words is counted once for all texts: the
    k-th time that it has a run is right for as many texts as have the run k times at least.

    Args:
        train: training texts.
        order: of the BLEU, 1 to 4.

    Raises:
        SpecError: no training text has a word, or an order outside 1 to 4.

    >>> constant_text(["no effusion today", "no effusion today", "heart is large"], order=1)
    'no effusion today'
    """
    texts = {t: words(t) for t in train}
    if not any(texts.values()) or order not in ORDERS:
        raise SpecError(
            f"a constant text needs training texts with words and an order of 1 to 4, got {len(train)} and {order}"
        )
    length = float(np.mean([len(texts[t]) for t in train]))
    often: Counter[tuple[tuple[str, ...], int]] = Counter()
    for text, times in Counter(train).items():
        for run, count in _runs(texts[text]).items():
            often.update({(run, k + 1): times for k in range(count)})
    tried = [t for t in texts if texts[t]]
    counts = np.zeros((len(tried), 10))
    for row, text in enumerate(tried):
        for run, count in _runs(texts[text]).items():
            counts[row, len(run) - 1] += sum(often[run, k + 1] for k in range(count)) / len(train)
            counts[row, len(run) + 3] += count
        counts[row, 8:] = len(texts[text]), length
    return tried[int(bleu(counts, order).argmax())]


def _runs(text: Sequence[str]) -> Counter[tuple[str, ...]]:
    """How often a text has each run of 1 to 4 words."""
    return Counter(run for n in ORDERS for run in zip(*(text[k:] for k in range(n)), strict=False))


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
