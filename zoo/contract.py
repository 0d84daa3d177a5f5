"""What the parts of the zoo say to each other: ModalitySpec, TaskSpec, Sample, Batch, Tokens, Output.

Readers make Samples, collate makes a Batch of them, and a model turns a Batch into an Output. Nothing
absent is ever stored: a Batch holds, for each modality and task, only the rows that have it, and a mask
that says which rows those are.

What holds tensors is imported when it is first asked for, so that a source can be listed without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.codes import AMINO_ACIDS, NUCLEOTIDES, PAD
from zoo.errors import SpecError
from zoo.modality import MODALITIES, ModalityKind, ModalitySpec
from zoo.names import FUSED
from zoo.raw import RawModality, RawTask
from zoo.sample import Sample
from zoo.task import TASKS, TargetKind, TaskSpec

if TYPE_CHECKING:
    from zoo.batch import Batch, Output, Tokens, collate, empty_target, masked_mean

__all__ = [
    "AMINO_ACIDS",
    "FUSED",
    "MODALITIES",
    "NUCLEOTIDES",
    "PAD",
    "TASKS",
    "Batch",
    "ModalityKind",
    "ModalitySpec",
    "Output",
    "RawModality",
    "RawTask",
    "Sample",
    "TargetKind",
    "TaskSpec",
    "Tokens",
    "by_name",
    "collate",
    "empty_target",
    "masked_mean",
]

Spec = TypeVar("Spec", ModalitySpec, TaskSpec)


def __getattr__(name: str) -> Any:
    """Look up what holds tensors."""
    if name not in __all__:
        raise AttributeError(f"module 'zoo.contract' has no attribute '{name}'")
    return getattr(import_module("zoo.batch"), name)


def by_name(specs: Sequence[Spec]) -> Mapping[str, Spec]:
    """Index specs by name; a repeated name is refused."""
    table: dict[str, Spec] = {}
    for spec in specs:
        if spec.name in table:
            raise SpecError(f"the name '{spec.name}' is used by two specs; names must be unique")
        table[spec.name] = spec
    return table
