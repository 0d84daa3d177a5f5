"""Options of data modules, in groups: how rows are split, drawn, loaded and processed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from datamodules.core.processor import Processor
from datamodules.core.similarity import grouping_of
from datamodules.core.splits import FRACTIONS, SPLITS
from datamodules.synthesis.modality import GeneratedModality
from datamodules.synthesis.rows import GeneratedRows
from zoo.data import OOD
from zoo.errors import SpecError
from zoo.task import TargetCodec

OnError = Literal["raise", "skip"]


@dataclass(frozen=True)
class SplitOptions:
    """Which rows are trained, validated and tested on.

    Attributes:
        fractions: shares of train, val and test, where the publisher fixed no split.
        seed: number that the split follows from; so do the order of training rows and their augmentation.
        cross_validation: number of folds; 0 for random test parts. Above 0 the seeds are the rounds of one
            cross-validation: with 5, seeds 0 to 4 test each row once, and the share of test in ``fractions`` is
            not used.
        held_out: group column, or "task:NAME" for the classes of a task -> names whose rows are left out of train,
            val and test, such as {"organ": ["Kidney"]}. They make a split of their own, "ood" (out of
            distribution).
        group_duplicates: whether rows of equal content, of the other strand of one DNA, or of nearly identical
            pictures, are kept in one split. Every row is read once for it; the summary names what was put together.
        group_by: "similarity" also keeps sequences that share a stretch of letters (20 of DNA, 12 of protein) in one
            split; "name" keeps a file and those that are called its copies in one, such as scan.png and
            "scan (1).png"; a regular expression such as ``(patient[0-9]+)_`` keeps rows in one of whose file names,
            or ids where they have no file, its first pair of brackets finds the same; "" does none of it.

    Raises:
        SpecError: a number of folds below 0, or a group_by that is no regular expression with brackets.
    """

    fractions: tuple[float, float, float] = FRACTIONS
    seed: int = 0
    cross_validation: int = 0
    held_out: Mapping[str, Sequence[str]] | None = None
    group_duplicates: bool = False
    group_by: str = ""

    def __post_init__(self) -> None:
        if self.cross_validation < 0:
            raise SpecError(
                f"data.split.cross_validation must be 0 (none) or a number of folds, got {self.cross_validation}"
            )

        grouping_of(self.group_by, self.group_duplicates)  # refuses what is no expression

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits that these options make."""
        return (*SPLITS, OOD) if self.held_out else SPLITS


@dataclass(frozen=True)
class SamplingOptions:
    """Which rows make a batch.

    Attributes:
        batch_size: rows of a training batch, on each device.
        eval_batch_size: rows of a batch of validation, test and prediction; 0 takes ``batch_size``.
        source_temperature: how evenly the sources are drawn for training: a source of n rows is drawn in proportion
            to n^(1 / temperature). 1 draws sources by their size, larger values more evenly.
        homogeneous: whether each training batch holds rows of one source only.
        balance: name of a task of classes from whose classes training rows are drawn alike; "" draws rows as they
            come. Rows without its label keep their share; validation, test and ``class_counts`` stay as they are.
            Take it or a loss that weighs classes, not both: together they correct the same imbalance twice.
        balance_power: how far ``balance`` goes, from 0 to 1: n rows of a class are drawn as n^(1 - power).

    Raises:
        SpecError: a value out of range, or options that exclude each other.
    """

    batch_size: int = 64
    eval_batch_size: int = 0
    source_temperature: float = 1.0
    homogeneous: bool = False
    balance: str = ""
    balance_power: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.balance_power <= 1:
            raise SpecError(f"data.sampling.balance_power must be from 0 to 1, got {self.balance_power}")
        if self.balance and self.homogeneous:
            raise SpecError(
                "data.sampling.balance draws classes from all sources; it cannot be used with "
                "data.sampling.homogeneous"
            )

    @property
    def rows_to_evaluate(self) -> int:
        """Rows of a batch of validation, test and prediction."""
        return self.eval_batch_size or self.batch_size


@dataclass(frozen=True)
class LoadingOptions:
    """How files become batches: processes, memory and what to do when something is missing.

    Attributes:
        num_workers: worker processes of each loader; 0 reads in the main process.
        cache_mib: processed rows are kept in memory up to this size in MiB, in each process; 0 keeps none.
        audit: whether a part of the rows, names and headers of files are looked at for leaks before training, which
            takes less than a second for some thousand rows; what is found is a warning with the option that closes
            it, and stands in the report. ``data check`` reads everything.
        index: folder for the index of samples: what is found out before the first batch is kept there, and the next
            run with the same configuration and files opens in seconds; "" keeps nothing.
        download: whether missing data are fetched first, from the sources that know where; others say where to get
            them.
        on_error: what happens to a row that cannot be used: "raise" stops with the reason, "skip" leaves the row
            out, counts it and prints the count.
    """

    num_workers: int = 0
    cache_mib: int = 1024
    audit: bool = True
    index: str = ""
    download: bool = False
    on_error: OnError = "raise"


@dataclass(frozen=True)
class ProcessingOptions:
    """How the values of a row become tensors.

    Attributes:
        processors: modality name or kind -> processor, where the default of the kind does not fit.
        codecs: task name or kind -> codec of its labels, where the default of the kind does not fit.
        transforms: modality name or kind -> torch modules, such as those of torchvision.transforms.v2 and
            braindecode.augmentation, applied to training batches on their device, whatever ``augment`` is; see
            datamodules.core.transforms.
        generated: name -> a modality, or further training rows, that a generator makes of rows; see
            datamodules.synthesis.
        augment: whether the processors' augmentation is applied to training rows.
    """

    processors: Mapping[str, Processor] | None = None
    codecs: Mapping[str, TargetCodec] | None = None
    transforms: Mapping[str, Sequence[nn.Module]] | None = None
    generated: Mapping[str, GeneratedModality | GeneratedRows] | None = None
    augment: bool = True
