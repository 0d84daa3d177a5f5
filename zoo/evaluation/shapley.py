"""Who contributes what: Shapley values, interaction and synergy of modalities, from the value of each subset.

Every function takes values as numbers or as arrays of one shape, such as one entry a bootstrap resample, and
gives arrays of that shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError
from zoo.evaluation.subsets import Subset, missing, subsets

Floats = npt.NDArray[np.float64]
EMPTY: Subset = frozenset()


def _value(values: Mapping[Subset, npt.ArrayLike], subset: Subset) -> Floats:
    if subset not in values:
        raise SpecError(f"the value of {sorted(subset) or 'the empty set'} is needed and not known")
    return np.asarray(values[subset], dtype=np.float64)


def shapley(players: Sequence[str], values: Mapping[Subset, npt.ArrayLike]) -> dict[str, Floats]:
    """Shapley values (Shapley 1953): the mean gain of adding a player, over all orders of adding.

        phi_i = sum over S without i of |S|! (M - |S| - 1)! / M! * (v(S + i) - v(S))

    They sum to v(all) - v(nothing).

    Args:
        players: M names.
        values: v of every subset, the empty one included.

    Raises:
        SpecError: a subset has no value.
    """
    lacking = missing(players, values)
    if lacking:
        shown = ", ".join("+".join(sorted(s)) or "nothing" for s in lacking[:4])
        raise SpecError(
            f"Shapley values of {len(players)} players need all {2 ** len(players)} subsets; {len(lacking)} have no "
            f"value: {shown}{' ...' if len(lacking) > 4 else ''}"
        )
    m = len(players)
    shares = [math.factorial(k) * math.factorial(m - k - 1) / math.factorial(m) for k in range(m)]
    everything = [EMPTY, *subsets(players)]
    return {
        p: np.asarray(
            sum(shares[len(s)] * (_value(values, s | {p}) - _value(values, s)) for s in everything if p not in s)
        )
        for p in players
    }


def synergy(values: Mapping[Subset, npt.ArrayLike], members: Sequence[str]) -> Floats:
    """Value of the members together minus that of the best of them alone."""
    alone = np.stack([_value(values, frozenset({m})) for m in members])
    return np.asarray(_value(values, frozenset(members)) - alone.max(0))


def interaction(values: Mapping[Subset, npt.ArrayLike], a: str, b: str) -> Floats:
    """Interaction index v(ab) - v(a) - v(b) + v(nothing): positive for synergy, negative for redundancy.

    It is the second-order difference of Owen (1972) at the empty set.

    Args:
        values: subset of modalities -> its value.
        a: a modality.
        b: another modality.
    """
    both, one, other = (_value(values, frozenset(s)) for s in ((a, b), (a,), (b,)))
    return np.asarray(both - one - other + _value(values, EMPTY))


@dataclass(frozen=True)
class Gains:
    """The gains of two players over nothing, split as datamodules.phantom.design splits them.

    Attributes:
        alone_a, alone_b, both: v(a), v(b), v(ab), each minus v(nothing).
        redundant: max(0, alone_a + alone_b - both).
        unique_a, unique_b: what remains of each alone.
        synergistic: max(0, both - alone_a - alone_b).
    """

    alone_a: Floats
    alone_b: Floats
    both: Floats
    redundant: Floats
    unique_a: Floats
    unique_b: Floats
    synergistic: Floats


def gains(values: Mapping[Subset, npt.ArrayLike], a: str, b: str) -> Gains:
    """Split the gains of ``a`` and ``b`` in the unit of the values; a plain account, no information theory.

    Args:
        values: subset of modalities -> its value.
        a: a modality.
        b: another modality.
    """
    nothing = _value(values, EMPTY)
    one, other = _value(values, frozenset({a})) - nothing, _value(values, frozenset({b})) - nothing
    both = _value(values, frozenset({a, b})) - nothing
    redundant = np.maximum(0.0, one + other - both)
    return Gains(one, other, both, redundant, one - redundant, other - redundant, np.maximum(0.0, both - one - other))
