"""Scores of ``run.py ood``: each hold-out in and out of distribution, and how well its rows are detected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from experiments.commands.ood.plan import HoldOut, Plan
from experiments.core.job import Finished, TrainingJob, spec_of
from experiments.core.study import Study
from zoo.contract import TaskSpec
from zoo.evaluation.detection import MOST_TRAIN, Features, Scored, features, outlier_scores, plain_inputs
from zoo.evaluation.groups import Bools, Compared, class_rates, compare, has_classes, pooled, unseen, within
from zoo.models.predict import predict
from zoo.results import joint_word
from zoo.tasks.base import task_kind
from zoo.thinning import thinned
from zoo.training.collector import Evaluated


@dataclass
class Line:
    """One hold-out, task and kind of model.

    Attributes:
        held, task, model: which.
        metrics: metric -> in and out of distribution, and the gap; pooled over seeds.
        known: the same of the rows whose class was trained on; None where all are.
        inside, outside: the rows.
        unseen: rows out of distribution whose class no training row has.
        other: rows of the test split that are left out, since their group was not trained on either.
        inside_is_new: whether no group of the test split was trained on, so that nothing could be left out.
        chance, constant: (in, out) of the primary metric, averaged over seeds.
        trained_classes: classes that training rows have, on average over seeds.
        seeds: that are finished.
        data: "real", "simulated" or "mixed".
        chosen: classical pipelines that predicted rows.
        classes: names of the classes.
    """

    held: HoldOut
    task: TaskSpec
    model: str
    metrics: dict[str, Compared]
    known: dict[str, Compared] | None
    inside: Evaluated
    outside: Evaluated
    unseen: int
    other: int
    inside_is_new: bool
    chance: tuple[float, float]
    constant: tuple[float, float]
    trained_classes: float
    seeds: list[int]
    data: str
    chosen: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ()

    @property
    def impossible(self) -> bool:
        """Whether no row out of distribution can be right, since all their classes are new."""
        return 0 < self.unseen == len(self.outside.ids)


def inside_rows(plan: Plan, held: HoldOut, seed: int, task: str, ids: Sequence[str]) -> tuple[Bools, bool]:
    """(N,) rows of the test split that count as in distribution, and whether no group of them was trained on.

    Rows of an unknown group are kept. Where no group was trained on, as in a split by groups, all rows are kept.

    Args:
        plan: what is held out.
        held: the hold-out.
        seed: of the training.
        task: name of the task.
        ids: of the N rows.
    """
    trained = plan.train[(seed, task)].trained_groups(held.values)
    names = [plan.groups.get(i, "") for i in ids]
    mask = np.array([not n or n in trained for n in names], dtype=bool)
    return (mask, False) if mask.any() or not len(mask) else (np.ones(len(ids), dtype=bool), True)


def score_line(
    plan: Plan, held: HoldOut, spec: TaskSpec, model: str, jobs: Mapping[int, Finished], resamples: int
) -> Line | None:
    """Score one hold-out for one task; None where no seed has rows of it in both splits.

    Args:
        plan: what is held out.
        held: which.
        spec: of the task.
        model: "network" or "classical".
        jobs: seed -> finished training.
        resamples: of the bootstrap.
    """
    found = _gather(plan, held, spec, jobs)
    if not found.used:
        return None
    specs = list(found.used.values())
    union = tuple(dict.fromkeys(c for s in specs for c in s.classes))
    whole, out = (pooled(_alike(parts, specs, union)) for parts in (found.inside, found.outside))
    kind, seen = task_kind(specs[0]), np.concatenate(found.known)
    same = bool(seen.all())
    return Line(
        held=held,
        task=specs[0],
        model=model,
        metrics=compare(kind, whole, out, resamples=resamples),
        known=None if same else compare(kind, whole, out.take(seen), resamples=resamples),
        inside=whole,
        outside=out,
        unseen=int((~seen).sum()),
        other=found.other,
        inside_is_new=found.new,
        chance=_means(found.chance),
        constant=_means(found.constant),
        trained_classes=float(np.mean(found.sizes)),
        seeds=list(found.used),
        data=joint_word(found.words),
        chosen=sorted(found.chosen),
        classes=union if has_classes(kind) else (),
    )


@dataclass
class _Gathered:
    """What the seeds of a hold-out give for one task; see ``Line`` for the meaning of each."""

    inside: list[Evaluated] = field(default_factory=list)
    outside: list[Evaluated] = field(default_factory=list)
    known: list[Bools] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    chance: list[list[float | None]] = field(default_factory=list)
    constant: list[list[float | None]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    chosen: set[str] = field(default_factory=set)
    used: dict[int, TaskSpec] = field(default_factory=dict)
    other: int = 0
    new: bool = False


def _gather(plan: Plan, held: HoldOut, spec: TaskSpec, jobs: Mapping[int, Finished]) -> _Gathered:
    """Take the seeds that have rows of the task in both splits."""
    found = _Gathered()
    for seed, job in jobs.items():
        here = job.predicted["test"].results.get(spec.name)
        there = job.predicted["ood"].results.get(spec.name)
        if here is None or there is None:
            continue
        found.used[seed] = spec_of(job, spec.name)
        mask, alone = inside_rows(plan, held, seed, spec.name, here.ids)
        found.other, found.new = found.other + int((~mask).sum()), found.new or alone
        found.inside.append(here.take(mask))
        found.outside.append(there)
        names = plan.train[(seed, spec.name)].trained_classes(held.values)
        codes = [k for k, c in enumerate(found.used[seed].classes) if c in names]
        found.known.append(~unseen(task_kind(found.used[seed]), there, codes))
        found.sizes.append(len(codes))
        told = job.info["references"]
        found.chance.append([told[s][spec.name]["chance"] for s in ("test", "ood")])
        found.constant.append([told[s][spec.name]["constant"] for s in ("test", "ood")])
        found.words += [job.info["data"][s][spec.name] for s in ("test", "ood")]
        found.chosen |= {c["baseline"] for c in job.info.get("chosen", {}).get(spec.name, [])}
    return found


def _means(pairs: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    values = np.array([[np.nan if v is None else v for v in p] for p in pairs], dtype=float)
    return float(values[:, 0].mean()), float(values[:, 1].mean())


def _alike(parts: Sequence[Evaluated], specs: Sequence[TaskSpec], union: tuple[str, ...]) -> list[Evaluated]:
    """Bring predictions of several seeds to one width: classes in the order of ``union``, chains of one length."""
    if len({s.classes for s in specs}) > 1 and has_classes(task_kind(specs[0])):
        return [_to_classes(p, s.classes, union) for p, s in zip(parts, specs, strict=True)]
    kind, longest = task_kind(specs[0]), max(p.prediction.shape[1] for p in parts)
    made = []
    for part in parts:
        prediction, target = kind.lengthened(part.prediction, part.target, longest)
        made.append(replace(part, prediction=prediction, target=target))
    return made


def _to_classes(part: Evaluated, classes: Sequence[str], union: Sequence[str]) -> Evaluated:
    place = torch.tensor([union.index(c) for c in classes])
    prediction = torch.zeros((len(part.ids), len(union)))
    prediction[:, place] = part.prediction
    target = torch.where(part.target >= 0, place[part.target.clamp_min(0)], -1)
    return replace(part, prediction=prediction, target=target)


def class_lines(line: Line) -> list[dict[str, object]]:
    """Sensitivity and specificity of each class that has rows, in and out of distribution."""
    rows: list[dict[str, object]] = []
    for split, part in (("in", line.inside), ("out", line.outside)):
        if not line.classes:
            continue
        seen, free = class_rates(part.prediction.argmax(-1), part.target, len(line.classes))
        for k, name in enumerate(line.classes):
            n = int((part.target == k).sum())
            if n:
                rows.append(
                    {
                        "group": line.held.name,
                        "task": line.task.name,
                        "model": line.model,
                        "class": name,
                        "distribution": split,
                        "sensitivity": float(seen[k]),
                        "specificity": float(free[k]),
                        "n": n,
                        "data": line.data,
                    }
                )
    return rows


def detection_runs(
    study: Study, plan: Plan, held: HoldOut, job: Finished, folder: Path
) -> dict[str, dict[str, Scored]]:
    """Scores of one finished network by task and detector; kept in ``folder``, and read from there the next time.

    Args:
        study: the configuration.
        plan: what is held out.
        held: the hold-out.
        job: the finished network.
        folder: where scores are kept.
    """
    path = folder / f"{job.job.key(study)}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(".tmp")
        save_file(_detect(study, job), made)
        made.replace(path)
    stored = load_file(path)
    found: dict[str, dict[str, Scored]] = {}
    for name in sorted(k for k in stored if k.endswith("/test")):
        task, detector, _ = name.split("/")
        here, there = job.predicted["test"].results[task], job.predicted["ood"].results[task]
        mask, _ = inside_rows(plan, held, job.job.seed, task, here.ids)
        found.setdefault(task, {})[detector] = Scored(
            stored[name].numpy()[mask],
            stored[f"{task}/{detector}/ood"].numpy(),
            here.take(mask).ids,
            there.ids,
            within(here.take(mask)).drawn,
            within(there).drawn,
        )
    return found


def _detect(study: Study, job: Finished) -> dict[str, torch.Tensor]:
    """task/detector/split -> scores (N,) of the rows that the split's predictions are of, in their order."""
    module, view = job.restore(study)
    tensors: dict[str, torch.Tensor] = {}
    inputs = partial(plain_inputs, modalities=list(module.modalities.values()))
    for spec in view.task_specs:
        splits: dict[str, Features] = {}
        if any(spec.name not in job.predicted[s].results for s in ("test", "ood")):
            continue
        for split in ("train", "test", "ood"):
            rows = view.view.rows[split]
            rows = rows[view.view.predictable(spec)[rows]]
            loader = view.rows_dataloader(thinned(rows, MOST_TRAIN) if split == "train" else rows)
            predicted = predict(module, loader, logits=[spec.name], inputs=inputs)
            splits[split] = features(predicted, module.evaluation.kinds[spec.name])
        train = splits.pop("train")
        for detector, scores in outlier_scores(train, splits).items():
            for split, values in scores.items():
                assert splits[split].ids == job.predicted[split].results[spec.name].ids
                tensors[f"{spec.name}/{detector}/{split}"] = torch.from_numpy(np.ascontiguousarray(values))
    return tensors


def finished_of(finished: Mapping[TrainingJob, Finished], held: HoldOut, model: str) -> dict[int, Finished]:
    """The finished trainings of a hold-out and kind of model by seed, in the order of the seeds.

    Args:
        finished: all finished trainings.
        held: the hold-out.
        model: kind of training, "network" or "classical".
    """
    found = {c.seed: f for c, f in finished.items() if c.kind == model and c.holdout[1:] == held.values}
    return dict(sorted(found.items()))
