"""Turn raw labels into target tensors: one codec a task, joined over sources, fitted on the training split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.source import RawTask
from zoo.contract import TaskSpec
from zoo.errors import DataError, SpecError

UNKNOWN = "-"
"""Letter of a residue without a label, in the raw labels of token_classification."""


def merge_tasks(tasks: Sequence[tuple[RawTask, Sequence[str]]]) -> RawTask:
    """Join what several sources say of one task.

    Args:
        tasks: of each source, its RawTask and the names of the source's modalities.

    Returns:
        One RawTask: classes joined in order (ordinal: they must be equal), modalities joined.
    """
    first = tasks[0][0]
    classes = list(first.classes)
    modalities: list[str] = []
    for task, own in tasks:
        if (task.kind, task.reads) != (first.kind, first.reads):
            raise SpecError(
                f"task '{task.name}' is '{task.kind}' in one source and '{first.kind}' in another; rename one of them"
            )
        if task.kind == "ordinal" and task.classes != first.classes:
            raise SpecError(f"ordinal task '{task.name}' has the grades {task.classes} and {first.classes}")
        if task.unit != first.unit and (set(task.classes) & set(first.classes) or task.kind == "structure"):
            raise SpecError(f"task '{task.name}' is in '{task.unit}' in one source and in '{first.unit}' in another")
        classes += [c for c in task.classes if c not in classes]
        modalities += [m for m in (task.modalities or own) if m not in modalities]
    return RawTask(first.name, first.kind, tuple(classes), tuple(modalities), first.reads, first.unit)


class TargetCodec:
    """Encode the raw labels of one task (see RawTask) as tensors (see zoo.contract.target_shape).

    Args:
        task: the merged task.
        simulated: whether every source of it is a simulator.
        max_answers: size of the answer vocabulary of vqa, the most frequent ones.
    """

    def __init__(self, task: RawTask, *, simulated: bool = False, max_answers: int = 500) -> None:
        self.task = task
        self.simulated = simulated
        self.max_answers = max_answers
        self.classes = list(task.classes)
        self.mean = np.zeros(len(self.classes))
        self.scale = np.ones(len(self.classes))
        self.length = 0
        self.fits = task.kind in ("vqa", "regression")  # whether ``fit`` looks at labels
        if task.kind == "token_classification" and {UNKNOWN, ""} & set(self.classes):
            raise SpecError(
                f"task '{task.name}': '{UNKNOWN}' and '' mean unknown and can be no class: {task.classes}"
            )

    def fit(self, labels: Sequence[Any], length: int = 0) -> None:
        """Learn the answer vocabulary, the scales of targets, or the length, from training labels.

        ``length`` is L of the modality that a structure or token_classification task reads.
        """
        kind = self.task.kind
        if kind == "vqa":
            counts = Counter(labels)
            ranked = sorted(counts, key=lambda a: (-counts[a], a))
            self.classes = ranked[: self.max_answers]
        elif kind == "regression":
            table = np.array([[label.get(c, np.nan) for c in self.classes] for label in labels], dtype=float)
            known = ~np.isnan(table)
            n = np.maximum(known.sum(0), 1)
            self.mean = np.where(known, table, 0).sum(0) / n
            self.scale = np.sqrt((np.where(known, table - self.mean, 0) ** 2).sum(0) / n)
            self.scale[self.scale < 1e-12] = 1.0
        elif kind in ("structure", "token_classification"):
            self.length = length

    def spec(self) -> TaskSpec:
        """The TaskSpec; called after ``fit``."""
        task = self.task
        outputs = self.length if task.kind == "structure" else len(self.classes)
        if outputs == 0:
            raise SpecError(f"task '{task.name}': no training row carries a label")
        return TaskSpec(
            task.name,
            task.kind,
            outputs,
            () if task.kind == "structure" else tuple(self.classes),
            task.modalities,
            task.reads,
            task.unit,
            self.simulated,
            tuple(self.mean.tolist()) if task.kind == "regression" else (),
            tuple(self.scale.tolist()) if task.kind == "regression" else (),
            self.length if task.kind == "token_classification" else 0,
        )

    def __call__(self, label: Any, row: str) -> Tensor:
        """Encode one raw label.

        Raises:
            DataError: the label is outside the classes, or not finite.
        """
        kind = self.task.kind
        if kind in ("classification", "ordinal"):
            return torch.tensor(self._code(label, row))
        if kind == "vqa":
            return torch.tensor(self.classes.index(label) if label in self.classes else -1)
        if kind == "structure":
            return self._structure(np.asarray(label, dtype=np.float32), row)
        if kind == "token_classification":
            return self._residues(label, row)
        values = np.zeros((2, len(self.classes)), dtype=np.float32)
        for name, value in label.items():
            k = self._code(name, row)
            if not np.isfinite(value):
                raise DataError(
                    f"task '{self.task.name}': the target '{name}' is {value}; leave unknown ones out", row=row
                )
            if kind == "multilabel" and value not in (0, 1):
                raise DataError(f"task '{self.task.name}': the label '{name}' is {value}, not 0 or 1", row=row)
            values[0, k] = (value - self.mean[k]) / self.scale[k] if kind == "regression" else value
            values[1, k] = 1.0
        return torch.from_numpy(values)

    def _code(self, label: Any, row: str) -> int:
        try:
            return self.classes.index(label)
        except ValueError:
            raise DataError(
                f"task '{self.task.name}': the label {label!r} is none of its classes {tuple(self.classes)}", row=row
            ) from None

    def _residues(self, label: str | Sequence[str], row: str) -> Tensor:
        """Encode one letter a residue ("-" for unknown), or a list of class names ("-" or "" for unknown)."""
        codes = {name: k for k, name in enumerate(self.classes)} | {UNKNOWN: -1, "": -1}
        out = torch.full((self.length,), -1, dtype=torch.long)
        try:
            found = [codes[name] for name in label]
        except (KeyError, TypeError):
            strange = (
                sorted({str(name) for name in label if name not in codes}) if isinstance(label, Sequence) else label
            )
            raise DataError(
                f"task '{self.task.name}': the label of the residues holds {strange!r}, none of its classes "
                f"{tuple(self.classes)}; write '{UNKNOWN}' where it is unknown",
                row=row,
            ) from None
        kept = found[: self.length]  # a longer protein was cut there, or refused by its processor
        out[: len(kept)] = torch.tensor(kept, dtype=torch.long)
        return out

    def _structure(self, xyz: np.ndarray[Any, Any], row: str) -> Tensor:
        if xyz.ndim != 2 or xyz.shape[1] != 4:
            raise DataError(
                f"task '{self.task.name}': expected (L, 4) coordinates and mask, got {xyz.shape}", row=row
            )
        xyz = xyz[: self.length]  # a longer protein was cut there, or refused by its processor
        known = xyz[:, 3] > 0
        if not np.isfinite(xyz[known, :3]).all():
            raise DataError(f"task '{self.task.name}': a resolved coordinate is not finite", row=row)
        out = np.zeros((self.length, 4), dtype=np.float32)
        out[: len(xyz), :3] = np.where(known[:, None], xyz[:, :3], 0.0)
        out[: len(xyz), 3] = known
        return torch.from_numpy(out)
