"""One data module for each kind of modality that the zoo ships: BaseDataModule with all other kinds left out."""

from __future__ import annotations

from datamodules.core.base import DATAMODULES, BaseDataModule


@DATAMODULES.register
class ImagingDataModule(BaseDataModule):
    """Serve images of any sort alone, of kind image; takes every option of BaseDataModule."""

    kind = "image"


@DATAMODULES.register
class EEGDataModule(BaseDataModule):
    """Serve EEG and other signals alone, of kind signal; takes every option of BaseDataModule."""

    kind = "signal"


@DATAMODULES.register
class GenomicsDataModule(BaseDataModule):
    """Serve DNA sequences alone, of kind dna; takes every option of BaseDataModule."""

    kind = "dna"


@DATAMODULES.register
class SingleCellDataModule(BaseDataModule):
    """Serve single-cell expression alone, of kind expression; takes every option of BaseDataModule."""

    kind = "expression"


@DATAMODULES.register
class ProteinDataModule(BaseDataModule):
    """Serve protein sequences and structures alone, of kind protein; takes every option of BaseDataModule."""

    kind = "protein"


@DATAMODULES.register
class TextDataModule(BaseDataModule):
    """Serve texts alone, of kind text; takes every option of BaseDataModule."""

    kind = "text"


@DATAMODULES.register
class TabularDataModule(BaseDataModule):
    """Serve tables of numbers and categories alone, of kind tabular; takes every option of BaseDataModule."""

    kind = "tabular"
