"""Painters: generators of images from the metadata or record of a row, and how near their images are to real ones."""

from __future__ import annotations

from typing import Any

from zoo.generator import GENERATORS


def __getattr__(name: str) -> Any:
    return GENERATORS.attribute(__name__, name)
