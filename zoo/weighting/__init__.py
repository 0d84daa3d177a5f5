"""Weightings: one file a class, each making the table lambda[task, stream] of the loss: fixed, learned or adapted."""

from __future__ import annotations

from typing import Any

from zoo.weighting.base import WEIGHTINGS, Weighting

__all__ = ["WEIGHTINGS", "Weighting"]


def __getattr__(name: str) -> Any:
    return WEIGHTINGS.attribute(__name__, name)
