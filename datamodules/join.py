"""Join sources: rows of the same subject become one sample, all others stay as they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from datamodules.source import Source
from datamodules.splits import connect, stable_key
from zoo.contract import Sample
from zoo.errors import SpecError

Member = tuple[int, int]
"""(source number, row of its index)."""


@dataclass
class Join:
    """Samples over several sources.

    Attributes:
        members: for each sample, the rows that make it, at most one a source.
        table: columns id, group, stratum, split as splits.assign_splits takes them, and source (the number
            of the first member's source).
    """

    members: list[tuple[Member, ...]]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.members)


def join_sources(sources: Sequence[Source]) -> Join:
    """Join opened sources by subject.

    The k-th row of a subject in one source meets its k-th row in every other. Rows that share a group or
    a subject end in one group, so that a split cannot part them.
    """
    meeting: dict[tuple[str, int], list[Member]] = defaultdict(list)
    members: list[list[Member]] = []
    for s, source in enumerate(sources):
        seen: dict[str, int] = defaultdict(int)
        for row, subject in enumerate(source.index["subject"].astype(str)):
            if not subject:
                members.append([(s, row)])
                continue
            key = (subject, seen[subject])
            seen[subject] += 1
            if key not in meeting:
                members.append(meeting[key])  # the list is filled as further sources meet
            meeting[key].append((s, row))
    names = unique_names(sources)
    columns = [{c: source.index[c].astype(str).to_numpy() for c in source.index.columns} for source in sources]
    lines = []
    keys = []
    for joined in members:
        first_source, first_row = joined[0]
        fixed = [columns[s]["split"][r] for s, r in joined if columns[s]["split"][r]]
        if len(set(fixed)) > 1:
            raise SpecError(
                f"{names[first_source]} row '{columns[first_source]['id'][first_row]}' is joined to a row "
                f"that its publisher put into another split: {fixed}"
            )
        lines.append(
            {
                "id": f"{names[first_source]}/{columns[first_source]['id'][first_row]}",
                "stratum": f"{first_source:03d}|{columns[first_source]['stratum'][first_row]}",
                "split": fixed[0] if fixed else "",
                "source": first_source,
            }
        )
        held = [f"{names[s]}|group|{columns[s]['group'][r]}" for s, r in joined if columns[s]["group"][r]]
        held += [f"subject|{columns[s]['subject'][r]}" for s, r in joined if columns[s]["subject"][r]]
        keys.append(held)
    table = pd.DataFrame(lines)
    table["group"] = _component_names(table["id"].tolist(), keys)
    return Join([tuple(joined) for joined in members], table)


def unique_names(sources: Sequence[Source]) -> list[str]:
    """Source names; a class that is used twice is numbered."""
    names: list[str] = []
    for source in sources:
        same = sum(n == source.name or n.startswith(f"{source.name}#") for n in names)
        names.append(source.name if not same else f"{source.name}#{same + 1}")
    return names


def _component_names(ids: Sequence[str], keys: Sequence[Sequence[str]]) -> list[str]:
    """A name for the component of each row that does not depend on the order of rows."""
    component = connect([[f"id|{i}", *held] for i, held in zip(ids, keys, strict=True)])
    best: dict[int, str] = {}
    for c, held, i in zip(component.tolist(), keys, ids, strict=True):
        name = min([*held, f"id|{i}"])
        best[c] = min(best.get(c, name), name)
    return [stable_key(0, best[c]) for c in component.tolist()]


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
