"""Training jobs: trainings that commands ask for, each kept on disk once it is finished and never run twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.core.view import DataView
from experiments.core.study import Study
from zoo.contract import TaskSpec
from zoo.errors import DataError, SpecError, ZooError
from zoo.evaluation.summary import data_word, references
from zoo.models.base import TaskModel, lightning_module
from zoo.models.predict import predict
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated, Predicted

EPOCHS = "trainer.max_epochs="
"""How a change of the number of epochs begins."""
JOB_FILE = "job.json"
"""File in the folder of a finished job that describes it; it is there only once all else is."""
LEAST_STEPS = 600
"""Steps that the training of a part shall make where batches of view.SMALLEST rows allow it (see DataView)."""


class JobBusy(ZooError):
    """Another process trains this job at present."""


@dataclass(frozen=True)
class TrainingJob:
    """One training: what is trained on which part of the data.

    Attributes:
        kind: "network", or "classical" for the baselines of zoo.baselines.
        seed: of split, initial weights and order of rows.
        tasks: to learn; () for all.
        modalities: to learn from; () for all.
        holdout: (group column, names...) that are held out; () for none. They are predicted as the split "ood".
        changes: "model.KEY=VALUE", "data.KEY=VALUE" or "trainer.max_epochs=N" on top of the configuration.
        baseline: of a classical job, the one pipeline that reads all of ``modalities`` together (see
            zoo.baselines.named); "" takes the one that validates best, of each data set.
    """

    kind: str
    seed: int
    tasks: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    holdout: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    baseline: str = ""

    @property
    def epochs(self) -> int:
        """Epochs in the place of the configured ones; 0 where nothing was changed."""
        return next((int(c.removeprefix(EPOCHS)) for c in self.changes if c.startswith(EPOCHS)), 0)

    def describe(self) -> str:
        """The job in words."""
        source = "from " + ("+".join(self.modalities) or "all modalities")
        without = ["without " + " ".join(self.holdout)] if self.holdout else []
        what = self.baseline or self.kind
        words = [what, "+".join(self.tasks) or "all tasks", source, *without, *self.changes, f"seed {self.seed}"]
        return " ".join(words)

    def key(self, study: Study) -> str:
        """Name of the job's folder: what it is in words, and a hash of it and of the configuration."""
        text = json.dumps([study.fingerprint(self.kind), asdict(self)], sort_keys=True)
        words = "-".join([self.kind, "+".join(self.tasks) or "all", f"seed{self.seed}"])[:60]
        return f"{words}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


@dataclass
class Finished:
    """What a finished job left on disk.

    Attributes:
        job: which.
        folder: where.
        info: seconds, steps, n_train, chosen baselines and whatever else describes the training.
        predicted: split -> Predicted; a classical job has results and ids only.
        fresh: whether it was trained just now, and not read.
    """

    job: TrainingJob
    folder: Path
    info: dict[str, Any]
    predicted: dict[str, Predicted] = field(default_factory=dict)
    fresh: bool = False

    def restore(self, study: Study) -> tuple[TaskModel, DataView]:
        """Make the trained module and its data again.

        Raises:
            SpecError: the job is no network.
        """
        if self.job.kind != "network":
            raise SpecError(f"a job of kind '{self.job.kind}' has no network")
        view = view_of(study, self.job)
        module = study.module(view, self.job.changes)
        module.load_state_dict(load_file(self.folder / "weights.safetensors"))
        module.eval()
        return module, view


def view_of(study: Study, job: TrainingJob) -> DataView:
    """The part of the data that a job trains on."""
    holdout = {job.holdout[0]: job.holdout[1:]} if job.holdout else None
    whole = study.data(seed=job.seed, holdout=holdout, changes=job.changes)
    epochs = int(study.config["trainer"].get("max_epochs") or 1)
    return study.view(
        whole,
        modalities=job.modalities or None,
        tasks=job.tasks or None,
        seed=job.seed,
        least_steps=-(-LEAST_STEPS // epochs),
    )


def run_job(study: Study, job: TrainingJob, folder: Path, *, wait: float = -1) -> Finished:
    """Run a job, or read it where it is finished. Of several processes that are asked for a job, one runs it.

    Args:
        study: the configuration.
        job: what to train.
        folder: of all jobs; this one's is made below it, as a whole: of a killed run nothing stays.
        wait: seconds to wait while another process trains this job; a negative number waits until it ends.

    Raises:
        JobBusy: another process still trains this job.
    """
    done = load_job(study, job, folder)
    if done is not None:
        return done
    folder.mkdir(parents=True, exist_ok=True)
    key = job.key(study)
    lock = FileLock(folder / f".{key}.lock", timeout=wait)  # the system lets go of it where a process is killed
    try:
        lock.acquire()
    except Timeout as error:
        raise JobBusy(f"another process trains it: {job.describe()}") from error
    try:
        done = load_job(study, job, folder) or _run_alone(study, job, folder / key)
        Path(lock.lock_file).unlink(missing_ok=True)  # whoever still waits for it finds the job finished
    finally:
        lock.release()
    return done


def _run_alone(study: Study, job: TrainingJob, final: Path) -> Finished:
    """Train a job that no other process trains, in a folder that takes the place of ``final`` in the end."""
    started = time.monotonic()
    made = final.with_name(f".running-{final.name}")
    shutil.rmtree(made, ignore_errors=True)  # what a killed run has left
    made.mkdir()
    try:
        view = view_of(study, job)
        if job.kind == "network":
            info, predicted = _train(study, job, view, made)
        elif job.kind == "classical":
            info, predicted = _classical(job, view)
        else:
            raise SpecError(f"job kind '{job.kind}' is unknown; kinds: network, classical")
        info |= _describe(view, predicted)
        info |= {"seconds": round(time.monotonic() - started, 2), "job": asdict(job)}
        for split, part in predicted.items():
            _save(part, made / split)
        (made / JOB_FILE).write_text(json.dumps(info, indent=1) + "\n")
        shutil.rmtree(final, ignore_errors=True)
        made.rename(final)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Finished(job, final, info, predicted, fresh=True)


def load_job(study: Study, job: TrainingJob, folder: Path) -> Finished | None:
    """What a finished job left, or None where it is not finished.

    Args:
        study: the configuration.
        job: which.
        folder: of finished jobs.

    Raises:
        DataError: the folder is there and broken.
    """
    path = folder / job.key(study)
    if not (path / JOB_FILE).exists():
        return None
    try:
        info = json.loads((path / JOB_FILE).read_text())
        predicted = {p.name.removesuffix(".json"): _load(p) for p in sorted(path.glob("*.json")) if p.stem != "job"}
    except Exception as error:  # safetensors and JSON raise kinds of their own
        raise _broken(path, error) from error
    return Finished(job, path, info, predicted)


def finished_seconds(study: Study, folder: Path) -> list[tuple[TrainingJob, float]]:
    """Every finished job of this configuration below ``folder``, and the seconds that it took.

    Raises:
        DataError: the folder of a job is broken.
    """
    found = []
    for path in sorted(folder.glob(f"*/{JOB_FILE}")):
        try:
            info = json.loads(path.read_text())
            job = TrainingJob(**{k: tuple(v) if isinstance(v, list) else v for k, v in info["job"].items()})
            seconds = float(info["seconds"])
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise _broken(path.parent, error) from error
        if job.key(study) == path.parent.name:
            found.append((job, seconds))
    return found


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(f"a finished job cannot be read ({error}); delete its folder and run again", file=path)


def _train(
    study: Study, job: TrainingJob, view: DataView, folder: Path
) -> tuple[dict[str, Any], dict[str, Predicted]]:
    L.seed_everything(job.seed, verbose=False)
    module = study.module(view, job.changes)
    steps = study.fit(module, view, seed=job.seed, folder=folder, epochs=job.epochs)
    info = {
        "steps": steps,
        "batch_size": view.sampling.batch_size,
        "parameters": sum(p.numel() for p in lightning_module(module).parameters() if p.requires_grad),
    }
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, folder / "weights.safetensors")
    return info, {s: predict(module, view.split_dataloader(s)) for s in view.view.rows if s != "train"}


def _classical(job: TrainingJob, view: DataView) -> tuple[dict[str, Any], dict[str, Predicted]]:
    from zoo.baselines.domain import domain_specific
    from zoo.baselines.named import fit_named

    splits = tuple(s for s in view.view.rows if s != "train")
    results: dict[str, dict[str, Evaluated]] = {s: {} for s in splits}
    chosen = {}
    for task in view.task_specs:
        if job.baseline:
            named = fit_named(
                view.view, task.name, job.baseline, job.modalities or None, seed=job.seed, splits=splits
            )
            fitted, predicted = named.candidates, named.results
        else:
            found = domain_specific(view.view, task.name, seed=job.seed, splits=splits)
            fitted, predicted = found.chosen, found.results
        chosen[task.name] = [asdict(c) for c in fitted]
        for split, result in predicted.items():
            results[split][task.name] = result
    return {"chosen": chosen}, {s: Predicted(r, torch.zeros((0, 1)), []) for s, r in results.items()}


def _describe(view: DataView, predicted: dict[str, Predicted]) -> dict[str, Any]:
    """What tables need to know of a job without its data: specs, references, and which data are simulated."""
    pipe = view.view
    simulated = [bool(s) for s in pipe.source_simulated]
    info: dict[str, Any] = {
        "n_train": len(pipe.rows["train"]),
        "modalities": [s.name for s in view.modality_specs],
        "tasks": {s.name: asdict(s) for s in view.task_specs},
        "group_names": _group_names(pipe),
        "data": {},
        "references": {},
    }
    for task in view.task_specs:
        train = pipe.labels("train", task.name)
        for split, part in predicted.items():
            if task.name not in part.results:
                continue
            result, kind = part.results[task.name], task_kind(task)
            chance, constant = references(kind, result, train, kind.chance_draws)
            info["references"].setdefault(split, {})[task.name] = {"chance": chance, "constant": constant}
            numbers = sorted(set(result.source.tolist()))
            info["data"].setdefault(split, {})[task.name] = data_word(numbers, simulated)
    return info


def _group_names(pipe: Any) -> dict[str, list[str]]:
    """Group column -> names of its codes, for the columns on which all sources agree."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for source in pipe.sources:
        for column, names in source.group_names().items():
            found.setdefault(column, set()).add(tuple(names))
    return {c: list(next(iter(names))) for c, names in found.items() if len(names) == 1}


def spec_of(finished: Finished, task: str) -> TaskSpec:
    """The TaskSpec that a job's targets and predictions of ``task`` follow."""
    told = finished.info["tasks"][task]
    return TaskSpec(**{k: tuple(v) if isinstance(v, list) else v for k, v in told.items()})


def _save(part: Predicted, path: Path) -> None:
    """Write PATH.safetensors and PATH.json."""
    tensors: dict[str, Tensor] = {"vectors": part.vectors.half()}
    tensors |= {f"group/{g}": v for g, v in part.groups.items()} | {
        f"present/{m}": v for m, v in part.present.items()
    }
    for task, result in part.results.items():
        tensors |= {f"{task}/prediction": result.prediction, f"{task}/target": result.target}
        tensors[f"{task}/source"] = result.source
    save_file({k: v.contiguous() for k, v in tensors.items()}, path.with_name(path.name + ".safetensors"))
    names = {"ids": part.ids, "tasks": {t: r.ids for t, r in part.results.items()}}
    names["units"] = {t: r.units for t, r in part.results.items()}
    path.with_name(path.name + ".json").write_text(json.dumps(names))


def _load(path: Path) -> Predicted:
    names = json.loads(path.read_text())
    tensors = load_file(path.with_suffix(".safetensors"))
    results = {
        t: Evaluated(
            tensors[f"{t}/prediction"], tensors[f"{t}/target"], tensors[f"{t}/source"], ids, names["units"].get(t, [])
        )
        for t, ids in names["tasks"].items()
    }
    groups = {k.removeprefix("group/"): v for k, v in tensors.items() if k.startswith("group/")}
    present = {k.removeprefix("present/"): v for k, v in tensors.items() if k.startswith("present/")}
    return Predicted(results, tensors["vectors"].float(), names["ids"], groups, present)


def primary(finished: Finished, split: str, task: str) -> float:
    """The primary metric of a task in a split of a finished job; NaN where it has no rows.

    Args:
        finished: the job.
        split: name of the split.
        task: name of the task.
    """
    result = finished.predicted[split].results.get(task)
    kind = task_kind(spec_of(finished, task))
    return kind.primary_value(result.prediction, result.target) if result else float("nan")
