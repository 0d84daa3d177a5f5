"""One classical pipeline by its name on a set of modalities: alone, as a pair, or on tables joined to one.

MultiMed's domain-specific row takes the pipeline that validates best (see zoo.baselines.domain). Here every pipeline
stands for itself, so that a network can be compared with each of them on the same modalities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from zoo.baselines.base import BASELINES, Baseline, HasKind
from zoo.baselines.domain import Candidate, LabelledRows, allowed_modalities, read_rows, spec_of_task
from zoo.baselines.table_models import TABLE, TABLE_MODELS, TableJoin
from zoo.contract import MODALITIES, TaskSpec
from zoo.data import Pipeline
from zoo.errors import SpecError
from zoo.tasks.base import TaskKind, task_kind
from zoo.training.collector import Evaluated, joined

Predictions = dict[str, Evaluated]
"""Split -> predictions."""


@dataclass(frozen=True)
class Reading:
    """How a pipeline reads a set of modalities.

    Attributes:
        name: class name of the pipeline.
        modality: what it reads first, ``TABLE`` for tables that are joined.
        partner: what it reads beside; "" for nothing.
        tables: the tables that are joined to one; () for none.
    """

    name: str
    modality: str
    partner: str = ""
    tables: tuple[str, ...] = ()


@dataclass
class NamedResult:
    """What one pipeline predicts of one task.

    Attributes:
        results: split -> predictions of the labelled rows that it can read, sorted by id; a split without such rows
            is left out.
        candidates: one for each source that it was fitted on.
    """

    results: dict[str, Evaluated] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)


def pipeline_class(name: str) -> type[Baseline]:
    """The class of a pipeline, one of BASELINES or of TABLE_MODELS.

    Raises:
        UnknownNameError: there is none of this name.
    """
    return TABLE_MODELS.get(name) if name in TABLE_MODELS else BASELINES.get(name)


def readings(task: TaskSpec, modalities: Sequence[HasKind]) -> list[Reading]:
    """Every installed pipeline that can learn ``task`` from all of ``modalities`` together.

    One modality is read by each pipeline of its kind; two by those that read one as the partner of the other; tables,
    joined to one, by each that reads a table.

    Args:
        task: what to predict.
        modalities: what is read, at least one.
    """
    return list(_readings(task, modalities))


def _readings(task: TaskSpec, modalities: Sequence[HasKind]) -> Iterator[Reading]:
    for name in [*BASELINES, *TABLE_MODELS]:
        cls = pipeline_class(name)
        if not cls.available():
            continue
        if len(modalities) == 1:
            if cls.fits(task, modalities[0]):
                yield Reading(name, modalities[0].name)
        elif all(MODALITIES.get(m.kind).table for m in modalities):
            if all(cls.fits(task, m) for m in modalities):
                yield Reading(name, TABLE, tables=tuple(m.name for m in modalities))
        elif len(modalities) == 2:
            for first, second in (modalities, modalities[::-1]):
                if cls.fits(task, first) and second.kind in cls.partner_kinds:
                    yield Reading(name, first.name, second.name)


def fit_named(
    pipeline: Pipeline,
    task: str,
    name: str,
    modalities: Sequence[str] | None = None,
    *,
    seed: int,
    splits: Sequence[str] = ("val", "test"),
) -> NamedResult:
    """Fit one pipeline on each source alone, and predict the rows that have what it reads.

    Training rows are read as ``domain_specific`` reads them; a source whose labels are all alike is left out.

    Args:
        pipeline: sources, split and fitted.
        task: name of the task.
        name: of the pipeline, one of BASELINES or of TABLE_MODELS.
        modalities: what is read, all of it together; None takes all that inform the task.
        seed: of whatever the pipeline draws.
        splits: the splits to predict.

    Raises:
        UnknownNameError: a task, modality or pipeline that does not exist.
        SpecError: the pipeline cannot learn the task from these modalities.
    """
    spec, cls = spec_of_task(pipeline, task), pipeline_class(name)
    kind, allowed = task_kind(spec), allowed_modalities(pipeline, spec, modalities)
    raw = [pipeline.raw_modalities[m] for m in allowed]
    reading = next((r for r in readings(spec, raw) if r.name == name), None)
    if reading is None:
        known = [r.name for r in readings(spec, raw)]
        raise SpecError(f"{name} cannot learn task '{task}' from {allowed}; pipelines that can: {known or 'none'}")
    table = {s: read_rows(pipeline, spec, s, allowed) for s in dict.fromkeys(("train", "val", *splits))}
    if reading.tables:
        join = TableJoin(reading.tables, ())
        join.fit(table["train"].inputs)
        for rows in table.values():
            rows.inputs = [dict(row) for row in join(rows.inputs)]
    found, parts = NamedResult(), dict[str, list[Evaluated]]()
    for source in np.unique(table["train"].source).tolist():
        model = cls(spec, reading.modality, seed=seed, sampling_rate=float(raw[0].sampling_rate))
        model.partner = reading.partner
        n_train, done = _fit(model, kind, table, source)
        if not n_train:
            continue
        val = done.get("val")
        value = kind.primary_value(val.prediction, val.target) if val else math.nan
        counts = n_train, len(val.ids) if val else 0, {s: len(done[s].ids) for s in splits if s in done}
        where = source, str(pipeline.source_names[source]), reading.modality
        found.candidates.append(Candidate(*where, name, value, *counts, partner=reading.partner))
        for split in splits:
            parts.setdefault(split, []).extend([done[split]] if split in done else [])
    for split, each in parts.items():
        if each:
            whole = joined(each)
            found.results[split] = whole.take(sorted(range(len(whole.ids)), key=lambda i: whole.ids[i]))
    return found


def _fit(model: Baseline, kind: TaskKind, table: Mapping[str, LabelledRows], source: int) -> tuple[int, Predictions]:
    """Fit a pipeline on one source, and predict the other splits.

    Returns:
        How many rows it learned from, 0 where the labels are all alike, and its predictions.
    """
    having = {s: rows.having(model.modality, source, model.partner) for s, rows in table.items()}
    inputs, target = table["train"].take(having["train"])
    if not inputs or not kind.learnable(target):
        return 0, {}
    model.fit(inputs, target)
    done: Predictions = {}
    for split, mine in having.items():
        if split != "train" and mine:
            rows = table[split]
            seen, truth = rows.take(mine)
            ids, units = ([names[i] for i in mine] for names in (rows.ids, rows.units))
            done[split] = Evaluated(model.predict(seen), truth, torch.from_numpy(rows.source[mine]), ids, units)
    return len(inputs), done
