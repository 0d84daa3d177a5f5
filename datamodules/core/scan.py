"""The scan of the rows: which modalities each one has, and for which tasks it carries a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from datamodules.core.availability import Availability, Mask
from datamodules.core.dataset import JoinedDataset
from datamodules.core.source import Overview, Source
from zoo.errors import DataError, SpecError
from zoo.raw import RawTask

LONG = 2000
"""From this many rows on, the scan shows a progress bar."""


def scan(
    dataset: JoinedDataset, modalities: Sequence[str], tasks: Mapping[str, RawTask], *, skip: bool = False
) -> Availability:
    """Find which modalities and labels every sample has, without decoding what is dear to decode.

    Sources that know it in columns (Source.overview) are asked once; of the others, and of samples that are
    joined from several rows, every row is peeked at.

    Args:
        dataset: the joined samples.
        modalities: those asked for.
        tasks: those asked for, by name.
        skip: count samples that cannot be scanned, and go on; else the first one raises.

    Raises:
        DataError, SpecError: what a source says of a row, or that joined rows contradict each other.
    """
    size = len(dataset)
    present, labelled = ({name: np.zeros(size, bool) for name in names} for names in (modalities, tasks))
    found = Availability(present, labelled)
    slow = _in_columns(dataset, present, labelled)
    rows: Any = slow.tolist()
    if len(slow) > LONG:
        rows = track(rows, description="scanning the rows", transient=True)
    for row in rows:
        try:
            sample = dataset.raw(row, peek=True)
        except DataError as error:
            if not skip:
                raise
            found.skipped[str(error)] += 1
            continue
        for held, where in ((sample.inputs, present), (sample.targets, labelled)):
            for name in held:
                if name in where:
                    where[name][row] = True
    for name, task in tasks.items():
        informed = np.logical_or.reduce([present[m] for m in task.modalities])
        labelled[name] &= informed & (present[task.reads] if task.reads else True)
    return found


def _in_columns(dataset: JoinedDataset, present: dict[str, Mask], labelled: dict[str, Mask]) -> npt.NDArray[np.int64]:
    """Fill in what sources know in columns; return the samples that remain."""
    members = dataset.join.members
    alone = np.diff(members.start) == 1
    left = np.ones(len(dataset), dtype=bool)
    first = members.start[:-1]
    for number, source in enumerate(dataset.sources):
        known = source.overview()
        if known is None:
            continue
        _check(known, source)
        mine = alone & (members.source[first] == number)
        rows = members.row[first[mine]]
        for columns, where in ((known.present, present), (known.labelled, labelled)):
            for name, column in columns.items():
                if name in where:
                    where[name][mine] = column[rows]
        left &= ~mine
    return np.flatnonzero(left)


def _check(known: Overview, source: Source) -> None:
    for name, column in (*known.present.items(), *known.labelled.items()):
        if len(column) != len(source):
            raise SpecError(f"{source.name}: its overview of '{name}' has {len(column)} rows of {len(source)}")
