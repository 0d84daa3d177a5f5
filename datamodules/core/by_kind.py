"""One data module for each kind of modality that the zoo ships: BaseDataModule with all other kinds left out."""

from __future__ import annotations

from datamodules.core.base import DATAMODULES, BaseDataModule


@DATAMODULES.register
class ImagingDataModule(BaseDataModule):
    """Serve images of any sort alone: the modalities of kind image.

    Takes every option of BaseDataModule.
    """

    kind = "image"


@DATAMODULES.register
class EEGDataModule(BaseDataModule):
    """Serve EEG and other signals alone: the modalities of kind signal.

    Takes every option of BaseDataModule.
    """

    kind = "signal"


@DATAMODULES.register
class GenomicsDataModule(BaseDataModule):
    """Serve DNA sequences alone: the modalities of kind dna.

    Takes every option of BaseDataModule.
    """

    kind = "dna"


@DATAMODULES.register
class SingleCellDataModule(BaseDataModule):
    """Serve single-cell expression alone: the modalities of kind expression.

    Takes every option of BaseDataModule.
    """

    kind = "expression"


@DATAMODULES.register
class ProteinDataModule(BaseDataModule):
    """Serve protein sequences and structures alone: the modalities of kind protein.

    Takes every option of BaseDataModule.
    """

    kind = "protein"


@DATAMODULES.register
class TextDataModule(BaseDataModule):
    """Serve texts alone: the modalities of kind text.

    Takes every option of BaseDataModule.
    """

    kind = "text"


@DATAMODULES.register
class TabularDataModule(BaseDataModule):
    """Serve tables of numbers and categories alone: the modalities of kind tabular.

    Takes every option of BaseDataModule.
    """

    kind = "tabular"
