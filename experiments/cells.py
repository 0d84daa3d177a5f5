"""Cells: trainings that commands ask for, each kept on disk once it is finished and never run twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.view import DataView
from experiments.study import Study
from zoo.analysis.predict import Predicted, predict
from zoo.contract import TaskSpec
from zoo.errors import DataError, SpecError
from zoo.evaluation import Evaluated
from zoo.module import MultitaskModule
from zoo.reporting import data_word, references
from zoo.tasks import task_kind

EPOCHS = "trainer.max_epochs="
"""How a change of the number of epochs begins."""
LEAST_STEPS = 600
"""Steps that the training of a part shall make where batches of view.SMALLEST rows allow it (see DataView)."""


@dataclass(frozen=True)
class Cell:
    """One training: what is trained on which part of the data.

    Attributes:
        kind: "network", or "classical" for the baselines of zoo.baselines.
        seed: of split, initial weights and order of rows.
        tasks: to learn; () for all.
        modalities: to learn from; () for all.
        holdout: (group column, names...) that are held out; () for none. They are predicted as the split "ood".
        changes: "model.KEY=VALUE", "data.KEY=VALUE" or "trainer.max_epochs=N" on top of the configuration.
    """

    kind: str
    seed: int
    tasks: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    holdout: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs in the place of the configured ones; 0 where nothing was changed."""
        return next((int(c.removeprefix(EPOCHS)) for c in self.changes if c.startswith(EPOCHS)), 0)

    def key(self, study: Study) -> str:
        """Name of the cell's folder: what it is in words, and a hash of it and of the configuration."""
        text = json.dumps([study.fingerprint(self.kind), asdict(self)], sort_keys=True)
        words = "-".join([self.kind, "+".join(self.tasks) or "all", f"seed{self.seed}"])[:60]
        return f"{words}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


@dataclass
class Finished:
    """What a finished cell left on disk.

    Attributes:
        cell: which.
        folder: where.
        info: seconds, steps, n_train, chosen baselines and whatever else describes the training.
        predicted: split -> Predicted; a classical cell has results and ids only.
    """

    cell: Cell
    folder: Path
    info: dict[str, Any]
    predicted: dict[str, Predicted] = field(default_factory=dict)

    def restore(self, study: Study) -> tuple[MultitaskModule, DataView]:
        """Make the trained module and its data again.

        Raises:
            SpecError: the cell is no network.
        """
        if self.cell.kind != "network":
            raise SpecError(f"a cell of kind '{self.cell.kind}' has no network")
        view = view_of(study, self.cell)
        module = study.module(view, self.cell.changes)
        module.load_state_dict(load_file(self.folder / "weights.safetensors"))
        return module.eval(), view


def view_of(study: Study, cell: Cell) -> DataView:
    """The part of the data that a cell trains on."""
    holdout = {cell.holdout[0]: cell.holdout[1:]} if cell.holdout else None
    whole = study.data(seed=cell.seed, holdout=holdout, changes=cell.changes)
    epochs = int(study.config["trainer"].get("max_epochs") or 1)
    return study.view(
        whole,
        modalities=cell.modalities or None,
        tasks=cell.tasks or None,
        seed=cell.seed,
        least_steps=-(-LEAST_STEPS // epochs),
    )


def run_cell(study: Study, cell: Cell, folder: Path) -> Finished:
    """Run a cell, or read it where it is finished.

    Args:
        study: the configuration.
        cell: what to train.
        folder: of all cells; this one's is made below it, as a whole: a killed run leaves nothing behind.
    """
    done = load_cell(study, cell, folder)
    if done is not None:
        return done
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    made = Path(tempfile.mkdtemp(dir=folder, prefix=".running-"))
    try:
        view = view_of(study, cell)
        if cell.kind == "network":
            info, predicted = _train(study, cell, view, made)
        elif cell.kind == "classical":
            info, predicted = _classical(cell, view)
        else:
            raise SpecError(f"cell kind '{cell.kind}' is unknown; kinds: network, classical")
        info |= _describe(view, predicted)
        info |= {"seconds": round(time.monotonic() - started, 2), "cell": asdict(cell)}
        for split, part in predicted.items():
            _save(part, made / split)
        (made / "cell.json").write_text(json.dumps(info, indent=1) + "\n")
        final = folder / cell.key(study)
        shutil.rmtree(final, ignore_errors=True)
        made.rename(final)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Finished(cell, final, info, predicted)


def load_cell(study: Study, cell: Cell, folder: Path) -> Finished | None:
    """What a finished cell left, or None where it is not finished.

    Raises:
        DataError: the folder is there and broken.
    """
    path = folder / cell.key(study)
    if not (path / "cell.json").exists():
        return None
    try:
        info = json.loads((path / "cell.json").read_text())
        predicted = {p.name.removesuffix(".json"): _load(p) for p in sorted(path.glob("*.json")) if p.stem != "cell"}
    except Exception as error:  # safetensors and JSON raise kinds of their own
        raise _broken(path, error) from error
    return Finished(cell, path, info, predicted)


def known_costs(study: Study, folder: Path) -> list[tuple[Cell, float]]:
    """Every finished cell of this configuration below ``folder``, and the seconds that it took.

    Raises:
        DataError: the folder of a cell is broken.
    """
    found = []
    for path in sorted(folder.glob("*/cell.json")):
        try:
            info = json.loads(path.read_text())
            cell = Cell(**{k: tuple(v) if isinstance(v, list) else v for k, v in info["cell"].items()})
            seconds = float(info["seconds"])
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise _broken(path.parent, error) from error
        if cell.key(study) == path.parent.name:
            found.append((cell, seconds))
    return found


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(f"a finished cell cannot be read ({error}); delete its folder and run again", file=path)


def _train(study: Study, cell: Cell, view: DataView, folder: Path) -> tuple[dict[str, Any], dict[str, Predicted]]:
    L.seed_everything(cell.seed, verbose=False)
    module = study.module(view, cell.changes)
    steps = study.fit(module, view, seed=cell.seed, folder=folder, epochs=cell.epochs)
    info = {
        "steps": steps,
        "batch_size": view.batch_size,
        "parameters": sum(p.numel() for p in module.parameters() if p.requires_grad),
    }
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, folder / "weights.safetensors")
    return info, {s: predict(module, view.split_dataloader(s)) for s in view.view.rows if s != "train"}


def _classical(cell: Cell, view: DataView) -> tuple[dict[str, Any], dict[str, Predicted]]:
    from zoo.baselines import domain_specific

    splits = tuple(s for s in view.view.rows if s != "train")
    results: dict[str, dict[str, Evaluated]] = {s: {} for s in splits}
    chosen = {}
    for task in view.task_specs:
        found = domain_specific(view.view, task.name, seed=cell.seed, splits=splits)
        chosen[task.name] = [asdict(c) for c in found.chosen]
        for split in splits:
            if split in found.results:
                results[split][task.name] = found.results[split]
    return {"chosen": chosen}, {s: Predicted(r, torch.zeros((0, 1)), []) for s, r in results.items()}


def _describe(view: DataView, predicted: dict[str, Predicted]) -> dict[str, Any]:
    """What tables need to know of a cell without its data: specs, references, and which data are simulated."""
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
            chance, constant = references(kind, result, train, 3 if task.kind == "structure" else 20)
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
    """The TaskSpec that a cell's targets and predictions of ``task`` follow."""
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
    path.with_name(path.name + ".json").write_text(json.dumps(names))


def _load(path: Path) -> Predicted:
    names = json.loads(path.read_text())
    tensors = load_file(path.with_suffix(".safetensors"))
    results = {
        t: Evaluated(tensors[f"{t}/prediction"], tensors[f"{t}/target"], tensors[f"{t}/source"], ids)
        for t, ids in names["tasks"].items()
    }
    groups = {k.removeprefix("group/"): v for k, v in tensors.items() if k.startswith("group/")}
    present = {k.removeprefix("present/"): v for k, v in tensors.items() if k.startswith("present/")}
    return Predicted(results, tensors["vectors"].float(), names["ids"], groups, present)


def primary(finished: Finished, split: str, task: str) -> float:
    """The primary metric of a task in a split of a finished cell; NaN where it has no rows."""
    result = finished.predicted[split].results.get(task)
    kind = task_kind(spec_of(finished, task))
    return kind.primary_value(result.prediction, result.target) if result else float("nan")
