"""A part of prepared data: fewer modalities, fewer tasks or other rows, without preparing anything again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import numpy.typing as npt
from torch import Tensor

from datamodules.core.base import BaseDataModule
from datamodules.core.mixture import ResumableLoader, source_passes
from datamodules.core.query import Pipeline
from zoo.contract import ModalitySpec, TaskSpec
from zoo.data import CountsClasses, GivesExamples, GivesInputs
from zoo.data import DataModule as AskedDataModule
from zoo.data import Pipeline as AskedPipeline
from zoo.errors import SpecError, unknown_name

SMALLEST = 16
"""Rows of the smallest batch that a view makes of its own accord."""
Rows = npt.NDArray[np.int64]


def _check(what: str, wanted: Sequence[str] | None, known: Sequence[str]) -> None:
    for name in wanted or []:
        if name not in known:
            raise unknown_name(what, name, known)


class PipelineView:
    """What a Pipeline says, of some modalities, tasks and rows.

    It has the attributes that loaders, reports and baselines ask a Pipeline for.

    Args:
        whole: the prepared data; processors and codecs stay as they were fitted there.
        modalities, tasks: names to keep; None keeps all. A task that no kept modality can inform is refused, and a
            modality that informs no kept task is left out.
        rows: split -> row numbers of ``whole`` that replace those of the split; other names than train, val and
            test are allowed. Rows without a kept modality and a kept label are left out.

    Raises:
        UnknownNameError, SpecError: an unknown name, or a task that cannot be learned from what is kept.
    """

    def __init__(
        self,
        whole: Pipeline,
        *,
        modalities: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        rows: Mapping[str, Rows] | None = None,
    ) -> None:
        _check("modality", modalities, [s.name for s in whole.modality_specs])
        _check("task", tasks, [s.name for s in whole.task_specs])
        self.whole = whole
        self.dataset, self.sources, self.join = whole.dataset, whole.sources, whole.join
        self.source_names = whole.source_names
        self.availability, self.notices = whole.availability, whole.notices
        kept = [s.name for s in whole.modality_specs if modalities is None or s.name in modalities]
        self.task_specs: list[TaskSpec] = [
            self._narrow(s, kept) for s in whole.task_specs if tasks is None or s.name in tasks
        ]
        used = {m for s in self.task_specs for m in (*s.modalities, s.reads)}
        kept = [m for m in kept if m in used]
        self.source_simulated = whole.simulated_with(kept)
        self.modality_specs: list[ModalitySpec] = [s for s in whole.modality_specs if s.name in kept]
        self.raw_modalities = {m: whole.raw_modalities[m] for m in kept}
        self.raw_tasks = {s.name: whole.raw_tasks[s.name] for s in self.task_specs}
        self.rows = {split: self._usable(np.asarray(r)) for split, r in {**whole.rows, **(rows or {})}.items()}

    @staticmethod
    def _narrow(task: TaskSpec, kept: Sequence[str]) -> TaskSpec:
        informs = tuple(m for m in task.modalities or kept if m in kept)
        if not informs or (task.reads and task.reads not in kept):
            raise SpecError(
                f"task '{task.name}' cannot be learned from the modalities {tuple(kept)}; it needs one of "
                f"{task.modalities}" + (f" and always '{task.reads}'" if task.reads else "")
            )
        return replace(task, modalities=informs)

    def _usable(self, rows: Rows) -> Rows:
        """The rows with a label of a kept task and a kept modality that informs it."""
        good = np.zeros(len(rows), dtype=bool)
        for task in self.task_specs:
            good |= self.predictable(task)[rows]
        return rows[good]

    def predictable(self, task: TaskSpec) -> npt.NDArray[np.bool_]:
        """(N,) samples that carry a label of ``task`` and a kept modality that informs it, and what it reads."""
        present = self.availability.present
        has: npt.NDArray[np.bool_] = np.logical_or.reduce([present[m] for m in task.modalities])
        if task.reads:
            has = has & present[task.reads]
        return has & self.availability.labelled[task.name]

    def ready(self) -> None:
        """Open the sources that an index left closed."""
        self.whole.ready()

    def rows_by_source(self, split: str) -> list[Rows]:
        """The rows of ``split``, one array a source."""
        return self.whole.by_source(self.rows[split])

    def labels(self, split: str, task: str) -> tuple[Tensor, Tensor]:
        """Encoded labels (n, ...) of a task in a split, and the source (n,) of each."""
        spec = next(s for s in self.task_specs if s.name == task)
        rows = self.rows[split]
        return self.whole.encoded(task, rows[self.predictable(spec)[rows]])

    def group_columns(self) -> list[str]:
        """Names of the group columns that any source has."""
        return self.whole.group_columns()

    def groups(self, column: str, rows: Rows) -> list[str]:
        """See Pipeline.groups."""
        return self.whole.groups(column, rows)


class DataView(BaseDataModule):
    """A data module over a PipelineView, with the batching of the data module that it comes from.

    An epoch visits each training row as often as an epoch of the whole does, so that a model of a part is trained
    on it as long as a model of everything. As a part makes fewer steps of full batches, its batches are smaller, down
    to ``SMALLEST``, where that is needed for ``least_steps``. Classes are evened out as in the whole, by the labels
    of the same task, whether or not the view keeps it.

    Args:
        whole: the data module; it is prepared once and shared by its views.
        modalities, tasks, rows: see PipelineView.
        seed: of the order of rows; None takes that of ``whole``.
        evaluate: the splits that validation, test and prediction go through.
        least_steps: steps that an epoch shall have where batches of SMALLEST rows allow it; 0 keeps the batch size.
    """

    def __init__(
        self,
        whole: BaseDataModule,
        *,
        modalities: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        rows: Mapping[str, Rows] | None = None,
        seed: int | None = None,
        evaluate: Mapping[str, str] | None = None,
        least_steps: int = 0,
    ) -> None:
        L.LightningDataModule.__init__(self)
        self.split, self.sampling, self.loading = whole.split, whole.sampling, whole.loading
        self.processing = whole.processing
        if seed is not None:
            self.split = replace(whole.split, seed=seed)
        self.evaluate = {"val": "val", "test": "test", **(evaluate or {})}
        self.view = PipelineView(whole.pipeline, modalities=modalities, tasks=tasks, rows=rows)
        self._transform, self._train_loader, self._resume = whole._transform, None, None
        self._passes = self._passes_of(whole)
        if least_steps:
            draws = sum(p * len(r) for p, r in zip(self._passes, self.view.rows_by_source("train"), strict=True))
            size = min(whole.sampling.batch_size, max(SMALLEST, math.ceil(draws / least_steps)))
            # batches of evaluation stay as large as they were
            self.sampling = replace(whole.sampling, batch_size=size, eval_batch_size=whole.sampling.rows_to_evaluate)

    def _passes_of(self, whole: BaseDataModule) -> list[float]:
        return source_passes(whole.pipeline.rows_by_source("train"), whole.sampling.source_temperature)

    def passes(self) -> list[float]:
        """Those of the whole."""
        return self._passes

    @property
    def pipeline(self) -> Any:
        """The view, in the place of a Pipeline."""
        return self.view

    def setup(self, stage: str) -> None:
        """Everything is prepared already."""

    def print_summary(self) -> None:
        """Print nothing: the whole was announced."""

    def val_dataloader(self) -> ResumableLoader:
        """The split that ``evaluate["val"]`` names, in order."""
        return self.split_dataloader(self.evaluate["val"])

    def test_dataloader(self) -> ResumableLoader:
        """The split that ``evaluate["test"]`` names, in order."""
        return self.split_dataloader(self.evaluate["test"])


if TYPE_CHECKING:

    def _keeps_the_protocols(pipeline: Pipeline, view: PipelineView, data: BaseDataModule) -> None:
        """Let mypy compare the classes with what the zoo asks of data."""
        asked: tuple[AskedPipeline, AskedPipeline] = (pipeline, view)
        of_modules: tuple[AskedDataModule, CountsClasses, GivesExamples, GivesInputs] = (data, data, data, data)
        del asked, of_modules
