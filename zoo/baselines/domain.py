"""The domain-specific row of MultiMed's Table 1: of each data set, the field's pipeline that validates best.

The field builds a pipeline for each data set. So each source is learned alone, from its own training rows, by
every installed baseline of each of its modalities, and a row is predicted by the one that did best on the
source's validation rows among those that can read it. The test rows are looked at once, to be predicted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.baselines.base import Baseline, Row, baselines_for
from zoo.baselines.images import shrink
from zoo.contract import MODALITIES, TaskSpec, empty_target
from zoo.data import Pipeline
from zoo.errors import SpecError, unknown_name
from zoo.tasks.base import TaskKind, task_kind
from zoo.thinning import thinned
from zoo.training.collector import Evaluated

MOST_TRAIN = 20_000
"""Training rows of a source that baselines learn from at most, evenly spaced; Candidate says how many were."""


@dataclass(frozen=True)
class Candidate:
    """One baseline fitted on one source.

    Attributes:
        source: number of the source.
        source_name: its name.
        modality: what the baseline reads.
        baseline: its class name.
        validation: the primary metric on the source's validation rows that have the modality; NaN for none.
        n_train, n_val: rows that it learned from and was validated on.
        predicted: split -> rows that it was chosen for.
        partner: what it reads beside ``modality``; "" for nothing.
    """

    source: int
    source_name: str
    modality: str
    baseline: str
    validation: float
    n_train: int
    n_val: int
    predicted: Mapping[str, int] = field(default_factory=dict)
    partner: str = ""


@dataclass(frozen=True)
class DomainResult:
    """What the classical pipelines predict of one task.

    Attributes:
        results: split -> predictions of all its labelled rows, sorted by id; a split without rows is left out.
        chosen: the candidates that predicted a row.
        candidates: all that were fitted, best first within a source.
        uncovered: split -> rows that no candidate could predict, which got the constant of the training rows.
    """

    results: dict[str, Evaluated]
    chosen: list[Candidate]
    candidates: list[Candidate]
    uncovered: dict[str, int]


@dataclass
class LabelledRows:
    """Labelled rows of one split, read once: raw inputs, targets (N, ...), sources (N,), ids and units."""

    inputs: list[dict[str, Any]]
    target: Tensor
    source: np.ndarray[Any, np.dtype[np.int64]]
    ids: list[str]
    units: list[str]

    def having(self, modality: str, source: int, partner: str = "") -> list[int]:
        """Numbers of the rows of a source that have a modality.

        Args:
            modality: its name.
            source: number of the source.
            partner: name of a modality that the rows must have too; "" for none.
        """
        wanted = {modality, partner} - {""}
        return [i for i in np.flatnonzero(self.source == source).tolist() if wanted <= self.inputs[i].keys()]

    def take(self, rows: Sequence[int]) -> tuple[list[Row], Tensor]:
        """Inputs and targets of some rows."""
        return [self.inputs[i] for i in rows], self.target[torch.tensor(rows, dtype=torch.long)]


def domain_specific(
    pipeline: Pipeline,
    task: str,
    modalities: Sequence[str] | None = None,
    *,
    seed: int,
    splits: Sequence[str] = ("val", "test"),
    progress: Callable[[str], None] | None = None,
) -> DomainResult:
    """Fit, choose and apply the classical pipelines of one task.

    Args:
        pipeline: sources, split and fitted.
        task: name of the task.
        modalities: those that may be read; None allows all that inform the task.
        seed: of whatever a pipeline draws.
        splits: the splits to predict.
        progress: called with a line before each fit.

    Raises:
        UnknownNameError: a task or modality that the pipeline does not have.
        SpecError: no allowed modality informs the task, or no training row is labelled.
    """
    spec = spec_of_task(pipeline, task)
    allowed = allowed_modalities(pipeline, spec, modalities)
    kind = task_kind(spec)
    table = {s: read_rows(pipeline, spec, s, allowed) for s in dict.fromkeys(("train", "val", *splits))}
    if not table["train"].ids:
        raise SpecError(f"task '{task}': no training row is labelled and has one of the modalities {allowed}")
    fitted: dict[int, list[tuple[Candidate, Baseline]]] = {}
    for source in np.unique(table["train"].source).tolist():
        found = _fit_source(pipeline, kind, source, allowed, table, seed, progress)
        fitted[source] = sorted(found, key=lambda pair: -_rank(pair[0].validation))
    results, uncovered, used = {}, {}, {}
    for split in splits:
        if table[split].ids:
            results[split], uncovered[split], used[split] = _apply(kind, table, split, fitted)
    candidates = [
        replace(c, predicted={s: n for s in used if (n := used[s].get(id(b), 0))})
        for pairs in fitted.values()
        for c, b in pairs
    ]
    return DomainResult(results, [c for c in candidates if c.predicted], candidates, uncovered)


def spec_of_task(pipeline: Pipeline, task: str) -> TaskSpec:
    """The spec of a task; an unknown one is refused."""
    specs = {s.name: s for s in pipeline.task_specs}
    if task not in specs:
        raise unknown_name("task", task, specs)
    return specs[task]


def allowed_modalities(pipeline: Pipeline, spec: TaskSpec, modalities: Sequence[str] | None) -> list[str]:
    """The modalities that inform the task, of those asked for; none left is refused.

    Args:
        pipeline: the prepared data.
        spec: of the task.
        modalities: those that are asked for; None for all.
    """
    for name in modalities or ():
        if name not in pipeline.raw_modalities:
            raise unknown_name("modality", name, pipeline.raw_modalities)
    allowed = [m for m in pipeline.raw_modalities if spec.uses(m) and (modalities is None or m in modalities)]
    if not allowed:
        raise SpecError(
            f"task '{spec.name}' is informed by {spec.modalities or tuple(pipeline.raw_modalities)}, none of which "
            f"is among the modalities asked for, {tuple(modalities or ())}"
        )
    return allowed


def _rank(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def read_rows(pipeline: Pipeline, spec: TaskSpec, split: str, allowed: Sequence[str]) -> LabelledRows:
    """Read the labelled rows of a split that have an allowed modality, and what the task reads; images shrunk.

    Of training rows at most MOST_TRAIN a source are read.

    Args:
        pipeline: the prepared data.
        spec: of the task.
        split: name of the split.
        allowed: modalities that may be read.
    """
    rows = np.asarray(pipeline.rows[split])
    present = pipeline.availability.present
    keep = pipeline.availability.labelled[spec.name][rows] & np.logical_or.reduce([present[m][rows] for m in allowed])
    if spec.reads:
        keep = keep & present[spec.reads][rows]
    rows = rows[keep]
    source = np.asarray(pipeline.join.source)[rows].astype(np.int64)
    if split == "train":
        picks = [thinned(np.flatnonzero(source == s), MOST_TRAIN) for s in np.unique(source)]
        order = np.sort(np.array([i for part in picks for i in part], dtype=np.int64))
        rows, source = rows[order], source[order]
    images = {m for m in allowed if MODALITIES.get(pipeline.raw_modalities[m].kind).pixels}
    codec, ids = pipeline.dataset.codecs[spec.name], [str(pipeline.join.id(r)) for r in rows.tolist()]
    inputs, targets = [], []
    for row, name in zip(rows.tolist(), ids, strict=True):
        raw = pipeline.dataset.raw(row)
        inputs.append({m: shrink(v) if m in images else v for m, v in raw.inputs.items() if m in allowed})
        targets.append(codec(raw.targets[spec.name], name))
    units = [str(pipeline.join.unit(r)) for r in rows.tolist()]
    return LabelledRows(inputs, torch.stack(targets) if targets else empty_target(spec), source, ids, units)


def _fit_source(
    pipeline: Pipeline,
    kind: TaskKind,
    source: int,
    allowed: Sequence[str],
    table: Mapping[str, LabelledRows],
    seed: int,
    progress: Callable[[str], None] | None,
) -> list[tuple[Candidate, Baseline]]:
    """Fit and validate every baseline on one source; none where its labels are all of one class."""
    found: list[tuple[Candidate, Baseline]] = []
    source_name = str(pipeline.source_names[source])
    for name, partner, cls in _pipelines(pipeline, kind.spec, allowed):
        train, val = (table[s].having(name, source, partner) for s in ("train", "val"))
        inputs, target = table["train"].take(train)
        if not train or not kind.learnable(target):
            continue
        if progress is not None:
            read = f"{name} and {partner}" if partner else name
            progress(f"{kind.spec.name}: {cls.__name__} on {read} of {source_name}")
        rate = float(pipeline.raw_modalities[name].sampling_rate)
        baseline = cls(kind.spec, name, seed=seed, sampling_rate=rate)
        baseline.partner = partner
        baseline.fit(inputs, target)
        value = math.nan
        if val:
            seen, truth = table["val"].take(val)
            value = kind.primary_value(baseline.predict(seen), truth)
        said = Candidate(source, source_name, name, cls.__name__, value, len(train), len(val), partner=partner)
        found.append((said, baseline))
    return found


def _pipelines(pipeline: Pipeline, spec: TaskSpec, allowed: Sequence[str]) -> list[tuple[str, str, type[Baseline]]]:
    """Every baseline with a modality that it can read, and the second one beside it; "" where there is none."""
    found = []
    for name in allowed:
        for cls in baselines_for(spec, pipeline.raw_modalities[name]):
            beside = [m for m in allowed if m != name and pipeline.raw_modalities[m].kind in cls.partner_kinds]
            found += [(name, partner, cls) for partner in beside or [""]]
    return found


def _apply(
    kind: TaskKind,
    table: Mapping[str, LabelledRows],
    split: str,
    fitted: Mapping[int, list[tuple[Candidate, Baseline]]],
) -> tuple[Evaluated, int, dict[int, int]]:
    """Predict a split: each row by the first candidate of its source that can read it.

    Returns:
        The predictions, the rows that got a constant, and the rows that each baseline (by id) predicted.
    """
    rows, train = table[split], table["train"]
    prediction = _constants(kind, train, rows)
    left = np.ones(len(rows.ids), dtype=bool)
    used: dict[int, int] = {}
    for source, pairs in fitted.items():
        for candidate, baseline in pairs:
            mine = [i for i in rows.having(candidate.modality, source, candidate.partner) if left[i]]
            if mine:
                inputs, _ = rows.take(mine)
                prediction[torch.tensor(mine)] = baseline.predict(inputs)
                left[mine] = False
                used[id(baseline)] = len(mine)
    done = Evaluated(prediction, rows.target, torch.from_numpy(rows.source), rows.ids, rows.units)
    return done.take(sorted(range(len(rows.ids)), key=lambda i: rows.ids[i])), int(left.sum()), used


def _constants(kind: TaskKind, train: LabelledRows, rows: LabelledRows) -> Tensor:
    """The best constant of each row's source (N, ...); of all training rows where its source has none."""
    parts: dict[int, Tensor] = {}
    for source in np.unique(rows.source).tolist():
        where = np.flatnonzero(rows.source == source)
        known = train.target[torch.from_numpy(train.source == source)]
        if not bool(kind.known(known).any()):
            known = train.target
        parts.update(zip(where.tolist(), kind.constant(known, len(where)).float(), strict=True))
    return torch.stack([parts[i] for i in range(len(rows.ids))])
