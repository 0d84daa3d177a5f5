"""One trial of a sweep: the configuration with some options set, trained, and scored on the validation split."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import yaml

from experiments.core.job import Finished, TrainingJob, run_job, spec_of
from experiments.core.quiet import quiet
from experiments.core.study import Study
from zoo.errors import SpecError, ZooError
from zoo.results import joint_word
from zoo.tasks.base import task_kind
from zoo.training.collector import score, skill


@dataclass(frozen=True)
class Plan:
    """The trainings of a trial: a study, and a job of it for each seed."""

    study: Study
    jobs: tuple[TrainingJob, ...]


@dataclass
class Outcome:
    """What became of a trial.

    Attributes:
        state: "finished", "pruned" or "failed".
        value: the metric on the validation split, mean over seeds.
        skills: task -> skill on the validation split, mean over seeds.
        seconds: of training.
        data: "real", "simulated" or "mixed".
        n: rows of the validation split of the first seed that are scored.
        error: what failed, in words.
    """

    state: str = "finished"
    value: float = float("nan")
    skills: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    data: str = "real"
    n: int = 0
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A dictionary that Optuna can keep."""
        return asdict(self)


def parse_study(arguments: Sequence[str]) -> Study:
    """``Study.parse``, with what the parser refuses as an error of the zoo."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return Study.parse(arguments)
    except SystemExit as end:
        lines = [line for line in said.getvalue().splitlines() if line.strip()]
        raise SpecError(
            "\n".join(lines[:-1] or [f"the parser ended with {end.code}"]).removeprefix("error: ")
        ) from end


def options_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as a W&B agent writes them in the place of ${args}: --NAME=VALUE."""
    return [f"--{name}={value}" for name, value in settings.items()]


def plan(base: Study, arguments: Sequence[str], settings: Mapping[str, Any], seeds: Sequence[int]) -> Plan:
    """Make the trainings of a trial.

    Modalities and tasks are parts of the prepared data, options of the model are changes of a job; both leave the
    data and their split as they are. Other options are a configuration of their own.

    Args:
        base: the study of ``arguments``.
        arguments: of the command line, for trials with other options.
        settings: option -> value.
        seeds: one training each.
    """
    parts: dict[str, tuple[str, ...]] = {}
    changes, others = [], []
    for name, value in settings.items():
        short = name.replace("init_args.", "", 1)
        if short in ("data.modalities", "data.tasks"):
            parts[short.removeprefix("data.")] = _names(name, str(value))
        elif name.startswith("model."):
            changes.append(f"{name}={value}")
        else:
            others.append(f"--{name}={value}")
    study = parse_study([*arguments, *others]) if others else base
    jobs = tuple(TrainingJob("network", seed, changes=tuple(changes), **parts) for seed in seeds)
    return Plan(study, jobs)


def run_plan(made: Plan, metric: str, folder: Path, watch: Any = None) -> Outcome:
    """Train and score; what a combination of options breaks is an outcome, too.

    Args:
        made: from ``plan``.
        metric: "val/skill", or "val/TASK/METRIC".
        folder: of all jobs.
        watch: the Optuna trial that hears of each validation of the first seed, and may stop it.
    """
    import optuna

    quiet()
    started = time.monotonic()
    finished = []
    try:
        for number, job in enumerate(made.jobs):
            study = made.study
            if watch is not None and number == 0:
                study.data(seed=job.seed)  # prepared here, it is kept for the next trial
                study = _Watched(study, Pruning(watch, metric))
            finished.append(run_job(study, job, folder))
        return scored(finished, metric)
    except optuna.TrialPruned:
        return Outcome("pruned", seconds=round(time.monotonic() - started, 2))
    except (ZooError, RuntimeError) as error:
        return Outcome("failed", seconds=round(time.monotonic() - started, 2), error=str(error) or repr(error))


def scored(finished: Sequence[Finished], metric: str) -> Outcome:
    """The outcome of finished jobs, one a seed.

    Raises:
        SpecError: no such metric.
    """
    skills: dict[str, list[float]] = {}
    values = []
    for one in finished:
        results = one.predicted["val"].results
        kinds = {t: task_kind(spec_of(one, t)) for t in results}
        mine = {t: skill(k, k.primary_value(results[t].prediction, results[t].target)) for t, k in kinds.items()}
        mine = {t: v for t, v in mine.items() if math.isfinite(v)}
        for task, value in mine.items():
            skills.setdefault(task, []).append(value)
        if metric == "val/skill":
            values.append(sum(mine.values()) / len(mine) if mine else float("nan"))
            continue
        known = {f"val/{t}/{m}": v for t, ms in score(kinds, results).items() for m, v in ms.items()}
        if metric not in known:
            raise SpecError(f"metric '{metric}' is not known; known: {', '.join(['val/skill', *sorted(known)])}")
        values.append(known[metric])
    words = [w for one in finished for w in one.info["data"].get("val", {}).values()]
    return Outcome(
        value=sum(values) / len(values),
        skills={t: sum(v) / len(v) for t, v in skills.items()},
        seconds=round(sum(float(one.info["seconds"]) for one in finished), 2),
        data=joint_word(words) if words else "real",
        n=len({i for r in finished[0].predicted["val"].results.values() for i in r.ids}),
    )


class Pruning(L.Callback):
    """Tell an Optuna trial each validation, and stop the training where its pruner says so.

    Args:
        trial: an optuna.Trial.
        metric: name of what is logged.
    """

    def __init__(self, trial: Any, metric: str) -> None:
        self.trial = trial
        self.metric = metric
        self.step = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the metric; raise TrialPruned where the trial is hopeless."""
        import optuna

        value = float(trainer.callback_metrics.get(self.metric, float("nan")))
        if trainer.sanity_checking or not math.isfinite(value):
            return
        self.trial.report(value, step=self.step)
        self.step += 1
        if self.trial.should_prune():
            raise optuna.TrialPruned


class _Watched(Study):
    """A study whose trainings have one more callback. It shares the prepared data of the one it is made of."""

    def __init__(self, study: Study, callback: L.Callback) -> None:
        self.__dict__.update(study.__dict__)
        self._callback = callback

    def fit(self, model: Any, data: Any, *, callbacks: Sequence[L.Callback] = (), **options: Any) -> int:
        return super().fit(model, data, callbacks=[*callbacks, self._callback], **options)


def _names(option: str, value: str) -> tuple[str, ...]:
    """The names in a list such as "[ct,mri]" or "['ct', 'mri']"; () for null, which keeps all."""
    found = yaml.safe_load(value)
    if found is None:
        return ()
    if not isinstance(found, list) or not found or not all(isinstance(n, str) for n in found):
        raise SpecError(f"{option}={value} is no list of names; write such as [ct,mri]")
    return tuple(found)
