"""Whether modalities that are made together fit each other better than those that are made one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, unknown_name
from zoo.evaluation.generated.features.base import Matrix, checked
from zoo.evaluation.resampling import Floats, Interval, Resampler, describe_units

Similarity = Literal["cosine", "hamming"]
SIMILARITIES = ("cosine", "hamming")
RowPairs = tuple[npt.ArrayLike, npt.ArrayLike]
"""(N, F) of one modality and (N, F) of another, of the same rows."""


@dataclass(frozen=True)
class Coherence:
    """How alike two made modalities of a row are, drawn jointly and drawn independently.

    A generator that makes everything alike has a high similarity and no coherence: the floor of its draws is as high.

    Attributes:
        joint: mean similarity of the two modalities of a row, drawn jointly.
        independent: the same of draws that do not know each other.
        difference: joint - independent, paired by row.
        p: two-sided p-value of no difference.
        joint_floor: mean similarity of the first modality of a row and the second of another patient's, joint draws.
        independent_floor: the same of independent draws.
        gain: (joint - joint_floor) - (independent - independent_floor).
        real: mean similarity of the real modalities of the rows; None where they were not given.
        n: rows.
        unit: what intervals draw, and how many.
    """

    joint: Interval
    independent: Interval
    difference: Interval
    p: float
    joint_floor: Interval
    independent_floor: Interval
    gain: Interval
    real: Interval | None
    n: int
    unit: str


def coherence(
    joint: RowPairs,
    independent: RowPairs,
    *,
    real: RowPairs | None = None,
    similarity: Similarity = "cosine",
    units: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> Coherence:
    """Compare joint with independent draws of two modalities (XGeM, table 7 and figure 5).

    Args:
        joint: (N, F) and (N, F), embeddings or labels of the two modalities, drawn jointly.
        independent: the same, drawn without knowing of each other, of the same rows in the same order.
        real: the same of the real modalities of these rows, as a ceiling.
        similarity: "cosine" of embeddings, or "hamming": the share of labels, 0 or 1, that agree.
        units: (N,) patient of each row, which intervals draw; None: each row is its own.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        UnknownNameError: an unknown similarity.
        DataError: shapes differ, numbers are not finite, a vector is zero (cosine), or a label is not 0 or 1.
    """
    if similarity not in SIMILARITIES:
        raise unknown_name("similarity", similarity, SIMILARITIES)
    given = {"joint": joint, "independent": independent, **({} if real is None else {"real": real})}
    pairs = {name: tuple(_unit_vectors(x, similarity, name) for x in pair) for name, pair in given.items()}
    n = len(pairs["joint"][0])
    rows = [f"row:{k}" for k in range(n)] if units is None else list(units)
    shapes = {x.shape for pair in pairs.values() for x in pair}
    if len(shapes) > 1 or len(rows) != n:
        raise DataError(
            f"coherence takes the same rows and width of all modalities and draws, got shapes {sorted(shapes)} and "
            f"{len(rows)} units"
        )
    resampler = Resampler(rows, resamples=resamples, seed=seed)
    draws = {name: resampler.means((a * b).sum(1), rows) for name, (a, b) in pairs.items()}
    floors = {name: _floor(a, b, rows, resampler) for name, (a, b) in pairs.items()}
    bounds = (0.0, 1.0) if similarity == "hamming" else (-1.0, 1.0)
    width = bounds[1] - bounds[0]
    difference = draws["joint"] - draws["independent"]
    gain = difference - floors["joint"] + floors["independent"]
    return Coherence(
        joint=resampler.interval(draws["joint"], bounds=bounds),
        independent=resampler.interval(draws["independent"], bounds=bounds),
        difference=resampler.interval(difference, bounds=(-width, width)),
        p=resampler.p_value(difference),
        joint_floor=resampler.interval(floors["joint"], bounds=bounds, support=len(resampler)),
        independent_floor=resampler.interval(floors["independent"], bounds=bounds, support=len(resampler)),
        gain=resampler.interval(gain, bounds=(-2 * width, 2 * width), support=len(resampler)),
        real=None if real is None else resampler.interval(draws["real"], bounds=bounds),
        n=n,
        unit=describe_units(rows),
    )


def _unit_vectors(given: npt.ArrayLike, similarity: str, name: str) -> Matrix:
    """Vectors whose inner products are the similarity."""
    rows = checked(f"the {name} draws", given)
    if similarity == "cosine":
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        zero = np.flatnonzero(norms[:, 0] == 0)
        if len(zero):
            raise DataError(f"{len(zero)} vectors of the {name} draws are zero and have no cosine", row=int(zero[0]))
        unit: Matrix = rows / norms
        return unit
    if not np.isin(rows, (0, 1)).all():
        raise DataError(f"labels of the {name} draws must be 0 or 1, got {np.unique(rows)[:5].tolist()}")
    both: Matrix = np.concatenate([rows, 1 - rows], 1) / np.sqrt(rows.shape[1])
    return both


def _floor(a: Matrix, b: Matrix, units: Sequence[str], resampler: Resampler) -> Floats:
    """(1 + R,) mean inner products over all pairs of rows of different units."""
    place = resampler.places(units)
    first, second = np.zeros((len(resampler), a.shape[1])), np.zeros((len(resampler), a.shape[1]))
    np.add.at(first, place, a)
    np.add.at(second, place, b)
    size, own = np.bincount(place, minlength=len(resampler)).astype(np.float64), (first * second).sum(1)
    found = []
    for times in resampler:
        pairs = (times @ size) ** 2 - ((times * size) ** 2).sum()
        total = (times @ first) @ (times @ second) - (times**2 * own).sum()
        found.append(total / pairs if pairs > 0 else np.nan)
    return np.array(found)
