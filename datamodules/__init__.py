"""Data modules: MultimodalDataModule, which joins sources, and one for each kind of modality.

A name such as ``datamodules.EEGDataModule`` is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name.endswith("DataModule"):
        found = import_module("datamodules.core.base").DATAMODULES
        return found.attribute(__name__, name)
    raise AttributeError(f"module 'datamodules' has no attribute '{name}'")
