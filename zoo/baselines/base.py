"""What a baseline is: a field's classical pipeline from raw values of one modality to predictions of one task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.registry import Registry
from zoo.tasks.base import task_kind
from zoo.tasks.readout import Matrix, Readout

Row = Mapping[str, Any]
"""Raw inputs of one sample: modality -> value, in the forms that datamodules.core.source.RawModality lists."""


class HasKind(Protocol):
    """What is asked of a modality; a ModalitySpec has it, and so has a RawModality."""

    @property
    def name(self) -> str:
        """Name of the modality."""

    @property
    def kind(self) -> str:
        """One of MODALITIES."""


class Baseline(ABC):
    """Learn one task from the raw values of one modality, by a pipeline that the field used before deep learning.

    A subclass is decorated with ``@BASELINES.register`` and keeps this constructor.

    Args:
        task: what to predict.
        modality: name of the modality to read.
        seed: of whatever is random.
        sampling_rate: in Hz, of a signal (0 elsewhere).

    Attributes:
        modality_kinds: kinds of modalities that the pipeline reads.
        partner_kinds: kinds of which it can read a second modality; () for a pipeline that reads one.
        partner: name of the second modality that is read, to be set before ``fit``; "" for none.
        task_kinds: kinds of tasks that it can learn; see ``learns`` where there are none.
        citation: where the pipeline comes from.
    """

    modality_kinds: tuple[str, ...] = ()
    partner_kinds: tuple[str, ...] = ()
    task_kinds: tuple[str, ...] = ()
    citation: str = ""

    def __init__(self, task: TaskSpec, modality: str, seed: int = 0, sampling_rate: float = 0.0) -> None:
        if not self.learns(task):
            raise SpecError(f"{type(self).__name__} cannot learn task '{task.name}' of kind '{task.kind}'")
        self.task = task
        self.modality = modality
        self.seed = seed
        self.sampling_rate = sampling_rate
        self.partner = ""

    @classmethod
    def available(cls) -> bool:
        """Whether the libraries and weights that it needs are installed."""
        return True

    @classmethod
    def learns(cls, task: TaskSpec) -> bool:
        """Whether the pipeline can learn ``task`` at all."""
        return task.kind in cls.task_kinds

    @classmethod
    def fits(cls, task: TaskSpec, modality: HasKind) -> bool:
        """Whether the pipeline can learn ``task`` from ``modality``."""
        return cls.learns(task) and modality.kind in cls.modality_kinds

    @abstractmethod
    def fit(self, inputs: Sequence[Row], target: Tensor) -> None:
        """Learn from the raw inputs of N rows and their encoded targets (N, ...), see zoo.contract.target_shape.

        Raises:
            SpecError: a row lacks the modality, or nothing can be learned from these targets.
        """

    @abstractmethod
    def predict(self, inputs: Sequence[Row]) -> Tensor:
        """Predict N rows, in float32 and in the form of TaskKind.predict.

        (N, K) probabilities (0 for a class that was not seen in training), probabilities of labels or
        standardised values; (N, L, K) probabilities for token_classification; (N, L, 3) in angstrom for structure.

        Raises:
            SpecError: ``fit`` was not called, or a row lacks the modality.
        """

    def values(self, inputs: Sequence[Row], modality: str = "") -> list[Any]:
        """The raw values of a modality, row by row; of the one that is read first where none is named.

        Raises:
            SpecError: a row lacks it.
        """
        modality = modality or self.modality
        found = [row.get(modality) for row in inputs]
        for number, value in enumerate(found):
            if value is None:
                raise SpecError(
                    f"{type(self).__name__} reads modality '{modality}', but row {number} of {len(found)} has "
                    f"only {sorted(inputs[number])}; leave such rows out"
                )
        return found

    def unfitted(self) -> SpecError:
        """Build the error for a prediction before ``fit``."""
        return SpecError(f"{type(self).__name__} of task '{self.task.name}' was not fitted; call fit first")


BASELINES: Registry[Baseline] = Registry("baseline", "baselines")
"""Baselines by class name."""


class FeatureBaseline(Baseline):
    """A baseline that maps a value to a vector and reads the task off it by a linear model."""

    strengths: tuple[float, ...] = (0.01, 0.1, 1.0)
    """Inverse strengths C of logistic regression to choose from, see readout.fit_readout."""
    _readout: Readout | None = None

    @classmethod
    def learns(cls, task: TaskSpec) -> bool:
        """Whether the task is of one of ``task_kinds``, or, without these, of a kind that any features suit."""
        if cls.task_kinds:
            return super().learns(task)
        kind = task_kind(task)
        return kind.reads_out and not kind.reads_tokens

    @abstractmethod
    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map raw values to features (N, F), standardised unless sparse; learn first where ``target`` is given."""

    def fit(self, inputs: Sequence[Row], target: Tensor) -> None:
        """Learn the features, then the linear model."""
        if not task_kind(self.task).learnable(target):
            raise SpecError(f"{type(self).__name__}: the {len(target)} targets of '{self.task.name}' hold one class")
        values = self.values(inputs)
        known = task_kind(self.task).known(target)
        values, target = [v for v, k in zip(values, known.tolist(), strict=True) if k], target[known]
        self._readout = self.readout(self.features(values, target), target)

    def readout(self, features: Matrix, target: Tensor) -> Readout:
        """Fit the model that maps features (N, F) to predictions (N, K); none of the targets is unknown."""
        return task_kind(self.task).readout(features, target, seed=self.seed, strengths=self.strengths)

    def predict(self, inputs: Sequence[Row]) -> Tensor:
        """Apply features and linear model, (N, K)."""
        if self._readout is None:
            raise self.unfitted()
        if not inputs:
            return torch.zeros(0, self.task.num_outputs)
        return torch.from_numpy(self._readout(self.features(self.values(inputs)))).float()


def each_once(values: Sequence[str], function: Callable[[list[str]], Any]) -> Any:
    """Apply a function to the distinct values, and give each of the N values its row of the (M, ...) results."""
    distinct, which = np.unique(np.asarray(values, dtype=object), return_inverse=True)
    return function(distinct.tolist())[which]


def baselines_for(task: TaskSpec, modality: HasKind) -> list[type[Baseline]]:
    """The installed baselines that can learn ``task`` from ``modality``, by name.

    Packages of weights that are installed add candidates; none is an error.
    """
    found = [BASELINES.get(name) for name in BASELINES]
    return [b for b in found if b.fits(task, modality) and b.available()]
