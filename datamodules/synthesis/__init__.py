"""Modalities and training rows that a generator makes of what a row has (``data.processing.generated``)."""

from datamodules.synthesis.modality import GeneratedModality
from datamodules.synthesis.rows import GeneratedRows

__all__ = ["GeneratedModality", "GeneratedRows"]
