"""Encoders: one file a class, each mapping the packed rows of one kind of modality to tokens."""

from __future__ import annotations

from typing import Any

from zoo.encoders.base import ENCODERS, Encoder

__all__ = ["ENCODERS", "Encoder"]


def __getattr__(name: str) -> Any:
    return ENCODERS.attribute(__name__, name)
