"""Subsets of modalities: enumerate them, or choose among them step by step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import SpecError

Subset = frozenset[str]
"""Modalities, in no order; the empty one is a model that is told nothing."""


def subsets(players: Sequence[str], order: int = 0) -> list[Subset]:
    """Every non-empty subset of up to ``order`` players, and the full set; small ones first.

    Args:
        players: names, such as of modalities.
        order: the largest size beside the full set; 0 for all sizes.

    Raises:
        SpecError: no players, a repeated one, or a negative order.

    >>> [sorted(s) for s in subsets(["a", "b", "c"], order=1)]
    [['a'], ['b'], ['c'], ['a', 'b', 'c']]
    """
    if not players or len(set(players)) != len(players):
        raise SpecError(f"subsets need distinct players, got {list(players)}")
    if order < 0:
        raise SpecError(f"the order of subsets must be 0 (all sizes) or more, got {order}")
    most = len(players) if order == 0 else min(order, len(players))
    sizes = [*range(1, most + 1), *([len(players)] if most < len(players) else [])]
    return [frozenset(c) for size in sizes for c in itertools.combinations(players, size)]


def missing(players: Sequence[str], known: Mapping[Subset, object]) -> list[Subset]:
    """The subsets of ``players``, the empty one included, that ``known`` lacks."""
    return [s for s in [frozenset[str](), *subsets(players)] if s not in known]


def label(subset: Subset, order: Sequence[str], kept: Sequence[str] = ()) -> str:
    """The subset in words, in the order of ``order``, after what is always kept; "nothing" for none.

    Args:
        subset: the modalities.
        order: in which they are named.
        kept: modalities that every subset has, named first.

    >>> label(frozenset({"oct", "fundus"}), ["fundus", "oct"])
    'fundus + oct'
    """
    return " + ".join([*kept, *(p for p in order if p in subset)]) or "nothing"


@dataclass(frozen=True)
class Step:
    """One step of a forward selection.

    Attributes:
        added: the player that was added.
        subset: all players after it.
        value: of the subset.
        tried: player -> value of the subset with that player instead.
    """

    added: str
    subset: Subset
    value: float
    tried: dict[str, float]


def greedy(players: Sequence[str], evaluate: Callable[[Sequence[Subset]], Mapping[Subset, float]]) -> list[Step]:
    """Forward selection: add the player that helps most, until all are in.

    It evaluates M (M + 1) / 2 of the 2^M subsets of M players. Two players that say something only together are
    found only where another step happens to bring one of them in.

    Args:
        players: names; the first of equals is taken.
        evaluate: the values of a round's subsets, higher is better; NaN or a missing subset counts as worst.

    Raises:
        SpecError: no players, or a repeated one.
    """
    subsets(players, 1)
    steps: list[Step] = []
    chosen: Subset = frozenset()
    while len(chosen) < len(players):
        round_ = {p: chosen | {p} for p in players if p not in chosen}
        values = evaluate(list(round_.values()))
        tried = {p: float(values.get(s, math.nan)) for p, s in round_.items()}
        if all(math.isnan(v) for v in tried.values()):
            break
        best = max(tried, key=lambda p: -math.inf if math.isnan(tried[p]) else tried[p])
        chosen = round_[best]
        steps.append(Step(best, chosen, tried[best], tried))
    return steps


def best_step(steps: Sequence[Step]) -> Step:
    """The step of the highest value; of equals the one of fewest players.

    Raises:
        SpecError: there are no steps.
    """
    if not steps:
        raise SpecError("a selection without steps has no best one")
    return max(steps, key=lambda s: s.value)
