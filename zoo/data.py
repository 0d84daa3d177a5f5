"""What the zoo asks of data: protocols that a data module keeps, so that nothing here knows a data module's class.

A network and its losses need very little (``modality_specs``, ``task_specs`` and loaders of Batches, and with some
losses, heads and encoders ``CountsClasses``, ``GivesExamples`` and ``GivesInputs``). Reports, out-of-distribution
tests and the classical baselines ask for the prepared rows behind the loaders, a ``Pipeline``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.carried import Box
from zoo.contract import Batch, ModalitySpec, RawModality, Sample, TaskSpec
from zoo.errors import SpecError
from zoo.registry import Registry
from zoo.values import Shown

OOD = "ood"
"""Name of the split of the groups that were held out (out of distribution)."""
Rows = npt.NDArray[np.int64]
"""Numbers of rows of a Pipeline."""
Mask = npt.NDArray[np.bool_]
"""(N,) one entry for each row of a Pipeline."""


Plain = None | bool | int | float | str | Sequence["Plain"] | Mapping[str, "Plain"]
"""What JSON holds."""
Stored = tuple[dict[str, Plain], dict[str, npt.NDArray[np.generic]]]
"""A state that is kept: plain data, and arrays by name."""


class Loader(Protocol):
    """Batches of some rows. Each iteration starts anew."""

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


class Codec(Protocol):
    """Turn the raw label of a task into a target tensor."""

    def __call__(self, label: object, row: str) -> Tensor:
        """Encode one label.

        Args:
            label: as the source gives it.
            row: id of the row, for errors.
        """


class Dataset(Protocol):
    """Read single rows."""

    @property
    def codecs(self) -> Mapping[str, Codec]:
        """Task -> what encodes its labels."""

    def raw(self, row: int, *, peek: bool = False) -> Sample:
        """Read a row as its sources give it.

        Args:
            row: its number.
            peek: do without what is dear to decode, such as the pixels of images.
        """


class Names(Protocol):
    """Names and sources of rows."""

    @property
    def source(self) -> npt.NDArray[np.int16]:
        """(N,) number of the source of each row."""

    def id(self, row: int) -> str:
        """Name of a row, unique over all sources."""

    def unit(self, row: int) -> str:
        """Name of the unit of independence that a row belongs to, such as "patient:17"; "row:ID" of its own."""


class Available(Protocol):
    """Which rows have which modalities and labels."""

    @property
    def present(self) -> Mapping[str, Mask]:
        """Modality -> (N,) whether the row has it."""

    @property
    def labelled(self) -> Mapping[str, Mask]:
        """Task -> (N,) whether the row carries a label that one of its modalities may inform."""


class Pipeline(Protocol):
    """Sources that were opened, joined, split and fitted: N rows, and what can be asked about them."""

    @property
    def rows(self) -> Mapping[str, Rows]:
        """Split -> numbers of its rows: "train", "val", "test", and OOD where groups were held out."""

    @property
    def join(self) -> Names:
        """Names and sources of the rows."""

    @property
    def dataset(self) -> Dataset:
        """Reads single rows."""

    @property
    def availability(self) -> Available:
        """Which rows have which modalities and labels."""

    @property
    def raw_modalities(self) -> Mapping[str, RawModality]:
        """Modality -> its form before processing."""

    @property
    def modality_specs(self) -> Sequence[ModalitySpec]:
        """The modalities as encoders see them."""

    @property
    def task_specs(self) -> Sequence[TaskSpec]:
        """The tasks as heads see them."""

    @property
    def source_names(self) -> Sequence[str]:
        """Names of the sources, by number."""

    @property
    def source_simulated(self) -> Sequence[bool]:
        """Whether the rows of each source are simulated, by number."""

    @property
    def notices(self) -> Sequence[str]:
        """What the data lack for a fair test, in sentences that the report repeats."""

    def labels(self, split: str, task: str) -> tuple[Tensor, Tensor]:
        """Encoded labels (n, ...) of a task in a split, and the number (n,) of the source of each."""

    def group_columns(self) -> list[str]:
        """Names of the group columns that any source has, such as "subject" and "organ"."""

    def groups(self, column: str, rows: Rows) -> list[str]:
        """The name of the group of each row in a group column such as "subject"; "" where it is unknown."""


@dataclass(frozen=True)
class Origin:
    """Where rows came from.

    Attributes:
        name: of the source.
        title: published title.
        licence: as published; "not stated" where it is not.
        access: such as "open" or "simulated", see datamodules.core.source.SourceCard.
        citation: authors, title, venue, year.
        where: where to get the data.
        caution: known pitfalls; "" for none.
        simulated: whether the rows come from a simulator.
        rows: split -> number of rows.
    """

    name: str
    title: str
    licence: str
    access: str
    citation: str
    where: str
    caution: str
    simulated: bool
    rows: Mapping[str, int]


@dataclass(frozen=True)
class ReadRow:
    """A new row, read and processed.

    Attributes:
        sample: inputs as tensors; targets where the row carries labels and these were asked for.
        problems: what could not be read, or was new, in words; () for nothing.
    """

    sample: Sample
    problems: tuple[str, ...] = ()


class NewRows(Protocol):
    """The rows of a new table."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int, *, labels: bool = False) -> list[ReadRow]:
        """Read and process rows by their place.

        Args:
            start: the first.
            stop: one behind the last.
            labels: whether labels are read too.
        """


@dataclass(frozen=True)
class Column:
    """A column of a table of new rows.

    Attributes:
        name: of the column.
        part: modality or task that it belongs to.
        says: what stands in it, in words.
    """

    name: str
    part: str
    says: str


@dataclass(frozen=True)
class ExampleRows:
    """Rows to try a trained model with.

    Attributes:
        rows: column -> cell, one mapping a row; files are written beside the table that holds them.
        made_up: whether they are random values that processors decoded, and no rows of the data.
    """

    rows: Sequence[Mapping[str, str]] = field(default_factory=list)
    made_up: bool = True


class Preprocessing(Protocol):
    """All that turns a row of a table into what a model takes, without the rows that it was learned from."""

    @property
    def modality_specs(self) -> Sequence[ModalitySpec]:
        """The modalities as encoders see them."""

    @property
    def task_specs(self) -> Sequence[TaskSpec]:
        """The tasks as heads see them."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of a table of new rows, labels last."""

    def state(self, box: Box) -> Stored:
        """All of it as data.

        Args:
            box: takes the files that it needs, such as those of a tokenizer.

        Raises:
            SpecError: one is no longer there.
        """

    @classmethod
    def restore(cls, stored: Stored, box: Box) -> Preprocessing:
        """Invert ``state``.

        Args:
            stored: what it returned.
            box: that has the files.

        Raises:
            DataError, SpecError, UnknownNameError: the state is not one that this version of the zoo wrote.
        """

    def decode(self, modality: str, value: Tensor) -> object:
        """Map a tensor of a modality back to a raw value, such as a picture or a text.

        Args:
            modality: its name.
            value: of the shape of its spec.
        """

    def show(self, modality: str, value: object, side: int) -> Shown:
        """Show a raw value of a modality to a person.

        Args:
            modality: its name.
            value: raw.
            side: longest side of a picture, in pixels.
        """

    def rows(self, table: object, folder: Path | None) -> NewRows:
        """Take new rows.

        Args:
            table: path of a table file, a pandas DataFrame, or mappings of column -> cell.
            folder: what paths in cells are relative to; None for the folder of the table file, or the current one.

        Raises:
            DataError: the table cannot be read, or has no column of any modality.
        """


PREPROCESSING: Registry[Preprocessing] = Registry("preprocessing", "preprocessing")
"""Classes that turn new rows into samples, by name."""


class DataModule(Protocol):
    """A LightningDataModule whose data are prepared by a Pipeline."""

    @property
    def pipeline(self) -> Pipeline:
        """The prepared rows; built when it is first asked for."""

    @property
    def modality_specs(self) -> Sequence[ModalitySpec]:
        """The modalities as encoders see them."""

    @property
    def task_specs(self) -> Sequence[TaskSpec]:
        """The tasks as heads see them."""

    def train_dataloader(self) -> Loader:
        """Training batches."""

    def val_dataloader(self) -> Loader:
        """The validation split once, in order."""

    def test_dataloader(self) -> Loader:
        """The test split once, in order."""

    def split_dataloader(self, split: str) -> Loader:
        """The rows of any split once, in order, not augmented."""

    def rows_dataloader(self, rows: Rows) -> Loader:
        """Any rows once, in order, not augmented."""

    def preprocessing(self) -> Preprocessing:
        """What turns a new row into what the model takes."""

    def origins(self) -> Sequence[Origin]:
        """Where the rows came from."""

    def left_out(self) -> Sequence[str]:
        """What was left out of the data, in sentences that name no row and no file."""

    def example_rows(self, folder: Path, count: int) -> ExampleRows:
        """Rows to try a model with; their files are written into a folder.

        Args:
            folder: that exists.
            count: number of rows.
        """


@runtime_checkable
class CountsClasses(Protocol):
    """Data whose training labels can be counted, for losses that weigh classes."""

    def class_counts(self, task: str) -> Tensor:
        """The number of training rows (K,) of each class of a task."""


@runtime_checkable
class GivesExamples(Protocol):
    """Data of which training rows can be looked up, for heads that model a row on others."""

    def examples(self, task: str, modality: str) -> tuple[Tensor, Tensor]:
        """The training rows of a task that have a modality: its values (M, ...) and the targets (M, ...)."""


@runtime_checkable
class GivesInputs(Protocol):
    """Data of which training rows can be looked at without labels, for encoders that learn from them at the start."""

    def training_inputs(self, modality: str) -> Tensor:
        """Values (M, ...) of training rows that have a modality."""


def data_module(trainer: object, asker: str) -> DataModule:
    """The data module of a trainer, for a callback that needs one.

    Args:
        trainer: a lightning.Trainer.
        asker: who needs it, for the error.

    Raises:
        SpecError: the trainer got loaders alone, or a data module without a pipeline.
    """
    data = getattr(trainer, "datamodule", None)
    missing = [n for n in ("pipeline", "split_dataloader", "rows_dataloader") if not hasattr(type(data), n)]
    if missing:
        got = "no data module" if data is None else f"a {type(data).__name__}, which has no {', '.join(missing)}"
        raise SpecError(
            f"{asker} needs a data module that keeps the protocol zoo.data.DataModule, such as those of datamodules, "
            f"but the trainer got {got}; call trainer.test(model, datamodule=...)"
        )
    return cast(DataModule, data)
