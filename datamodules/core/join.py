"""Join sources: rows of the same subject become one sample, all others stay as they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import Source
from datamodules.core.splits import components, stable_key
from zoo.contract import Sample
from zoo.errors import SpecError

Member = tuple[int, int]
"""(source number, row of its index)."""
Whole = npt.NDArray[np.int64]


ROW, SUBJECT = "row", "subject"
"""Words for the unit of a sample that nothing binds to others, and of one that is bound by its subject alone."""


class Members(Sequence[tuple[Member, ...]]):
    """For each sample, the rows that make it, in three flat arrays that may lie in a memory-mapped file.

    Args:
        start: (N + 1,) where the rows of each sample begin.
        source, row: (R,) source number and row of its index.
    """

    def __init__(self, start: Whole, source: npt.NDArray[np.int16], row: Whole) -> None:
        self.start, self.source, self.row = start, source, row

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, sample: int) -> tuple[Member, ...]:  # type: ignore[override]
        if not 0 <= sample < len(self):
            raise IndexError(sample)
        a, b = int(self.start[sample]), int(self.start[sample + 1])
        return tuple((int(self.source[k]), int(self.row[k])) for k in range(a, b))

    def __iter__(self) -> Iterator[tuple[Member, ...]]:
        return (self[k] for k in range(len(self)))


class Samples(ABC):
    """What a dataset has to know of the joined samples; in memory (Join) or in a file (index.StoredSamples)."""

    members: Members
    source: npt.NDArray[np.int16]
    """(N,) number of the source of each sample's first row."""

    def __len__(self) -> int:
        return len(self.members)

    @abstractmethod
    def id(self, row: int) -> str:
        """Name of a sample: its first source and the id there."""

    def unit(self, row: int) -> str:
        """Name of the unit of independence that a sample belongs to: a word for it, ":" and its own name.

        Samples that no split may part share one; a sample without a group and a subject is its own, "row:ID".
        """
        return self._shared_unit(row) or f"{ROW}:{self.id(row)}"

    @abstractmethod
    def _shared_unit(self, row: int) -> str:
        """The unit of a sample, "" where it is its own."""


class Join(Samples):
    """Samples over several sources, in memory.

    Args:
        members: for each sample, the rows that make it, at most one a source.
        table: columns id, group, stratum, split as splits.assign_splits takes them, source (the number
            of the first member's source) and unit ("" for a sample that is a unit of its own).
    """

    def __init__(self, members: Members, table: pd.DataFrame) -> None:
        self.members, self.table = members, table
        self.source = table["source"].to_numpy(np.int16)
        self._ids = table["id"].to_numpy(dtype=object)
        self._units = table["unit"].to_numpy(dtype=object)

    def id(self, row: int) -> str:
        """Name of a sample: its first source and the id there."""
        return str(self._ids[row])

    def _shared_unit(self, row: int) -> str:
        return str(self._units[row])


def join_sources(sources: Sequence[Source]) -> Join:
    """Join opened sources by subject.

    The k-th row of a subject in one source meets its k-th row in every other. Rows that share a group or
    a subject end in one group, so that a split cannot part them.
    """
    rows = _all_rows(sources)
    sample = _samples(rows)
    order = np.argsort(sample, kind="stable")
    rows, sample = rows.iloc[order].reset_index(drop=True), sample[order]
    start = np.append(np.flatnonzero(np.diff(sample, prepend=-1)), len(rows)).astype(np.int64)
    first = rows.iloc[start[:-1]].reset_index(drop=True)
    members = Members(start, rows["source"].to_numpy(np.int16), rows["row"].to_numpy(np.int64))
    table = pd.DataFrame(
        {
            "id": first["id"],
            "stratum": first["source"].map("{:03d}|".format) + first["stratum"],
            "split": _published(rows, sample),
            "source": first["source"],
        }
    )
    words = np.array([s.group_unit or "group" for s in sources], dtype=object)
    table["group"], table["unit"] = _component_names(rows, sample, table["id"], words)
    return Join(members, table)


def _all_rows(sources: Sequence[Source]) -> pd.DataFrame:
    """One line a row of any source: source, row, id (with the source's name), subject, group, stratum, split."""
    parts = []
    for s, (source, name) in enumerate(zip(sources, unique_names(sources), strict=True)):
        index = source.index
        part = {c: index[c].astype(str).astype(object) for c in ("subject", "group", "stratum", "split")}
        ids = f"{name}/" + index["id"].astype(str).astype(object)
        held = np.where(part["group"] != "", f"{name}|group|" + part["group"], "")
        parts.append(pd.DataFrame({"source": s, "row": np.arange(len(index)), "id": ids, **part, "group": held}))
    return pd.concat(parts, ignore_index=True)


def _samples(rows: pd.DataFrame) -> Whole:
    """(R,) number of the sample of each row, in the order of first appearance."""
    alone = (rows["subject"] == "").to_numpy()
    if alone.all():
        return np.arange(len(rows))
    with_subject = rows[~alone]
    turn = with_subject.groupby(["source", "subject"], sort=False).cumcount().astype(str)
    key = rows["id"].to_numpy(dtype=object, copy=True)
    key[~alone] = "subject|" + with_subject["subject"] + "|" + turn
    key[alone] = "row|" + key[alone]
    return np.asarray(pd.factorize(key)[0], dtype=np.int64)


def _published(rows: pd.DataFrame, sample: Whole) -> npt.NDArray[np.object_]:
    """The publisher's split of each sample, "" for none.

    Raises:
        SpecError: rows of one sample were published in two splits.
    """
    found = np.full(int(sample[-1]) + 1, "", dtype=object)
    fixed = (rows["split"] != "").to_numpy()
    found[sample[fixed]] = rows["split"].to_numpy()[fixed]
    wrong = np.flatnonzero(fixed & (found[sample] != rows["split"].to_numpy()))
    if len(wrong):
        joined = rows[sample == sample[wrong[0]]]
        name, row = joined["id"].iloc[0].split("/", 1)
        raise SpecError(
            f"{name} row '{row}' is joined to a row that its publisher put into another split: "
            f"{[s for s in joined['split'] if s]}"
        )
    return found


def unique_names(sources: Sequence[Source]) -> list[str]:
    """Source names; a class that is used twice is numbered."""
    names: list[str] = []
    for source in sources:
        same = sum(n == source.name or n.startswith(f"{source.name}#") for n in names)
        names.append(source.name if not same else f"{source.name}#{same + 1}")
    return names


def _component_names(
    rows: pd.DataFrame, sample: Whole, ids: pd.Series, words: npt.NDArray[np.object_]
) -> tuple[list[str], list[str]]:
    """Names for the component of each sample that do not depend on the order of rows: its group and its unit.

    The group is the hash of the smallest of the names that the component holds: ids, groups and subjects. The unit is
    that name after the word for it, that of the first source that groups a row of the component; "" for a sample
    that holds no group and no subject.

    Args:
        rows: one line a row, sorted by sample.
        sample: (R,) number of the sample of each row.
        ids: (N,) of the samples.
        words: word for the unit of each source.
    """
    best = ("id|" + ids).to_numpy(dtype=object)
    grouped, named = (rows["group"] != "").to_numpy(), (rows["subject"] != "").to_numpy()
    keyed = np.concatenate([sample[grouped], sample[named]])
    if not len(keyed):
        return [stable_key(0, name) for name in best], [""] * len(ids)
    names = np.concatenate(
        [
            rows["group"].to_numpy(dtype=object)[grouped],
            ("subject|" + rows["subject"]).to_numpy(dtype=object)[named],
        ]
    )
    component = components(keyed, np.asarray(pd.factorize(names)[0], dtype=np.int64), len(ids))
    values = np.concatenate([best, names])
    owner = np.concatenate([component, component[keyed]])
    order = np.argsort(values, kind="stable")
    first = pd.DataFrame({"owner": owner[order], "name": values[order]}).drop_duplicates("owner")
    smallest = np.empty(len(first), dtype=object)
    smallest[first["owner"].to_numpy()] = first["name"].to_numpy()
    best = smallest[component]
    hashed = {name: stable_key(0, name) for name in set(best)}
    word = np.full(len(first), "", dtype=object)
    word[component[sample[named]]] = SUBJECT
    source = rows["source"].to_numpy()[grouped]
    latest_first = np.argsort(-source, kind="stable")  # what is written last, the first source, stays
    word[component[sample[grouped]][latest_first]] = words[source[latest_first]]
    units = [f"{w}:{name}" if w else "" for w, name in zip(word[component], best, strict=True)]
    return [hashed[name] for name in best], units


def merge_samples(name: str, parts: Sequence[Sample]) -> Sample:
    """Make one sample of the parts of a subject.

    Raises:
        SpecError: two parts hold the same modality, or label one task differently.
    """
    if len(parts) == 1:
        return Sample(name, dict(parts[0].inputs), dict(parts[0].targets), dict(parts[0].groups))
    merged = Sample(name)
    for part in parts:
        for modality, value in part.inputs.items():
            if modality in merged.inputs:
                raise SpecError(
                    f"sample '{name}': two joined rows hold the modality '{modality}' (one is '{part.id}'); "
                    "give one of the sources another modality name or no subject"
                )
            merged.inputs[modality] = value
        for task, target in part.targets.items():
            known = merged.targets.get(task, target)
            if not np.array_equal(np.asarray(known, dtype=object), np.asarray(target, dtype=object)):
                raise SpecError(f"sample '{name}': joined rows label '{task}' as {known!r} and {target!r}")
            merged.targets[task] = target
        for group, code in part.groups.items():
            merged.groups.setdefault(group, code)
    return merged
