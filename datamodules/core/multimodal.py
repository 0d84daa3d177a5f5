"""MultimodalDataModule: any number of sources over any modalities, joined by subject."""

from __future__ import annotations

from datamodules.core.base import DATAMODULES, BaseDataModule


@DATAMODULES.register
class MultimodalDataModule(BaseDataModule):
    """Join sources: rows of the same subject become one sample, unpaired rows stay as they are.

    Takes every option of BaseDataModule.
    """
