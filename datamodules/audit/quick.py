"""The part of the audit that costs next to nothing, for every fit: names and headers of files, labels, cheap inputs.

Nothing is decoded. Rows are looked at as they end in the splits of this run, evenly spaced where there are many, so
that what is found is there, and what is not found may be: ``data check`` reads everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from datamodules.audit.findings import Finding
from datamodules.audit.judge import copies_in, files_by_name
from datamodules.audit.labels import about_labels
from datamodules.audit.leaks import Own
from datamodules.audit.names import in_runs
from datamodules.audit.reading import Reading
from datamodules.core.splits import SPLITS
from zoo.errors import DataError, SpecError
from zoo.thinning import thinned

if TYPE_CHECKING:  # what it looks at is made by what calls it
    from datamodules.core.query import Pipeline

ROWS = 1_000
"""Rows of a source whose labels, texts, sequences and tables are looked at."""
HEADERS = 400
"""Rows of a source the headers of whose files are read."""
SAMPLES = 5_000
"""Samples of which anything is looked at, in runs that are evenly spaced; of these, the names of all files."""


def quick_notices(data: Pipeline) -> list[str]:
    """Look at a part of the rows of prepared data, and say what leaks, with the option that closes it.

    Args:
        data: split and fitted.

    Returns:
        One sentence for each finding.
    """
    said = []
    for source, own in zip(range(len(data.sources)), _own(data), strict=True):
        reading = _read(data, source, own)
        several = f"{data.source_names[source]}: " if len(data.sources) > 1 else ""
        said += [several + _sentence(finding) for finding in _judge(reading)]
    return said


def _sentence(finding: Finding) -> str:
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{finding.kind} in '{finding.what}': {finding.message}{remedy}"


def _judge(reading: Reading) -> list[Finding]:
    found = [f for m, prints in reading.prints.items() for f in copies_in(reading, m, prints)]
    found += [*files_by_name(reading), *about_labels(reading)]
    return [f for f in found if f.level == "leak" or f.kind in ("label words", "shortcut")]


def _own(data: Pipeline) -> list[Own]:
    """For each source, the split of this run and the group of rows that are looked at, by their ids."""
    found = [Own() for _ in data.sources]
    ids = [s.index["id"].astype(str).tolist() for s in data.sources]
    split = np.full(len(data.join), "", dtype=object)
    for name in SPLITS:
        split[data.rows[name]] = name
    for sample in in_runs(np.flatnonzero(split != "").tolist(), SAMPLES):
        for source, row in data.join.members[sample]:
            name = ids[source][row]
            found[source].split[name] = str(split[sample])
            found[source].group[name] = data.join.unit(sample)
    return found


def _read(data: Pipeline, number: int, own: Own) -> Reading:
    """Look at rows that are trained, validated or tested on."""
    source = data.sources[number]
    used = np.flatnonzero([name in own.split for name in source.index["id"].astype(str)])
    reading = Reading(source, own, named=used)
    source.watcher = None
    reading.parts = [""] * len(reading.parts)  # whatever was published, this run's split counts
    reading.modalities = {m: raw for m, raw in reading.modalities.items() if m in data.raw_modalities}
    reading.keep_tasks({t: raw for t, raw in data.raw_tasks.items() if t in reading.tasks})
    headers = set(thinned(used, HEADERS).tolist())
    for row in sorted({*thinned(used, ROWS).tolist(), *headers}):
        try:
            if row in headers:
                for modality, file in source.files_of(row).items():
                    reading.see(modality, file)
            reading.add(row, source.peek(row))
        except (DataError, SpecError, OSError):  # it is named, or left out, when it is read for training
            reading.leave_out()
    return reading
