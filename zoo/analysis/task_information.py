"""The decomposition of zoo.analysis.information for a task of any kind that has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.analysis.calibration import Probabilities, at_temperature, fit_temperature
from zoo.analysis.information import Parts, Redundancy, class_parts, gaussian_parts
from zoo.analysis.pooled import Pool
from zoo.analysis.subsets import Subset
from zoo.evaluation import Evaluated

CLASSES = ("classification", "ordinal", "vqa")
"""Kinds whose predictions are (N, K) probabilities of one class."""
INFORMED = (*CLASSES, "multilabel", "regression")
"""Kinds of tasks that are decomposed."""


@dataclass(frozen=True)
class _Variable:
    """One label: (N, K) probabilities and (N,) codes, or (N,) predictions and values; ``seen`` (N,) bool."""

    prediction: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    seen: npt.NDArray[np.bool_]


def definition(kind: str, redundancy: Redundancy, conditional: str = "") -> str:
    """How ``task_parts`` decomposes a task of a kind, in words; "" where it cannot."""
    if kind not in INFORMED:
        return ""
    if kind == "regression":
        return "Gaussian MMI PID (Barrett 2015) of prediction and target, summed over targets"
    shared = {
        "imin": "redundancy I_min (Williams and Beer 2010): mean over classes of the smaller specific information",
        "mmi": "redundancy MMI: the smaller of the two informations",
    }[redundancy]
    given = f"cross-entropy given {conditional} alone" if conditional else "H(Y)"
    several = ", each label on its own, summed" if kind == "multilabel" else ""
    return f"I(Y; X) >= {given} - cross-entropy, temperature fitted on validation{several}; {shared}"


def _variables(kind: str, result: Evaluated) -> list[_Variable]:
    p, y = result.prediction.double().numpy(), result.target.numpy()
    if kind in CLASSES:
        return [_Variable(p, y.astype(np.float64), y >= 0)]  # -1: an answer outside of the vocabulary
    labels = range(p.shape[1])
    if kind == "multilabel":
        return [
            _Variable(np.stack([1 - p[:, k], p[:, k]], 1), y[:, 0, k].astype(float), y[:, 1, k] > 0) for k in labels
        ]
    return [_Variable(p[:, k], y[:, 0, k].astype(float), y[:, 1, k] > 0) for k in labels]


def _probabilities(values: npt.NDArray[np.float64], codes: npt.NDArray[np.float64]) -> Probabilities:
    return Probabilities(values, codes.astype(np.int64), np.arange(len(codes)))


def _calibrated(kind: str, test: Evaluated, val: Evaluated | None) -> list[_Variable]:
    """The variables of a model on the test rows, with temperatures from the validation rows."""
    found = _variables(kind, test)
    if kind == "regression" or val is None:
        return found
    made = []
    for here, there in zip(found, _variables(kind, val), strict=True):
        heat = fit_temperature(_probabilities(there.prediction[there.seen], there.target[there.seen]))
        made.append(
            _Variable(
                at_temperature(_probabilities(here.prediction, here.target), heat).values, here.target, here.seen
            )
        )
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
    kind = pool.kind.kind
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
        if kind == "regression":
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
