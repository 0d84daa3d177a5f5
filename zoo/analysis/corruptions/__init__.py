"""Damage of each modality kind's own sort, and how a model's results fall with it."""

from zoo.analysis.corruptions import codes, expression, image, signal, tabular  # noqa: F401  (registers)
from zoo.analysis.corruptions.base import CORRUPTIONS, SEVERITIES, Corruption, corrupt, corruptions_for
from zoo.analysis.corruptions.curves import area, effective, knows, relative, retention

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "Corruption",
    "area",
    "corrupt",
    "corruptions_for",
    "effective",
    "knows",
    "relative",
    "retention",
]
