"""Check sources: read every row once, keep fingerprints, and say what was found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.audit.between import between
from datamodules.audit.examples import Example, label_words, make_example
from datamodules.audit.findings import Labels, Report, SourceReport
from datamodules.audit.judge import judge
from datamodules.audit.labels import control
from datamodules.audit.leaks import PARTS, Own
from datamodules.audit.opening import Entry, own_splits
from datamodules.audit.reading import Reading
from datamodules.core.source import Source
from datamodules.core.splits import FRACTIONS, SPLITS
from datamodules.io.frames import ImageReading, frames_told
from zoo.contract import MODALITIES, TASKS, Sample
from zoo.errors import ZooError
from zoo.raw import RawModality, RawTask
from zoo.thinning import thinned

Progress = Callable[[Iterable[int], str], Iterable[int]]
NAMED = 5
"""Unreadable rows that are named."""
PER_CLASS = 4
"""Examples of each class."""
PAIRS = 6
"""Flagged pairs that are shown, a source."""


def _silent(rows: Iterable[int], description: str) -> Iterable[int]:
    return rows


@dataclass
class Checked:
    """A source that was checked: its report, what was read of it, and the source, still open."""

    report: SourceReport
    reading: Reading | None = None
    source: Source | None = None


def check_all(
    entries: Sequence[Entry],
    root: Path | str | None,
    *,
    limit: int = 0,
    joint: bool = False,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    folds: int = 0,
    grouping: str = "",
    frames: Mapping[str, Any] | None = None,
    shuffles: int = 0,
    progress: Progress = _silent,
) -> Report:
    """Check several sources, and compare them with each other.

    Args:
        entries: the sources.
        root: folder below which their folders lie.
        limit: read at most so many rows of a source, evenly spaced; 0 reads all.
        joint: split them together, as a data module with all of them does; else each alone.
        fractions: shares of the zoo's own split.
        seed: of the zoo's own split.
        folds: of the zoo's own split of joined sources.
        grouping: of the zoo's own split of joined sources; see ``own_splits``.
        frames: name or kind of a modality -> the frame that is taken of files of several.
        shuffles: how often the labels are shuffled, as a control: what is found of labels then is a false alarm.
        progress: wraps the rows while they are read.
    """
    own = _joint(entries, root, fractions, seed, folds, grouping) if joint else [None] * len(entries)
    done = [
        check(
            e,
            root,
            own=o,
            limit=limit,
            fractions=fractions,
            seed=seed,
            frames=frames,
            shuffles=shuffles,
            progress=progress,
        )
        for e, o in zip(entries, own, strict=True)
    ]
    seen: Counter[str] = Counter()
    for one in done:
        seen[one.report.name] += 1
        if seen[one.report.name] > 1:
            one.report.name += f"#{seen[one.report.name]}"
    folders = {d.report.folder for d in done if not d.report.error}
    for one in done:
        one.report.excused = bool(one.report.error) and one.report.folder in folders
    parts = [(d.report, d.reading) for d in done if d.reading is not None]
    return Report([d.report for d in done], between(parts))


def _joint(
    entries: Sequence[Entry],
    root: Path | str | None,
    fractions: Sequence[float],
    seed: int,
    folds: int,
    grouping: str,
) -> list[Own | None]:
    sources = [e.own() for e in entries]
    for source in sources:
        source.open(root)
    return list(own_splits(sources, fractions=fractions, seed=seed, folds=folds, grouping=grouping))


def check(
    entry: Entry,
    root: Path | str | None,
    *,
    own: Own | None = None,
    limit: int = 0,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    frames: Mapping[str, Any] | None = None,
    shuffles: int = 0,
    progress: Progress = _silent,
) -> Checked:
    """Check one source.

    Args:
        entry: the source.
        root: folder below which its folder lies.
        own: where the rows end in the zoo's own reading; None finds it out.
        limit: see ``check_all``.
        fractions: see ``check_all``.
        seed: see ``check_all``.
        frames: see ``check_all``.
        shuffles: see ``check_all``.
        progress: see ``check_all``.
    """
    began = time.monotonic()
    source, settings = entry.as_published()
    report = SourceReport(source.name, source.card.title, str(Path(root or ".") / source.folder), settings)
    try:
        source.open(root)
        if own is None:
            reader = entry.own()
            reader.open(root)
            own = own_splits([reader], fractions=fractions, seed=seed)[0]
            report.own_skipped = {k: v for k, v in reader.skipped.items() if v}
    except (ZooError, OSError) as error:
        report.error = f"{error}"
        return Checked(report)
    report.title = source.card.title
    report.skipped, report.remarks = {k: v for k, v in source.skipped.items() if v}, list(source.remarks)
    report.rows = len(source)
    source.readings = {
        m.name: ImageReading(frame=_frame(m, frames or {}, "middle"), unit=m.unit)  # a choice that fit asks for
        for m in source.card.modalities
        if MODALITIES.get(m.kind).pixels
    }
    reading = Reading(source, own)
    rows = np.arange(len(source))
    if limit > 0:
        rows = thinned(rows, limit)
    _read(source, rows.tolist(), reading, report, progress)
    reading.complete = len(rows) == len(source)
    _count(reading, report)
    reading.chosen = {m.name for m in source.card.modalities if _frame(m, frames or {}, None) is not None}
    report.findings = judge(reading)
    report.shuffles, report.alarms = shuffles, dict(control(reading, shuffles))
    _show_pairs(source, reading, report)
    report.seconds = round(time.monotonic() - began, 2)
    return Checked(report, reading, source)


def _frame(modality: RawModality, frames: Mapping[str, Any], otherwise: str | None) -> Any:
    """The frame that is taken of a modality's files, or another where nothing says it."""
    return frames.get(modality.name, frames.get(modality.kind, otherwise))


def _read(source: Source, rows: Sequence[int], reading: Reading, report: SourceReport, progress: Progress) -> None:
    shown: Counter[str] = Counter()
    for row in progress(rows, f"reading {source.name}"):
        try:
            with frames_told(reading.hear):
                sample = source.read(row)
            reading.add(row, sample)
        except Exception as error:  # an audit names what fails, and goes on
            report.unreadable += 1
            reading.leave_out()
            if len(report.unreadable_examples) < NAMED:
                kind = "" if isinstance(error, (ZooError, OSError)) else f"{type(error).__name__}: "
                report.unreadable_examples.append((source.id(row), f"{kind}{error}"))
            continue
        report.read += 1
        label = label_words(sample)
        if shown[label] < PER_CLASS and len(shown) <= 24:
            report.examples.append(_example(sample, reading, row, label))
        shown[label] += 1


def _example(sample: Sample, reading: Reading, row: int, label: str) -> Example:
    return make_example(sample, reading.modalities, label, reading.part(row))


def _count(reading: Reading, report: SourceReport) -> None:
    ids = reading.ids
    report.published = {p: n for p in PARTS if p and (n := reading.parts.count(p))}
    report.own = dict.fromkeys(SPLITS, 0) | dict(Counter(reading.own.split[i] for i in ids if i in reading.own.split))
    for name, task in reading.tasks.items():
        report.labels[name] = _labels(reading, name, task)
    names = reading.source.group_names()
    for column, counted in reading.groups.items():
        known = names.get(column, ())
        words = {(known[c] if 0 <= c < len(known) else str(c)): n for c, n in counted.items()}
        report.groups[column] = dict(sorted(words.items(), key=lambda item: (-item[1], item[0])))


def _labels(reading: Reading, name: str, task: RawTask) -> Labels:
    """Counts of the classes of a task, and statistics of its numbers."""
    kind, labelled = TASKS.get(task.kind), reading.labels[name]
    counts: dict[str, dict[str, int]] = {}
    numbers: dict[str, list[float]] = {}
    for row, label in labelled:
        for held in kind.label_classes(label):
            counted = counts.setdefault(held, {"all": 0})
            for where in reading.places(row):
                counted[where] = counted.get(where, 0) + 1
        for target, value in kind.label_targets(label).items():
            if isinstance(value, float):
                numbers.setdefault(target, []).append(value)
    known = {c: {"all": 0} for c in task.classes} if counts or not labelled else {}
    return Labels(task.kind, known | counts, {t: _statistics(v) for t, v in sorted(numbers.items())}, len(labelled))


def _statistics(values: list[float]) -> dict[str, float]:
    table = np.array(values, float)
    return {
        "rows": float(len(table)), "mean": float(table.mean()), "sd": float(table.std()),
        "min": float(table.min()), "max": float(table.max()),
    }  # fmt: skip


def _show_pairs(source: Source, reading: Reading, report: SourceReport) -> None:
    """Read some flagged pairs again, to be shown side by side."""
    row_of: dict[str, int] = {}
    flagged = [f for f in report.findings if f.kind in ("identical", "near-identical") and f.pairs]
    flagged.sort(key=lambda f: f.level != "leak")
    share = max(1, PAIRS // max(1, len(flagged)))
    for finding in flagged:
        row_of = row_of or {name: row for row, name in enumerate(reading.ids)}
        for pair in finding.pairs[:share]:
            if len(report.pairs) == PAIRS:
                return
            shown = [_again(source, reading, row_of[name], finding.what) for name in pair]
            report.pairs.append((f"{finding.kind}, {finding.what}", shown[0], shown[1]))


def _again(source: Source, reading: Reading, row: int, modality: str) -> Example:
    sample: Any = source.read(row)
    only = Sample(sample.id, {modality: sample.inputs[modality]}, sample.targets)
    return _example(only, reading, row, label_words(sample))
