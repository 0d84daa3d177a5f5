"""Networks whose features distances between sets of images are measured in, one file each."""

from __future__ import annotations

from typing import Any

from zoo.evaluation.generated.features.base import FEATURE_NETWORKS


def __getattr__(name: str) -> Any:
    return FEATURE_NETWORKS.attribute(__name__, name)
