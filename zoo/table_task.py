"""The labels of a table of a user's own: where they stand, and the cells of one row that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TableTask:
    """Where the labels of a task are found in a table of a user's own.

    Attributes:
        kind: name of a registered TaskKind, such as "classification", "regression" or "vqa".
        column: the column of the labels; "" takes the task's name. Multilabel: the labels of a row, parted by
            ``separator``.
        columns: for kinds that take several columns: of multilabel and regression, one for each label or target
            (0 or 1, or a number).
        classes: the classes; () takes what the column holds, sorted (ordinal: in order, and must be given).
        modalities: a row is learned from and predicted where it has one of these; () for any. A fusion of one vector
            a row still reads the others, LateFusion does not.
        reads: the modality that the head reads (vqa: the question; structure and token_classification: the protein).
        separator: between the labels of a multilabel column.
        path: structure: the file of a (L, 3) or (L, 4) array, with "{}" for the cell.
        unit: of the targets.
        unless: column -> words of it at which the row has no label, whatever the columns of labels say, such as
            {reader: [not read]}.
        mask: token_classification: the column with a 0 for each position whose letter is no label, a 1 for others.
        library: regression of counts: the column of the row's total. Targets become log(1 + 10000 * count / total).
    """

    kind: str
    column: str = ""
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    reads: str = ""
    separator: str = "|"
    path: str = ""
    unit: str = ""
    unless: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mask: str = ""
    library: str = ""

    def labels(self, name: str) -> tuple[str, ...]:
        """The columns that hold the labels of the task ``name``; at least one."""
        return self.columns or (self.column or name,)

    def beside(self) -> tuple[str, ...]:
        """The columns that say more of the labels than they say themselves."""
        return (*self.unless, *(c for c in (self.mask, self.library) if c))


class LabelCells(Protocol):
    """The cells of one row of a table that hold the label of one task.

    Every method raises DataError, with the file and the row, where a cell is not what is asked for.
    """

    def text(self, column: str) -> str | None:
        """What a cell says, without blanks around it; None where it is unknown."""

    def number(self, column: str, allowed: Sequence[float] = ()) -> float | None:
        """A cell as a finite number, one of ``allowed`` where these are given; None where it is unknown."""

    def array(self, column: str) -> npt.NDArray[np.float32] | None:
        """The array in the file that a cell names; None where the cell is unknown."""

    def classes(self) -> tuple[str, ...]:
        """The classes of the task, see ``TargetKind.table_classes``."""
