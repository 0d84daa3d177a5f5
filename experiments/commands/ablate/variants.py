"""Other fusions, weightings, lambdas, encoders, or any option of the model, in the place of the configured one."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from experiments.commands.ablate.values import spread
from experiments.core.job import Finished, TrainingJob, spec_of
from experiments.core.study import Study
from experiments.core.study_command import StudyRun
from zoo.contract import TaskSpec
from zoo.errors import SpecError, unknown_name
from zoo.evaluation.pooled import Pool
from zoo.evaluation.resampling import Interval
from zoo.fusion.base import FUSIONS
from zoo.results import joint_word
from zoo.tasks.base import task_kind
from zoo.weighting.base import WEIGHTINGS

OWN = "as configured"
NO_GAP = Interval(0.0, 0.0, 0.0)
"""Difference of the configured model from itself."""


@dataclass(frozen=True)
class Variant:
    """One change of the model.

    Attributes:
        what: "fusion", "weighting", "lambda" or the key of the option.
        name: its value in words.
        changes: "model.KEY=VALUE".
    """

    what: str
    name: str
    changes: tuple[str, ...]


def make_variants(
    study: Study,
    *,
    fusions: Sequence[str] = (),
    weightings: Sequence[str] = (),
    lambdas: Sequence[str] = (),
    vary: Sequence[str] = (),
) -> list[Variant]:
    """The variants that are asked for.

    Args:
        study: the configuration, whose other lambdas and encoders stay.
        fusions: registered names.
        weightings: likewise.
        lambdas: "TASK=V1,V2,...".
        vary: "model.KEY=V1|V2|...", values in YAML; below model.encoders a modality or kind may be named.

    Raises:
        UnknownNameError, SpecError: an unknown fusion, weighting or task, or text of another form.
    """
    for name in fusions:
        FUSIONS.get(name)
    for name in weightings:
        WEIGHTINGS.get(name)
    made = [Variant("fusion", n, (f"model.fusion={n}",)) for n in fusions]
    made += [Variant("weighting", n, (f"model.weighting={n}",)) for n in weightings]
    for text in lambdas:
        made += _lambda_variants(study, text)
    for text in vary:
        key, equals, values = text.partition("=")
        if not equals or not key.startswith("model.") or not values:
            raise SpecError(f"--vary '{text}' is not of the form model.KEY=V1|V2")
        made += [Variant(key, v, (_change(study, key, v),)) for v in values.split("|")]
    return list(dict.fromkeys(made))


def _lambda_variants(study: Study, text: str) -> list[Variant]:
    task, equals, values = text.partition("=")
    known = [t.name for t in study.data(seed=study.seed).task_specs]
    if task not in known:
        raise unknown_name("task of --lambdas", task, known)
    try:
        numbers = [float(v) for v in values.split(",")] if equals else []
    except ValueError:
        numbers = []
    if not numbers:
        raise SpecError(f"--lambdas '{text}' is not of the form TASK=0.1,1,10")
    own = study.config["model"]["init_args"].get("weighting") or {}
    given = (own.get("init_args") or {}).get("lambdas") or {}
    made = []
    for number in numbers:
        table = json.dumps({**given, task: number})
        changes = (*(() if own else ("model.weighting=FixedWeighting",)), f"model.weighting.lambdas={table}")
        made.append(Variant("lambda", f"lambda[{task}] = {number:g}", changes))
    return made


def _change(study: Study, key: str, value: str) -> str:
    """KEY=VALUE; a key below model.encoders becomes the whole table of encoders, as YAML keys hold no dots."""
    parts = key.split(".")
    if parts[1] != "encoders" or len(parts) < 3:
        return f"{key}={value}"
    table: dict[str, Any] = copy.deepcopy(study.config["model"]["init_args"].get("encoders") or {})
    node = table
    for part in parts[2:-1]:
        if not isinstance(node.setdefault(part, {}), dict):
            raise SpecError(f"--vary '{key}': '{part}' has no options below it")
        node = node[part]
    read = yaml.safe_load(value)
    node[parts[-1]] = {"class_path": read} if len(parts) == 3 and isinstance(read, str) else read
    return f"model.encoders={json.dumps(table)}"


def variant_jobs(
    study: Study, variants: Sequence[Variant], tasks: Sequence[str], modalities: Sequence[str], seed: int
) -> list[TrainingJob]:
    """The configured model, then each variant, on all tasks and modalities together; () are all.

    Args:
        study: the configuration.
        variants: other options of the model.
        tasks: to train on; () for all.
        modalities: to train on; () for all.
        seed: of the trainings.
    """
    return [
        TrainingJob("network", seed, tuple(tasks), tuple(modalities), changes=c)
        for c in ((), *(v.changes for v in variants))
    ]


def variant_rows(
    run: StudyRun,
    variants: Sequence[Variant],
    *,
    tasks: Sequence[str],
    modalities: Sequence[str],
    seeds: Sequence[int],
    resamples: int,
) -> list[dict[str, Any]]:
    """Train every variant; one row a task and variant, with its paired difference from the configured model.

    Args:
        run: of the command.
        variants: other options of the model.
        tasks: to train on; () for all.
        modalities: to train on; () for all.
        seeds: of the trainings.
        resamples: of the bootstrap.
    """
    study = run.study
    run.train([c for s in seeds for c in variant_jobs(study, variants, tasks, modalities, s)])
    by_seed = []
    for seed in seeds:
        jobs = variant_jobs(study, variants, tasks, modalities, seed)
        if all(c in run.trained.finished for c in jobs):
            by_seed.append([run.trained.finished[c] for c in jobs])
    if not by_seed:
        return []
    rows = []
    for task in by_seed[0][0].info["tasks"]:
        rows += _task_rows(spec_of(by_seed[0][0], task), variants, by_seed, resamples)
    return rows


def _task_rows(
    task: TaskSpec, variants: Sequence[Variant], seeds: list[list[Finished]], resamples: int
) -> list[dict[str, Any]]:
    kind = task_kind(task)
    seeds = [s for s in seeds if all(task.name in f.predicted["test"].results for f in s)]
    if not seeds:
        return []
    names = [frozenset({str(k)}) for k in range(1 + len(variants))]
    pool = Pool(
        kind,
        [dict(zip(names, [f.predicted["test"].results[task.name] for f in s], strict=True)) for s in seeds],
        resamples=resamples,
    )
    draws = [pool.draws(n) for n in names]
    told = [s[0].info for s in seeds]
    references = {
        k: sum(float(i["references"]["test"][task.name][k]) for i in told) / len(told) for k in ("chance", "constant")
    }
    rows = []
    own = Variant(OWN, OWN, ())
    for variant, values in zip([own, *variants], draws, strict=True):
        gap = pool.interval(values - draws[0], gap=True) if variant is not own else NO_GAP
        rows.append(
            {
                "task": task.name,
                "what": variant.what,
                "variant": variant.name,
                "metric": kind.primary,
                **spread("value", pool.interval(values)),
                **spread("difference", gap),
                "n": pool.n,
                "unit": pool.unit,
                "data": joint_word([i["data"]["test"][task.name] for i in told]),
                **references,
            }
        )
    return rows
