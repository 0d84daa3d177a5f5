"""A model zoo for multitask learning over many biomedical modalities at once.

Names are imported when they are first used, so that ``import zoo`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.contract import Batch, ModalitySpec, Output, Sample, TaskSpec, Tokens, collate
    from zoo.encoders import (
        BERTEncoder,
        DNABERTEncoder,
        Encoder,
        ESMEncoder,
        FrozenImageEncoder,
        FrozenTextEncoder,
        LSTMEncoder,
        MLPEncoder,
        SCBERTEncoder,
        TabularEncoder,
        ViTEncoder,
    )
    from zoo.fusion import (
        ConcatFusion,
        CrossAttentionFusion,
        EarlyFusion,
        Fusion,
        GatedFusion,
        LateFusion,
        LowRankFusion,
    )
    from zoo.module import MultitaskModule
    from zoo.tasks import TaskKind, task_kind

_HOME = {
    "zoo.contract": ("Batch", "ModalitySpec", "Output", "Sample", "TaskSpec", "Tokens", "collate"),
    "zoo.encoders": (
        "BERTEncoder",
        "DNABERTEncoder",
        "ESMEncoder",
        "Encoder",
        "FrozenImageEncoder",
        "FrozenTextEncoder",
        "LSTMEncoder",
        "MLPEncoder",
        "SCBERTEncoder",
        "TabularEncoder",
        "ViTEncoder",
    ),
    "zoo.fusion": (
        "ConcatFusion",
        "CrossAttentionFusion",
        "EarlyFusion",
        "Fusion",
        "GatedFusion",
        "LateFusion",
        "LowRankFusion",
    ),
    "zoo.module": ("MultitaskModule",),
    "zoo.tasks": ("TaskKind", "task_kind"),
}

__all__ = [
    "BERTEncoder",
    "Batch",
    "ConcatFusion",
    "CrossAttentionFusion",
    "DNABERTEncoder",
    "ESMEncoder",
    "EarlyFusion",
    "Encoder",
    "FrozenImageEncoder",
    "FrozenTextEncoder",
    "Fusion",
    "GatedFusion",
    "LSTMEncoder",
    "LateFusion",
    "LowRankFusion",
    "MLPEncoder",
    "ModalitySpec",
    "MultitaskModule",
    "Output",
    "SCBERTEncoder",
    "Sample",
    "TabularEncoder",
    "TaskKind",
    "TaskSpec",
    "Tokens",
    "ViTEncoder",
    "collate",
    "task_kind",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOME.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'zoo' has no attribute '{name}'")
