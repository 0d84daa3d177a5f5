"""Rows that are alike, put into one group before splitting: copies, similar pictures, sequences that overlap."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from datamodules.core.duplicates import near_pairs, needed
from datamodules.core.file_names import NAME, found_by
from datamodules.core.fingerprints import picture_print
from datamodules.core.join import Join
from datamodules.core.source import Source
from datamodules.core.splits import connect
from zoo.contract import MODALITIES
from zoo.errors import DataError, SpecError

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


SIMILARITY, DUPLICATES = "similarity", "duplicates"


@dataclass(frozen=True)
class GroupingRule:
    """Which rows are put into one group before splitting.

    Attributes:
        contents: whether rows of equal content and nearly identical pictures are.
        overlaps: whether sequences that share a piece are.
        pattern: what is looked for in the names of files, see file_names.found_by; "" for nothing.
    """

    contents: bool = False
    overlaps: bool = False
    pattern: str = ""

    def __bool__(self) -> bool:
        return self.contents or bool(self.pattern)


def grouping_of(group_by: str, group_duplicates: bool = False) -> GroupingRule:
    """The rule that data.split.group_by and data.split.group_duplicates ask for.

    Raises:
        SpecError: ``group_by`` is neither a word that is known nor a regular expression with brackets.
    """
    if group_by in ("", SIMILARITY):
        return GroupingRule(group_duplicates or bool(group_by), bool(group_by))
    if group_by != NAME:
        try:
            number = re.compile(group_by).groups
        except re.error as error:
            raise SpecError(f"data.split.group_by {group_by!r} is no regular expression: {error}; {_WAYS}") from error
        if not number:
            raise SpecError(f"data.split.group_by {group_by!r} has no brackets around what names the group; {_WAYS}")
    return GroupingRule(group_duplicates, pattern=group_by)


_WAYS = "give 'similarity', 'name', or an expression such as '(patient[0-9]+)_'"


def group_rows(join: Join, sources: Sequence[Source], rule: GroupingRule) -> tuple[Join, str]:
    """Put rows together as a rule asks for.

    Args:
        join: the samples.
        sources: opened.
        rule: what belongs together.

    Returns:
        The samples with their new groups, and what was done in words.

    Raises:
        DataError: the pattern of names finds nothing in any row.
    """
    said = []
    if rule.pattern:
        join, words = _group_named(join, sources, rule.pattern)
        said.append(words)
    if rule.contents:
        join, found = group_similar(join, sources, overlaps=rule.overlaps)
        said.append(found.describe())
    return join, "; ".join(said)


def _group_named(join: Join, sources: Sequence[Source], pattern: str) -> tuple[Join, str]:
    """Put samples into one group in whose names a pattern finds the same."""
    keys: list[list[str]] = []
    missed: list[str] = []
    for sample, members in enumerate(join.members):
        found = [w for w in found_by(pattern, (sources[s].file_name(row) for s, row in members)) if w]
        keys.append([f"name|{w}" for w in found])
        if not found:
            missed.append(str(join.table["id"].iat[sample]))
    if len(missed) == len(keys):
        name = sources[0].file_name(0)
        raise DataError(f"data.split.group_by {pattern!r} is found in no name, such as '{name}'; {_WAYS}")
    held = join.table["group"].astype(str)
    together = connect([[*found, f"group|{g}"] if g else found for found, g in zip(keys, held, strict=True)])
    before = connect([[f"group|{g}"] if g else [] for g in held])
    join, grouping = _regrouped(join, together, before, "rows of one name")
    more = f"; {len(missed)} rows do not match and stand for themselves, such as {missed[0]}" if missed else ""
    return join, f"by {pattern!r}: {grouping.describe()}{more}"


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


def _regrouped(
    join: Join, alike: npt.NDArray[np.int64], before: npt.NDArray[np.int64], word: str = "similar rows"
) -> tuple[Join, Grouping]:
    """Give the samples of each component one group and one unit, where it joins what was apart."""
    table, found = join.table.copy(), Grouping()
    group, unit = table["group"].to_numpy(dtype=object).copy(), table["unit"].to_numpy(dtype=object).copy()
    order = np.argsort(alike, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(alike[order])) + 1):
        apart = len(set(before[rows].tolist()))
        if apart < 2:
            continue
        name = min(str(group[r]) or str(table["id"].iat[r]) for r in rows)
        group[rows], unit[rows] = name, f"{word}:{name}"
        found.samples += len(rows)
        found.groups += 1
        found.largest = max(found.largest, len(rows))
        if len(found.examples) < 3:
            second = next(r for r in rows if before[r] != before[rows[0]])
            found.examples.append((str(table["id"].iat[rows[0]]), str(table["id"].iat[second])))
    table["group"], table["unit"] = group, unit
    return Join(join.members, table), found
