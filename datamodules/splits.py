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


def connect(keys: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """Number the connected components of rows that share a key.

    Args:
        keys: for each row, the keys it holds; empty strings connect nothing.

    Returns:
        (N,) component numbers in order of first appearance.

    >>> connect([["a"], ["b", "a"], ["c"], [""], ["b"]]).tolist()
    [0, 0, 1, 2, 0]
    """
    parent = list(range(len(keys)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for row, held in enumerate(keys):
        for key in held:
            if key:
                a, b = find(first.setdefault(key, row)), find(row)
                parent[max(a, b)] = min(a, b)
    number: dict[int, int] = {}
    return np.array([number.setdefault(find(i), len(number)) for i in range(len(keys))], dtype=np.int64)


def _held_out_most(fixed: set[str]) -> str:
    """Of the publisher's splits that a group touches, the most held out: test, then val, then train."""
    for split in ("test", "val", "train"):
        if split in fixed:
            return split
    return ""


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
    unit = np.where(table["group"] == "", "id:" + table["id"].astype(str), "group:" + table["group"].astype(str))
    frame = pd.DataFrame({"unit": unit, "stratum": table["stratum"].to_numpy(), "split": table["split"].to_numpy()})
    frame["source"] = table["source"].to_numpy() if "source" in table.columns else 0
    units = frame.groupby("unit", sort=True).agg(
        size=("split", "size"),
        stratum=("stratum", lambda s: s.value_counts().sort_index().idxmax()),
        split=("split", lambda s: _held_out_most(set(s))),
        source=("source", "min"),
    )
    assigned = dict(units["split"])
    for _, part in units.groupby("source", sort=True):
        assigned.update(_divide(part, shares, seed))
    return frame["unit"].map(assigned).to_numpy(dtype=str)


def _divide(units: pd.DataFrame, shares: npt.NDArray[np.float64], seed: int) -> dict[str, str]:
    """Assign the groups of one source that its publisher left open."""
    fixed_names = set(units["split"]) - {""}
    wanted = shares.copy()
    for k, name in enumerate(SPLITS[1:], start=1):
        if name in fixed_names:
            wanted[k] = 0.0
    if "train" in fixed_names and wanted[1:].sum() > 0:
        wanted[0] = 0.0
    wanted = wanted / wanted.sum() if wanted.sum() > 0 else np.array([1.0, 0.0, 0.0])
    open_units = units[units["split"] == ""].copy()
    open_units["key"] = [stable_key(seed, str(name)) for name in open_units.index]
    assigned: dict[str, str] = {}
    carry = np.zeros(3)
    for _, part in open_units.sort_values(["stratum", "key"]).groupby("stratum", sort=True):
        deficit: npt.NDArray[np.float64] = wanted * part["size"].sum() + carry
        for name, size in zip(part.index, part["size"], strict=True):
            best = max((k for k in range(3) if wanted[k] > 0), key=lambda k: (round(float(deficit[k]), 9), k))
            assigned[name] = SPLITS[best]
            deficit[best] -= size
        carry = deficit
    return assigned
