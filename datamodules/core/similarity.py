"""Rows that are alike, put into one group before splitting: copies, similar pictures, sequences that overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from datamodules.core.duplicates import near_pairs, needed
from datamodules.core.fingerprints import picture_print
from datamodules.core.join import Join
from datamodules.core.source import Source
from datamodules.core.splits import connect
from zoo.contract import MODALITIES
from zoo.errors import DataError

COMMON = 0.05
"""A piece of sequence that more than this share of the rows hold is a part of the construct, and binds nothing."""
FEW = 10
"""A piece that at most so many rows hold is never taken for such a part."""


@dataclass
class Grouping:
    """What was put together.

    Attributes:
        samples: in groups of several that were not together before.
        groups: number of these groups.
        largest: samples of the largest one.
        examples: names of two samples of some groups.
    """

    samples: int = 0
    groups: int = 0
    largest: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)

    def describe(self) -> str:
        """In words, with files or names of rows."""
        if not self.groups:
            return "no rows are alike"
        named = "; ".join(f"{a} and {b}" for a, b in self.examples)
        return (
            f"{self.samples} rows are in {self.groups} groups of rows that are alike, at most {self.largest} in one, "
            f"which no split parts: such as {named}"
        )


def group_similar(join: Join, sources: Sequence[Source], *, overlaps: bool) -> tuple[Join, Grouping]:
    """Put samples that are alike into one group, and one unit of independence.

    Every sample is read once. Alike are samples of equal content, of a twin such as the other strand of DNA, and of
    nearly identical pictures.

    Args:
        join: the samples.
        sources: opened.
        overlaps: whether sequences that share a piece (ModalityKind.pieces) are alike too.

    Returns:
        The samples with their new groups, and what was put together.
    """
    sizes = [source.image_size for source in sources]
    for source in sources:
        source.image_size = 0  # pictures of one format are not read at a smaller scale than those of another
    try:
        keys, pictures = _read(join, sources, overlaps)
    finally:
        for source, size in zip(sources, sizes, strict=True):
            source.image_size = size
    for rows, hashes, thumbs in pictures.values():
        flat = np.stack(thumbs)
        detail = np.full(len(flat), needed(flat), dtype=np.float32)
        for a, b in near_pairs(np.asarray(hashes, dtype=np.uint64), flat, detail)[0].tolist():
            keys[rows[b]].append(f"near|{rows[a]}")
            keys[rows[a]].append(f"near|{rows[a]}")
    held = join.table["group"].astype(str)
    alike = connect([[*found, f"group|{g}"] if g else found for found, g in zip(keys, held, strict=True)])
    before = connect([[f"group|{g}"] if g else [] for g in held])
    return _regrouped(join, alike, before)


Pictures = dict[str, tuple[list[int], list[int], list[npt.NDArray[np.uint8]]]]


def _read(join: Join, sources: Sequence[Source], overlaps: bool) -> tuple[list[list[str]], Pictures]:
    """For each sample the keys that it shares with those that are alike, and the prints of all pictures."""
    keys: list[list[str]] = [[] for _ in range(len(join))]
    pieces: dict[str, list[Collection[str]]] = {}
    pictures: Pictures = {}
    distinct = {n for s in sources for n, m in _kinds(s).items() if MODALITIES.get(m).distinct}
    for sample, members in enumerate(join.members):
        whole: list[str] = []
        for number, row in members:
            kinds = _kinds(sources[number])
            try:
                inputs = sources[number].read(row).inputs
            except DataError:  # it is named, or left out, when it is read for training
                continue
            for name, value in inputs.items():
                if value is None or name not in kinds:
                    continue
                kind = MODALITIES.get(kinds[name])
                print_ = min(kind.fingerprint(value), kind.twin(value) or b"\xff").hex()
                whole.append(f"{name}|{print_}")
                if name in distinct:
                    keys[sample].append(f"{name}|{print_}")
                    grey = kind.grey(value)
                    if grey is not None:
                        code, thumb = picture_print(grey)
                        rows, hashes, thumbs = pictures.setdefault(name, ([], [], []))
                        rows.append(sample)
                        hashes.append(code)
                        thumbs.append(thumb)
                if overlaps:
                    held = pieces.setdefault(name, [()] * len(join))
                    held[sample] = kind.pieces(value)
        if not distinct and whole:
            keys[sample].append("+".join(sorted(whole)))
    for name, found in pieces.items():
        for sample, shared in enumerate(rare(found)):
            keys[sample] += [f"{name}|{p}" for p in shared]
    return keys, pictures


def _kinds(source: Source) -> dict[str, str]:
    return {m.name: m.kind for m in source.card.modalities}


def rare(pieces: Sequence[Collection[str]]) -> list[list[str]]:
    """Of the pieces of each row, those that several rows hold, but not so many that they are a part of the construct.

    A piece of which one half is such a part is left out too: what lies beside that part is too short to say anything.

    Args:
        pieces: of each row, each once.
    """
    counts = Counter(p for held in pieces for p in held)
    most = max(FEW, int(COMMON * len(pieces)))
    common = [p for p, n in counts.items() if n > most]
    part = {p[k : k + len(p) // 2] for p in common for k in range(len(p) - len(p) // 2 + 1)}
    return [[p for p in held if 1 < counts[p] <= most and part.isdisjoint(_halves(p))] for held in pieces]


def _halves(piece: str) -> tuple[str, str]:
    return piece[: len(piece) // 2], piece[-(len(piece) // 2) :]


def _regrouped(join: Join, alike: npt.NDArray[np.int64], before: npt.NDArray[np.int64]) -> tuple[Join, Grouping]:
    """Give the samples of each component one group and one unit, where it joins what was apart."""
    table, found = join.table.copy(), Grouping()
    group, unit = table["group"].to_numpy(dtype=object).copy(), table["unit"].to_numpy(dtype=object).copy()
    order = np.argsort(alike, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(alike[order])) + 1):
        apart = len(set(before[rows].tolist()))
        if apart < 2:
            continue
        name = min(str(group[r]) or str(table["id"].iat[r]) for r in rows)
        group[rows], unit[rows] = name, f"similar rows:{name}"
        found.samples += len(rows)
        found.groups += 1
        found.largest = max(found.largest, len(rows))
        if len(found.examples) < 3:
            second = next(r for r in rows if before[r] != before[rows[0]])
            found.examples.append((str(table["id"].iat[rows[0]]), str(table["id"].iat[second])))
    table["group"], table["unit"] = group, unit
    return Join(join.members, table), found
