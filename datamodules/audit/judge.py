"""Turn what was read of a source into findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.audit.findings import Finding, Level, some
from datamodules.audit.leaks import ACCURACY, Judged, by_chance, column_accuracy, number_correlation
from datamodules.audit.reading import Reading
from datamodules.audit.shortcuts import find_shortcuts
from datamodules.core.duplicates import near_pairs
from datamodules.core.fingerprints import Prints
from datamodules.core.notices import empty_splits, label_notices, repeated_features
from datamodules.core.similarity import rare
from datamodules.core.splits import FRACTIONS, SPLITS, connect
from zoo.contract import MODALITIES, TASKS

SHARED_NUMBER = 0.999
"""A column of numbers that correlates more than this with a regression target holds it."""


def judge(reading: Reading) -> list[Finding]:
    """Return all findings about one source: leaks first."""
    findings = [*_members(reading, "group"), *_members(reading, "subject")]
    for modality, prints in reading.prints.items():
        findings += _identical(reading, modality, prints)
        if prints.pictured:
            findings += _near(reading, modality, prints)
        if prints.twins:
            findings += _twins(reading, modality, prints)
    findings += [*_overlaps(reading), *_columns(reading), *_words(reading), *find_shortcuts(reading)]
    findings += [*_empty_classes(reading), *_lacking(reading)] if reading.complete else []
    return sorted(findings, key=lambda f: f.level != "leak")


def _say(judged: Judged) -> str:
    """The words about what crosses."""
    words = []
    if judged.across:
        between = "; ".join(f"{n} between {p}" for p, n in judged.parts.most_common())
        rows = ", ".join(f"{n} of {p}" for p, n in judged.rows_across.most_common())
        words.append(f"{judged.across} cross the published split ({between}; rows: {rows})")
    if judged.apart:
        words.append(f"{judged.apart} cross the zoo's own split")
    return ", ".join(words) or "none crosses a split"


def _numbers(judged: Judged) -> dict[str, float]:
    return {
        "sets": judged.sets, "rows": judged.rows, "repeats": judged.rows - judged.sets, "across": judged.across,
        "apart_in_own_split": judged.apart, **{f"rows_across_{p}": n for p, n in judged.rows_across.items()},
    }  # fmt: skip


def _add(judged: Judged, reading: Reading, rows: Iterable[int]) -> None:
    taken = list(rows)
    judged.add([reading.ids[r] for r in taken], [reading.parts[r] for r in taken], reading.own)


# -- who is in two splits ------------------------------------------------------------------------------------------


def _members(reading: Reading, column: str) -> list[Finding]:
    """Find groups or subjects of the index that lie in two splits."""
    index = reading.source.index
    names = index[column].astype(str)
    if column == "subject" and (names == index["group"]).all():
        return []
    judged = Judged()
    there = np.flatnonzero((names != "").to_numpy())
    rows_of = {name: there[k] for name, k in names.iloc[there].groupby(names.iloc[there]).indices.items()}
    crossing = []
    for name, rows in rows_of.items():
        before = judged.across + judged.apart
        if len(rows) > 1:
            _add(judged, reading, rows.tolist())
        if judged.across + judged.apart > before:
            crossing.append(str(name))
    if not judged.leaks:
        return []
    message = f"{len(crossing)} of {len(rows_of)} {column}s of the index lie in two splits: {_say(judged)}"
    return [
        Finding(column, "leak", column, f"{message}; such as {some(crossing)}", judged.handled, _numbers(judged),
                judged.pairs())
    ]  # fmt: skip


# -- copies --------------------------------------------------------------------------------------------------------


def _level(reading: Reading, modality: str, judged: Judged) -> tuple[Level, str]:
    """Whether copies of this modality are a leak, and why they are not."""
    if any(t.reads == modality and TASKS.get(t.kind).asks for t in reading.tasks.values()):
        return "note", "questions repeat, about other images"
    distinct = {name: MODALITIES.get(m.kind).distinct for name, m in reading.modalities.items()}
    if not distinct[modality] and any(distinct.values()):
        return "note", "the rows have other inputs too"
    return ("leak" if judged.leaks else "note"), ""


def _identical(reading: Reading, modality: str, prints: Prints) -> list[Finding]:
    judged = Judged()
    chance = _chance_rows(reading, modality)
    ignored = 0
    for rows in prints.clusters():
        if len(rows) < 2:
            continue
        if int(rows[0]) in chance:
            ignored += len(rows) - 1
            continue
        _add(judged, reading, rows.tolist())
    if not judged.sets:
        return []
    level, why = _level(reading, modality, judged)
    message = (
        f"{judged.rows - judged.sets} of {len(prints.rows)} rows repeat another exactly ({judged.sets} different "
    )
    message += f"contents occur more than once); of these {_say(judged)}"
    message += f"; {ignored} repeats of common values are not counted" if ignored else ""
    message += f" ({why})" if why else ""
    handled = judged.handled if level == "leak" or not why else ""
    return [Finding("identical", level, modality, message, handled, _numbers(judged), judged.pairs())]


def _chance_rows(reading: Reading, modality: str) -> set[int]:
    if modality not in reading.tables:
        return set()
    rows, columns = reading.tables[modality]
    return {rows[k] for k in np.flatnonzero(by_chance(columns)).tolist()}


def _near(reading: Reading, modality: str, prints: Prints) -> list[Finding]:
    pairs, crowded = near_pairs(prints.hashes, prints.thumbs, prints.detail)
    clusters = prints.clusters()
    found = []
    if crowded:
        message = f"{crowded} images look so alike that not every pair of them was compared"
        found.append(Finding("search", "note", modality, message, "", {"crowded": crowded}))
    return found + _pair_finding(reading, modality, "near-identical", pairs, clusters)


def _pair_finding(
    reading: Reading,
    modality: str,
    kind: str,
    pairs: npt.NDArray[np.int64] | Sequence[tuple[int, int]],
    clusters: list[npt.NDArray[np.int64]],
) -> list[Finding]:
    judged = Judged()
    for a, b in np.asarray(pairs, dtype=np.int64).reshape(-1, 2).tolist():
        rows = [int(clusters[a][0]), int(clusters[b][0])]
        for row in (*clusters[a].tolist(), *clusters[b].tolist()):  # one row more for each further part
            if reading.parts[row] not in {reading.parts[r] for r in rows} or _own(reading, row) not in {
                _own(reading, r) for r in rows
            }:
                rows.append(row)
        _add(judged, reading, rows)
    if not judged.sets:
        return []
    level: Level = "leak" if judged.leaks and kind == "near-identical" else "note"
    words = "pairs of different images that are nearly identical"
    words = words if kind == "near-identical" else f"pairs of samples of which one is the other's {kind}"
    message = f"{words}: {judged.sets}; of these {_say(judged)}"
    handled = judged.handled if kind == "near-identical" else ""
    return [Finding(kind, level, modality, message, handled, _numbers(judged), judged.pairs())]


def _own(reading: Reading, row: int) -> str:
    return reading.own.split.get(reading.ids[row], "")


def _twins(reading: Reading, modality: str, prints: Prints) -> list[Finding]:
    called = MODALITIES.get(prints.kind).twins
    return _pair_finding(reading, modality, called, prints.twin_pairs(), prints.clusters())


def _overlaps(reading: Reading) -> list[Finding]:
    """Find sequences that share a stretch of letters with another one, copies aside."""
    found = []
    for modality, held in reading.pieces.items():
        prints = reading.prints[modality]
        content = dict(zip(prints.rows, prints.contents, strict=True))
        first: dict[int, int] = {}
        for row in held:
            first.setdefault(content[row], row)
        rows = list(first.values())
        label = connect(rare([held[row] for row in rows]))
        judged = Judged()
        order = np.argsort(label, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
            if len(part) > 1:
                _add(judged, reading, [rows[k] for k in part.tolist()])
        if judged.sets:
            message = (
                f"{judged.rows} of {len(rows)} different sequences share a stretch of letters with another "
                f"({judged.sets} groups); of these {_say(judged)}"
            )
            handled = judged.handled
            handled += "; data.split.group_by: similarity keeps them together" if judged.leaks else ""
            level: Level = "leak" if judged.leaks else "note"
            found.append(Finding("overlap", level, modality, message, handled, _numbers(judged), judged.pairs()))
    return found


# -- labels in inputs ----------------------------------------------------------------------------------------------


def _columns(reading: Reading) -> list[Finding]:
    """Find tabular columns that tell the label."""
    index = reading.source.index
    groups = index["group"].astype(str).where(index["group"] != "", index["id"].astype(str)).tolist()
    found = []
    for modality, (rows, columns) in reading.tables.items():
        place = {row: k for k, row in enumerate(rows)}
        for task in reading.tasks:
            if not reading.informs(task, modality):
                continue
            labelled = [(place[row], row, label) for row, label in reading.labels[task] if row in place]
            for target, taken in _targets(reading.tasks[task].kind, labelled).items():
                where = [k for k, _, _ in taken]
                names = [groups[row] for _, row, _ in taken]
                said = [label for _, _, label in taken]
                for column, cells in columns.items():
                    values = [cells[k] for k in where]
                    found += _column(f"{modality}.{column}", f"{task}{target}", values, said, names)
    return found


def _targets(kind: str, labelled: list[tuple[int, int, Any]]) -> dict[str, list[tuple[int, int, Any]]]:
    """Name of each thing to be predicted ("" for the task itself) -> (place, row, label)."""
    split: dict[str, list[tuple[int, int, Any]]] = {}
    for place, row, label in labelled:
        for name, value in TASKS.get(kind).label_targets(label).items():
            split.setdefault(f" '{name}'" if name else "", []).append((place, row, value))
    return split


def _column(column: str, task: str, values: list[Any], labels: list[Any], groups: list[str]) -> list[Finding]:
    if labels and isinstance(labels[0], float):
        shared = number_correlation(values, labels)
        if shared <= SHARED_NUMBER:
            return []
        message = f"the column correlates with {task} by {shared:.4f}"
        return [Finding("label in input", "leak", column, message, "no: the column is an input", {"r": shared})]
    accuracy, how = column_accuracy(values, labels, groups)
    if accuracy <= ACCURACY:
        return []
    message = f"the column alone tells {task} {how}: accuracy {accuracy:.3f} on rows that were held out"
    return [Finding("label in input", "leak", column, message, "no: the column is an input", {"accuracy": accuracy})]


def _words(reading: Reading) -> list[Finding]:
    found = []
    for (task, modality), named in reading.named.items():
        total = len(reading.labels[task])
        if named:
            message = f"{named} of {total} rows hold the name of their class of {task} in the text"
            found.append(Finding("class name in text", "note", modality, message, "", {"rows": named, "of": total}))
    return found


def _lacking(reading: Reading) -> list[Finding]:
    """Find what a fit would warn of: classes without training rows, few test rows, features of one name."""
    found = []
    for name, task in reading.tasks.items():
        kind = TASKS.get(task.kind)
        labelled = dict.fromkeys(SPLITS, 0)
        counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
        for row, label in reading.labels[name]:
            split = _own(reading, row)
            if split in counts:
                labelled[split] += 1
                counts[split].update(kind.label_classes(label))
        found += [Finding("missing", "note", name, said) for said in label_notices(task, labelled, counts)]
    for modality, raw in reading.modalities.items():
        said = repeated_features(modality, raw.features)
        found += [Finding("missing", "note", modality, words) for words in said]
    sizes = Counter(reading.own.split.values())
    said = empty_splits([reading.source], sizes, FRACTIONS)
    return found + [Finding("missing", "note", "split", words) for words in said]


def _empty_classes(reading: Reading) -> list[Finding]:
    """Find classes that the zoo's own split leaves without training or without test rows."""
    found = []
    for name, task in reading.tasks.items():
        if not TASKS.get(task.kind).fixed_classes() or not reading.labels[name]:
            continue
        held: dict[str, set[str]] = {c: set() for c in task.classes}
        for row, label in reading.labels[name]:
            held.setdefault(label, set()).add(_own(reading, row))
        for label, splits in held.items():
            lacking = [s for s in SPLITS if s not in splits]
            if lacking:
                message = f"no row of {name} '{label}' is in the zoo's own {some(lacking)}"
                found.append(Finding("empty class", "note", f"{name}={label}", message))
    return found
