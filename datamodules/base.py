"""What all data modules share: options, the pipeline behind them, and the loaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from datamodules.generated import GeneratedModality, GeneratedRows
from datamodules.mixture import MixtureSampler, ResumableLoader, SequentialSampler, balance_classes, source_passes
from datamodules.pipeline import CLASSES, OOD, OnError, Pipeline
from datamodules.processor import Processor
from datamodules.source import Source
from datamodules.splits import FRACTIONS, SPLITS
from datamodules.transforms import BatchTransforms
from zoo.contract import Batch, ModalitySpec, TaskSpec, collate
from zoo.errors import SpecError, unknown_name

EXAMPLES = 5000
"""Training rows of a task that a model is shown at most, to look others up in them."""


class BaseDataModule(L.LightningDataModule):
    """Serve packed batches of one or several sources.

    Args:
        sources: readers of data sets; see ``datamodules.sources``.
        root: folder below which the sources' folders lie.
        download: get missing data first, from the sources that know where; others say where to get them.
        modalities: names of the modalities to keep; None keeps all.
        tasks: names of the tasks to keep; None keeps all.
        processors: modality name or kind -> processor, where the default of the kind does not fit.
        batch_size: rows a step and rank.
        eval_batch_size: the same for validation, test and prediction; 0 takes batch_size.
        fractions: shares of train, val and test, where the publisher fixed none.
        seed: of the split, the order of rows and the augmentation.
        temperature: 1 draws sources by their size, larger values more evenly.
        homogeneous: draw each training batch from one source.
        num_workers: worker processes of each loader.
        max_answers: size of the answer vocabulary of a vqa task.
        on_error: what to do with a row that cannot be used: "raise", or "skip" it, count it and print it.
        augment: apply the processors' augmentation to training rows.
        cache_mib: processed rows are kept in memory up to this size in MiB, in each process; 0 keeps none.
        index: folder for the index of samples: what is found out before the first batch is kept there, and the next
            run with the same configuration and files opens in seconds; "" keeps nothing.
        folds: above 0, seeds are the rounds of a cross-validation of so many folds, in the place of random test
            parts: with 5, seeds 0 to 4 test each row once; the share of test in ``fractions`` is not used.
        predict_split: which split ``predict`` goes through.
        transforms: modality name or kind -> torch modules, such as those of torchvision.transforms.v2 and
            braindecode.augmentation, applied to training batches on their device, whatever ``augment`` is; see
            datamodules.transforms.
        holdout: group column -> names whose rows are left out of train, val and test, such as
            {"organ": ["Kidney"]}; they make a split of their own, "ood", for predict_split and run.py ood.
        balance: name of a classification task from whose classes training rows are drawn alike; rows without its
            label keep their share; validation, test and ``class_counts`` stay as they are; "" is off.
            Take it or a loss that weighs classes, not both: together they correct the same imbalance twice.
        balance_power: how far; 1 evens classes out, 0 leaves them: n rows of a class are drawn as n^(1 - power).
        generated: name -> a modality, or further training rows, that a generator makes of rows; see
            datamodules.generated.
    """

    kind: str = ""
    """Where it is set, only modalities of this kind are kept."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        root: str | None = None,
        download: bool = False,
        modalities: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        processors: Mapping[str, Processor] | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 0,
        fractions: tuple[float, float, float] = FRACTIONS,
        seed: int = 0,
        temperature: float = 1.0,
        homogeneous: bool = False,
        num_workers: int = 0,
        max_answers: int = 500,
        on_error: OnError = "raise",
        augment: bool = True,
        cache_mib: int = 1024,
        index: str = "",
        predict_split: str = "test",
        transforms: Mapping[str, Sequence[torch.nn.Module]] | None = None,
        holdout: Mapping[str, Sequence[str]] | None = None,
        balance: str = "",
        balance_power: float = 1.0,
        generated: Mapping[str, GeneratedModality | GeneratedRows] | None = None,
        folds: int = 0,
    ) -> None:
        super().__init__()
        if root is not None and download:
            Path(root).mkdir(parents=True, exist_ok=True)
        if root is not None and not Path(root).is_dir():
            raise SpecError(f"data.root '{root}' is not a folder; give the folder that holds the sources' folders")
        splits = (*SPLITS, OOD) if holdout else SPLITS
        if predict_split not in splits:
            raise SpecError(f"predict_split '{predict_split}' is unknown; splits: {splits}")
        if not 0 <= balance_power <= 1:
            raise SpecError(f"data.balance_power must be from 0 to 1, got {balance_power}")
        if balance and homogeneous:
            raise SpecError("data.balance draws classes from all sources; it cannot be used with data.homogeneous")
        self.balance = balance
        self.balance_power = balance_power
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        self.seed = seed
        self.temperature = temperature
        self.homogeneous = homogeneous
        self.num_workers = num_workers
        self.predict_split = predict_split
        self.transforms = dict(transforms or {})
        self._transform: BatchTransforms | None = None
        self._train_loader: ResumableLoader | None = None
        self._resume: dict[str, int] | None = None
        self._make_pipeline = partial(
            Pipeline,
            list(sources),
            root=root,
            download=download,
            kind=self.kind,
            modalities=list(modalities) if modalities is not None else None,
            tasks=list(tasks) if tasks is not None else None,
            processors=processors,
            fractions=fractions,
            seed=seed,
            folds=folds,
            max_answers=max_answers,
            on_error=on_error,
            augment=augment,
            cache_mib=cache_mib,
            index=index,
            holdout=holdout,
            generated=generated,
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        """Sources opened, joined, split and fitted; built when it is first asked for."""
        pipeline = self._make_pipeline()
        if self.balance:
            kinds = {s.name: s.kind for s in pipeline.task_specs}
            if self.balance not in kinds:
                raise unknown_name("task under data.balance", self.balance, kinds)
            if kinds[self.balance] != "classification":
                raise SpecError(
                    f"data.balance: task '{self.balance}' is of kind '{kinds[self.balance]}', not of classes "
                    "without order; name a classification task"
                )
        if self.transforms:
            known = {m.name for s in pipeline.sources for m in s.card.modalities}
            self._transform = BatchTransforms(self.transforms, pipeline.modality_specs, known)
        return pipeline

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
            if spec.kind not in ("classification", "ordinal", "vqa"):
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
        holdings, rows = self.pipeline.holdings, np.asarray(self.pipeline.rows["train"])
        rows = rows[holdings.labelled[task][rows] & holdings.present[modality][rows]]
        if not len(rows):
            raise SpecError(f"no training row of task '{task}' has the modality '{modality}'")
        if len(rows) > EXAMPLES:
            rows = rows[np.linspace(0, len(rows) - 1, EXAMPLES).round().astype(np.int64)]
        samples = [self.pipeline.dataset.processed(int(r)) for r in rows]
        return (
            torch.stack([s.inputs[modality] for s in samples]),
            torch.stack([s.targets[task] for s in samples]),
        )

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
            for reason, count in sorted(source.skipped.items()):
                if count:
                    console.print(f"left out by {source.name}: {count} x {reason}", markup=False)
        if OOD in self.pipeline.rows:
            console.print(f"held out: {len(self.pipeline.rows[OOD])} rows, in the split '{OOD}'", markup=False)
        for name, made in self.pipeline.generated.items():
            console.print(f"generated '{name}': {made.describe()}", markup=False)
            for reason, count in made.reasons.most_common(5):
                console.print(f"  rejected {count} x {reason}", markup=False)
        for what, (used, of) in self.pipeline.fitted_on.items():
            console.print(f"learned from {used} of {of} training rows: {what}", markup=False)
        if self.pipeline.skipped:
            console.print(f"skipped {sum(self.pipeline.skipped.values())} rows (on_error: skip):", markup=False)
            for reason, count in self.pipeline.skipped.most_common(20):
                console.print(f"  {count} x {reason}", markup=False)

    def _world(self) -> tuple[int, int]:
        if self.trainer is None:
            return 1, 0
        return self.trainer.world_size, self.trainer.global_rank

    def passes(self) -> list[float] | None:
        """How often an epoch goes through the training rows of each source; None follows ``temperature``."""
        return None

    def _loader(self, sampler: MixtureSampler | SequentialSampler) -> ResumableLoader:
        pipe = self.pipeline
        if self.num_workers:
            pipe.ready()
        return ResumableLoader(
            pipe.dataset,
            sampler,
            partial(collate, modalities=pipe.modality_specs, tasks=pipe.task_specs),
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )

    def _training_rows(self) -> tuple[list[npt.NDArray[np.int64]], list[float] | None]:
        """Parts of the training rows and their passes: a part is a source, or with ``balance`` a class of one."""
        rows, passes = self.pipeline.rows_by_source("train"), self.passes()
        if not self.balance:
            return rows, passes
        classes = [self.pipeline.groups(f"{CLASSES}{self.balance}", r) for r in rows]
        passes = source_passes(rows, self.temperature) if passes is None else passes
        return balance_classes(rows, classes, passes, power=self.balance_power)

    def train_dataloader(self) -> ResumableLoader:
        """Mixed or homogeneous batches of the training split."""
        world, rank = self._world()
        rows, passes = self._training_rows()
        sampler = MixtureSampler(
            rows,
            batch_size=self.batch_size,
            seed=self.seed,
            temperature=self.temperature,
            homogeneous=self.homogeneous,
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
        """Apply ``transforms`` to a training batch.

        What they draw follows from the seed, the epoch, the step, the batch of the epoch and the rank.
        """
        if self._transform is None or self.trainer is None or not self.trainer.training:
            return batch
        trainer = self.trainer
        number = trainer.fit_loop.epoch_loop.batch_idx + 1  # steps stand still while gradients are accumulated
        return self._transform(
            batch, (self.seed, trainer.current_epoch, trainer.global_step, number, trainer.global_rank)
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
        world, rank = self._world()
        rows = self.pipeline.rows[split]
        return self._loader(SequentialSampler(rows, batch_size=self.eval_batch_size, num_replicas=world, rank=rank))

    def val_dataloader(self) -> ResumableLoader:
        """The validation split, in order."""
        return self.split_dataloader("val")

    def test_dataloader(self) -> ResumableLoader:
        """The test split, in order."""
        return self.split_dataloader("test")

    def predict_dataloader(self) -> ResumableLoader:
        """The split that ``predict_split`` names, in order."""
        return self.split_dataloader(self.predict_split)
