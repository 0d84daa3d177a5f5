"""The decomposition of zoo.evaluation.information for a task of any kind that has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zoo.evaluation.calibration import at_temperature, fit_temperature
from zoo.evaluation.information import Parts, Redundancy, class_parts, gaussian_parts
from zoo.evaluation.pooled import Pool
from zoo.evaluation.subsets import Subset
from zoo.tasks.base import TaskKind
from zoo.tasks.items import Probabilities, Variable
from zoo.training.collector import Evaluated


def definition(kind: TaskKind, redundancy: Redundancy, conditional: str = "") -> str:
    """How ``task_parts`` decomposes a task of a kind, in words; "" where it cannot.

    Args:
        kind: of the task.
        redundancy: how the redundancy is measured.
        conditional: what the information is conditional on, in words; "" for nothing.
    """
    if kind.form == "other":
        return ""
    if kind.form == "values":
        return "Gaussian MMI PID (Barrett 2015) of prediction and target, summed over targets"
    shared = {
        "imin": "redundancy I_min (Williams and Beer 2010): mean over classes of the smaller specific information",
        "mmi": "redundancy MMI: the smaller of the two informations",
    }[redundancy]
    given = f"cross-entropy given {conditional} alone" if conditional else "H(Y)"
    several = ", each label on its own, summed" if kind.form == "labels" else ""
    return f"I(Y; X) >= {given} - cross-entropy, temperature fitted on validation{several}; {shared}"


def _variables(kind: TaskKind, result: Evaluated) -> list[Variable]:
    """What is predicted, one by one; rows of what is none of the classes count as not labelled."""
    found = kind.variables(result.prediction, result.target)
    return [replace(v, seen=v.seen & (v.target >= 0)) for v in found] if kind.form == "class" else found


def _probabilities(values: npt.NDArray[np.float64], codes: npt.NDArray[np.float64]) -> Probabilities:
    return Probabilities(values, codes.astype(np.int64), np.arange(len(codes)))


def _calibrated(kind: TaskKind, test: Evaluated, val: Evaluated | None) -> list[Variable]:
    """The variables of a model on the test rows, with temperatures from the validation rows."""
    found = _variables(kind, test)
    if kind.form == "values" or val is None:
        return found
    made = []
    for here, there in zip(found, _variables(kind, val), strict=True):
        heat = fit_temperature(_probabilities(there.prediction[there.seen], there.target[there.seen]))
        values = at_temperature(_probabilities(here.prediction, here.target), heat).values
        made.append(replace(here, prediction=values))
    return made


def task_parts(
    pool: Pool,
    validation: Sequence[dict[Subset, Evaluated]],
    a: str,
    b: str,
    *,
    given: bool = False,
    redundancy: Redundancy = "imin",
) -> Parts:
    """Decompose what ``a`` and ``b`` say of the pool's task, in bits, for all rows and each bootstrap draw (1 + R,).

    Args:
        pool: predictions from {a}, {b} and {a, b} on the test rows.
        validation: the same models' predictions of the validation rows, one dictionary a seed.
        a: a modality.
        b: another.
        given: whether the empty set is a model too, that knows what is always kept; all is conditional on it.
        redundancy: "imin" or "mmi"; regression takes "mmi".
    """
    kind = pool.kind
    subsets: list[Subset] = [
        frozenset({a}),
        frozenset({b}),
        frozenset({a, b}),
        *([frozenset[str]()] if given else []),
    ]
    seeds = [
        [_calibrated(kind, each[s], val.get(s)) for s in subsets]
        for each, val in zip(pool.results, validation, strict=True)
    ]
    total: Parts | None = None
    for k in range(len(seeds[0][0])):
        stacked = [np.concatenate([seed[s][k].prediction for seed in seeds]) for s in range(len(subsets))]
        target = np.concatenate([seed[0][k].target for seed in seeds])
        seen = np.concatenate([seed[0][k].seen for seed in seeds])
        weights = np.concatenate(pool.weights, 1)[:, seen]
        one, other, both, *base = [p[seen] for p in stacked]
        if kind.form == "values":
            parts = gaussian_parts(one, other, both, target[seen], weights=weights)
        else:
            parts = class_parts(
                one,
                other,
                both,
                target[seen].astype(np.int64),
                weights=weights,
                base=base[0] if base else None,
                redundancy=redundancy,
            )
        total = parts if total is None else total + parts
    assert total is not None
    return total
