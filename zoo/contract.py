"""What the parts of the zoo say to each other: ModalitySpec, TaskSpec, Sample, Batch, Tokens, Output.

Readers make Samples, collate makes a Batch of them, and a model turns a Batch into an Output. Nothing
absent is ever stored: a Batch holds, for each modality and task, only the rows that have it, and a mask
that says which rows those are.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import SpecError

MODALITY_KINDS = ("image", "signal", "dna", "expression", "protein", "text", "tabular")
TASK_KINDS = ("classification", "multilabel", "ordinal", "regression", "structure", "token_classification", "vqa")

PAD = 0
"""Code of padding in every token modality (dna, protein, text)."""
NUCLEOTIDES = "ACGTN"
"""DNA codes: A=1, C=2, G=3, T=4, N=5 (unknown); 0 is padding."""
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWYX"
"""Protein codes: A=1 ... Y=20, X=21 (unknown or non-standard); 0 is padding."""


def _check_name(what: str, name: str) -> None:
    reserved = {*dir(nn.ModuleDict()), *dir(nn.ParameterDict())}  # of instances: "training" is one's attribute
    if not name.isidentifier() or keyword.iskeyword(name) or name in reserved or name == "fused":
        raise SpecError(
            f"{what} name {name!r} cannot be used: names are identifiers of letters, digits and _, "
            "not Python keywords, not 'fused' and not attributes of torch.nn.ModuleDict (such as 'type')"
        )


@dataclass(frozen=True)
class ModalitySpec:
    """One modality as an encoder sees it.

    Attributes:
        name: unique name, such as ``"ct"``.
        kind: one of MODALITY_KINDS; decides which encoders fit.
        shape: shape of one sample: image (C, H, W); signal (C, T); dna, protein and text (L,) integer codes
            with 0 as padding at the end; expression (G,); tabular (F,).
        unit: physical unit of the values, such as ``"HU"``, ``"uV"``, ``"counts"``; "" for codes.
        vocab_size: number of codes including padding, for text (0 elsewhere).
        sampling_rate: in Hz, for signals (0 elsewhere).
        cardinalities: for tabular, one entry a feature: 0 for a number (already standardised), else the
            number of categories; the category code is stored as a float, 0 is the unknown category.
        features: names of channels, genes or columns, where known.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    unit: str = ""
    vocab_size: int = 0
    sampling_rate: float = 0.0
    cardinalities: tuple[int, ...] = ()
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("modality", self.name)
        if self.kind not in MODALITY_KINDS:
            raise SpecError(f"modality '{self.name}': kind {self.kind!r} is unknown; kinds: {MODALITY_KINDS}")
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        rank = {"image": 3, "signal": 2}.get(self.kind, 1)
        if len(self.shape) != rank or any(n < 1 for n in self.shape):
            raise SpecError(
                f"modality '{self.name}': shape {self.shape} does not fit kind '{self.kind}', which takes "
                f"{rank} positive size(s)"
            )
        if self.kind == "text" and self.vocab_size < 2:
            raise SpecError(f"modality '{self.name}': text needs vocab_size >= 2, got {self.vocab_size}")
        if self.kind == "tabular" and len(self.cardinalities) != self.shape[0]:
            raise SpecError(
                f"modality '{self.name}': {len(self.cardinalities)} cardinalities for {self.shape[0]} features"
            )

    @property
    def is_integer(self) -> bool:
        """Whether the values are codes (torch.long) rather than measurements (torch.float32)."""
        return self.kind in ("dna", "protein", "text")


@dataclass(frozen=True)
class TaskSpec:
    """One task: what is predicted, from what, and in which classes.

    Attributes:
        name: unique name, such as ``"bone_age"``.
        kind: one of TASK_KINDS.
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

    def __post_init__(self) -> None:
        _check_name("task", self.name)
        if self.kind not in TASK_KINDS:
            raise SpecError(f"task '{self.name}': kind {self.kind!r} is unknown; kinds: {TASK_KINDS}")
        object.__setattr__(self, "classes", tuple(str(c) for c in self.classes))
        object.__setattr__(self, "modalities", tuple(self.modalities))
        if self.num_outputs < 1:
            raise SpecError(f"task '{self.name}': num_outputs must be at least 1, got {self.num_outputs}")
        if self.classes and len(self.classes) != self.num_outputs:
            raise SpecError(f"task '{self.name}': {len(self.classes)} classes for {self.num_outputs} outputs")
        if len(set(self.classes)) != len(self.classes):
            raise SpecError(f"task '{self.name}': class names repeat: {self.classes}")
        if self.kind in ("classification", "ordinal", "token_classification") and self.num_outputs < 2:
            raise SpecError(f"task '{self.name}': {self.kind} needs at least 2 classes, got {self.num_outputs}")
        if self.kind in ("structure", "token_classification", "vqa") and not self.reads:
            raise SpecError(f"task '{self.name}': kind '{self.kind}' must name the modality it reads")
        if (self.length < 1) == (self.kind == "token_classification"):
            raise SpecError(
                f"task '{self.name}': length is the number of positions of token_classification (1 or more) and 0 "
                f"for all other kinds, got {self.length} for kind '{self.kind}'"
            )

    def uses(self, modality: str) -> bool:
        """Whether ``modality`` may inform this task."""
        return not self.modalities or modality in self.modalities


@dataclass
class Sample:
    """One subject, visit or item: whatever is known of it.

    Attributes:
        id: unique, stable name of the sample.
        inputs: modality -> value. Raw values from a source; tensors of the spec's shape after processing.
        targets: task -> target, only for known labels (see TaskKind for the forms).
        groups: group column -> integer code (organ, subject, ...); -1 or absent where unknown.
    """

    id: str
    inputs: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)


@dataclass
class Tokens:
    """What an encoder returns.

    Attributes:
        values: (N, L, D) token embeddings.
        mask: (N, L) bool, True where the token is real.
        pooled: (N, D) one vector a row.
        codes: (N, L) what the encoder read, for a head that looks its rows up; None where nothing was kept.
    """

    values: Tensor
    mask: Tensor
    pooled: Tensor
    codes: Tensor | None = None


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average (N, L, D) over the L positions where ``mask`` (N, L) is True; zeros where none is.

    >>> masked_mean(torch.tensor([[[2.0], [4.0]]]), torch.tensor([[True, False]]))
    tensor([[2.]])
    """
    weight = mask.unsqueeze(-1).to(values.dtype)
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1.0)


@dataclass
class Batch:
    """B rows, each with some modalities and some labels, packed.

    Attributes:
        inputs: modality -> (N_m, *shape), the rows that have it, in batch order.
        present: modality -> (B,) bool, N_m True.
        targets: task -> (N_t, ...), the rows that carry a label.
        observed: task -> (B,) bool, N_t True.
        groups: group column -> (B,) long, -1 where unknown.
        ids: B strings.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    targets: dict[str, Tensor]
    observed: dict[str, Tensor]
    groups: dict[str, Tensor] = field(default_factory=dict)
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {
            f.name: {k: function(v) for k, v in getattr(self, f.name).items()}
            for f in fields(self)
            if f.name != "ids"
        }
        return replace(self, **changed)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch on ``device``."""
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory."""
        return self._map(lambda t: t.pin_memory())

    def select(self, modalities: Sequence[str]) -> Batch:
        """Return the same rows with only ``modalities`` as inputs."""
        keep = [m for m in self.inputs if m in set(modalities)]
        return replace(
            self,
            inputs={m: self.inputs[m] for m in keep},
            present={m: self.present[m] for m in keep},
        )

    def validate(self, modalities: Sequence[ModalitySpec], tasks: Sequence[TaskSpec]) -> None:
        """Raise SpecError where the packed rows, masks and specs disagree."""
        for spec in modalities:
            if spec.name not in self.inputs:
                continue
            value, mask = self.inputs[spec.name], self.present[spec.name]
            if tuple(value.shape[1:]) != spec.shape:
                raise SpecError(
                    f"modality '{spec.name}': got rows of shape {tuple(value.shape[1:])}, the spec says {spec.shape}"
                )
            if len(mask) != len(self) or int(mask.sum()) != len(value):
                raise SpecError(
                    f"modality '{spec.name}': {len(value)} packed rows, but its mask marks {int(mask.sum())} "
                    f"of {len(mask)} rows in a batch of {len(self)}"
                )
        for task in tasks:
            if task.name in self.targets:
                mask = self.observed[task.name]
                if len(mask) != len(self) or int(mask.sum()) != len(self.targets[task.name]):
                    raise SpecError(
                        f"task '{task.name}': {len(self.targets[task.name])} packed targets, but its mask marks "
                        f"{int(mask.sum())} of {len(mask)} rows in a batch of {len(self)}"
                    )


def collate(samples: Sequence[Sample], modalities: Sequence[ModalitySpec], tasks: Sequence[TaskSpec]) -> Batch:
    """Pack processed samples into a Batch. Every modality and task has an entry, be it of no rows.

    Raises:
        SpecError: an input does not have its spec's shape.
    """
    inputs: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    for spec in modalities:
        rows = []
        for sample in samples:
            if spec.name in sample.inputs:
                value = sample.inputs[spec.name]
                if tuple(value.shape) != spec.shape:
                    raise SpecError(
                        f"sample '{sample.id}', modality '{spec.name}': got shape {tuple(value.shape)}, "
                        f"the spec says {spec.shape}"
                    )
                rows.append(value)
        dtype = torch.long if spec.is_integer else torch.float32
        inputs[spec.name] = torch.stack(rows).to(dtype) if rows else torch.zeros((0, *spec.shape), dtype=dtype)
        present[spec.name] = torch.tensor([spec.name in s.inputs for s in samples], dtype=torch.bool)
    targets: dict[str, Tensor] = {}
    observed: dict[str, Tensor] = {}
    for task in tasks:
        known = [torch.as_tensor(s.targets[task.name]) for s in samples if task.name in s.targets]
        targets[task.name] = torch.stack(known) if known else empty_target(task)
        observed[task.name] = torch.tensor([task.name in s.targets for s in samples], dtype=torch.bool)
    names = sorted({g for s in samples for g in s.groups})
    groups = {g: torch.tensor([s.groups.get(g, -1) for s in samples], dtype=torch.long) for g in names}
    return Batch(inputs, present, targets, observed, groups, tuple(s.id for s in samples))


def target_shape(task: TaskSpec) -> tuple[int, ...]:
    """Shape of one target: () for class codes; (2, K) values and observed mask for multilabel and
    regression; (L, 4) x, y, z in angstrom and resolved mask for structure; (L,) class codes, -1 where
    unknown, for token_classification.
    """
    if task.kind in ("multilabel", "regression"):
        return (2, task.num_outputs)
    if task.kind == "structure":
        return (task.num_outputs, 4)
    return (task.length,) if task.kind == "token_classification" else ()


def empty_target(task: TaskSpec) -> Tensor:
    """Targets of no rows."""
    dtype = torch.float32 if task.kind in ("multilabel", "regression", "structure") else torch.long
    return torch.zeros((0, *target_shape(task)), dtype=dtype)


@dataclass
class Output:
    """What a model returns for a Batch.

    Attributes:
        logits: (task, stream) -> (N, ...) for the rows listed in ``rows``.
        rows: (task, stream) -> (N,) long, batch rows where the stream is available to the task.
        streams: stream -> (B, D) vectors (zeros where unavailable).
        available: stream -> (B,) bool.
        predictions: task -> (N, ...) combined over streams, after TaskKind.predict; empty in training.
        predicted: task -> (N,) long, the batch rows of ``predictions``.
    """

    logits: dict[tuple[str, str], Tensor]
    rows: dict[tuple[str, str], Tensor]
    streams: dict[str, Tensor]
    available: dict[str, Tensor]
    predictions: dict[str, Tensor] = field(default_factory=dict)
    predicted: dict[str, Tensor] = field(default_factory=dict)


def by_name(specs: Sequence[Any]) -> Mapping[str, Any]:
    """Index specs by name; a repeated name is refused."""
    table: dict[str, Any] = {}
    for spec in specs:
        if spec.name in table:
            raise SpecError(f"the name '{spec.name}' is used by two specs; names must be unique")
        table[spec.name] = spec
    return table
