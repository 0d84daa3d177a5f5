"""Rows of ``run.py fewshot`` as vectors: of the trained model, of an untrained one, and classical features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from datamodules.core.base import BaseDataModule
from datamodules.core.view import DataView
from experiments.core.job import Finished
from experiments.core.study import Study
from zoo.contract import MODALITIES, Batch, ModalitySpec, TaskSpec
from zoo.evaluation.episodes import EITHER, QUERY, SUPPORT, Codes
from zoo.evaluation.summary import data_word
from zoo.models.base import TaskModel
from zoo.models.predict import predict
from zoo.tasks.base import task_kind
from zoo.training.collector import Predicted

MODEL, UNTRAINED, CLASSICAL = "model", "untrained model", "classical features"
COMPONENTS = 50
"""Principal components of the classical features, at most."""


@dataclass
class Space:
    """What one kind of features says of the rows.

    Attributes:
        name: MODEL, UNTRAINED or CLASSICAL.
        pool: (N, D) rows that episodes are drawn from.
        fit: (M, D) training rows, by which vectors are centred and scaled.
        seen: (P, D) training rows of seen classes.
        choice: (V, D) validation rows of seen classes.
    """

    name: str
    pool: Tensor
    fit: Tensor
    seen: Tensor
    choice: Tensor

    @cached_property
    def centre(self) -> Tensor:
        """(D,) mean of the training rows."""
        return self.fit.mean(0)

    @cached_property
    def size(self) -> Tensor:
        """Root mean square of the centred training rows, one number: distances keep their proportions."""
        return (self.fit - self.centre).pow(2).mean().sqrt().clamp_min(1e-6)

    def centred(self, rows: Tensor) -> Tensor:
        """Rows for prototypes and heads."""
        return (rows - self.centre) / self.size

    def standard(self, rows: Tensor) -> Tensor:
        """Rows for linear models: every component standardised on the training rows."""
        return (rows - self.centre) / self.fit.std(0, unbiased=False).clamp_min(0.05 * self.size)


@dataclass
class Rows:
    """Which rows are used for what, and their labels.

    Attributes:
        task: that is learned from few examples.
        pool, fit, seen, choice: row numbers, see Space.
        labels: (N,) class codes of the pool; 0 for targets without classes.
        targets: (N, ...) encoded targets of the pool.
        groups: (N,) names of groups that never cross sides.
        roles: (N,) of EITHER, SUPPORT and QUERY.
        seen_names: class name of each row of ``seen``, which holds a row once a label.
        choice_labels: (V,) class codes.
        data: "real", "simulated" or "mixed".
        left_out: rows that cannot be used.
    """

    task: TaskSpec
    pool: Codes
    fit: Codes
    seen: Codes
    choice: Codes
    labels: Codes
    targets: Tensor
    groups: list[str]
    roles: Codes
    seen_names: list[str]
    choice_labels: Codes
    data: str
    left_out: int = 0


def _spec(data: BaseDataModule, task: str) -> TaskSpec:
    return next(s for s in data.task_specs if s.name == task)


def _labelled(pipe: Any, split: str, task: str) -> Codes:
    rows: Codes = pipe.rows[split]
    mine: Codes = rows[pipe.availability.labelled[task][rows]]
    return mine


def _group_names(pipe: Any, rows: Codes) -> list[str]:
    """What the split keeps together; an index does not hold it, and a held-out task does not need it."""
    table = getattr(pipe.join, "table", None)
    return [""] * len(rows) if table is None else [str(g) for g in table["group"].to_numpy()[rows]]


def rows_of_classes(data: BaseDataModule, task: str) -> Rows:
    """Rows where classes of ``task`` were held out: the pool is the split "ood"."""
    pipe, spec = data.pipeline, _spec(data, task)
    pool, seen, choice = (_labelled(pipe, s, task) for s in ("ood", "train", "val"))
    targets, sources = pipe.encoded(task, pool)
    names = [spec.classes[c] for c in pipe.encoded(task, seen)[0].tolist()]
    return Rows(
        task=spec,
        pool=pool,
        fit=seen,
        seen=seen,
        choice=choice,
        labels=targets.numpy().astype(np.int64),
        targets=targets,
        groups=_group_names(pipe, pool),
        roles=np.full(len(pool), EITHER),
        seen_names=names,
        choice_labels=pipe.encoded(task, choice)[0].numpy().astype(np.int64),
        data=data_word(sorted(set(sources.tolist())), pipe.source_simulated),
    )


def rows_of_task(data: BaseDataModule, task: str, module: TaskModel) -> Rows:
    """Rows where a whole task was held out: examples come from its training and validation rows, queries from test.

    Rows without a modality that informs the task and that the model knows are left out and counted.

    Args:
        data: the prepared data.
        task: that was held out.
        module: the trained model.
    """
    pipe, spec = data.pipeline, _spec(data, task)
    shared = [m for m in module.modalities if spec.uses(m)]
    assert shared, "checked before anything was trained"
    has = np.logical_or.reduce([pipe.availability.present[m] for m in shared])
    parts = {s: _labelled(pipe, s, task) for s in ("train", "val", "test")}
    left_out = sum(int((~has[r]).sum()) for r in parts.values())
    parts = {s: r[has[r]] for s, r in parts.items()}
    pool = np.concatenate(list(parts.values()))
    roles = np.concatenate([np.full(len(r), QUERY if s == "test" else SUPPORT) for s, r in parts.items()])
    targets, sources = pipe.encoded(task, pool)
    kind = task_kind(spec)
    whole = kind.complete(targets).numpy()
    left_out += int((~whole).sum())
    pool, roles, targets, sources = pool[whole], roles[whole], targets[whole], sources[whole]
    labels = targets.numpy().astype(np.int64) if kind.fixed_classes() else np.zeros(len(pool), dtype=np.int64)
    seen, names = _other_classes(pipe, module)
    return Rows(
        task=spec,
        pool=pool,
        fit=parts["train"],
        seen=seen,
        choice=np.zeros(0, dtype=np.int64),
        labels=labels,
        targets=targets,
        groups=_group_names(pipe, pool),
        roles=roles,
        seen_names=names,
        choice_labels=np.zeros(0, dtype=np.int64),
        data=data_word(sorted(set(sources.tolist())), pipe.source_simulated),
        left_out=left_out,
    )


def _other_classes(pipe: Any, module: TaskModel) -> tuple[Codes, list[str]]:
    """Training rows with a class of a task that the module learned, and the class; a row once a label."""
    rows, names = [np.zeros(0, dtype=np.int64)], []
    for name, spec in module.tasks.items():
        if task_kind(spec).fixed_classes():
            rows.append(_labelled(pipe, "train", name))
            names += [spec.classes[c] for c in pipe.encoded(name, rows[-1])[0].tolist()]
    return np.concatenate(rows), names


# -- embedding -----------------------------------------------------------------------------------------------


def spaces_of(study: Study, finished: Finished, data: BaseDataModule, rows: Rows, module: TaskModel) -> list[Space]:
    """Every row in every space. Rows that the job embedded already are not embedded again.

    Args:
        study: the configuration.
        finished: the training.
        data: the prepared data.
        rows: to embed.
        module: the trained model.
    """
    used = np.unique(np.concatenate([rows.pool, rows.fit, rows.seen, rows.choice]))
    predicted = finished.predicted.values()
    known = {i: v for p in predicted for i, v in zip(p.ids, p.vectors_for("run.py fewshot"), strict=True)}
    ids = {int(r): data.pipeline.join.id(int(r)) for r in used}
    missing = np.array([r for r in used.tolist() if ids[r] not in known], dtype=np.int64)
    known.update(vectors_of(module, data, missing))
    L.seed_everything(finished.job.seed, verbose=False)
    _, view = finished.restore(study)
    untrained = study.module(view, finished.job.changes)
    tables = {
        MODEL: known,
        UNTRAINED: vectors_of(untrained, data, used),
        CLASSICAL: _classical(data, rows, used, finished.job.seed),
    }
    made = []
    for name, table in tables.items():
        parts = [
            torch.stack([table[ids[r]] for r in part.tolist()]).float() if len(part) else torch.zeros((0, 1))
            for part in (rows.pool, rows.fit, rows.seen, rows.choice)
        ]
        made.append(Space(name, *parts))
    return made


def _loader(data: BaseDataModule, rows: Codes) -> Any:
    return DataView(data, rows={"asked": rows}).split_dataloader("asked")


def vectors_of(module: TaskModel, data: BaseDataModule, rows: Codes) -> dict[str, Tensor]:
    """Id -> fused vector of each row.

    Args:
        module: the trained model.
        data: the prepared data.
        rows: numbers of the rows.
    """
    if not len(rows):
        return {}
    found: Predicted = predict(module, _loader(data, rows), lambda b: b.select(list(module.modalities)))
    return dict(zip(found.ids, found.vectors_for("run.py fewshot"), strict=True))


def _classical(data: BaseDataModule, rows: Rows, used: Codes, seed: int) -> dict[str, Tensor]:
    """Id -> principal components, fitted on the training rows, of the inputs that may inform the task.

    Expression is log-normalised and centred; everything else is standardised. Modalities count alike, and a modality
    that a row lacks is at its mean.
    """
    from sklearn.decomposition import PCA

    specs = [s for s in data.modality_specs if rows.task.uses(s.name)]
    ids: list[str] = []
    parts: dict[str, list[Tensor]] = {s.name: [] for s in specs}
    for batch in _loader(data, used):
        ids += batch.ids
        for spec in specs:
            parts[spec.name].append(_flat(spec, batch))
    train = {data.pipeline.join.id(int(r)) for r in rows.fit}
    fit = torch.tensor([i in train for i in ids])
    blocks = [_block(spec, torch.cat(parts[spec.name]), fit) for spec in specs]
    table = torch.cat([b for b in blocks if b is not None], 1).numpy()
    most = min(COMPONENTS, table.shape[1], int(fit.sum()) - 1)
    components = PCA(most, svd_solver="randomized", random_state=seed).fit(table[fit.numpy()]).transform(table)
    return dict(zip(ids, torch.from_numpy(components).float(), strict=True))


def _flat(spec: ModalitySpec, batch: Batch) -> Tensor:
    """(B, F) numbers of one modality, NaN where a row lacks it."""
    present = batch.present[spec.name]
    x = MODALITIES.get(spec.kind).features(spec, batch.inputs[spec.name])
    full = torch.full((len(present), x.shape[1]), float("nan"))
    full[present] = x
    return full


def _block(spec: ModalitySpec, table: Tensor, fit: Tensor) -> Tensor | None:
    """Centre and scale the columns of a modality by its training rows; None where no training row has it."""
    known = table[fit & ~table.isnan().any(1)]
    if len(known) < 2:
        return None
    table = table - known.mean(0)
    if not MODALITIES.get(spec.kind).one_scale:
        spread = known.std(0, unbiased=False)
        table = torch.where(spread > 1e-8, table / spread.clamp_min(1e-8), torch.zeros_like(table))
    known = table[fit & ~table.isnan().any(1)]
    return table.nan_to_num(0.0) / known.pow(2).sum(1).mean().sqrt().clamp_min(1e-8)


# -- names through the model ---------------------------------------------------------------------------------


def name_streams(module: TaskModel, data: BaseDataModule, task: TaskSpec, names: Sequence[str]) -> Tensor | None:
    """(L, D) fused vectors of class names read as texts; None where the task is informed by no text of the model.

    Args:
        module: the trained model.
        data: the prepared data.
        task: whose classes are named.
        names: of the L classes.
    """
    texts = [
        m
        for m, s in module.modalities.items()
        if MODALITIES.get(s.kind).language and task.uses(m) and m != task.reads
    ]
    if not texts:
        return None
    rows = torch.stack([data.pipeline.dataset.processors[texts[0]](name) for name in names])
    there = torch.ones(len(names), dtype=torch.bool)
    nothing = dict.fromkeys(module.tasks, ~there)
    batch = Batch({texts[0]: rows}, {texts[0]: there}, {}, nothing, {}, tuple(names))
    module.eval()
    with torch.no_grad():
        vectors = module.predict(batch).vectors
    return None if vectors is None else vectors.float()
