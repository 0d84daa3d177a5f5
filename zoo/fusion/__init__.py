"""Fusions: one file a class, each turning the tokens of the modalities into one vector a stream."""

from __future__ import annotations

from typing import Any

from zoo.fusion.base import FUSIONS, Fusion

__all__ = ["FUSIONS", "Fusion"]


def __getattr__(name: str) -> Any:
    return FUSIONS.attribute(__name__, name)
