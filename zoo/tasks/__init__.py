"""Task kinds: head, per-sample loss, prediction, combination and metrics of each kind, kept together."""

from zoo.tasks.base import TASKS, Head, TaskKind, bootstrap_interval, task_kind
from zoo.tasks.classification import Classification
from zoo.tasks.multilabel import Multilabel
from zoo.tasks.ordinal import Ordinal
from zoo.tasks.regression import Regression
from zoo.tasks.residue import TokenClassification
from zoo.tasks.structure import Structure
from zoo.tasks.vqa import VQA

__all__ = [
    "TASKS",
    "VQA",
    "Classification",
    "Head",
    "Multilabel",
    "Ordinal",
    "Regression",
    "Structure",
    "TaskKind",
    "TokenClassification",
    "bootstrap_interval",
    "task_kind",
]
