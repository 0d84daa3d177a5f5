"""Bundle: a trained model with its preprocessing, loaded from its folder, that predicts new rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from zoo.bundle import files, trust
from zoo.bundle.build import build_model
from zoo.bundle.detectors import numbers
from zoo.bundle.frames import joined, prediction_cells, prediction_columns
from zoo.bundle.generate import ROWS as GENERATED_ROWS
from zoo.bundle.generate import GeneratedRow, generate_part
from zoo.bundle.parts import find_again
from zoo.carried import Box
from zoo.contract import PAD, Batch, collate
from zoo.data import PREPROCESSING, NewRows, Preprocessing, ReadRow
from zoo.errors import DataError, SpecError
from zoo.evaluation.outliers import Outliers, restored
from zoo.generation.diffusion.process import SamplingOptions
from zoo.generation.request import GenerationRequest
from zoo.models.base import Generates, TaskModel, require, task_model
from zoo.registry import plugins, use_plugins
from zoo.tasks.base import TaskKind, task_kind
from zoo.training.collector import Collector

ROWS = 128
"""Rows of a batch of prediction."""
FRONT = ("row", "id")
BACK = ("modalities", "unusual", "unusual_in", "problem")
"""Columns of every table of predictions, before and behind those of the task."""


def load(folder: str | Path, *, use: Sequence[str] = (), device: str = "cpu") -> Bundle:
    """Load a trained model with its preprocessing; nothing else is needed, neither data nor runs.

    Args:
        folder: the bundle that ``zoo fit`` wrote, such as runs/mine/version_0/bundle.
        use: packages outside of the zoo whose classes the model may need; those that are installed with the entry
            point ``multimodal_zoo`` are in use anyway. A bundle itself cannot make Python import anything.
        device: where the model computes.

    Raises:
        DataError, SpecError, UnknownNameError: a file of it was changed, added or is missing; it is of a later
            format; or it names a class that no registry has.
    """
    folder = Path(folder)
    manifest = files.check_folder(folder)
    use_plugins(use)
    missing = [p for p in manifest.get("plugins", []) if p not in plugins()]
    if missing:
        raise SpecError(
            f"the bundle needs the plugin '{missing[0]}', which is not in use; install it, or name it: "
            f"zoo.load(folder, use=['{missing[0]}']), or --plugins '[{missing[0]}]' on the command line"
        )
    told = files.read_json(folder / files.PREPROCESSING)
    arrays = {k: v.numpy() for k, v in files.read_tensors(folder / files.ARRAYS).items()}
    box = Box(folder)
    preprocessing = PREPROCESSING.get(str(told.get("class"))).restore((told.get("state", {}), arrays), box)
    config = find_again(files.read_json(folder / files.MODEL), box)
    module = build_model(config, preprocessing.modality_specs, preprocessing.task_specs)
    _fill(module, folder)
    module.to(device).eval()
    said = files.read_json(folder / files.TRUST)
    known = {t: trust.from_json(v) for t, v in said["tasks"].items()}
    detectors = restored(files.read_tensors(folder / files.DETECTOR))
    return Bundle(folder, task_model(module), preprocessing, known, detectors, manifest)


def _fill(module: torch.nn.Module, folder: Path) -> None:
    """Give a model its weights.

    Raises:
        DataError: they are not those of the model.
    """
    try:
        weights: dict[str, Any] = dict(files.read_tensors(folder / files.WEIGHTS))
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        words = " ".join(str(error).split())[:300]
        raise DataError(
            f"the weights do not fit the model that this version of the zoo makes ({words}); load it with the "
            f"versions that its {files.MANIFEST} states",
            file=folder / files.WEIGHTS,
        ) from error


@dataclass
class Bundle:
    """A trained model that takes rows as they come: any subset of its modalities, no labels.

    Attributes:
        folder: where it was loaded from.
        model: the network, in evaluation mode.
        preprocessing: what turns rows into its inputs.
        trust: task -> temperature and conformal thresholds.
        detectors: "inputs:MODALITY" or "vectors" -> what tells rows unlike those of training.
        manifest: format, versions, plugins and checksums.
    """

    folder: Path
    model: TaskModel
    preprocessing: Preprocessing
    trust: Mapping[str, trust.TaskTrust]
    detectors: Mapping[str, Outliers]
    manifest: Mapping[str, Any]

    @property
    def kinds(self) -> dict[str, TaskKind]:
        """Task -> its kind."""
        return {name: task_kind(spec) for name, spec in self.model.tasks.items()}

    def __repr__(self) -> str:
        inputs, tasks = ", ".join(self.model.modalities), ", ".join(self.model.tasks)
        return f"Bundle('{self.folder}': {type(self.model).__name__} from {inputs} to {tasks})"

    def predict(
        self, table: object, *, folder: str | Path | None = None, coverage: float = 0.9, batch_size: int = ROWS
    ) -> dict[str, pd.DataFrame]:
        """Predict every task for every row.

        Args:
            table: path of a table file, a pandas DataFrame, or a list of dictionaries of column -> cell. Columns are
                those of the training table, or one for each modality; a row may lack any of them.
            folder: what paths in cells are relative to; None for the folder of the table file, or the current one.
            coverage: of conformal sets and intervals, one of zoo.bundle.trust.COVERAGES.
            batch_size: rows that are computed at once.

        Returns:
            Task -> a row for each row of the table, in its order. What could not be read, and what no training row
            has, is said in the column ``problem``; a task that nothing of a row informs has no prediction there.

        Raises:
            DataError: the table cannot be read, or has no column of any modality.
        """
        rows = self.rows(table, folder)
        parts: dict[str, list[pd.DataFrame]] = {t: [] for t in self.model.tasks}
        for start in range(0, len(rows), batch_size):
            for task, frame in self.predict_part(rows, start, start + batch_size, coverage=coverage).items():
                parts[task].append(frame)
        return {t: joined(self.headings(t), p) for t, p in parts.items()}

    def generate(
        self,
        table: object,
        targets: Sequence[str],
        *,
        given: Sequence[str] | None = None,
        draws: int = 1,
        seed: int = 0,
        sampling: SamplingOptions = SamplingOptions(),
        folder: str | Path | None = None,
    ) -> list[GeneratedRow]:
        """Make modalities of every row from others that it has, with a model that can.

        Args:
            table: see ``predict``.
            targets: modalities to make, together.
            given: modalities that may be told; None for all but the targets.
            draws: how often each is made.
            seed: of all random numbers; what is made of a row follows from it, the row, its id and the draw.
            sampling: sampler, steps and guidance.
            folder: see ``predict``.

        Raises:
            DataError: the table cannot be read, or has no column of any modality.
            SpecError, UnknownNameError: the model makes nothing, or not this.
        """
        request = GenerationRequest(tuple(targets), None if given is None else tuple(given), draws, seed, sampling)
        require(self.model, Generates, "generate")
        request.check(self.model.modalities)
        rows = self.rows(table, folder)
        found: list[GeneratedRow] = []
        for start in range(0, len(rows), GENERATED_ROWS):
            places = range(start, min(start + GENERATED_ROWS, len(rows)))
            found += generate_part(self.model, self.preprocessing, rows, places, request)
        return found

    def rows(self, table: object, folder: str | Path | None = None) -> NewRows:
        """New rows, ready to be read; see ``predict``."""
        return self.preprocessing.rows(table, Path(folder) if folder is not None else None)

    def headings(self, task: str) -> list[str]:
        """Columns of the table of predictions of a task."""
        return [*FRONT, *prediction_columns(self.kinds[task], self.trust[task]), *BACK]

    def predict_part(self, rows: NewRows, start: int, stop: int, *, coverage: float = 0.9) -> dict[str, pd.DataFrame]:
        """Predict some rows, by their place.

        Args:
            rows: of ``rows``.
            start: the first.
            stop: one behind the last.
            coverage: see ``predict``.
        """
        read = rows.read(start, stop)
        with _inference(self.model):
            return self._frames(read, start, coverage)

    def _frames(self, read: list[ReadRow], start: int, coverage: float) -> dict[str, pd.DataFrame]:
        usable = [k for k, row in enumerate(read) if row.sample.inputs]
        batch = self._batch([read[k] for k in usable])
        output = self.model.predict(batch.to(self.model.device)) if usable else None
        unusual = self._unusual(batch, output.vectors if output is not None else None)
        frames = {}
        for task, kind in self.kinds.items():
            found: dict[int, list[str | float]] = {}
            if output is not None and task in output.predicted:
                places = output.predicted[task].cpu().tolist()
                made = kind.tempered(output.predictions[task].float().cpu(), self.trust[task].temperature)
                lengths = [_length(batch, kind.spec.reads, k) for k in places]
                cells = prediction_cells(kind, made, lengths, self.trust[task], coverage)
                found = {usable[k]: c for k, c in zip(places, cells, strict=True)}
            frames[task] = self._frame(task, read, start, found, dict(zip(usable, unusual, strict=True)))
        return frames

    def _frame(
        self,
        task: str,
        read: list[ReadRow],
        start: int,
        found: Mapping[int, list[str | float]],
        unusual: Mapping[int, list[str]],
    ) -> pd.DataFrame:
        """The table of one task for some rows."""
        headings = self.headings(task)
        width = len(headings) - len(FRONT) - len(BACK)
        lines = []
        for k, row in enumerate(read):
            problems = list(row.problems)
            if k not in found:
                problems.append("no prediction: " + self._needed(task))
            strange = unusual.get(k, [])
            lines.append(
                [
                    start + k,
                    row.sample.id,
                    *found.get(k, [None] * width),
                    "|".join(m for m in self.model.modalities if m in row.sample.inputs),
                    bool(strange),
                    "|".join(strange),
                    "; ".join(problems),
                ]
            )
        return pd.DataFrame(lines, columns=headings)

    def _needed(self, task: str) -> str:
        spec = self.model.tasks[task]
        informs = ", ".join(spec.modalities or self.model.modalities)
        return f"the row has none of {informs}" + (f", or lacks {spec.reads}" if spec.reads else "")

    def _batch(self, read: Sequence[ReadRow]) -> Batch:
        return collate([row.sample for row in read], list(self.model.modalities.values()), self._tasks)

    @property
    def _tasks(self) -> list[Any]:
        return list(self.model.tasks.values())

    def _unusual(self, batch: Batch, vectors: Tensor | None) -> list[list[str]]:
        """Of each row of a batch, where it is unlike those of training."""
        found: list[list[str]] = [[] for _ in range(len(batch))]
        for name, (rows, values) in numbers(batch, self.model.modalities, vectors).items():
            if name in self.detectors and len(rows):
                marks = self.detectors[name].unusual(values)
                for place in rows[marks].tolist():
                    found[place].append(name)
        return found

    def labelled_part(self, rows: NewRows, start: int, stop: int, collector: Collector) -> list[ReadRow]:
        """Predict some rows, and keep what was predicted of labelled ones.

        Args:
            rows: of ``rows``.
            start: the first.
            stop: one behind the last.
            collector: takes predictions, at the temperature of each task, and labels.

        Returns:
            What was read.
        """
        read = rows.read(start, stop, labels=True)
        usable = [row for row in read if row.sample.inputs]
        if not usable:
            return read
        batch = self._batch(usable).to(self.model.device)
        with _inference(self.model):
            output = self.model.predict(batch)
            for task, kind in self.kinds.items():
                if task in output.predictions:
                    values = output.predictions[task].float()
                    output.predictions[task] = kind.tempered(values, self.trust[task].temperature)
            collector.add(output, batch)
        return read


@contextmanager
def _inference(model: TaskModel) -> Iterator[None]:
    """Without gradients, in evaluation mode."""
    before = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(before)


def _length(batch: Batch, modality: str, row: int) -> int:
    """Number of tokens, without padding, that a row of a batch has of a modality; 0 where none is read."""
    if not modality:
        return 0
    packed = int(batch.present[modality][:row].sum())
    return int((batch.inputs[modality][packed] != PAD).sum())
