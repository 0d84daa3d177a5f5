"""Modalities and training rows that a generator makes of what a row has: ``data.generated`` of every data module."""

from datamodules.generated.modality import GeneratedModality
from datamodules.generated.rows import GeneratedRows

__all__ = ["GeneratedModality", "GeneratedRows"]
