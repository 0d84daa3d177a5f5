"""What modalities and tasks are: their specs, and the kinds that say what a spec may hold.

A kind of modality or task is one registered class that knows everything about itself. Nothing outside the folders
of the kinds compares their names: whoever needs to know something of a kind asks its class.
"""

from __future__ import annotations

import keyword
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError
from zoo.registry import Registry
from zoo.values import Cell, Shown, digest, shorten

if TYPE_CHECKING:  # data are listed without torch, which takes seconds to import
    import torch
    from torch import Tensor

PAD = 0
"""Code of padding in every token modality (dna, protein, text)."""
NUCLEOTIDES = "ACGTN"
"""DNA codes: A=1, C=2, G=3, T=4, N=5 (unknown); 0 is padding."""
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWYX"
"""Protein codes: A=1 ... Y=20, X=21 (unknown or non-standard); 0 is padding."""
WORDS = 200
"""Most characters of a value that is shown in words."""
FUSED = "fused"
"""Name of the stream that joins all modalities; no modality or task may have it."""


class ModalityKind:
    """What all modalities of one kind have in common. It holds no state; a class is never made an object.

    A kind of its own is one file: a subclass that is registered in MODALITIES, and its processor. What is said here
    suits a kind whose values are arrays of numbers.

    Attributes:
        rank: number of sizes in the shape of one sample.
        codes: whether the values are codes (torch.long, 0 is padding at the end) and not measurements (float32).
        encoder: name of the encoder class that modalities of this kind take by default.
        processor: name of the processor class that modalities of this kind take by default.
        pixels: whether samples are pictures (C, H, W) in [-1, 1], which can be mixed, jittered and shrunk as such.
        language: whether values are words that a person wrote, in which names of classes can be looked for.
        table: whether a raw value is a dictionary of columns, which a table must then list.
        cheap: whether a value that stands in a table itself may be read for every row before training.
        distinct: whether two equal values are copies of one sample; tables and short texts can be equal by chance.
        one_scale: whether the numbers of ``features`` are on one scale, and should not be standardised one by one.
        transforms: packages of random transforms that can be applied to batches, such as "torchvision.transforms".
        twins: what two values are called of which one is the ``twin`` of the other; "" for kinds without.
    """

    rank: int = 1
    codes: bool = False
    encoder: str = "MLPEncoder"
    processor: str = ""
    pixels: bool = False
    language: bool = False
    table: bool = False
    cheap: bool = False
    distinct: bool = True
    one_scale: bool = False
    transforms: tuple[str, ...] = ()
    twins: str = ""

    @classmethod
    def check(cls, spec: ModalitySpec) -> None:
        """Raise SpecError where ``spec`` contradicts its kind. Here: the number of sizes of its shape."""
        if len(spec.shape) != cls.rank or any(n < 1 for n in spec.shape):
            raise SpecError(
                f"modality '{spec.name}': shape {spec.shape} does not fit kind '{spec.kind}', which takes "
                f"{cls.rank} positive size(s)"
            )

    @classmethod
    def number_of_codes(cls, spec: ModalitySpec) -> int:
        """How many codes there are, padding among them; 0 for a kind of measurements."""
        return spec.vocab_size

    @classmethod
    def read(cls, cell: Cell) -> Any:
        """Read a raw value from a user's table. Here: numbers.

        Raises:
            DataError: the cell or its file is not what the kind needs.
        """
        return cell.numbers()

    @classmethod
    def completed(cls, raw: RawModality, cell: Cell) -> RawModality:
        """What is known of a modality of a user's table once its first file is looked at. Here: nothing more.

        Args:
            raw: what the user says of it.
            cell: the first one that is known.

        Raises:
            DataError: the file says of itself what cannot be.
        """
        return raw

    @classmethod
    def fingerprint(cls, value: Any) -> bytes:
        """Return 16 bytes that raw values of equal content share."""
        if isinstance(value, str):
            return digest(value.encode())
        array = np.ascontiguousarray(value)
        return digest(f"{array.shape}{array.dtype.str}".encode(), array.tobytes())

    @classmethod
    def twin(cls, value: Any) -> bytes | None:
        """The fingerprint of another raw value that says the same; None where there is none."""
        return None

    @classmethod
    def pieces(cls, value: Any) -> set[str]:
        """Pieces of a raw value of which two values share none by chance, such as stretches of letters; {} here."""
        return set()

    @classmethod
    def grey(cls, value: Any) -> npt.NDArray[np.uint8] | None:
        """A raw value as a picture (H, W) of 256 levels, in which near-identical samples are looked for, or None."""
        return None

    @classmethod
    def show(cls, raw: RawModality, value: Any, side: int) -> Shown:
        """Show a raw value to a person. Here: the beginning of its words.

        Args:
            raw: the modality.
            value: one raw value of it.
            side: longest side of a picture, in pixels.
        """
        return Shown(shorten(str(value), WORDS))

    @classmethod
    def features(cls, spec: ModalitySpec, rows: Tensor) -> Tensor:
        """Map packed rows (N, *shape) to plain numbers (N, F), for methods that have no network.

        Here: the share of each code, without padding, or the values as they are.
        """
        if cls.codes:
            return shares_of_codes(rows, cls.number_of_codes(spec))
        return rows.float().flatten(1)


def shares_of_codes(rows: Tensor, number: int) -> Tensor:
    """The share (N, number) of each code among those of a row (N, L) that are not padding.

    >>> import torch
    >>> shares_of_codes(torch.tensor([[2, 1, 2, 2, 0]]), 3)
    tensor([[0.0000, 0.2500, 0.7500]])
    """
    import torch

    counts = torch.zeros((len(rows), number), device=rows.device)
    counts.scatter_add_(1, rows, (rows != PAD).float())
    return counts / counts.sum(1, keepdim=True).clamp_min(1.0)


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
        if other.unit != first.unit and set(other.classes) & set(first.classes):
            refuse_units(first, other)

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


def refuse_units(first: RawTask, other: RawTask) -> None:
    """Raise the SpecError of one task in two units."""
    raise SpecError(f"task '{first.name}' is in '{other.unit}' in one source and in '{first.unit}' in another")


MODALITIES: Registry[ModalityKind] = Registry("modality kind", "modalities")
"""Kinds of modality by ``ModalitySpec.kind``."""
TASKS: Registry[TargetKind] = Registry("task kind", "tasks")
"""Kinds of task by ``TaskSpec.kind``."""


def _check_name(what: str, name: str) -> None:
    from torch import nn

    reserved = {*dir(nn.ModuleDict()), *dir(nn.ParameterDict())}  # of instances: "training" is one's attribute
    if not name.isidentifier() or keyword.iskeyword(name) or name in reserved or name == FUSED:
        raise SpecError(
            f"{what} name {name!r} cannot be used: names are identifiers of letters, digits and _, "
            "not Python keywords, not 'fused' and not attributes of torch.nn.ModuleDict (such as 'type')"
        )


@dataclass(frozen=True)
class ModalitySpec:
    """One modality as an encoder sees it.

    Attributes:
        name: unique name, such as ``"ct"``.
        kind: name of a registered ModalityKind; decides which encoders fit.
        shape: shape of one sample: image (C, H, W); signal (C, T); dna, protein and text (L,) integer codes
            with 0 as padding at the end; expression (G,); tabular (F,).
        unit: physical unit of the values, such as ``"HU"``, ``"uV"``, ``"counts"``; "" for codes.
        vocab_size: number of codes including padding, for kinds whose vocabulary is learned, such as text (0
            elsewhere).
        sampling_rate: in Hz, for signals (0 elsewhere).
        cardinalities: for tabular, one entry a feature: 0 for a number (already standardised), else the
            number of categories; the category code is stored as a float, 0 is the unknown category.
        features: names of channels, genes or columns, where known.
        descriptors: number of values at the front of a row of codes that are no codes but describe the row as a
            whole, such as the counts of a molecule's fingerprint (0 elsewhere).

    Raises:
        SpecError: the name cannot be used, or the values contradict the kind.
        UnknownNameError: no kind of that name is registered.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    unit: str = ""
    vocab_size: int = 0
    sampling_rate: float = 0.0
    cardinalities: tuple[int, ...] = ()
    features: tuple[str, ...] = ()
    descriptors: int = 0

    def __post_init__(self) -> None:
        _check_name("modality", self.name)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        MODALITIES.get(self.kind).check(self)

    @property
    def is_integer(self) -> bool:
        """Whether the values are codes (torch.long) rather than measurements (torch.float32)."""
        return MODALITIES.get(self.kind).codes


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
        _check_name("task", self.name)
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


@dataclass(frozen=True)
class RawModality:
    """A modality as a source gives it, before a Processor makes tensors of one shape.

    Attributes:
        name: modality name, such as ``"xray"``.
        kind: name of a registered ModalityKind, whose docstring says what the raw values of ``Sample.inputs[name]``
            are.
        unit: physical unit, such as "HU", "uV", "counts".
        sampling_rate: in Hz, for signals.
        features: names of channels, genes or columns, where known.
    """

    name: str
    kind: str
    unit: str = ""
    sampling_rate: float = 0.0
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawTask:
    """A task as a source labels it.

    Attributes:
        name: task name, such as ``"disease"``. Sources that use one name share one task: classes are joined.
        kind: name of a registered TaskKind. The raw values of ``Sample.targets[name]`` are, by kind:
            classification and ordinal: str, one of ``classes`` (ordinal: in increasing order);
            multilabel: dict label -> 0 | 1, only the labels that are known;
            regression: dict target -> float, only the targets that are known;
            structure: numpy float32 (L, 4), x, y, z in angstrom and 1 for resolved residues (else 0);
            token_classification: str of one letter a token or a list of classes, "-" where unknown;
            vqa: str, the normalised answer (the answer vocabulary is fitted on the training split).
        classes: classes, labels or targets that can occur; () for structure and vqa.
        modalities: modalities of this source that may inform the task; () means all of them.
        reads: the modality whose tokens the head reads (structure and token_classification: protein; vqa: question).
        unit: unit of the targets.
    """

    name: str
    kind: str
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    reads: str = ""
    unit: str = ""


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
    kinds: ClassVar[Registry[TargetKind]] = TASKS

    def labels(self, name: str) -> tuple[str, ...]:
        """The columns that hold the labels of the task ``name``; at least one."""
        return self.columns or (self.column or name,)

    def beside(self) -> tuple[str, ...]:
        """The columns that say more of the labels than they say themselves."""
        return (*self.unless, *(c for c in (self.mask, self.library) if c))
