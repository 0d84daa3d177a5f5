"""Sources: one file a published data set, its layout and its card. Each is found by itself."""

from __future__ import annotations

from typing import Any

from datamodules.core.source import SOURCES


def __getattr__(name: str) -> Any:
    """Return the source class of that name, such as ``datamodules.sources.Table``."""
    if not name.startswith("_") and name in SOURCES:
        return SOURCES.get(name)
    raise AttributeError(
        f"module 'datamodules.sources' has no source '{name}'; sources: {', '.join(SOURCES.names())}"
    )
