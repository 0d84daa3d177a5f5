"""What all data modules share: the pipeline behind them, and the loaders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from datamodules.core.mixture import (
    MixtureSampler,
    ResumableLoader,
    SequentialSampler,
    balance_classes,
    source_passes,
)
from datamodules.core.notices import left_out
from datamodules.core.options import LoadingOptions, ProcessingOptions, SamplingOptions, SplitOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import CLASSES, Pipeline
from datamodules.core.source import Source
from datamodules.core.splits import SPLITS
from datamodules.core.transforms import BatchTransforms
from datamodules.preprocessing.examples import example_rows
from datamodules.preprocessing.reader import RowReader
from zoo.contract import TASKS, Batch, ModalitySpec, Sample, TaskSpec, collate
from zoo.data import OOD, ExampleRows, Origin
from zoo.errors import SpecError, unknown_name
from zoo.registry import Registry
from zoo.thinning import thinned

EXAMPLES = 5000
"""Training rows of a task that a model is shown at most, to look others up in them."""


class BaseDataModule(L.LightningDataModule):
    """Serve packed batches of one or several sources.

    Args:
        sources: readers of data sets; see ``datamodules.sources``.
        root: folder below which the sources' folders lie.
        modalities: names of the modalities to keep; None keeps all.
        tasks: names of the tasks to keep; None keeps all.
        split: which rows are trained, validated and tested on.
        sampling: which rows make a batch.
        loading: worker processes, memory, index, and what to do when something is missing.
        processing: processors, augmentation and generated modalities.

    Raises:
        SpecError: ``root`` is no folder, or options contradict each other.
    """

    kind: str = ""
    """Where it is set, only modalities of this kind are kept."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        root: str | None = None,
        modalities: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        split: SplitOptions = SplitOptions(),
        sampling: SamplingOptions = SamplingOptions(),
        loading: LoadingOptions = LoadingOptions(),
        processing: ProcessingOptions = ProcessingOptions(),
    ) -> None:
        super().__init__()
        if root is not None and loading.download:
            Path(root).mkdir(parents=True, exist_ok=True)
        if root is not None and not Path(root).is_dir():
            raise SpecError(f"data.root '{root}' is not a folder; give the folder that holds the sources' folders")
        self.split, self.sampling, self.loading, self.processing = split, sampling, loading, processing
        self._transform: BatchTransforms | None = None
        self._train_loader: ResumableLoader | None = None
        self._resume: dict[str, int] | None = None
        self._make_pipeline = partial(
            prepare,
            list(sources),
            root=root,
            kind=self.kind,
            modalities=list(modalities) if modalities is not None else None,
            tasks=list(tasks) if tasks is not None else None,
            split=split,
            loading=loading,
            processing=processing,
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        """Sources opened, joined, split and fitted; built when it is first asked for."""
        pipeline, balance = self._make_pipeline(), self.sampling.balance
        if balance:
            kinds = {s.name: s.kind for s in pipeline.task_specs}
            if balance not in kinds:
                raise unknown_name("task under data.sampling.balance", balance, kinds)
            kind = TASKS.get(kinds[balance])
            if kind.ordered or not kind.fixed_classes():
                raise SpecError(
                    f"data.sampling.balance: task '{balance}' is of kind '{kinds[balance]}', not of classes "
                    "without order; name a classification task"
                )
        if self.processing.transforms:
            known = {m.name for s in pipeline.sources for m in s.card.modalities}
            self._transform = BatchTransforms(self.processing.transforms, pipeline.modality_specs, known)
        return pipeline

    @property
    def batch_size(self) -> int:
        """Rows of a training batch a process; Lightning's BatchSizeFinder reads and sets it."""
        return self.sampling.batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        self.sampling = replace(self.sampling, batch_size=value)

    @property
    def modality_specs(self) -> list[ModalitySpec]:
        """The modalities, as a model needs them."""
        return self.pipeline.modality_specs

    @property
    def task_specs(self) -> list[TaskSpec]:
        """The tasks, as a model needs them."""
        return self.pipeline.task_specs

    @cached_property
    def _class_counts(self) -> dict[str, torch.Tensor]:
        return {}

    def class_counts(self, task: str) -> torch.Tensor:
        """The number of training rows (K,) of each class of a task, as they are and not as they are drawn.

        Rows of a class outside the vocabulary (code -1) are left out. Counted once.

        Raises:
            UnknownNameError: there is no such task.
            SpecError: its targets are no class codes.
        """
        if task not in self._class_counts:
            specs = {s.name: s for s in self.task_specs}
            if task not in specs:
                raise unknown_name("task", task, specs)
            spec = specs[task]
            if not TASKS.get(spec.kind).class_codes:
                raise SpecError(f"task '{task}' is of kind '{spec.kind}'; only classes are counted, one a row")
            codes = self.pipeline.labels("train", task)[0]
            counts = torch.bincount(codes[codes >= 0], minlength=spec.num_outputs)
            self._class_counts[task] = counts.float()
        return self._class_counts[task]

    def examples(self, task: str, modality: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The training rows of a task that have ``modality``: its values (M, ...) and the targets (M, ...).

        At most EXAMPLES of them, evenly spaced.

        Raises:
            SpecError: there is none.
        """
        labelled = self.pipeline.availability.labelled[task]
        samples = self._train_samples(labelled & self.pipeline.availability.present[modality])
        if not samples:
            raise SpecError(f"no training row of task '{task}' has the modality '{modality}'")
        return (
            torch.stack([s.inputs[modality] for s in samples]),
            torch.stack([s.targets[task] for s in samples]),
        )

    def training_inputs(self, modality: str) -> torch.Tensor:
        """The values (M, ...) of the training rows that have ``modality``; at most EXAMPLES, evenly spaced.

        Raises:
            SpecError: there is none.
        """
        samples = self._train_samples(self.pipeline.availability.present[modality])
        if not samples:
            raise SpecError(f"no training row has the modality '{modality}'")
        return torch.stack([s.inputs[modality] for s in samples])

    def _train_samples(self, wanted: npt.NDArray[np.bool_]) -> list[Sample]:
        """Processed training rows of those that are wanted (N,); at most EXAMPLES, evenly spaced."""
        rows = np.asarray(self.pipeline.rows["train"])
        return [self.pipeline.dataset.processed(int(r)) for r in thinned(rows[wanted[rows]], EXAMPLES)]

    def setup(self, stage: str) -> None:
        """Build the pipeline, and print what there is to learn from."""
        if not hasattr(self, "_announced") and (self.trainer is None or self.trainer.is_global_zero):
            self._announced = True
            self.print_summary()

    def print_summary(self) -> None:
        """Print rows per source and split, and what was skipped."""
        table = Table(title="data")
        for column in ("source", *SPLITS, "modalities", "tasks"):
            table.add_column(column, justify="right" if column in SPLITS else "left")
        for line in self.pipeline.summary():
            table.add_row(
                line["source"] + (" (simulated)" if line["simulated"] else ""),
                *(str(line[s]) for s in SPLITS),
                ", ".join(line["modalities"]),
                ", ".join(line["tasks"]),
            )
        console = Console()
        console.print(table)
        for source in self.pipeline.sources:
            for remark in source.remarks:
                console.print(f"{source.name}: {remark}", markup=False, highlight=False, soft_wrap=True)
        if OOD in self.pipeline.rows:
            console.print(f"held out: {len(self.pipeline.rows[OOD])} rows, in the split '{OOD}'", markup=False)
        for name, made in self.pipeline.generated.items():
            console.print(f"generated '{name}': {made.describe()}", markup=False)
            for reason, count in made.reasons.most_common(5):
                console.print(f"  rejected {count} x {reason}", markup=False)
        for what, (used, of) in self.pipeline.fitted_on.items():
            console.print(f"learned from {used} of {of} training rows: {what}", markup=False)
        if self.pipeline.grouped:
            console.print(f"grouped: {self.pipeline.grouped}", markup=False, highlight=False, soft_wrap=True)
        for notice in self.pipeline.notices:
            console.print(f"warning: {notice}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        for said in self.left_out():
            console.print(said, markup=False, soft_wrap=True)
        for reason, count in self.pipeline.skipped.most_common(20):
            console.print(f"  {count} x {reason}", markup=False)

    def _world(self) -> tuple[int, int]:
        if self.trainer is None:
            return 1, 0
        return self.trainer.world_size, self.trainer.global_rank

    def passes(self) -> list[float] | None:
        """How often an epoch goes through each source; None follows ``sampling.source_temperature``."""
        return None

    def _loader(self, sampler: MixtureSampler | SequentialSampler) -> ResumableLoader:
        pipe = self.pipeline
        if self.loading.num_workers:
            pipe.ready()
        return ResumableLoader(
            pipe.dataset,
            sampler,
            partial(collate, modalities=pipe.modality_specs, tasks=pipe.task_specs),
            num_workers=self.loading.num_workers,
            pin_memory=torch.cuda.is_available(),
        )

    def _training_rows(self) -> tuple[list[npt.NDArray[np.int64]], list[float] | None]:
        """Parts of the training rows and their passes: a part is a source, or with ``balance`` a class of one."""
        rows, passes = self.pipeline.rows_by_source("train"), self.passes()
        if not self.sampling.balance:
            return rows, passes
        classes = [self.pipeline.groups(f"{CLASSES}{self.sampling.balance}", r) for r in rows]
        passes = source_passes(rows, self.sampling.source_temperature) if passes is None else passes
        return balance_classes(rows, classes, passes, power=self.sampling.balance_power)

    def preprocessing(self) -> RowReader:
        """What turns a new row into what a model takes, as it was learned from the training rows."""
        return RowReader.of(self.pipeline)

    def origins(self) -> list[Origin]:
        """Where the rows came from, a source at a time."""
        pipe = self.pipeline
        return [
            Origin(
                line["source"],
                source.card.title,
                source.card.licence,
                source.card.access,
                source.card.citation,
                source.card.where,
                source.card.caution,
                bool(line["simulated"]),
                {split: int(line[split]) for split in SPLITS},
            )
            for line, source in zip(pipe.summary(), pipe.sources, strict=True)
        ]

    def left_out(self) -> list[str]:
        """What was left out of the data, in sentences that name no row."""
        return left_out(self.pipeline)

    def example_rows(self, folder: Path, count: int) -> ExampleRows:
        """Rows to try a model with: of the test split where their licence allows it, else made-up values.

        Args:
            folder: that exists; takes the files of the rows.
            count: number of rows.
        """
        return example_rows(self.pipeline, self.preprocessing(), folder, count)

    def train_dataloader(self) -> ResumableLoader:
        """Mixed or homogeneous batches of the training split.

        With Lightning's ``overfit_batches`` the first rows in order, not augmented, the same ones in every epoch.
        """
        if float(getattr(self.trainer, "overfit_batches", 0)) > 0:
            return self._loader(self._in_order(self.pipeline.rows["train"], self.sampling.batch_size))
        world, rank = self._world()
        rows, passes = self._training_rows()
        sampler = MixtureSampler(
            rows,
            batch_size=self.sampling.batch_size,
            seed=self.split.seed,
            temperature=self.sampling.source_temperature,
            homogeneous=self.sampling.homogeneous,
            num_replicas=world,
            rank=rank,
            passes=passes,
        )
        self._train_loader = self._loader(sampler)
        if self._resume is not None:
            self._train_loader.load_state_dict(self._resume)
            self._resume = None
        return self._train_loader

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Apply ``processing.transforms`` to a training batch.

        What they draw follows from the seed, the epoch, the step, the batch of the epoch and the rank.
        """
        if self._transform is None or self.trainer is None or not self.trainer.training:
            return batch
        trainer = self.trainer
        number = trainer.fit_loop.epoch_loop.batch_idx + 1  # steps stand still while gradients are accumulated
        return self._transform(
            batch, (self.split.seed, trainer.current_epoch, trainer.global_step, number, trainer.global_rank)
        )

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the running epoch were served, for a resume in mid-epoch.

        Lightning stores what the loader says too, but loses it where ``configure_optimizers`` asks how many steps
        there will be: the loader is then made before its state is loaded.
        """
        return {"train_loader": self._train_loader.state_dict()} if self._train_loader is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state for the next training loader."""
        self._resume = dict(state_dict["train_loader"])

    def split_dataloader(self, split: str) -> ResumableLoader:
        """The rows of a split once, in order, not augmented."""
        return self.rows_dataloader(self.pipeline.rows[split])

    def rows_dataloader(self, rows: npt.NDArray[np.int64]) -> ResumableLoader:
        """Any rows once, in order, not augmented."""
        return self._loader(self._in_order(rows, self.sampling.rows_to_evaluate))

    def collated(self, samples: Sequence[Sample]) -> Batch:
        """A batch of processed samples."""
        return collate(samples, self.pipeline.modality_specs, self.pipeline.task_specs)

    def _in_order(self, rows: npt.NDArray[np.int64], batch_size: int) -> SequentialSampler:
        world, rank = self._world()
        return SequentialSampler(rows, batch_size=batch_size, num_replicas=world, rank=rank)

    def val_dataloader(self) -> ResumableLoader:
        """The validation split, in order."""
        return self.split_dataloader("val")

    def test_dataloader(self) -> ResumableLoader:
        """The test split, in order."""
        return self.split_dataloader("test")


DATAMODULES: Registry[BaseDataModule] = Registry("data module", "core")
"""Data modules that a configuration can name."""
