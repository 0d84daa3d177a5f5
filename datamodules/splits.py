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
    table: pd.DataFrame, *, fractions: Sequence[float] = FRACTIONS, seed: int = 0
) -> npt.NDArray[np.str_]:
    """Assign each row to "train", "val" or "test".

    Whole groups are assigned. Within each stratum, groups are taken in the order of a hash of (seed, name)
    and given to the split that is furthest below its share; what a stratum rounds away is carried to the
    next, within a source. A publisher's split is kept; a group that touches several goes to the most held-out one.
    Where the publisher fixed only a test part, the rest is divided between train and val.

    Args:
        table: columns source (a number; optional), id, group (equal values never cross a split; "" is a group of
            its own), stratum, and split ("train", "val", "test" or "").
        fractions: shares of train, val and test; they sum to 1.
        seed: another seed gives another split.

    Returns:
        (N,) split names, in the order of ``table``.
    """
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise SpecError(f"split fractions must be three numbers >= 0 that sum to 1, got {tuple(fractions)}")
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
    for _, part in units.groupby("source", sort=True):
        assigned[part.index] = _divide(part, shares, seed)
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
    if not len(place):
        return assigned
    left = units.iloc[place]
    keys = [stable_key(seed, name) for name in left["name"]]
    order = pd.DataFrame({"stratum": left["stratum"].to_numpy(), "key": keys}).sort_values(["stratum", "key"]).index
    strata, sizes = left["stratum"].to_numpy()[order], left["size"].to_numpy()[order]
    choices = [k for k in range(3) if wanted[k] > 0]
    begins = np.flatnonzero(np.append(True, strata[1:] != strata[:-1]))
    carry = [0.0, 0.0, 0.0]
    for begin, end in zip(begins, np.append(begins[1:], len(strata)), strict=True):
        total = sizes[begin:end].sum()
        deficit = [float(w * total) + c for w, c in zip(wanted, carry, strict=True)]
        for k, size in zip(place[order[begin:end]].tolist(), sizes[begin:end].tolist(), strict=True):
            best = max(choices, key=lambda c: (round(deficit[c], 9), c))
            assigned[k] = best
            deficit[best] -= size
        carry = deficit
    return assigned
