"""Libraries of an extra, imported where they are used."""

from __future__ import annotations

from typing import Any

from zoo.errors import MissingExtraError


def diffusers_library() -> Any:
    """Import diffusers, or say how to install it."""
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtraError("diffusers", "augmentation") from error
    return diffusers
