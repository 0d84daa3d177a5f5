"""Episodes: draws of rows to learn from and of rows to be asked, for few-shot evaluation.

An episode draws k rows a class to learn from (support) and other rows to be asked (query). Rows are embedded once,
before; nothing here trains an encoder. Episodes are nested: the k rows of k shots are the first k of those of more
shots, and the query is the same, so that points of a curve differ by the shots alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError

Codes = npt.NDArray[np.int64]
EITHER, SUPPORT, QUERY = 0, 1, 2
"""Roles of rows: to be drawn for both, only to learn from, only to be asked."""
LEAST_QUERIES = 5
"""Rows of a class that must be left to be asked."""
TRIES = 100
"""Orders of groups that are tried before it is said that an episode cannot be drawn."""


@dataclass(frozen=True)
class Episode:
    """One draw.

    Attributes:
        classes: (W,) class codes.
        support: (W, K) row numbers; k shots take the first k columns.
        query: (Q,) row numbers, none of which shares a group with the support.
        truth: (Q,) the position in ``classes`` of each.
    """

    classes: Codes
    support: Codes
    query: Codes
    truth: Codes


def enough_rows(labels: Codes, shots: int, roles: Codes | None = None) -> tuple[list[int], dict[int, int]]:
    """The classes with rows for ``shots`` and LEAST_QUERIES queries, and the others with the rows that they have.

    Args:
        labels: (N,) class codes, negative where unknown.
        shots: the largest number of shots.
        roles: (N,) of EITHER, SUPPORT and QUERY; None for EITHER.

    >>> enough_rows(np.array([0] * 8 + [1] * 7 + [-1]), 3)
    ([0], {1: 7})
    """
    roles = np.zeros(len(labels), dtype=np.int64) if roles is None else roles
    good, left = [], {}
    for code in sorted(set(labels[labels >= 0].tolist())):
        mine = roles[labels == code]
        support, query = int((mine != QUERY).sum()), int((mine != SUPPORT).sum())
        if support >= shots and query >= LEAST_QUERIES and len(mine) >= shots + LEAST_QUERIES:
            good.append(int(code))
        else:
            left[int(code)] = len(mine)
    return good, left


def draw_episodes(
    labels: Codes,
    *,
    shots: int,
    episodes: int = 200,
    queries: int = 30,
    ways: int = 0,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    roles: Codes | None = None,
) -> list[Episode]:
    """Draw episodes; equal arguments give equal episodes.

    Whole groups are dealt out in a random order: to the support while a class of the group still lacks rows there,
    else to the query. So no group, such as a patient, is on both sides.

    Args:
        labels: (N,) class codes; rows of negative codes are left out.
        shots: K, rows a class in the support.
        episodes: how many.
        queries: rows a class in the query, at most; at least LEAST_QUERIES.
        ways: W, classes an episode, drawn anew each time; 0 for all.
        seed: of the draws.
        groups: (N,) names of groups; "" is a group of its own. None for none.
        roles: (N,) which side a row may be on; None for both.

    Raises:
        SpecError: a class has too few rows or groups, there are fewer than two classes, or fewer than ``ways``.
    """
    classes = np.unique(labels[labels >= 0])
    good, left = enough_rows(labels, shots, roles)
    if left:
        raise SpecError(
            f"{shots} shots and {LEAST_QUERIES} queries need more rows than some classes have: {left} "
            "(class code: rows); take fewer shots, or leave these classes out"
        )
    ways = ways or len(good)
    if not 2 <= ways <= len(classes):
        raise SpecError(
            f"an episode of {ways} ways cannot be drawn from {len(classes)} classes; 2 or more are needed"
        )
    if min(shots, episodes) < 1 or queries < LEAST_QUERIES:
        raise SpecError(
            f"shots={shots}, episodes={episodes}, queries={queries}: shots and episodes are at least 1, queries at "
            f"least {LEAST_QUERIES}"
        )
    units = _units(len(labels), groups)
    roles = np.zeros(len(labels), dtype=np.int64) if roles is None else roles
    generator = np.random.default_rng(seed)
    return [_draw(labels, classes, units, roles, shots, queries, ways, generator) for _ in range(episodes)]


def _units(n: int, groups: Sequence[str] | None) -> Codes:
    """(N,) numbers of groups from 0; rows without a group have one of their own."""
    names = [g or f"\0{k}" for k, g in enumerate(groups)] if groups is not None else [str(k) for k in range(n)]
    return np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)


def _draw(
    labels: Codes,
    classes: Codes,
    units: Codes,
    roles: Codes,
    shots: int,
    queries: int,
    ways: int,
    generator: np.random.Generator,
) -> Episode:
    for _ in range(TRIES):
        chosen = np.sort(generator.choice(classes, ways, replace=False))
        is_support = _deal(labels, chosen, units, roles, shots, generator)
        support, query, truth = [], [], []
        for position, code in enumerate(chosen.tolist()):
            mine = generator.permutation(np.flatnonzero(labels == code))
            learn = mine[is_support[units[mine]] & (roles[mine] != QUERY)][:shots]
            ask = mine[~is_support[units[mine]] & (roles[mine] != SUPPORT)][:queries]
            if len(learn) < shots or len(ask) < LEAST_QUERIES:
                break
            support.append(learn)
            query.append(ask)
            truth.append(np.full(len(ask), position))
        else:
            return Episode(chosen, np.stack(support), np.concatenate(query), np.concatenate(truth))
    raise SpecError(
        f"in {TRIES} draws no episode of {shots} shots had its support and {LEAST_QUERIES} queries a class in "
        "different groups: a class has too few groups; take fewer shots, or no groups"
    )


def _deal(
    labels: Codes, chosen: Codes, units: Codes, roles: Codes, shots: int, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """(U,) whether each group is on the side of the support."""
    rows = np.flatnonzero(np.isin(labels, chosen))
    place = np.searchsorted(chosen, labels[rows])
    number = int(units.max()) + 1
    counts = np.zeros((number, len(chosen)), dtype=np.int64)
    usable = roles[rows] != QUERY
    np.add.at(counts, (units[rows[usable]], place[usable]), 1)
    is_support = np.zeros(number, dtype=bool)
    only = np.zeros(number, dtype=bool)
    only[units[roles == SUPPORT]] = True
    is_support[only] = True
    need = shots - counts[only].sum(0)
    for unit in generator.permutation(np.flatnonzero(~only)).tolist():
        if (need <= 0).all():
            break
        if ((counts[unit] > 0) & (need > 0)).any():
            is_support[unit] = True
            need = need - counts[unit]
    return is_support


def draw_labelled(
    roles: Codes, *, shots: int, episodes: int = 200, queries: int = 50, seed: int = 0
) -> list[Episode]:
    """Draw episodes for targets without classes: ``shots`` rows to learn from in all, and up to ``queries`` others.

    Args:
        roles: (N,) of SUPPORT and QUERY.
        shots: K; the support is (1, K).
        episodes: how many.
        queries: rows to be asked, at most.
        seed: of the draws.

    Raises:
        SpecError: there are fewer than ``shots`` rows to learn from, or fewer than LEAST_QUERIES to be asked.
    """
    learn, ask = np.flatnonzero(roles != QUERY), np.flatnonzero(roles == QUERY)
    if len(learn) < shots or len(ask) < LEAST_QUERIES:
        raise SpecError(
            f"{shots} shots and {LEAST_QUERIES} queries need more rows than the {len(learn)} to learn from and the "
            f"{len(ask)} to be asked; take fewer shots"
        )
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(episodes):
        support = generator.permutation(learn)[:shots]
        query = generator.permutation(ask)[:queries]
        drawn.append(Episode(np.zeros(1, dtype=np.int64), support[None], query, np.zeros(len(query), dtype=np.int64)))
    return drawn
