"""What a model takes and returns: Batch, Tokens and Output, which hold tensors. Import them from zoo.contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.modality import ModalitySpec
from zoo.names import FUSED
from zoo.sample import Sample
from zoo.task import TASKS, TaskSpec


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
        units: B names of units of independence, see Sample; () where each row is its own.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    targets: dict[str, Tensor]
    observed: dict[str, Tensor]
    groups: dict[str, Tensor] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {
            f.name: {k: function(v) for k, v in getattr(self, f.name).items()}
            for f in fields(self)
            if f.name not in ("ids", "units")
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

    Args:
        samples: processed samples, in the order of the batch.
        modalities: specs of all modalities of the batch.
        tasks: specs of all tasks of the batch.

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
    ids, units = tuple(s.id for s in samples), tuple(s.unit for s in samples)
    return Batch(inputs, present, targets, observed, groups, ids, units if any(units) else ())


def empty_target(task: TaskSpec) -> Tensor:
    """Targets of no rows."""
    kind = TASKS.get(task.kind)
    return torch.zeros((0, *kind.target_shape(task)), dtype=kind.target_dtype())


@dataclass
class Output:
    """What a model returns for a Batch.

    Attributes:
        logits: (task, stream) -> (N, ...) for the rows listed in ``rows``; empty for a model that has none.
        rows: (task, stream) -> (N,) long, batch rows where the stream is available to the task.
        streams: stream -> (B, D) vectors (zeros where unavailable); empty for a model that makes no vectors.
        available: stream -> (B,) bool.
        predictions: task -> (N, ...) combined over streams, after TaskKind.predict; empty in training.
        predicted: task -> (N,) long, the batch rows of ``predictions``.
    """

    logits: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    rows: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    streams: dict[str, Tensor] = field(default_factory=dict)
    available: dict[str, Tensor] = field(default_factory=dict)
    predictions: dict[str, Tensor] = field(default_factory=dict)
    predicted: dict[str, Tensor] = field(default_factory=dict)

    @property
    def vectors(self) -> Tensor | None:
        """(B, D), one vector a row: that of the stream ``fused``, or the mean of the streams that the row has.

        None where the model makes no vectors.
        """
        if not self.streams:
            return None
        if FUSED in self.streams:
            return self.streams[FUSED]
        weight = torch.stack([self.available[s] for s in self.streams]).float().unsqueeze(-1)
        return (torch.stack(list(self.streams.values())) * weight).sum(0) / weight.sum(0).clamp_min(1.0)


torch.serialization.add_safe_globals([ModalitySpec, TaskSpec])
