"""Captioners: from a picture and metadata to a record, by a large model or a small one that learns here."""

from __future__ import annotations

from typing import Any

from zoo.generator import GENERATORS


def __getattr__(name: str) -> Any:
    return GENERATORS.attribute(__name__, name)
