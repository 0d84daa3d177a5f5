"""What a task is: its spec, the kinds that say what a spec may hold, and the codecs that encode labels.

A kind of task is one registered class that knows everything about itself. Nothing outside the folder of the kinds
compares their names: whoever needs to know something of a kind asks its class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError
from zoo.names import check_name
from zoo.raw import RawTask
from zoo.registry import Registry
from zoo.table_task import LabelCells, TableTask

if TYPE_CHECKING:  # data are listed without torch, which takes seconds to import
    import torch
    from torch import Tensor


class TargetCodec(ABC):
    """Turn the raw labels of one task (see RawTask) into tensors (see ``TargetKind.target_shape``).

    A codec is made with its options alone, such as the size of a vocabulary of answers; ``bind`` gives it its task,
    and what it learns, it learns from training labels. Its attributes are of types that
    ``datamodules.core.state.to_plain`` can store.

    Attributes:
        fits: whether ``fit`` looks at the labels; where it does not, it is given none.
        task: the task, as all its sources together describe it.
        simulated: whether every source of the task is a simulator.
        classes: names of the classes, labels or targets, in the order of the codes.
        length: number of positions of the modality that the task reads; 0 where it reads none.
    """

    fits: bool = False
    task: RawTask
    simulated: bool
    classes: list[str]
    length: int

    def bind(self, task: RawTask, *, simulated: bool = False) -> None:
        """Take the task whose labels are encoded.

        Raises:
            SpecError: the labels of this task cannot be encoded.
        """
        self.task = task
        self.simulated = simulated
        self.classes = list(task.classes)
        self.length = 0

    def fit(self, labels: Sequence[Any], length: int = 0) -> None:
        """Learn from raw training labels; here only ``length``, that of the modality that the task reads."""
        self.length = length

    def spec(self) -> TaskSpec:
        """The TaskSpec; called after ``fit``. Here: an output for each class."""
        return self.make_spec(len(self.classes), self.classes)

    def make_spec(
        self,
        num_outputs: int,
        classes: Sequence[str] = (),
        *,
        mean: Sequence[float] = (),
        scale: Sequence[float] = (),
        length: int = 0,
        edges: Sequence[float] = (),
    ) -> TaskSpec:
        """Make the TaskSpec of the task; the parameters are the fields of TaskSpec that are not known before ``fit``.

        Args:
            num_outputs: number of classes, labels or targets.
            classes: their names, or none.
            mean: of regression targets, one for each target.
            scale: of regression targets, one for each target.
            length: number of positions that have a label of their own; 0 where none has.
            edges: of the intervals that a range is cut into, num_outputs + 1 of them, or none.

        Raises:
            SpecError: there is no output, since no training row carries a label.
        """
        task = self.task
        if num_outputs == 0:
            raise SpecError(f"task '{task.name}': no training row carries a label")
        return TaskSpec(
            task.name,
            task.kind,
            num_outputs,
            tuple(classes),
            task.modalities,
            task.reads,
            task.unit,
            self.simulated,
            tuple(mean),
            tuple(scale),
            length,
            tuple(edges),
        )

    @abstractmethod
    def __call__(self, label: Any, row: str) -> Tensor:
        """Encode one raw label as a target of the kind's shape.

        Args:
            label: the raw label, as a source gives it.
            row: name of the row, for errors.

        Raises:
            DataError: the label is outside the classes, or not finite.
        """


class TargetKind:
    """What all targets of one kind of task have in common, as far as data and batches need to know it.

    The classes that are registered are TaskKinds (zoo.tasks), which add head, loss, prediction and metrics.

    Attributes:
        codec: the class that encodes raw labels; made without arguments where a configuration gives no options.
        reads_tokens: whether the head needs the tokens of one modality, which the task names under ``reads``.
        labels_positions: whether each of ``TaskSpec.length`` positions has a label of its own.
        float_targets: whether targets are float32 and not codes (torch.long).
        class_codes: whether a target is the code of one class, and a raw label its name.
        ordered: whether the order of the classes means something.
        asks: whether the modality that the head reads is a question about the others, which may repeat.
        open_classes: whether the classes are whatever training labels hold, such as answers, and not a fixed list.
    """

    codec: type[TargetCodec]
    reads_tokens: bool = False
    labels_positions: bool = False
    float_targets: bool = False
    class_codes: bool = False
    open_classes: bool = False
    ordered: bool = False
    asks: bool = False

    @classmethod
    def fixed_classes(cls) -> bool:
        """Whether a target is one of a fixed list of classes, whose shares splits keep and episodes are drawn by."""
        return cls.class_codes and not cls.open_classes

    @classmethod
    def join(cls, first: RawTask, other: RawTask) -> None:
        """Raise SpecError where two sources of one task cannot share it. Here: one target in two units."""
        shared = set(other.classes) & set(first.classes) or not first.classes
        if other.unit != first.unit and shared:
            raise SpecError(
                f"task '{first.name}' is in '{other.unit}' in one source and in '{first.unit}' in another"
            )

    @classmethod
    def check(cls, spec: TaskSpec) -> None:
        """Raise SpecError where ``spec`` contradicts its kind. Here: what it reads."""
        if cls.reads_tokens and not spec.reads:
            raise SpecError(f"task '{spec.name}': kind '{spec.kind}' must name the modality it reads")
        if (spec.length < 1) == cls.labels_positions:
            raise SpecError(
                f"task '{spec.name}': length is the number of positions of a kind that labels positions (1 or more) "
                f"and 0 for all other kinds, got {spec.length} for kind '{spec.kind}'"
            )

    @classmethod
    def label_classes(cls, label: Any) -> list[str]:
        """The classes that a raw label holds, each once, as an audit counts them."""
        return [str(label)] if cls.class_codes else []

    @classmethod
    def label_targets(cls, label: Any) -> dict[str, str | float]:
        """What is to be predicted of a row -> its class or number, of a raw label; "" is the task itself."""
        return {"": str(label)} if cls.class_codes else {}

    @classmethod
    def table_check(cls, name: str, told: TableTask) -> None:
        """Raise SpecError where the description of a table's labels lacks something. Here: what the head reads."""
        if cls.reads_tokens and not told.reads:
            raise SpecError(f"task '{name}': a {told.kind} task names the modality that its head 'reads'")

    @classmethod
    def table_classes(
        cls, name: str, told: TableTask, distinct: Callable[[str], list[str]], *, least: int = 2
    ) -> tuple[str, ...]:
        """The classes, labels or targets of a table's task. Here: those that are listed, else what its column holds.

        Args:
            name: of the task.
            told: how the labels are described.
            distinct: column -> the values that are found in it, sorted, without those that mean unknown.
            least: how few there may be.

        Raises:
            DataError: the column holds fewer.
        """
        if told.classes or told.columns or cls.open_classes:
            return told.classes or told.columns
        column = told.column or name
        found = distinct(column)
        if len(found) < least:
            raise DataError(f"task '{name}': column '{column}' holds the classes {found}; {least} are needed")
        return tuple(found)

    @classmethod
    def table_numbers(cls, name: str, told: TableTask) -> tuple[str, ...]:
        """The columns of a table's task whose labels are numbers. Here: none."""
        return ()

    @classmethod
    def table_known(cls, known: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
        """The rows that have a label, from the rows where each column is known. Here: where any of them is."""
        mask: npt.NDArray[np.bool_] = np.logical_or.reduce(known)
        return mask

    @classmethod
    def table_stratum(cls, name: str, told: TableTask) -> str:
        """The column whose values all parts of a split hold in the same shares; "" for none.

        Here: the column of the labels, where these are classes of a fixed list.
        """
        return told.labels(name)[0] if cls.fixed_classes() else ""

    @classmethod
    def table_label(cls, name: str, told: TableTask, cells: LabelCells) -> Any:
        """The raw label in a row of a table (see RawTask), None where it is unknown. Here: the text of its column.

        Args:
            name: of the task.
            told: how the labels are described.
            cells: of the row.
        """
        return cells.text(told.labels(name)[0])

    @classmethod
    def target_shape(cls, spec: TaskSpec) -> tuple[int, ...]:
        """Shape of one target; here () for a code."""
        return ()

    @classmethod
    def target_dtype(cls) -> torch.dtype:
        """The dtype of targets."""
        import torch

        return torch.float32 if cls.float_targets else torch.long


TASKS: Registry[TargetKind] = Registry("task kind", "tasks")
"""Kinds of task by ``TaskSpec.kind``."""


@dataclass(frozen=True)
class TaskSpec:
    """One task: what is predicted, from what, and in which classes.

    Attributes:
        name: unique name, such as ``"bone_age"``.
        kind: name of a registered TaskKind.
        num_outputs: number of classes, labels or regression targets; for structure the maximum length.
        classes: names of the classes, labels or targets, in the order of the outputs ("" for structure).
        modalities: the modalities that may inform the task; empty means all.
        reads: the modality whose tokens the head reads beside the stream vector (structure and
            token_classification: the protein; vqa: the question); "" for none. Rows without it cannot be predicted.
        unit: unit of the targets, such as "angstrom".
        simulated: whether the labels come from a simulator.
        mean, scale: of regression targets, one a target, by which they were standardised on the training
            split; value = standardised * scale + mean, in ``unit``.
        length: of token_classification, L, the number of positions of the modality that it reads (0 elsewhere).
        edges: of kinds that cut a range into intervals, such as the times of survival, the num_outputs + 1 edges in
            ``unit``; () elsewhere.

    Raises:
        SpecError: the name cannot be used, or the values contradict the kind.
        UnknownNameError: no kind of that name is registered.
    """

    name: str
    kind: str
    num_outputs: int
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    reads: str = ""
    unit: str = ""
    simulated: bool = False
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    length: int = 0
    edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_name("task", self.name)
        object.__setattr__(self, "classes", tuple(str(c) for c in self.classes))
        object.__setattr__(self, "modalities", tuple(self.modalities))
        if self.num_outputs < 1:
            raise SpecError(f"task '{self.name}': num_outputs must be at least 1, got {self.num_outputs}")
        if self.classes and len(self.classes) != self.num_outputs:
            raise SpecError(f"task '{self.name}': {len(self.classes)} classes for {self.num_outputs} outputs")
        if len(set(self.classes)) != len(self.classes):
            raise SpecError(f"task '{self.name}': class names repeat: {self.classes}")
        TASKS.get(self.kind).check(self)

    def uses(self, modality: str) -> bool:
        """Whether ``modality`` may inform this task."""
        return not self.modalities or modality in self.modalities
