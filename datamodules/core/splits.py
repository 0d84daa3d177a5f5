"""Split rows into train, val and test: grouped, stratified, and independent of the order of files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoo.errors import SpecError

SPLITS = ("train", "val", "test")
FRACTIONS = (0.70, 0.15, 0.15)
"""MultiMed's split (section 5.1 and datasheet)."""


def stable_key(seed: int, text: str) -> str:
    """A random-looking key of ``text`` that is the same in every process and on every machine."""
    return hashlib.blake2b(f"{seed}|{text}".encode(), digest_size=8).hexdigest()


def components(rows: npt.NDArray[np.int64], keys: npt.NDArray[np.int64], num_rows: int) -> npt.NDArray[np.int64]:
    """Number the connected components of rows that share a key.

    Args:
        rows: (E,) a row number.
        keys: (E,) the key that this row holds.
        num_rows: N; a row without any key is a component of its own.

    Returns:
        (N,) component numbers, from 0 without gaps.

    >>> components(np.array([0, 1, 1, 2, 4]), np.array([0, 1, 0, 2, 1]), 5).tolist()
    [0, 0, 1, 2, 0]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = num_rows + (int(keys.max()) + 1 if len(keys) else 0)
    graph = coo_matrix((np.ones(len(rows), dtype=bool), (rows, num_rows + keys)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][:num_rows]
    return np.asarray(pd.factorize(labels)[0], dtype=np.int64)


def connect(keys: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """Number the connected components of rows that share a key.

    Args:
        keys: for each row, the keys it holds; empty strings connect nothing.

    Returns:
        (N,) component numbers in order of first appearance.

    >>> connect([["a"], ["b", "a"], ["c"], [""], ["b"]]).tolist()
    [0, 0, 1, 2, 0]
    """
    pairs = [(row, key) for row, held in enumerate(keys) for key in held if key]
    codes = np.asarray(pd.factorize(np.array([key for _, key in pairs], dtype=object))[0], dtype=np.int64)
    return components(np.array([row for row, _ in pairs], dtype=np.int64), codes, len(keys))


def assign_splits(
    table: pd.DataFrame, *, fractions: Sequence[float] = FRACTIONS, seed: int = 0, folds: int = 0
) -> npt.NDArray[np.str_]:
    """Assign each row to "train", "val" or "test".

    Whole groups are assigned. Within each stratum, groups are taken in the order of a hash of (seed, name)
    and given to the split that is furthest below its share; what a stratum rounds away is carried to the
    next, within a source. A publisher's split is kept; a group that touches several goes to the most held-out one.
    Where the publisher fixed only a test part, the rest is divided between train and val.

    With folds, seeds are the rounds of a cross-validation: a source is divided into K parts, and seed s tests on
    part s mod K of division s // K, so that seeds 0 to K - 1 test each row once. The rest is divided between train
    and val by their shares. A source whose publisher fixed what is trained on or tested is divided as without.

    Args:
        table: columns source (a number; optional), id, group (equal values never cross a split; "" is a group of
            its own), stratum, and split ("train", "val", "test" or "").
        fractions: shares of train, val and test; they sum to 1.
        seed: another seed gives another split.
        folds: K, at least 2; 0 for none.

    Returns:
        (N,) split names, in the order of ``table``.

    Raises:
        SpecError: shares that are none, one fold, or folds where every source has published parts.
    """
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise SpecError(f"split fractions must be three numbers >= 0 that sum to 1, got {tuple(fractions)}")
    if folds < 0 or folds == 1:
        raise SpecError(f"data.split.cross_validation must be 0 for none, or at least 2, got {folds}")
    fixed_names = set(table["split"].unique()) - {""}
    if bad := fixed_names - set(SPLITS):
        raise SpecError(f"an index names the splits {sorted(bad)}; known: {SPLITS}")
    grouped = (table["group"] != "").to_numpy()
    unit = np.where(grouped, "group:" + table["group"].astype(str), "id:" + table["id"].astype(str))
    codes, names = pd.factorize(unit)
    source = table["source"].to_numpy(dtype=np.int64) if "source" in table.columns else np.zeros(len(table), np.int64)
    units = pd.DataFrame({"name": names, "size": np.bincount(codes, minlength=len(names))})
    units["stratum"] = _most_frequent(codes, table["stratum"].astype(str).to_numpy(dtype=object))
    held_out = table["split"].map({"": -1, "train": 0, "val": 1, "test": 2}).to_numpy(dtype=np.int64)
    published, lowest = np.full(len(units), -1), np.full(len(units), source.max(initial=0))
    np.maximum.at(published, codes, held_out)  # a group that touches several goes to the most held-out one
    np.minimum.at(lowest, codes, source)
    units = units.assign(split=published, source=lowest)
    assigned = np.empty(len(units), dtype=np.int64)
    folded = False
    for _, part in units.groupby("source", sort=True):
        if folds and not {0, 2} & set(part["split"]):
            folded = True
            assigned[part.index] = _divide(_fold(part, folds, seed), np.array([*shares[:2], 0.0]), seed)
        else:
            assigned[part.index] = _divide(part, shares, seed)
    if folds and not folded:
        raise SpecError(
            f"data.split.cross_validation is {folds}, but every source has published parts, which are "
            "kept; leave it out"
        )
    return np.asarray(SPLITS)[assigned[codes]]


def _most_frequent(codes: npt.NDArray[np.int64], values: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """For each code from 0 on, its most frequent value; the first in the alphabet of several."""
    if len(codes) == codes.max(initial=-1) + 1:  # each code once
        return values[np.argsort(codes)]
    counts = pd.DataFrame({"code": codes, "value": values}).value_counts(["code", "value"], sort=False).reset_index()
    counts = counts.sort_values(["code", "count", "value"], ascending=[True, False, True], kind="stable")
    return counts.drop_duplicates("code")["value"].to_numpy(dtype=object)


def _divide(units: pd.DataFrame, shares: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.int64]:
    """Number the split of each group of one source; those that its publisher left open are -1 in ``split``."""
    fixed = set(units["split"]) - {-1}
    wanted = shares.copy()
    for k in (1, 2):
        if k in fixed:
            wanted[k] = 0.0
    if 0 in fixed and wanted[1:].sum() > 0:
        wanted[0] = 0.0
    wanted = wanted / wanted.sum() if wanted.sum() > 0 else np.array([1.0, 0.0, 0.0])
    assigned = units["split"].to_numpy(dtype=np.int64, copy=True)
    place = np.flatnonzero(assigned == -1)
    assigned[place] = _deal(units.iloc[place], wanted, seed)
    return assigned


def _fold(units: pd.DataFrame, folds: int, seed: int) -> pd.DataFrame:
    """Fix one of ``folds`` parts of what is open as the one to test on."""
    place = np.flatnonzero(units["split"] == -1)
    part = _deal(units.iloc[place], np.full(folds, 1 / folds), seed // folds)
    split = units["split"].to_numpy(dtype=np.int64, copy=True)
    split[place[part == seed % folds]] = 2
    return units.assign(split=split)


def _deal(units: pd.DataFrame, shares: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.int64]:
    """Number the part of each group, stratum by stratum; parts without a share get none."""
    dealt = np.zeros(len(units), dtype=np.int64)
    if not len(units):
        return dealt
    keys = [stable_key(seed, name) for name in units["name"]]
    order = pd.DataFrame({"stratum": units["stratum"].to_numpy(), "key": keys}).sort_values(["stratum", "key"]).index
    strata, sizes = units["stratum"].to_numpy()[order], units["size"].to_numpy()[order]
    choices = [k for k in range(len(shares)) if shares[k] > 0]
    begins = np.flatnonzero(np.append(True, strata[1:] != strata[:-1]))
    carry = [0.0] * len(shares)
    for begin, end in zip(begins, np.append(begins[1:], len(strata)), strict=True):
        total = sizes[begin:end].sum()
        deficit = [float(w * total) + c for w, c in zip(shares, carry, strict=True)]
        for k, size in zip(order[begin:end].tolist(), sizes[begin:end].tolist(), strict=True):
            best = max(choices, key=lambda c: (round(deficit[c], 9), c))
            dealt[k] = best
            deficit[best] -= size
        carry = deficit
    return dealt
