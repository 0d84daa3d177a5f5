"""How likely chance alone would find as much: exact and permutation tests, at a level that counts all looks."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, lgamma

import numpy as np
import numpy.typing as npt

FAMILY = 0.01
"""Chance that anything is found in a source whose labels are shuffled, over all columns, traits and classes."""
QUICK = 50
"""Shuffles after which a test is given up where one of them does as well."""
MOST = 40_000
"""Shuffles at most."""


def level(looks: int) -> float:
    """The level of each of so many tests, by which all together keep FAMILY (Bonferroni).

    >>> level(20)
    0.0005
    """
    return FAMILY / max(looks, 1)


def tail(found: int, drawn: int, marked: int, total: int) -> float:
    """Probability that at least ``found`` of ``drawn`` rows are marked: Fisher's exact test, one-sided.

    Args:
        found: marked rows among those drawn.
        drawn: rows drawn at random, such as those of one class.
        marked: marked rows, such as those whose text holds a word.
        total: all rows.

    >>> round(tail(3, 3, 3, 6), 4)
    0.05
    """

    def choose(n: int, k: int) -> float:
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

    lowest = max(found, 0, drawn + marked - total)
    terms = [
        choose(marked, k) + choose(total - marked, drawn - k) - choose(total, drawn)
        for k in range(lowest, min(drawn, marked) + 1)
    ]
    return min(1.0, float(np.exp(terms).sum())) if terms else 0.0


def arrangements(counts: npt.ArrayLike) -> float:
    """Logarithm of the number of ways to arrange rows of classes with such counts; exp(-it) is the chance of one."""
    sizes = np.asarray(counts, dtype=np.int64)
    return lgamma(int(sizes.sum()) + 1) - sum(lgamma(int(n) + 1) for n in sizes)


def beats_shuffles(
    observed: float, shuffled: Callable[[np.random.Generator], float], wanted: float
) -> tuple[bool, float]:
    """Whether a statistic is larger than that of shuffles, at a level.

    Args:
        observed: the statistic of the rows as they are.
        shuffled: the statistic of one shuffle.
        wanted: the level; (1 + shuffles that do as well) / (1 + shuffles) must not exceed it.

    Returns:
        Whether it is, and the mean of the shuffles, which is the level of chance.
    """
    generator = np.random.default_rng(0)
    first = [shuffled(generator) for _ in range(QUICK)]
    if max(first) >= observed:
        return False, float(np.mean(first))
    number = min(MOST, max(1_000, ceil(4 / wanted)))
    allowed, as_well, total = wanted * (number + 1) - 1, 0, 0.0
    for done in range(1, number + 1):
        value = shuffled(generator)
        total += value
        as_well += value >= observed
        if as_well > allowed:
            return False, total / done
    return True, total / number
