"""Turn what was read of a source into findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from datamodules.audit.findings import Finding, Level, some
from datamodules.audit.labels import about_labels
from datamodules.audit.leaks import Judged, by_chance
from datamodules.audit.names import Files, classes_of, find_copies, find_studies
from datamodules.audit.reading import Reading
from datamodules.core.duplicates import near_pairs
from datamodules.core.fingerprints import Prints
from datamodules.core.notices import empty_splits, label_notices, repeated_features
from datamodules.core.similarity import rare
from datamodules.core.splits import FRACTIONS, SPLITS, connect
from zoo.contract import MODALITIES, TASKS

TOGETHER = "data.split.group_duplicates: true keeps them together"
"""Remedy of copies."""


def judge(reading: Reading) -> list[Finding]:
    """Return all findings about one source: leaks first."""
    findings = [*_members(reading, "group"), *_members(reading, "subject")]
    for modality, prints in reading.prints.items():
        findings += copies_in(reading, modality, prints)
        if prints.pictured:
            findings += _near(reading, modality, prints)
        if prints.twins:
            findings += _twins(reading, modality, prints)
    findings += [*_overlaps(reading), *files_by_name(reading), *about_labels(reading), *_frames(reading)]
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


def copies_in(reading: Reading, modality: str, prints: Prints) -> list[Finding]:
    """Find rows of equal content.

    Args:
        reading: the rows.
        modality: whose contents are compared.
        prints: its fingerprints.
    """
    judged = Judged()
    chance = _chance_rows(reading, modality)
    ignored, apart = 0, True
    for rows in prints.clusters():
        if len(rows) < 2:
            continue
        if int(rows[0]) in chance:
            ignored += len(rows) - 1
            continue
        _add(judged, reading, rows.tolist())
        apart = apart and _told_apart(reading, modality, rows.tolist())
    if not judged.sets:
        return []
    level, why = _level(reading, modality, judged)
    if level == "leak" and apart:
        level, why = "note", "other columns, which repeat more seldom, tell these rows apart"
    message = (
        f"{judged.rows - judged.sets} of {len(prints.rows)} rows repeat another exactly ({judged.sets} different "
    )
    message += f"contents occur more than once); of these {_say(judged)}"
    message += f"; {ignored} repeats of common values are not counted" if ignored else ""
    message += f" ({why})" if why else ""
    handled = judged.handled if level == "leak" or not why else ""
    remedy = TOGETHER if level == "leak" else ""
    return [Finding("identical", level, modality, message, handled, _numbers(judged), judged.pairs(), remedy)]


def _told_apart(reading: Reading, modality: str, rows: Sequence[int]) -> bool:
    """Whether tables that repeat more seldom than this one differ between all rows of equal content.

    Columns such as age, stage and sex depend on each other, so that more people share them than chance would have it;
    copies share the rest too.
    """
    if modality not in reading.tables:
        return False

    def variety(name: str) -> float:
        return len(reading.prints[name].keys) / len(reading.prints[name].rows)

    better = [m for m in reading.tables if m != modality and variety(m) > variety(modality)]
    contents = [dict(zip(reading.prints[m].rows, reading.prints[m].contents, strict=True)) for m in better]
    told = [tuple(held.get(row, -1) for held in contents) for row in rows]
    return bool(better) and len(set(told)) == len(rows) and all(-1 not in t for t in told)


def _chance_rows(reading: Reading, modality: str) -> set[int]:
    """Rows whose content may repeat by chance, or says nothing: all is unknown or 0, as counts of nothing are."""
    if modality not in reading.tables:
        return set()
    rows, columns = reading.tables[modality]
    empty = np.logical_and.reduce([[v is None or v == 0 for v in values] for values in columns.values()])
    return {rows[k] for k in np.flatnonzero(by_chance(columns) | empty).tolist()}


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
    remedy = TOGETHER if judged.leaks else ""
    return [Finding(kind, level, modality, message, handled, _numbers(judged), judged.pairs(), remedy)]


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
            level: Level = "leak" if judged.leaks else "note"
            remedy = "data.split.group_by: similarity keeps them together" if judged.leaks else ""
            found.append(
                Finding("overlap", level, modality, message, judged.handled, _numbers(judged), judged.pairs(), remedy)
            )
    return found


# -- names and frames of files -------------------------------------------------------------------------------------


def files_by_name(reading: Reading) -> list[Finding]:
    """Find copies and studies by the names of files."""
    classes = {name: classes_of(task, reading.labels[name]) for name, task in reading.tasks.items()}
    contents = [
        dict(zip(p.rows, p.contents, strict=True)) for p in reading.prints.values() if MODALITIES.get(p.kind).distinct
    ]
    files = Files(reading.file_names, reading.ids, reading.parts, reading.own, reading.small_pictures(), contents)
    return [*find_copies(files), *find_studies(files, reading.tasks, classes)]


def _frames(reading: Reading) -> list[Finding]:
    """Find files of several frames, of which a fit has to be told which one to take."""
    found = []
    for modality, counts in reading.frames.items():
        if modality in reading.chosen:
            continue
        total = sum(1 for r in reading.prints[modality].rows) if modality in reading.prints else len(counts)
        row, (number, what) = next(iter(counts.items()))
        least, most = min(n for n, _ in counts.values()), max(n for n, _ in counts.values())
        message = (
            f"{len(counts)} of {total} files hold several {what} ({least} to {most}), such as '{reading.ids[row]}' "
            f"with {number}: a fit has to be told which"
        )
        remedy = f"data.processing.processors.{modality} takes init_args.reading.frame: a number, middle or all"
        found.append(Finding("frames", "note", modality, message, "", {"files": float(len(counts))}, remedy=remedy))
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
